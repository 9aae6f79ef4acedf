"""All branches on one CT."""

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch
from conftest import OPTIONS, write_weights

from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.stored_cases import load_preprocessed
from soars_nnunet.geometry.sides import separate_sides
from soars_nnunet.geometry.voi import crop_box
from soars_nnunet.guidance.channels import make_channels
from soars_nnunet.images.network_frame import AIR_HU, Scan, to_network_frame
from soars_nnunet.planning.plan import plan
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.run_branches import run_branches


def test_branches_can_do_without_guidance(cascade_copy, predictor, image, prediction):
    options = replace(OPTIONS, guidance="none", plans_name="CTOnly")
    waiting = []
    assert plan(cascade_copy, options, progress=waiting.append) == ["anchor", "mid_level", "detection"]
    assert "SmallHard: waits for out-of-fold output of Detection" in "\n".join(waiting)
    cascade_copy.plans("anchor", "CTOnly").unlink()  # the default anchors will do
    case = cascade_copy.splits()[0]["val"][0]
    for branch in ("mid_level", "detection"):
        write_weights(cascade_copy, branch, "CTOnly")
        own, guided = (load_preprocessed(cascade_copy.data(branch, n), case)[0] for n in ("CTOnly", DEFAULT_PLANS))
        assert len(guided) > 1
        np.testing.assert_array_equal(own, guided[:1])
    make_channels(cascade_copy, "CTOnly", torch.device("cpu"))
    assert plan(cascade_copy, options, ["small_hard"]) == ["small_hard"]
    write_weights(cascade_copy, "small_hard", "CTOnly")
    crop = cascade_copy.splits("small_hard")[0]["val"][0]
    assert len(load_preprocessed(cascade_copy.data("small_hard", "CTOnly"), crop)[0]) == 1
    unguided = CascadePredictor(cascade_copy.manifest("CTOnly"))
    labels, report = unguided.predict(image)
    assert report["models"]["anchor"]["name"] == prediction[1]["models"]["anchor"]["name"]
    ct_hu, properties = to_network_frame(image)
    inference = unguided.infer(Scan.of(image, "somebody"))
    ct, _ = unguided.models["detection"].preprocess(ct_hu, properties)
    detection = unguided.models["detection"]
    heatmaps = separate_sides(detection.outputs(ct)[1:].clamp(0, 1), detection.sides(), detection.spacing_mm[2])
    torch.testing.assert_close(inference.heatmaps.values, heatmaps)
    torch.testing.assert_close(inference.tiers["mid_level"].values, unguided.models["mid_level"].probabilities(ct))
    for voi in inference.vois:
        crop, _ = unguided.models["small_hard"].preprocess(crop_box(ct_hu, voi.box, AIR_HU), properties)
        torch.testing.assert_close(voi.softmax.values, unguided.models["small_hard"].probabilities(crop))
    assert len(inference.vois) and len(np.unique(sitk.GetArrayFromImage(labels))) > 20


def test_only_vois_of_wanted_organs_are_run(predictor, image):
    models, manifest = predictor.models, predictor.manifest
    scan = Scan.of(image, "somebody")
    whole = run_branches(scan, models, manifest, predictor.organs)
    assert list(whole.seconds) == ["check", "preprocess", "anchor", "mid_level", "detection", "small_hard"]
    assert list(whole.tiers) == ["anchor", "mid_level"] and list(whole.peaks) == list(
        manifest.branches["detection"].classes
    )
    present = [target for target, peak in whole.peaks.items() if peak.status != "not_found"]
    assert [voi.target for voi in whole.vois] == present and len(present) > 3
    target = present[-1]
    organ = manifest.profile.targets[target][0].name
    part = run_branches(scan, models, manifest, [organ])
    assert [voi.target for voi in part.vois] == [target]
    torch.testing.assert_close(part.vois[0].softmax.values, whole.vois[-1].softmax.values)
    assert run_branches(scan, models, manifest, ["Brainstem"]).vois == []


def test_branches_that_are_not_loaded_are_not_run(predictor, image):
    scan = Scan.of(image, "somebody")
    found = run_branches(scan, {"anchor": predictor.models["anchor"]}, predictor.manifest, ["Brainstem"])
    assert list(found.tiers) == ["anchor"] and found.heatmaps is None
    assert found.peaks == {} and found.vois == []
    assert list(found.seconds) == ["check", "preprocess", "anchor"]
