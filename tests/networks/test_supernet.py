import pytest
import torch
from torch import nn
from torch.nn import functional

from scripts.benchmarks.six_branches import to_six_branches
from soars_nnunet.networks.genotype import KINDS, kernels
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.networks.supernet import MixedBlock, SuperPHNN


def pair(dtype=torch.float64, **kwargs):
    nets = []
    for _ in range(2):
        torch.manual_seed(0)
        net = SuperPHNN(2, 3, **{"features_per_stage": (3, 4, 5, 6), "n_convs_per_stage": (2, 2, 1, 1), **kwargs})
        for block in net.blocks:
            nn.init.normal_(block.alpha)
        nets.append(net.to(dtype))
    return nets[0], to_six_branches(nets[1])


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("constant_background", [None, 0.25])
@pytest.mark.parametrize("size", [(16, 16, 16), (9, 14, 11)])
def test_merged_equals_six_branches(size, constant_background):
    merged, branches = pair(constant_background=constant_background)
    image = torch.randn(2, 2, *size, dtype=torch.float64)
    outputs = [torch.stack(net(image)) for net in (merged, branches)]
    assert relative(*outputs) < 1e-10
    for output in outputs:
        (output * torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)).sum().backward()
    checked = 0
    for (name, ours), theirs in zip(merged.named_parameters(), branches.parameters(), strict=True):
        assert theirs.grad.norm() > 0, name
        assert relative(ours.grad, theirs.grad) < 1e-10, name
        checked += 1
    assert checked == 4 + 6 * 8 + 4 * 2  # alphas; six units of eight kernels; score convolutions
    for ours, theirs in zip(merged.buffers(), branches.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_block_of_one_kind_is_the_retrained_block():
    torch.manual_seed(0)
    for kind in KINDS:
        net = SuperPHNN(1, 2, (3, 3, 3, 3)).double().eval()
        plain = PHNN(1, 2, [kind] * 4, (3, 3, 3, 3)).double().eval()
        for mixed, block in zip(net.blocks, plain.blocks, strict=True):
            with torch.no_grad():
                mixed.alpha[KINDS.index(kind)] = 60.0
            convs = [layer for layer in block if isinstance(layer, nn.Conv3d)]
            sources = [unit.weights[f"{kind}_{i}"] for unit in mixed.units for i in range(len(kernels(kind)))]
            for conv, source in zip(convs, sources, strict=True):
                conv.weight = source
        plain.score_convs = net.score_convs
        image = torch.randn(1, 1, 8, 8, 8, dtype=torch.float64)
        torch.testing.assert_close(net(image), plain(image))
        assert net.genotype() == [kind] * 4


def test_evaluation_uses_the_same_running_statistics():
    image = torch.randn(3, 2, 2, 16, 16, 16, dtype=torch.float64)
    outputs = []
    for net in pair():
        for batch in image:
            net(batch)
        outputs.append(torch.stack(net.eval()(image[0])))
    assert relative(*outputs) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("moving", ["weights", "alphas"])
def test_compiled_and_kept_equal_recomputed(moving):
    """As nnU-Net compiles on a GPU, traced without code generation; and without the checkpoint."""
    image = torch.randn(2, 2, 16, 16, 16, dtype=torch.float64)
    results = []
    for variant in ("recomputed", "kept", "compiled"):
        net = pair()[0]
        for unit in net.modules():
            unit.recompute = variant != "kept"
        alphas = net.architecture_parameters()
        parameters = list(net.weight_parameters()) if moving == "weights" else alphas
        for parameter in net.parameters():
            parameter.requires_grad_(any(parameter is other for other in parameters))
        forward = torch.compile(net, backend="aot_eager") if variant == "compiled" else net
        output = torch.stack(forward(image))
        output.square().mean().backward()
        results.append([output, *(parameter.grad for parameter in parameters), *net.buffers()])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_float32_training_curves_overlay():
    curves = []
    for net in pair(torch.float32):
        generator = torch.Generator().manual_seed(1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
        losses = []
        for _ in range(50):
            image = torch.randn(2, 2, 16, 12, 12, generator=generator)
            target = (image[:, 0] > 0).long() + (image[:, 1].roll(2, 1) > 1).long()
            loss = sum(functional.cross_entropy(output, target) for output in net(image))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        curves.append(torch.tensor(losses))
    torch.testing.assert_close(*curves, rtol=1e-3, atol=0)
    assert curves[0][-5:].mean() < 0.9 * curves[0][:5].mean()


def test_parameters_are_split_and_alpha_starts_uniform():
    net = SuperPHNN(1, 2, (2, 2, 2, 2))
    weights = list(net.weight_parameters())
    assert len(weights) + 4 == len(list(net.parameters()))
    assert not {id(w) for w in weights} & {id(a) for a in net.architecture_parameters()}
    torch.testing.assert_close(net.gammas(), torch.full((4, 6), 1 / 6))
    assert [key for key in net.state_dict() if "alpha" in key] == [f"blocks.{i}.alpha" for i in range(4)]


def test_candidates_start_with_the_same_scale():
    """No kind has a head start: every branch alone gives unit-scale outputs on unit-scale inputs."""
    torch.manual_seed(0)
    block = MixedBlock(32, 32, 1)
    image = torch.randn(1, 32, 12, 12, 12)
    scales = []
    for index in range(len(KINDS)):
        gamma = torch.zeros(len(KINDS))
        gamma[index] = 1
        scales.append(block.units[0](image, gamma).detach()[..., 2:-2, 2:-2, 2:-2].std().item())
    assert max(scales) / min(scales) < 1.15
