"""P-HNN's block: its layers, their order, and what is left of it when BatchNorm is folded."""

import pytest
import torch
from torch import nn

from soars_nnunet.networks.blocks import ConvBlock, same_padding
from soars_nnunet.networks.genotype import KINDS, kernels

EXPECTED_KERNELS = {
    "2D3": [(1, 3, 3)],
    "2D5": [(1, 5, 5)],
    "3D3": [(3, 3, 3)],
    "3D5": [(5, 5, 5)],
    "P3D3": [(1, 3, 3), (3, 1, 1)],
    "P3D5": [(1, 5, 5), (5, 1, 1)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_kernels_and_parameters(kind):
    assert list(kernels(kind)) == EXPECTED_KERNELS[kind]
    block = ConvBlock(3, 4, kind, 2)
    convs = [layer for layer in block if isinstance(layer, nn.Conv3d)]
    assert [conv.kernel_size for conv in convs] == EXPECTED_KERNELS[kind] * 2
    taps = [k[0] * k[1] * k[2] for k in EXPECTED_KERNELS[kind] * 2]
    widths = [3] + [4] * (len(taps) - 1)
    expected = sum(4 * width * tap + 2 * width for width, tap in zip(widths, taps, strict=True))
    assert sum(p.numel() for p in block.parameters()) == expected
    assert [type(layer) for layer in block] == [nn.BatchNorm3d, nn.ReLU, nn.Conv3d] * len(taps)
    assert block(torch.randn(1, 3, 4, 5, 6)).shape == (1, 4, 4, 5, 6)


def test_the_first_block_begins_with_a_convolution():
    block = ConvBlock(3, 4, "P3D3", 1, first_block=True)
    assert [type(layer) for layer in block] == [nn.Conv3d, nn.BatchNorm3d, nn.ReLU, nn.Conv3d]
    assert [layer.bias for layer in block if isinstance(layer, nn.Conv3d)] == [None, None]


def test_a_block_is_batch_norm_relu_and_convolution_written_out():
    torch.manual_seed(0)
    block = ConvBlock(2, 3, "2D3", 1).double()
    nn.init.uniform_(block[0].weight)
    nn.init.normal_(block[0].bias)
    features = torch.randn(2, 2, 4, 5, 6, dtype=torch.float64)
    mean = features.mean((0, 2, 3, 4), keepdim=True)
    variance = features.var((0, 2, 3, 4), unbiased=False, keepdim=True)
    weight, bias = (parameter.view(1, 2, 1, 1, 1) for parameter in (block[0].weight, block[0].bias))
    active = ((features - mean) / (variance + block[0].eps).sqrt() * weight + bias).clamp(min=0)
    padded = nn.functional.pad(active, (1, 1, 1, 1))
    expected = torch.zeros(2, 3, 4, 5, 6, dtype=torch.float64)
    for y in range(3):
        for x in range(3):
            tap = block[2].weight[:, :, 0, y, x]
            expected += torch.einsum("oc,bczyx->bozyx", tap, padded[:, :, :, y : y + 5, x : x + 6])
    torch.testing.assert_close(block(features), expected)


@pytest.mark.parametrize("first_block", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_folding_removes_every_batch_norm_behind_a_convolution(kind, first_block):
    torch.manual_seed(0)
    block = ConvBlock(2, 3, kind, 2, first_block=first_block)
    features = torch.randn(4, 2, 5, 6, 7)
    for _ in range(3):
        block(features)  # moves the running statistics
    block.eval()
    with torch.no_grad():
        expected = block(features)
        block.fold_batch_norm()
        torch.testing.assert_close(block(features), expected, rtol=1e-4, atol=1e-5)
    left = [i for i, layer in enumerate(block) if isinstance(layer, nn.BatchNorm3d)]
    assert left == ([] if first_block else [0])


@pytest.mark.parametrize("kind", KINDS)
def test_same_padding_keeps_the_size(kind):
    for kernel in kernels(kind):
        output = nn.functional.conv3d(
            torch.zeros(1, 1, 5, 6, 7), torch.zeros(1, 1, *kernel), padding=same_padding(kernel)
        )
        assert output.shape == (1, 1, 5, 6, 7)


def test_blocks_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="at least 1 convolution a block, got num_convs=0"):
        ConvBlock(1, 1, "2D3", 0)
    with pytest.raises(ValueError, match="expected a kind out of 2D3, .* got '2D7'"):
        ConvBlock(1, 1, "2D7", 1)
