"""A bundle is written whole, with what belongs to the weights, and the same twice."""

from dataclasses import replace

import pytest
import torch
from bundles.fixtures import REQUEST

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.write import _write_weights, rounded, write_bundle, zip_bundle
from soars_nnunet.cascade.record import DEFAULT_PLANS, POSTPROCESSING
from soars_nnunet.cascade.storage import file_hash, read_json, write_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.model_folder import TrainedCascade


def test_a_bundle_of_a_bundle_is_the_same_and_so_is_its_zip(tiny_bundle, tmp_path):
    write_bundle(Bundle(tiny_bundle), tmp_path / "again", REQUEST)
    names = {path.name for path in tiny_bundle.iterdir()}
    assert {path.name for path in (tmp_path / "again").iterdir()} == names
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (tiny_bundle / name).read_bytes()
    zip_bundle(tiny_bundle, tmp_path / "one.zip")
    zip_bundle(tmp_path / "again", tmp_path / "two.zip")
    assert file_hash(tmp_path / "one.zip") == file_hash(tmp_path / "two.zip")


def test_folds_can_be_chosen_and_others_are_named(tiny_bundle, tmp_path):
    write_bundle(Bundle(tiny_bundle), tmp_path / "one", replace(REQUEST, folds=[1], precision="fp16"))
    one = Bundle(tmp_path / "one")
    one.verify()
    assert one.branch("anchor").folds == [1] and one.described.precision == "fp16"
    assert "anchor_fold_0.safetensors" not in one.described.files
    with pytest.raises(MissingArtifactError, match=r"fold\(s\) \[7\] are not trained"):
        write_bundle(Bundle(tiny_bundle), tmp_path / "seven", replace(REQUEST, folds=[7]))
    assert not (tmp_path / "seven").exists(), "nothing half-written"


def test_a_decision_goes_along_if_it_was_taken_for_these_weights(untrained_cascade, tmp_path):
    class Decided(TrainedCascade):
        def postprocessing(self):
            models = {key: self.branch(key).fingerprint(folds) for key in self.manifest.branches}
            return {"largest_part": ["Brainstem"], "effects": [], "models": models, "provenance": {}}

    cascade = Decided(untrained_cascade.manifest(DEFAULT_PLANS))
    folds = [0, 1]
    write_bundle(cascade, tmp_path / "all", REQUEST)
    bundle = Bundle(tmp_path / "all")
    assert bundle.described.postprocessing == {"largest_part": ["Brainstem"], "effects": []}
    decided = bundle.postprocessing()
    assert decided["models"]["anchor"] == bundle.branch("anchor").fingerprint([0, 1])
    folds = [0]
    write_bundle(cascade, tmp_path / "other", REQUEST)
    assert Bundle(tmp_path / "other").described.postprocessing is None


def test_rounding_keeps_sums_of_neighbours():
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn((8, 16, 3, 5, 5), generator=generator)
    plain, diffused = kernel.half().float(), rounded(kernel, torch.float16).float()
    step = torch.finfo(torch.float16).eps
    assert ((diffused - kernel).abs() <= 2 * step * kernel.abs().amax()).all()
    errors = [(found - kernel).double().sum((2, 3, 4)).square().mean().sqrt() for found in (plain, diffused)]
    assert errors[1] < errors[0] / 3
    assert torch.equal(rounded(kernel, torch.float32), kernel)
    assert rounded(torch.tensor(3), torch.int64) == 3


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_weights_that_are_not_finite_in_half_precision_are_refused(tmp_path, value):
    weights = {"kernel": torch.full((2**15, 1, 1, 1, 1), value)}
    with pytest.raises(
        MissingArtifactError, match="a.safetensors: expected finite weights in fp16, got others in kern"
    ):
        _write_weights(weights, tmp_path / "a.safetensors", "fp16")
    assert not (tmp_path / "a.safetensors").exists()


def test_the_users_umask_holds(tiny_bundle, tmp_path):
    (tmp_path / "plain").write_text("")
    write_json(tmp_path / POSTPROCESSING, {})
    expected = (tmp_path / "plain").stat().st_mode
    assert {path.stat().st_mode for path in tiny_bundle.iterdir()} == {expected}
    assert read_json(tiny_bundle / "card.json") == {"metadata": {"name": "tiny"}}
