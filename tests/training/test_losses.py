import numpy as np
import pytest
import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.utilities.helpers import softmax_helper_dim1
from torch.nn import functional

from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.training.losses import DiceCELoss, HeatmapL2Loss


def random_batch(num_classes, labels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, num_classes, 5, 6, 7, generator=generator, requires_grad=True)
    picks = torch.randint(len(labels), (2, 1, 5, 6, 7), generator=generator)
    return logits, torch.tensor(labels)[picks]


def nnunet_dice(include_background, smooth):
    return MemoryEfficientSoftDiceLoss(
        softmax_helper_dim1, batch_dice=True, do_bg=include_background, smooth=smooth, ddp=False
    )


@pytest.mark.parametrize("include_background", [False, True])
@pytest.mark.parametrize("smooth", [1e-5, 1.0])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int16, torch.float32])
def test_equals_nnunet_where_every_class_is_present(include_background, smooth, dtype):
    logits, target = random_batch(4, [0, 1, 2, 3])
    ours = DiceCELoss(1, 0, include_background, smooth)(logits, target.to(dtype))
    theirs = nnunet_dice(include_background, smooth)(logits, target)
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_absent_classes_do_not_count():
    logits, target = random_batch(5, [0, 1, 3])
    loss = DiceCELoss(1, 0)(logits, target)
    probabilities = logits.softmax(1)
    dice = [
        2 * probabilities[:, c][target[:, 0] == c].sum() / (probabilities[:, c].sum() + (target == c).sum())
        for c in (1, 3)
    ]
    torch.testing.assert_close(loss, -(dice[0] + dice[1]) / 2)
    assert abs(loss - nnunet_dice(False, 1e-5)(logits, target)) > 0.05


@pytest.mark.parametrize("include_background", [False, True])
def test_absent_classes_count_on_request_as_nnunet_counts_them(include_background):
    logits, target = random_batch(5, [0, 1, 3])
    ours = DiceCELoss(1, 0, include_background, include_absent=True)(logits, target)
    torch.testing.assert_close(ours, nnunet_dice(include_background, 1e-5)(logits, target))


def test_batch_of_background_gives_zero_with_a_gradient_path():
    logits, target = random_batch(3, [0])
    loss = DiceCELoss(1, 0)(logits, target)
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()
    assert DiceCELoss(1, 0, include_background=True)(logits, target) < -0.1


def test_perfect_prediction_and_half_precision():
    _, target = random_batch(3, [0, 1, 2])
    perfect = 50 * functional.one_hot(target[:, 0], 3).movedim(-1, 1).half()
    loss = DiceCELoss(1, 0)(perfect, target)
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(-1)


def test_dice_ce_is_the_weighted_sum():
    logits, target = random_batch(4, [0, 1, 2])
    expected = 0.5 * DiceCELoss(1, 0, True)(logits, target) + 2 * functional.cross_entropy(logits, target[:, 0])
    torch.testing.assert_close(DiceCELoss(0.5, 2.0, True)(logits, target), expected)


@pytest.mark.parametrize("loss", [DiceCELoss(1, 0), DiceCELoss()])
@pytest.mark.parametrize("shape", [(2, 5, 6, 7), (2, 4, 5, 6, 7), (2, 1, 5, 6, 8)])
def test_wrong_target_shape_is_refused(loss, shape):
    logits, _ = random_batch(4, [0])
    with pytest.raises(ValueError, match="expected logits"):
        loss(logits, torch.zeros(shape))


def marginal_reference(logits, target, not_annotated, include_background):
    """Dice and cross entropy by definition, in float64, case by case over the classes that the case knows."""
    probabilities = logits.double().softmax(1)
    num_classes = logits.shape[1]
    sums, entropy = torch.zeros(num_classes, 3, dtype=torch.float64), 0
    for case in range(len(logits)):
        unknown = [c for c in range(1, num_classes) if not_annotated[case, c]]
        for c in range(num_classes):
            if c in unknown:
                continue
            own = probabilities[case, [0, *unknown]].sum(0) if c == 0 else probabilities[case, c]
            truth = target[case, 0] == c
            sums[c] += torch.stack((own[truth].sum(), own.sum(), truth.double().sum()))
            entropy = entropy - own[truth].log().sum()
    present = [c for c in range(0 if include_background else 1, num_classes) if sums[c, 2] > 0]
    dice = [2 * sums[c, 0] / (sums[c, 1] + sums[c, 2]) for c in present]
    return -sum(dice) / len(dice) + entropy / target.numel()


