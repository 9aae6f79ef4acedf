"""What of plans and dataset.json goes along."""

from soars_nnunet.cascade.content import clean_dataset, clean_plans
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json


def test_plans_lose_what_no_network_needs(untrained_cascade):
    plans = read_json(untrained_cascade.model("mid_level", DEFAULT_PLANS) / "plans.json")
    odd = {**plans, "source": "/home/jane", "continue_training": False}
    odd["configurations"] = {"3d_fullres": {**plans["configurations"]["3d_fullres"]}, "2d": {}}
    settings = odd["configurations"]["3d_fullres"]["soars"]
    odd["configurations"]["3d_fullres"]["soars"] = {**settings, "cases": ["jane"], "cascade": {}}
    assert clean_plans(odd) == clean_plans(plans) == plans


def test_dataset_json_loses_what_no_network_needs():
    dataset = {
        "labels": {"background": 0},
        "training": ["jane.nii.gz"],
        "soars": {"branch": "a", "detection": {"x": 1}},
    }
    assert clean_dataset(dataset) == {"labels": {"background": 0}, "soars": {"branch": "a"}}
