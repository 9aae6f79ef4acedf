"""A written image is whole: on a full disk, at a limit on files, where ITK reports nothing."""

import os
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.image_file import write_image
from soars_nnunet.images.label_names import embed_label_names
from soars_nnunet.images.nifti_header import read_nifti_header

SHAPE = (24, 32, 32)
ENDINGS = (".nii.gz", ".nrrd", ".mha")

LIMITED = """
import resource, sys
import numpy as np, SimpleITK as sitk
from pathlib import Path
from soars_nnunet.cascade.image_file import write_image
noise = np.random.default_rng(1).integers(0, 43, (24, 32, 32)).astype(np.uint8)
noise[int(sys.argv[3]):] = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    write_image(sitk.GetImageFromArray(noise), Path(sys.argv[1]))
except OSError as error:
    sys.exit(str(error))
"""


def noise(seed=0, kind=np.uint8):
    image = sitk.GetImageFromArray(np.random.default_rng(seed).integers(0, 43, SHAPE).astype(kind))
    image.SetSpacing((0.9765625, 1.1, 2.5))
    image.SetOrigin((-249.51171875, 133.3, 1203.7))
    return image


def tilted():
    image = noise()
    turn = np.radians(11)
    image.SetDirection((np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn), 0, 0, 0, 1))
    return image


def with_nan():
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    values[0, 0, 0] = np.nan
    return sitk.GetImageFromArray(values)


SOUND = {"uint8": noise(), "int16": noise(kind=np.int16), "float32": noise(kind=np.float32), "tilted": tilted()}
SOUND["NaN"] = with_nan()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("image", SOUND.values(), ids=SOUND)
def test_an_image_is_written_with_voxels_and_geometry(tmp_path, image, ending):
    path = tmp_path / f"a{ending}"
    write_image(image, path)
    found = sitk.ReadImage(str(path))
    written = sitk.GetArrayFromImage(image)
    finite = np.isfinite(written)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found)[finite], written[finite])
    np.testing.assert_allclose(found.GetDirection(), image.GetDirection(), atol=1e-5)
    assert os.listdir(tmp_path) == [path.name]


def limited(path, size, filled=24):
    command = [sys.executable, "-c", LIMITED, str(path), str(size), str(filled)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
@pytest.mark.parametrize("size", [0, 100, 4096, 15000])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_cut_file_never_gets_the_name_and_the_old_one_stays(tmp_path, ending, size):
    path = tmp_path / f"a{ending}"
    write_image(noise(2), path)
    old = path.read_bytes()
    done = limited(path, size)
    assert "expected to read back what was written" in done.stderr and str(path) in done.stderr
    assert (done.returncode, path.read_bytes(), os.listdir(tmp_path)) == (1, old, [path.name])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_file_that_lacks_nothing_but_zeros_is_cut_all_the_same(tmp_path):
    """ITK reads zeros in place of what is missing, so that the voxels are equal."""
    path = tmp_path / "a.nii.gz"
    whole = noise()
    half = sitk.GetArrayFromImage(whole)
    write_image(whole, path)
    assert limited(path, 10**6, 12).returncode == 0
    size = path.stat().st_size
    path.unlink()
    assert half.any() and limited(path, size - 9, 12).returncode == 1
    assert os.listdir(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, timeout=20).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=20)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_is_said_and_the_old_file_stays(small_disk, ending):
    path = small_disk / f"a{ending}"
    write_image(noise(), path)
    old = path.read_bytes()
    with pytest.raises(OSError, match="No space left|expected to read back"):
        for seed in range(8):
            write_image(noise(seed), small_disk / f"{seed}{ending}")
    taken = sorted(os.listdir(small_disk))
    with pytest.raises(OSError, match="No space left|expected to read back"):
        write_image(noise(9), path)
    assert path.read_bytes() == old and sorted(os.listdir(small_disk)) == taken
    assert not [name for name in taken if name.startswith(".")]


def other_voxel(image):
    image[3, 4, 5] = image[3, 4, 5] + 1


def moved(image):
    image.SetOrigin((0, 0, 7))


def coarser(image):
    image.SetSpacing((1, 1, 2.6))


@pytest.mark.parametrize("damage", [other_voxel, moved, coarser])
def test_what_is_read_back_differently_is_refused(tmp_path, monkeypatch, damage):
    read = sitk.ReadImage

    def reading(path):
        image = read(path)
        damage(image)
        return image

    monkeypatch.setattr(sitk, "ReadImage", reading)
    with pytest.raises(
        OSError, match=r"a\.nii\.gz: expected to read back what was written, got other|another geometry"
    ):
        write_image(noise(), tmp_path / "a.nii.gz")
    assert os.listdir(tmp_path) == []


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])
    return path


FINISHES = {
    "names": lambda path: embed_label_names(cut(path), {"Brainstem": 1}),
    "header": lambda path: read_nifti_header(cut(path)),
}


@pytest.mark.parametrize("finish", FINISHES.values(), ids=FINISHES)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_file_that_is_cut_before_it_is_completed_is_not_kept(tmp_path, ending, finish):
    with pytest.raises(OSError, match="expected to read back what was written, got"):
        write_image(noise(), tmp_path / f"a{ending}", finish=finish)
    assert os.listdir(tmp_path) == []