@pytest.mark.parametrize("include_background", [False, True])
def test_not_annotated_classes_count_with_the_background(include_background):
    logits, target = random_batch(5, [0, 1, 2, 3, 4])
    not_annotated = torch.tensor([[False, False, True, False, True], [False, False, False, False, True]])
    for case, label in not_annotated.nonzero().tolist():
        target[case][target[case] == label] = 0
    loss = DiceCELoss(include_background=include_background)
    loss.not_annotated = not_annotated
    ours, expected = loss(logits, target), marginal_reference(logits, target, not_annotated, include_background)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(value, logits)[0] for value in (ours, expected)]
    torch.testing.assert_close(gradients[0], gradients[1].float(), rtol=1e-4, atol=1e-7)
    loss.not_annotated = None
    assert (loss(logits, target) - ours).abs() > 0.05
    torch.testing.assert_close(
        DiceCELoss(include_background=include_background)(logits, target), loss(logits, target), rtol=0, atol=0
    )


def test_contours_of_not_annotated_classes_are_background():
    logits, target = random_batch(4, [0, 1, 2, 3])
    not_annotated = torch.tensor([[False, False, True, True], [False, False, False, True]])
    loss = DiceCELoss()
    loss.not_annotated = not_annotated
    cleared = target.clone()
    for case, label in not_annotated.nonzero().tolist():
        cleared[case][cleared[case] == label] = 0
    assert (cleared != target).any() and loss(logits, target).isfinite()
    torch.testing.assert_close(loss(logits, target), loss(logits, cleared), rtol=0, atol=0)
    perfect = 40.0 * functional.one_hot(cleared[:, 0], 4).movedim(-1, 1)
    assert loss(perfect, target).item() == pytest.approx(-1, abs=1e-4)


def test_a_class_that_is_not_annotated_may_be_predicted_or_not_at_no_cost():
    logits, target = random_batch(4, [0, 1])
    loss = DiceCELoss()
    loss.not_annotated = torch.tensor([[False, False, False, True]] * 2)
    with torch.no_grad():
        moved = logits.clone()
        both = moved[:, [0, 3]].logsumexp(1)
        moved[:, 0], moved[:, 3] = both - 20, both
    torch.testing.assert_close(loss(moved, target), loss(logits, target), rtol=1e-5, atol=1e-5)
    loss.not_annotated = None
    assert loss(moved, target) > loss(logits, target) + 1


def test_a_sure_mistake_still_has_a_gradient():
    logits = torch.zeros(1, 2, 1, 1, 1)
    logits[0, 0] = 200  # the softmax of class 1 is 0 in float32
    logits.requires_grad_()
    DiceCELoss(0, 1)(logits, torch.ones(1, 1, 1, 1, 1)).backward()
    torch.testing.assert_close(logits.grad.flatten(), torch.tensor([1.0, -1.0]))


def test_not_annotated_heat_maps_count_nothing():
    torch.manual_seed(0)
    prediction, target = torch.randn(2, 3, 4, 4, 4, requires_grad=True), torch.rand(2, 3, 4, 4, 4)
    loss = HeatmapL2Loss(5.0)
    loss.not_annotated = torch.tensor([[False, True, False, False], [False, False, False, True]])
    loss(prediction, target).backward()
    unknown = [(0, 0), (1, 2)]
    for case in range(2):
        for row in range(3):
            assert prediction.grad[case, row].any() == ((case, row) not in unknown)


def test_heatmap_loss():
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randn(2, 3, 4, 4, 4, generator=generator, requires_grad=True)
    target = torch.rand(2, 3, 4, 4, 4, generator=generator)
    torch.testing.assert_close(HeatmapL2Loss(0.0)(prediction, target), functional.mse_loss(prediction, target))
    weighted = HeatmapL2Loss(9.0)(prediction, target)
    torch.testing.assert_close(weighted, ((1 + 9 * target) * (prediction - target) ** 2).mean())
    weighted.backward()
    assert prediction.grad.abs().min() > 0
    with pytest.raises(ValueError, match="one shape"):
        HeatmapL2Loss()(prediction[:, :2], target)
    with pytest.raises(ValueError, match="expected 0 or more"):
        HeatmapL2Loss(-1)


