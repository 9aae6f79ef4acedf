import json

import pytest
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import nn

from soars_nnunet.networks.genotype import KINDS, published_genotype
from soars_nnunet.networks.phnn import PHNN

ANISOTROPIC = [[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 3, 2]]


def build(genotype=("2D3", "P3D3", "3D3", "2D3"), num_classes=3, **kwargs):
    torch.manual_seed(0)
    kwargs = {"features_per_stage": (2, 3, 4, 5), "n_convs_per_stage": (1, 2, 1, 1), **kwargs}
    return PHNN(2, num_classes, list(genotype), **kwargs).eval()


def upsample_axis(values, axis, stride):
    """Linear interpolation along one axis written out: voxel centres, edges repeated, float64."""
    size = values.shape[axis]
    position = ((torch.arange(size * stride, dtype=torch.float64) + 0.5) / stride - 0.5).clamp(0, size - 1)
    low = position.floor().long()
    high = (low + 1).clamp(max=size - 1)
    shape = [-1 if dim == axis else 1 for dim in range(values.ndim)]
    weight = (position - low).view(shape)
    return values.index_select(axis, low) * (1 - weight) + values.index_select(axis, high) * weight


def brute_force_sums(net, image):
    """Sums 1 to 4 in float64, from the scores of each block alone."""
    grids, features = [image.shape[2:]], image
    sums = []
    for k, (block, score_conv) in enumerate(zip(net.blocks, net.score_convs, strict=True)):
        stride = tuple(net.strides[k])
        features = block(nn.MaxPool3d(stride, ceil_mode=True)(features))
        grids.append(features.shape[2:])
        scores = score_conv(features).double()
        for level in range(k, -1, -1):
            for axis in range(3):
                scores = upsample_axis(scores, 2 + axis, net.strides[level][axis])
            z, y, x = grids[level]
            scores = scores[:, :, :z, :y, :x]
        sums.append(scores + sums[-1] if sums else scores)
    return sums


