"""Plans as nnU-Net reads them."""

from dataclasses import replace

import numpy as np
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.planning.case_geometry import CaseGeometry
from soars_nnunet.planning.plans_json import PlannedNetwork, fingerprint_json, plans_json
from soars_nnunet.planning.sizes import choose_size
from soars_nnunet.settings.regime import load_regime

SETTINGS = replace(
    load_regime("paper", "detection"), channel_names={"0": "CT", "1": "noNorm", "2": "noNorm"}, guidance=("a", "b")
)


def planned(settings=SETTINGS):
    spacing_mm = np.array([3.0, 1.0, 1.0])
    return PlannedNetwork(
        dataset_json={},
        geometries=[CaseGeometry([60, 200, 200], [3.0, 1.0, 1.0]), CaseGeometry([61, 200, 200], [3.0, 1.0, 1.0])],
        spacing_mm=spacing_mm,
        shape=np.array([60.0, 200.0, 200.0]),
        size=choose_size((60, 200, 200), (3.0, 1.0, 1.0), settings.max_patch_voxels, settings.max_patch_mm),
        settings=settings,
        genotype=["2D3", "3D3", "2D3", "3D3"],
    )


def test_settings_and_grid_come_back_from_the_plans():
    plans = PlansFile(plans_json("Dataset003_Neck", "Variant", planned()))
    assert plans.settings == SETTINGS
    assert (plans.spacing_mm, plans.hu_per_unit) == ([3.0, 1.0, 1.0], 150.0)
    assert plans.configuration["architecture"]["arch_kwargs"]["constant_background"] > 0
    anchors = replace(load_regime("paper", "anchor"), channel_names={"0": "CT"})
    assert "constant_background" not in str(plans_json("D", "V", planned(anchors)))


def test_the_ct_is_clipped_to_the_window_and_guidance_left_alone():
    plans = plans_json("Dataset003_Neck", "Variant", planned())
    ct, *guidance = plans["foreground_intensity_properties_per_channel"].values()
    assert (ct["percentile_00_5"], ct["percentile_99_5"], ct["mean"], ct["std"]) == (-500.0, 1000.0, -500.0, 150.0)
    assert len(guidance) == 2 and {(own["mean"], own["std"]) for own in guidance} == {(0.0, 1.0)}
    configuration = plans["configurations"][CONFIGURATION]
    assert configuration["normalization_schemes"] == ["CTNormalization", "NoNormalization", "NoNormalization"]


def test_nnunet_takes_the_plans():
    configuration = PlansManager(plans_json("Dataset003_Neck", "Variant", planned())).get_configuration(CONFIGURATION)
    assert (configuration.batch_size, configuration.spacing) == (12, [3.0, 1.0, 1.0])
    assert configuration.resampling_fn_data.keywords["order"] == 3
    assert configuration.resampling_fn_seg.keywords["is_seg"] is True


def test_the_fingerprint_names_every_case():
    network = planned()
    fingerprint = fingerprint_json(network, plans_json("D", "V", network))
    assert fingerprint["shapes_after_crop"] == [[60, 200, 200], [61, 200, 200]]
    assert fingerprint["spacings"] == [[3.0, 1.0, 1.0]] * 2