@pytest.fixture
def one_thread():
    """Tiny layers on several threads spend their time waiting for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def toy_batch(generator):
    """Labels 1 (large) and 4 (48 of 4096 voxels) in most cases, 2 and 3 in one of ten."""
    image = 0.3 * torch.randn(2, 1, 16, 16, 16, generator=generator)
    target = torch.zeros(2, 1, 16, 16, 16)
    for case in range(2):
        z, y, x, kind = torch.randint(0, 10, (4,), generator=generator).tolist()
        target[case, 0, :, :4] = 1
        if kind == 0:
            target[case, 0, :, 4:6] = 2
            target[case, 0, :, 6:8] = 3
        if kind < 6:
            target[case, 0, z : z + 4, 4 + y : 8 + y, x : x + 3] = 4
    return image + torch.tensor([0.0, 1.0, -1.0, -2.0, 2.0])[target.long()], target


def test_small_organ_is_found_after_200_steps(one_thread):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    net = PHNN(1, 5, ["2D3"] * 4, (8, 8, 8, 8))
    net.apply(net.initialize)
    criterion = DeepSupervisionWrapper(DiceCELoss(1, 0), (0.25,) * 4)
    optimiser = torch.optim.RAdam(net.parameters(), lr=0.01, weight_decay=0.005)
    for _ in range(200):
        image, target = toy_batch(generator)
        optimiser.zero_grad()
        criterion(net(image), [target] * 4).backward()
        optimiser.step()
    net.eval()
    net.deep_supervision = False
    found, truth = [], []
    for _ in range(8):
        image, target = toy_batch(generator)
        found.append(net(image).detach().argmax(1) == 4)
        truth.append(target[:, 0] == 4)
    found, truth = torch.cat(found), torch.cat(truth)
    assert truth.any()
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.5


def blob_batch(generator):
    """A blob of 8 mm at 3 mm in two of three patches, its heat map, and brighter noise all over."""
    target = torch.zeros(2, 1, 20, 20, 20)
    grid = torch.stack(torch.meshgrid(*(torch.arange(20.0),) * 3, indexing="ij"))
    for case in range(2):
        if torch.rand(1, generator=generator) < 2 / 3:
            center = torch.randint(3, 17, (3, 1, 1, 1), generator=generator)
            target[case, 0] = torch.exp(-9 * ((grid - center) ** 2).sum(0) / (2 * 8**2))
    return 2 * target + 0.3 * torch.randn(target.shape, generator=generator), target


def test_plain_l2_does_not_collapse(one_thread):
    """The paper's loss and its share of patches without a target: the peak stands out after 150 steps."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    net = PHNN(1, 2, ["3D3", "2D3", "2D3", "3D3"], (4, 8, 8, 8), constant_background=0.25)
    net.apply(net.initialize)
    criterion = DeepSupervisionWrapper(HeatmapL2Loss(0), (0.25,) * 4)
    optimiser = torch.optim.RAdam(net.parameters(), lr=0.01, weight_decay=0.005)
    for _ in range(150):
        image, target = blob_batch(generator)
        optimiser.zero_grad()
        criterion([output[:, 1:] for output in net(image)], [target] * 4).backward()
        optimiser.step()
    net.eval()
    net.deep_supervision = False
    with torch.inference_mode():
        pairs = [(net(image)[:, 1], target[:, 0]) for image, target in (blob_batch(generator) for _ in range(8))]
    peaks, empty = [], []
    for found, truth in ((f, t) for pair in pairs for f, t in zip(*pair, strict=True)):
        (peaks if truth.any() else empty).append(found.max().item())
        if truth.any():
            places = [np.array(np.unravel_index(int(map_.argmax()), map_.shape)) for map_ in (found, truth)]
            assert np.linalg.norm(places[0] - places[1]) * 3 < 8
    assert min(peaks) > 0.3 and max(empty) < min(peaks), (peaks, empty)


@pytest.mark.parametrize("include_background", [False, True])
@pytest.mark.parametrize("unknown", [None, [[False, False, True, False], [False, True, False, False]]])
def test_ignored_voxels_count_as_if_they_were_cut_off(include_background, unknown):
    """The loss of a volume one of whose slices is ignored is that of the volume without the slice."""
    logits, target = random_batch(4, [0, 1, 2, 3])
    loss = DiceCELoss(1, 1, include_background)
    loss.not_annotated = None if unknown is None else torch.tensor(unknown)
    expected = loss(logits[:, :, 1:], target[:, :, 1:])
    wanted = torch.autograd.grad(expected, logits)[0]
    target[:, :, 0] = 4
    found = loss(logits, target)
    torch.testing.assert_close(found, expected)
    gradient = torch.autograd.grad(found, logits)[0]
    torch.testing.assert_close(gradient, wanted)
    assert not gradient[:, :, 0].any()


def test_gradients_beside_ignored_voxels_are_those_of_finite_differences():
    logits, target = random_batch(3, [0, 1, 2, 3])
    loss = DiceCELoss(1, 1)
    loss(logits, target).backward()
    place = (1, 2, 3, 4, 5)
    step = 1e-2
    moved = []
    for sign in (1, -1):
        other = logits.detach().clone()
        other[place] += sign * step
        moved.append(loss(other, target))
    torch.testing.assert_close(logits.grad[place], (moved[0] - moved[1]) / (2 * step), rtol=1e-2, atol=1e-6)


def test_a_batch_of_ignored_voxels_teaches_nothing():
    logits, _ = random_batch(3, [0])
    loss = DiceCELoss(1, 1)(logits, torch.full((2, 1, 5, 6, 7), 3))
    loss.backward()
    assert loss == 0 and not logits.grad.any()
