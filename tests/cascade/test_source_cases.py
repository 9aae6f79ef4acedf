from dataclasses import replace

import pytest

from soars_nnunet.cascade.derived import Derivation
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.source_cases import source_cases
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.errors import MissingArtifactError

SPLIT = Derivation(("Bone_Mandible_L", "Bone_Mandible_R"), (8, 9), ("Jaw",), (5,))


@pytest.fixture
def source(cascade):
    folder = raw_folder() / cascade.source
    files = {"images": ["imagesTr/a_0000.nii.gz"], "label": "labelsTr/a.nii.gz"}
    for path in (files["images"][0], files["label"]):
        (folder / path).parent.mkdir()
        (folder / path).touch()
    write_json(
        folder / "dataset.json", {"channel_names": {"0": "CT"}, "file_ending": ".nii.gz", "dataset": {"a": files}}
    )
    return cascade


def test_label_maps_are_the_sources_own_unless_organs_are_derived(source):
    own = source_cases(source)["a"]
    assert own.labels == raw_folder() / source.source / "labelsTr" / "a.nii.gz"
    derived = replace(source, derived=(SPLIT,))
    with pytest.raises(MissingArtifactError, match="rerun soars-stratify"):
        source_cases(derived)
    derived.derived_labels.mkdir(parents=True)
    (derived.derived_labels / "a.nii.gz").touch()
    found = source_cases(derived)["a"]
    assert (found.ct, found.labels) == (own.ct, derived.derived_labels / "a.nii.gz")


def test_the_record_keeps_what_is_derived(source):
    replace(source, derived=(SPLIT,)).save()
    assert Cascade.load(7).derived == (SPLIT,)
