"""Training cases, crops and true heat maps of the tiny cascade, computed without the package's own code for them."""

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.raw_cases import training_cases
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.cascade.stored_cases import load_preprocessed, read_channels
from soars_nnunet.geometry.heatmaps import gaussian_heatmaps
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.guidance import crops as crops
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.images.network_frame import AIR_HU, to_network_frame


def ignore(text):
    pass


def source_files(cascade):
    return training_cases(cascade.source, read_json(raw_folder() / cascade.source / "dataset.json"))


def crop_points(image, source):
    """Continuous (x, y, z) indices in ``source`` of every voxel of ``image``, (x, y, z, 3)."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in image.GetSize()), indexing="ij"), -1)
    direction, onto = (np.reshape(i.GetDirection(), (3, 3)) for i in (image, source))
    points = (grid * image.GetSpacing()) @ direction.T + image.GetOrigin()
    return (points - source.GetOrigin()) @ onto / source.GetSpacing()


def at(array, index, outside):
    inside = np.all((index >= 0) & (index < array.shape), axis=-1)
    clipped = np.clip(index, 0, np.array(array.shape) - 1)
    return np.where(inside, array[tuple(np.moveaxis(clipped, -1, 0))], outside), inside


def xyz(image):
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0)


def check_crops(cascade):
    """Every crop's CT, labels and heat maps against its source at the same physical points."""
    folder, files = cascade.raw("small_hard"), source_files(cascade)
    dataset_json = read_json(folder / "dataset.json")
    translate = np.zeros(43, int)
    for name, value in dataset_json["labels"].items():
        translate[cascade.labels.get(name, 0)] = value
    crops = sorted(path.name.removesuffix(".nii.gz") for path in (folder / "labelsTr").iterdir())
    assert dataset_json["numTraining"] == len(crops) > 30
    reached_outside = 0
    for crop in crops:
        case, _, target = crop.rpartition("__")
        ct, labels = (sitk.ReadImage(str(path)) for path in files[case])
        images = [sitk.ReadImage(str(folder / "imagesTr" / f"{crop}_{i:04d}.nii.gz")) for i in range(11)]
        truth = sitk.ReadImage(str(folder / "labelsTr" / f"{crop}.nii.gz"))
        points = crop_points(images[0], ct)
        index = np.round(points).astype(int)
        assert np.abs(points - index).max() < 1e-3, "crops lie on the CT's grid"
        expected, inside = at(np.maximum(xyz(ct), AIR_HU), index, AIR_HU)
        np.testing.assert_array_equal(xyz(images[0]), expected)
        expected, _ = at(translate[xyz(labels)], index, 0)
        np.testing.assert_array_equal(xyz(truth), expected)
        reached_outside += not inside.all()

        oriented = sitk.DICOMOrient(ct, "RAS")
        heatmaps = read_channels(cascade.channels("detection", DEFAULT_PLANS), case).astype(np.float32)
        _, _, properties = load_preprocessed(cascade.data("detection", DEFAULT_PLANS), case)
        lows, highs = np.array(properties["bbox_used_for_cropping"]).T
        voxel = crop_points(images[0], oriented)[..., ::-1]
        covered = np.all((voxel > lows - 0.5) & (voxel < highs - 0.5), axis=-1)
        on_network = (voxel - lows + 0.5) * heatmaps.shape[1:] / (highs - lows) - 0.5
        for heatmap, image in zip(heatmaps, images[1:], strict=True):
            expected = ndimage.map_coordinates(heatmap, np.moveaxis(on_network, -1, 0), order=1, mode="nearest")
            np.testing.assert_allclose(xyz(image), np.where(covered, expected, 0), atol=1e-4)
    return crops, reached_outside


def true_heatmaps(cascade, case, label):
    """Gaussians at the organs' centres, drawn on the detection network's grid."""
    labels, properties = to_network_frame(read_label_map(label))
    members = [[cascade.labels[organ.name] for organ in organs] for organs in cascade.profile.targets.values()]
    centers_mm = organ_centers_mm(labels[0].astype(np.int32), members, properties["spacing"])
    data, _, stored = load_preprocessed(cascade.data("detection", DEFAULT_PLANS), case)
    lows, highs = np.array(stored["bbox_used_for_cropping"]).T
    voxels = np.moveaxis(np.indices(data.shape[1:]), 0, -1)
    grid_mm = ((voxels + 0.5) * (highs - lows) / data.shape[1:] - 0.5 + lows) * properties["spacing"]
    grid = torch.from_numpy(np.moveaxis(grid_mm, -1, 0).astype(np.float32))
    return gaussian_heatmaps(grid[None], torch.from_numpy(centers_mm)[None], 8.0)[0].numpy()


def gaussian(shape, center, spacing_mm, sigma_mm=8.0):
    offsets = [(np.arange(n) - c) * mm for n, c, mm in zip(shape, center, spacing_mm, strict=True)]
    squared = sum(o.reshape([-1 if i == axis else 1 for i in range(3)]) ** 2 for axis, o in enumerate(offsets))
    return np.exp(-squared / 2 / sigma_mm**2)


def train_again(checkpoint):
    """Give a checkpoint other weights, as another training of the same fold does."""
    data = torch.load(checkpoint, weights_only=False)
    for value in data["network_weights"].values():
        if value.ndim > 1:
            value.mul_(1.05)
    torch.save(data, checkpoint)
