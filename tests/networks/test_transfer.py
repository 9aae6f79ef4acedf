"""Which weights a new network takes from an old one."""

import pytest
import torch

from soars_nnunet.networks.phnn import HEATMAP_BACKGROUND, PHNN
from soars_nnunet.networks.transfer import Layout, transfer_weights

GENOTYPE = ("2D3", "3D3", "P3D3", "3D3")
OLD = Layout(("CT", "Brainstem"), ("background", "Parotid_L", "Parotid_R", "Larynx"))


def network(layout, seed, **changes):
    torch.manual_seed(seed)
    constant = "background" not in layout.outputs
    made = PHNN(
        len(layout.inputs),
        len(layout.outputs) + constant,
        GENOTYPE,
        **{"features_per_stage": (2, 3, 4, 5), "n_convs_per_stage": (1, 1, 1, 1), **changes},
        constant_background=HEATMAP_BACKGROUND if constant else None,
    )
    made.apply(made.initialize)
    return made


def weights_of(layout, seed, **changes):
    return network(layout, seed, **changes).state_dict()


def trained(layout=OLD):
    """Weights as of a training: also the statistics of BatchNorm have moved."""
    made = network(layout, 1)
    with torch.no_grad():
        for _ in range(2):
            made(torch.randn(2, len(layout.inputs), 8, 8, 8))
    return made.state_dict()


def transferred(layout, old_layout=OLD):
    return transfer_weights(weights_of(layout, 0), trained(old_layout), layout, old_layout)


def test_the_same_inputs_and_outputs_are_the_same_weights():
    old = trained()
    assert old["blocks.1.0.num_batches_tracked"] == 2
    found = transfer_weights(weights_of(OLD, 0), old, OLD, OLD)
    assert list(found) == list(old)
    for name, weights in old.items():
        assert torch.equal(found[name], weights)


def test_rows_go_by_name_so_sides_keep_theirs():
    layout = Layout(OLD.inputs, ("background", "Larynx", "Parotid_R", "Parotid_L"))
    old, found = trained(), transferred(layout)
    for block in range(4):
        for part in ("weight", "bias"):
            name = f"score_convs.{block}.{part}"
            for new_row, old_row in enumerate((0, 3, 2, 1)):
                assert torch.equal(found[name][new_row], old[name][old_row])


def test_scores_of_known_organs_stay_and_those_of_new_ones_start_near_zero():
    layout = Layout(OLD.inputs, ("background", "Parotid_R", "Lips"))
    before, after = network(OLD, 1), network(layout, 0)
    before.load_state_dict(trained())
    after.load_state_dict(transferred(layout))
    image = torch.randn(1, 2, 8, 8, 8)
    with torch.inference_mode():
        old_scores, scores = before.eval()(image)[0], after.eval()(image)[0]
    torch.testing.assert_close(scores[:, :2], old_scores[:, [0, 2]])
    fresh = weights_of(layout, 0)
    found = transferred(layout)
    for block in range(4):
        row = found[f"score_convs.{block}.weight"][2]
        assert torch.equal(row, fresh[f"score_convs.{block}.weight"][2]) and row.abs().max() < 0.05
        assert len(found[f"score_convs.{block}.weight"]) == 3


def test_guidance_channels_go_by_name_and_new_ones_are_a_new_networks():
    layout = Layout(("CT", "Bone_Mandible", "Brainstem"), OLD.outputs)
    old, fresh, found = trained(), weights_of(layout, 0), transferred(layout)
    first = "blocks.0.0.weight"
    assert torch.equal(found[first][:, 0], old[first][:, 0])
    assert torch.equal(found[first][:, 1], fresh[first][:, 1])
    assert torch.equal(found[first][:, 2], old[first][:, 1])
    without = transferred(Layout(("CT",), OLD.outputs))
    assert torch.equal(without[first], old[first][:, :1])


def test_heat_maps_have_no_row_for_their_constant_background():
    old_layout, layout = Layout(("CT",), ("Eye_L", "Eye_R")), Layout(("CT",), ("Eye_R", "Pituitary"))
    old, found = trained(old_layout), transferred(layout, old_layout)
    assert torch.equal(found["score_convs.2.weight"][0], old["score_convs.2.weight"][1])


def test_copies_leave_both_networks_alone():
    new, old = weights_of(OLD, 0), trained()
    before = {name: weights.clone() for name, weights in {**new, **old}.items()}
    for weights in transfer_weights(new, old, OLD, OLD).values():
        weights.zero_()
    assert all(torch.equal({**new, **old}[name], before[name]) for name in before)


@pytest.mark.parametrize(
    "changes", [{"features_per_stage": (2, 3, 4, 6)}, {"n_convs_per_stage": (1, 2, 1, 1)}], ids=["widths", "depths"]
)
def test_another_architecture_is_refused(changes):
    with pytest.raises(ValueError, match="expected networks of one architecture, got others in blocks"):
        transfer_weights(weights_of(OLD, 0, **changes), trained(), OLD, OLD)


def test_names_that_do_not_count_the_channels_are_refused():
    layout = Layout(OLD.inputs, (*OLD.outputs, "Lips"))
    with pytest.raises(ValueError, match="expected 5 and 4 channels, got 4 and 4"):
        transfer_weights(weights_of(OLD, 0), trained(), layout, OLD)