@pytest.mark.parametrize("strides", [None, ANISOTROPIC, [[1, 2, 2], [1, 2, 2], [2, 2, 2], [2, 1, 1]]])
@pytest.mark.parametrize("size", [(16, 24, 16), (17, 19, 21)])
def test_outputs_are_the_progressive_sums_deepest_first(strides, size):
    net = build(**({"strides": strides} if strides else {}))
    image = torch.randn(1, 2, *size)
    with torch.no_grad():
        outputs, expected = net(image), brute_force_sums(net, image)
    assert len(outputs) == 4
    for output, reference in zip(outputs, expected[::-1], strict=True):
        assert output.shape == (1, 3, *size)
        torch.testing.assert_close(output.double(), reference, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(outputs[0], outputs[-1], atol=1e-2)


@pytest.mark.parametrize("background", [None, 0.25])
@pytest.mark.parametrize("size", [(16, 16, 16), (17, 19, 21)])
def test_single_output_equals_the_deepest_with_the_same_gradients(size, background):
    net = build(constant_background=background).train()
    image = torch.randn(2, 2, *size)
    target = torch.randn(2, 3, *size)
    found = []
    for deep_supervision in (True, False):
        net.deep_supervision = deep_supervision
        net.zero_grad()
        output = net(image)
        output = output[0] if deep_supervision else output
        (output * target).mean().backward()
        found.append((output.detach(), [p.grad.clone() for p in net.parameters()]))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=1e-5)
    for with_sums, alone in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(with_sums, alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_folded_batch_norm_gives_the_same_outputs(kind):
    net = build([kind] * 4, n_convs_per_stage=(2, 2, 2, 2))
    image = torch.randn(2, 2, 17, 19, 21, generator=torch.Generator().manual_seed(1))
    net.train()(image)  # running statistics of their own
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        expected = net.eval()(image)[0]
        net.fold_batch_norm()
        torch.testing.assert_close(net(image)[0], expected, rtol=1e-4, atol=1e-5)
    left = [[isinstance(layer, nn.BatchNorm3d) for layer in block].count(True) for block in net.blocks]
    assert left == [0, 1, 1, 1]  # behind a pooling


def test_batch_norm_of_a_network_in_training_is_not_folded():
    with pytest.raises(RuntimeError, match="evaluation mode"):
        build().train().fold_batch_norm()


def test_only_the_first_convolution_sees_its_input_raw():
    net = build(genotype=("P3D3", "2D3", "2D3", "2D3"))
    assert isinstance(net.blocks[0][0], nn.Conv3d)
    assert net.blocks[0][0].in_channels == 2
    assert all(isinstance(block[0], nn.BatchNorm3d) for block in list(net.blocks)[1:])
    seen = []
    net.blocks[0][0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    image = -torch.rand(1, 2, 8, 8, 8)
    net(image)
    assert torch.equal(seen[0], image)


def test_plans_entry_survives_json_and_nnunet_builds_it():
    kwargs = {
        "genotype": published_genotype("mid_level"),
        "features_per_stage": [2, 3, 4, 5],
        "n_convs_per_stage": [1, 1, 1, 1],
        "strides": ANISOTROPIC,
    }
    kwargs = json.loads(json.dumps(kwargs))
    net = get_network_from_plans("soars_nnunet.networks.phnn.PHNN", kwargs, [], 2, 5, True, deep_supervision=False)
    assert net(torch.randn(1, 2, 8, 12, 8)).shape == (1, 5, 8, 12, 8)
    assert all(conv.weight.std() < 0.02 and not conv.bias.any() for conv in net.score_convs)
    assert net.blocks[3][2].weight.std().item() == pytest.approx((2 / (4 * 5 * 5)) ** 0.5, rel=0.3)


def test_constant_background_is_exactly_constant_in_every_sum():
    net = build(num_classes=4, constant_background=0.1)
    plain = build(num_classes=3)
    plain.load_state_dict(net.state_dict())
    image = torch.randn(1, 2, 9, 8, 10)
    for output, heat_maps in zip(net(image), plain(image), strict=True):
        assert torch.equal(output[:, 0], torch.full_like(output[:, 0], 0.1))
        torch.testing.assert_close(output[:, 1:], heat_maps)


def test_planar_kinds_do_not_mix_slices_unless_pooled():
    image = torch.randn(1, 2, 4, 16, 16)
    changed = image.clone()
    changed[:, :, 2] += 1
    planar = build(("2D3", "2D5", "2D3", "2D5"), strides=[[1, 1, 1]] + [[1, 2, 2]] * 3, deep_supervision=False)
    difference = (planar(image) - planar(changed)).abs().amax((0, 1, 3, 4))
    assert difference[2] > 0 and not difference[[0, 1, 3]].any()
    pseudo = build(("2D3", "P3D3", "2D3", "2D5"), strides=[[1, 1, 1]] + [[1, 2, 2]] * 3, deep_supervision=False)
    assert (pseudo(image) - pseudo(changed)).abs().amax((0, 1, 3, 4))[[1, 3]].all()


def test_feature_map_size_counts_what_the_convolutions_put_out():
    net = build()
    counted = []
    for module in net.modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_hook(lambda m, i, output: counted.append(output.numel()))
    outputs = net(torch.randn(1, 2, 9, 8, 10))
    assert net.compute_conv_feature_map_size([9, 8, 10]) == sum(counted) + sum(o.numel() for o in outputs)
    with pytest.raises(ValueError, match="expected an input size"):
        net.compute_conv_feature_map_size([2, 9, 8, 10])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"features_per_stage": (2, 3, 4)}, "features_per_stage: expected 4"),
        ({"n_convs_per_stage": (1, 0, 1, 1)}, "n_convs_per_stage: expected 4"),
        ({"strides": [[1, 1, 1]] * 3}, "strides: expected 4"),
        ({"strides": [[2, 2]] * 4}, "strides: expected 4"),
        ({"num_classes": 1, "constant_background": 0.0}, "num_classes: expected at least 2, got 1"),
    ],
)
def test_bad_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)
