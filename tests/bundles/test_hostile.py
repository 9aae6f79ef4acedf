"""Bundles that are damaged or made to harm: each is refused in one line, before anything of it is used."""

import io
import json
import os
import pickle
import re
import shutil
import stat
import struct
import sys
import zipfile

import pytest
import torch
from bundles.damage import at, damage_weights, pack, read_header, rewrite_manifest, stale_hashes
from safetensors.torch import load_file, save

from soars_nnunet.bundles.container import ZipContainer
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import MissingArtifactError

FIRST = "anchor_fold_0.safetensors"


def refuse(path, match):
    """Opening or reading it is refused in one line that a terminal can show."""
    with pytest.raises(MissingArtifactError, match=match) as refused:
        open_bundle(path).verify()
    text = str(refused.value)
    assert text.isprintable() and len(text) < 1000
    assert "; " in text, "says what to do"


# what the manifest says: path of keys in it, value, what the message names
MANIFEST_DAMAGE = {
    "another format": ("format", "soars-model", "format: expected 'soars-bundle'"),
    "unknown version": ("format_version", 2, "format_version: expected 1, got 2; upgrade soars_nnunet"),
    "version as text": ("format_version", "1", "format_version: expected 1"),
    "version as truth": ("format_version", True, "format_version: expected 1, got True"),
    "name of a path": ("name", "../../etc", "name: expected a text like"),
    "name that no folder can have": ("name", "con", "name: expected a name that a folder can have on any system"),
    "name of a zip": ("name", "tiny.zip", "name: expected a name that a folder can have"),
    "name with an escape": ("name", "\x1b[31mred", r"plain text, got a control sign \('.x1b'\)"),
    "text that runs backwards": ("about.license", "CC\u202eBY", "changes how text is shown"),
    "half of a sign": ("about.trained_on", "\ud800", "half of a sign"),
    "unknown key": ("run_after_install", "rm", "also run_after_install; upgrade"),
    "unknown precision": ("precision", "fp8", "precision: expected fp16 or fp32"),
    "files as a list": ("files", [], "files: expected an object"),
    "absolute name": ("files./etc/passwd", {"sha256": "0" * 64, "bytes": 1}, "names of plain files .* '/etc/passwd'"),
    "name in the folder above": ("files.>../x.safetensors", {"sha256": "0" * 64, "bytes": 1}, "names of plain files"),
    "name with a drive": ("files.>C:x.safetensors", {"sha256": "0" * 64, "bytes": 1}, "names of plain files"),
    "name with a backslash": ("files.>a\\x.safetensors", {"sha256": "0" * 64, "bytes": 1}, "names of plain files"),
    "name of a device": ("files.>nul.safetensors", {"sha256": "0" * 64, "bytes": 1}, "names of plain files"),
    "program among the files": ("files.>setup.py", {"sha256": "0" * 64, "bytes": 1}, "names of plain files"),
    "missing file": ("files.>more.txt", {"sha256": "0" * 64, "bytes": 1}, "expected the files more.txt"),
    "negative size": (f"files.>{FIRST}<.bytes", -1, "bytes: expected a whole number from 0"),
    "other size": (f"files.>{FIRST}<.bytes", 7, f"{FIRST}: expected 7 bytes"),
    "short hash": (f"files.>{FIRST}<.sha256", "abc", "sha256: expected a text like"),
    "other hash": (f"files.>{FIRST}<.sha256", "0" * 64, f"{FIRST}: expected SHA-256 0000.*another one"),
    "fold that has no patients": ("branches.anchor.folds.7", FIRST, "folds: expected folds from 0 to 1"),
    "odd fold": ("branches.anchor.folds.01", FIRST, "folds: expected folds from 0 to 1"),
    "negative fold": ("branches.anchor.folds.-1", FIRST, "folds: expected folds from 0 to 1"),
    "one file for two folds": ("branches.anchor.folds.1", FIRST, "file of its own"),
    "fold that is not listed": ("branches.anchor.folds.1", "../x.safetensors", "file that files lists"),
    "fold that is a card": ("branches.anchor.folds.1", "card.md", "file that files lists"),
    "no folds": ("branches.anchor.folds", {}, "folds: expected at least one fold"),
    "no anchor": ("cascade.branches.anchor", ..., "expected the keys anchor"),
    "unknown branch": ("cascade.branches.root", {}, "branches: expected known keys alone, got also root"),
    "detection without small & hard": ("cascade.branches.small_hard", ..., "detection and small_hard together"),
    "class that no organ has": ("cascade.branches.anchor.classes.0", "Heart", "tier anchor in the profile, got Heart"),
    "class twice": ("cascade.branches.anchor.classes.0", "Cerebellum", "each once"),
    "guided by others": ("cascade.branches.mid_level.guidance", ["Brainstem"], "or the classes of anchor"),
    "patients that are names": ("cascade.branches.anchor.training_patients.0", ["Doe, Jane"], "text like .0-9a-f"),
    "profile that contradicts itself": ("cascade.profile.organs.0.label", 2, "profile without contradictions"),
    "label that is a fraction": ("cascade.profile.organs.0.label", 1.0, "label: expected a whole number"),
    "catastrophic pattern": ("cascade.patient_pattern", "^((a+)+)$", "repeated group.*simpler --patient-pattern"),
    "invalid pattern": ("cascade.patient_pattern", "(", "not a regular expression"),
    "pattern of many choices": ("cascade.patient_pattern", "(a?)" + "a?" * 40, "quantifiers and alternatives"),
    "pattern without a group": ("cascade.patient_pattern", r"\d+", "0 groups"),
    "size of a VOI that is a text": (
        "cascade.targets.>{target}<.size_mm",
        ["1", "1", "1"],
        "size_mm.0: expected",
    ),
    "size of a VOI that is none": ("cascade.targets.>{target}<.size_mm", [0, 50, 50], "size_mm.0: expected a number"),
    "confidence that is a truth": ("cascade.targets.>{target}<.low_confidence_below", True, "expected a number"),
    "target without facts": ("cascade.targets.>{target}<", ..., "targets: expected the keys"),
    "post-processing of others": ("postprocessing", {"largest_part": ["Heart"]}, "organ of the profile"),
    "post-processing that is a list": ("postprocessing", ["Brainstem"], "postprocessing: expected an object"),
}
P = "branches.anchor.plans.configurations.3d_fullres"
PLANS_DAMAGE = {
    "a class to import": (
        f"{P}.architecture.network_class_name",
        "os.system",
        "network_class_name: expected 'soars",
    ),
    "another of our classes": (
        f"{P}.architecture.network_class_name",
        "soars_nnunet.networks.supernet.SuperNet",
        "PHNN",
    ),
    "arguments to import": (f"{P}.architecture._kw_requires_import", ["norm_op"], "_kw_requires_import: expected .."),
    "unknown argument": (f"{P}.architecture.arch_kwargs.hook", "x", "arch_kwargs: expected known keys alone"),
    "a label manager to import": ("branches.anchor.plans.label_manager", "Evil", "label_manager: expected 'LabelM"),
    "a reader to import": ("branches.anchor.plans.image_reader_writer", "Evil", "image_reader_writer: expected"),
    "a preprocessor to import": (f"{P}.preprocessor_name", "Evil", "preprocessor_name: expected 'DefaultPre"),
    "a resampling to import": (f"{P}.resampling_fn_data", "evil", "resampling_fn_data: expected"),
    "another configuration to inherit": (f"{P}.inherits_from", "3d_fullres", "also inherits_from"),
    "a billion features": (f"{P}.architecture.arch_kwargs.features_per_stage", [10**9] * 4, "number from 1 to 1024"),
    "a thousand convolutions": (f"{P}.architecture.arch_kwargs.n_convs_per_stage", [1000] * 4, "number from 1 to 8"),
    "an unknown block": (f"{P}.architecture.arch_kwargs.genotype.0", "9D9", "genotype.0: expected 2D3 or"),
    "no stride": (f"{P}.architecture.arch_kwargs.strides.1", [0, 2, 2], "strides.1.0: expected a whole number from 1"),
    "a huge patch": (f"{P}.patch_size", [10**6] * 3, "patch_size.0: expected a whole number from 1 to 1024"),
    "a patch of many voxels": (f"{P}.patch_size", [1024] * 3, "patch_size: expected at most"),
    "no spacing": (f"{P}.spacing", [0, 1, 1], "spacing.0: expected a number from 0.1"),
    "a negative spacing": (f"{P}.spacing", [1, -1, 1], "spacing.1: expected a number from 0.1"),
    "two spacings": (f"{P}.spacing", [1, 1], "spacing: expected a list of 3 items, got 2"),
    "tiny steps": (f"{P}.soars.step_size", [1e-9] * 3, "step_size.0: expected a number from 0.1"),
    "a setting of another version": (f"{P}.soars.low_pass_of_tomorrow", 1, "also low_pass_of_tomorrow; upgrade"),
    "a setting of another kind": (f"{P}.soars.sigma_mm", "8", "sigma_mm: expected number"),
    "another branch": (f"{P}.soars.branch", "detection", "branch: expected 'anchor'"),
    "mirrored classes beyond the end": (f"{P}.soars.mirror.classes.1", 99, "classes.1: expected a whole number"),
    "mirrored classes twice": (f"{P}.soars.mirror.classes.1", 2, "every number from 0"),
    "another normalisation": (f"{P}.normalization_schemes", ["Evil"], "normalization_schemes: expected"),
    "an empty window": (
        "branches.anchor.plans.foreground_intensity_properties_per_channel.0.percentile_00_5",
        1000.0,
        "from a lower to a higher number",
    ),
    "no unit": (
        "branches.anchor.plans.foreground_intensity_properties_per_channel.0.std",
        0.0,
        "std: expected a number",
    ),
    "other axes": ("branches.anchor.plans.transpose_forward", [2, 1, 0], "transpose_forward: expected"),
    "a path in the plans": ("branches.anchor.plans.source_folder", "/home/jane", "also source_folder"),
    "labels of others": ("branches.anchor.dataset.labels.Heart", 1, "labels: expected"),
    "channels of others": ("branches.anchor.dataset.channel_names.0", "MR", "channel_names: expected"),
}
EVERY_DAMAGE = {**MANIFEST_DAMAGE, **PLANS_DAMAGE}


@pytest.mark.parametrize("damage", EVERY_DAMAGE)
def test_a_manifest_that_says_something_odd_is_refused(bundle_copy, damage):
    path, value, match = EVERY_DAMAGE[damage]
    target = next(iter(read_json(bundle_copy / "manifest.json")["cascade"]["targets"]))
    rewrite_manifest(bundle_copy, path.replace("{target}", target), value)
    modules = set(sys.modules)
    refuse(bundle_copy, match)
    assert not any("supernet" in name for name in set(sys.modules) - modules), "nothing is imported"


def raw(text):
    return lambda folder: (folder / "manifest.json").write_text(text(folder) if callable(text) else text)


def manifest_with(old, new):
    def change(folder):
        path = folder / "manifest.json"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


RAW_DAMAGE = {
    "no JSON": (raw("soars"), "expected valid JSON"),
    "empty": (raw(""), "expected valid JSON"),
    "half": (lambda folder: os.truncate(folder / "manifest.json", 2000), "expected valid JSON"),
    "no UTF-8": (lambda folder: (folder / "manifest.json").write_bytes(b'{"format": "\xff"}'), "expected valid JSON"),
    "a list": (raw("[]"), "expected an object"),
    "another JSON": (raw("{}"), "expected the manifest of a bundle"),
    "nested deep": (raw("[" * 100_000 + "]" * 100_000), "JSON of at most 24 levels"),
    "nested too deep": (raw("[" * 30 + "]" * 30), "JSON of at most 24 levels"),
    "17 MiB": (raw(" " * (17 * 2**20)), "expected at most 16777216 bytes"),
    "one key twice": (manifest_with('"name": "tiny"', '"name": "tiny", "name": "other"'), "one key twice"),
    "NaN": (manifest_with('"format_version": 1', '"format_version": NaN'), "NaN, which is no number"),
    "infinity": (manifest_with('"format_version": 1', '"format_version": 1e999'), "a number that is too large"),
    "many digits": (manifest_with('"format_version": 1', '"format_version": ' + "1" * 5000), "number of 5000 digits"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "expected the file manifest.json, got none"),
    "file that is not listed": (lambda folder: (folder / "run.sh").write_text("rm"), "also run.sh; delete them"),
    "odd name": (lambda folder: (folder / "a b").write_text(""), "plain names alone, got 'a b'"),
    "folder": (lambda folder: (folder / "more").mkdir(), "expected a plain file, got a folder"),
    "missing weights": (lambda folder: (folder / FIRST).unlink(), f"expected the files {FIRST}"),
    "missing card": (lambda folder: (folder / "card.md").unlink(), "expected the files card.md"),
    "truncated weights": (lambda folder: os.truncate(folder / FIRST, 1000), f"{FIRST}: expected .* bytes, got 1000"),
    "one byte changed": (lambda folder: flip(folder / FIRST), "SHA-256 .*another one"),
    "another card": (lambda folder: flip(folder / "card.json"), "card.json: expected SHA-256"),
    "many files": (lambda folder: [(folder / f"{i}.txt").touch() for i in range(200)], "expected at most 128 files"),
}


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", RAW_DAMAGE)
def test_files_that_are_not_as_they_were_packed_are_refused(bundle_copy, damage):
    change, match = RAW_DAMAGE[damage]
    change(bundle_copy)
    refuse(bundle_copy, match)


def relink(path):
    shutil.move(path, path.parent.parent / path.name)
    path.symlink_to(path.parent.parent / path.name)


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda folder: relink(folder / FIRST), "expected a plain file, got a link"),
        (lambda folder: relink(folder / "manifest.json"), "expected a plain file, got a link"),
        (lambda folder: os.mkfifo(folder / "pipe.txt"), "expected a plain file, got a pipe"),
    ],
    ids=["link", "linked manifest", "pipe"],
)
def test_links_and_pipes_are_refused(bundle_copy, make, match):
    make(bundle_copy)
    refuse(bundle_copy, match)


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def scaled(name, factor):
    def change(tensors):
        tensors[name] = tensors[name] * factor

    return change


def nan(tensors):
    name = next(name for name, tensor in tensors.items() if tensor.ndim > 1)
    tensors[name].view(-1)[3] = float("nan")


def infinite(tensors):
    name = next(name for name, tensor in tensors.items() if tensor.ndim == 1)
    tensors[name][0] = float("inf")


def negative(tensors):
    name = next(name for name in tensors if name.endswith("running_var"))
    tensors[name][0] = -1


def other_shape(tensors):
    name = next(name for name, tensor in tensors.items() if tensor.ndim > 1)
    tensors[name] = tensors[name].flatten(1).contiguous()


def other_name(tensors):
    name = next(iter(tensors))
    tensors["__class__"] = tensors.pop(name)


def one_less(tensors):
    tensors.pop(next(iter(tensors)))


def other_type(tensors):
    name = next(name for name, tensor in tensors.items() if tensor.ndim > 1)
    tensors[name] = tensors[name].double()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (nan, "finite weights, got NaN or infinite"),
        (infinite, "finite weights, got NaN or infinite"),
        (negative, "variances of 0 or more"),
        (other_shape, r"expected F32 \["),
        (other_name, "1 missing and 1 others, such as"),
        (one_less, "1 missing and 0 others, such as"),
        (other_type, r"expected F32 .* got F64"),
    ],
)
def test_weights_that_are_not_of_the_network_are_refused(bundle_copy, change, match):
    tensors = load_file(bundle_copy / FIRST)
    change(tensors)
    damage_weights(bundle_copy, FIRST, save(tensors))
    refuse(bundle_copy, f"{FIRST}.*{match}")


def header_of(length, content=b"{}"):
    return lambda old: struct.pack("<Q", length) + content


def with_header(change):
    def make(old):
        header, data = read_header(old)
        header = change(header) or header
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    return make


def overlap(header):
    names = [name for name in header if name != "__metadata__"]
    first, second = [name for name in names if header[name]["shape"] == header[names[0]]["shape"]][:2]
    header[second]["data_offsets"] = header[first]["data_offsets"]


def beyond(header):
    name = next(iter(header))
    start, end = header[name]["data_offsets"]
    header[name]["data_offsets"] = [start + 2**40, end + 2**40]


def torch_saved(old):
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (torch_saved, "expected a safetensors file, got a zip, as PyTorch writes it; it is not opened"),
        (lambda old: pickle.dumps({"a": 1}), "expected a safetensors file, got a pickle"),
        (lambda old: b"abc", "expected a safetensors file, got 3 bytes"),
        (lambda old: b"", "expected a safetensors file, got 0 bytes"),
        (lambda old: old[:-8], "expected a whole safetensors file"),
        (lambda old: old + b"more", "expected a whole safetensors file"),
        (header_of(2**63), "header of at most 1048576 bytes"),
        (header_of(10**5), "header of 100000 bytes, got a file of 10"),
        (header_of(2, b"[]"), "header .a JSON object., got other JSON"),
        (header_of(6, b'{"a": '), "expected valid JSON"),
        (with_header(overlap), "expected a whole safetensors file"),
        (with_header(beyond), "expected a whole safetensors file"),
    ],
    ids=range(12),
)
def test_files_that_are_no_safetensors_are_refused(bundle_copy, make, match):
    damage_weights(bundle_copy, FIRST, make((bundle_copy / FIRST).read_bytes()))
    refuse(bundle_copy, f"{FIRST}.*{match}")


def test_nothing_is_unpickled(bundle_copy, tmp_path):
    proof = tmp_path / "executed"
    for content in (pickle.dumps(RunsCode(proof)), pickle.dumps(RunsCode(proof), protocol=0)):
        damage_weights(bundle_copy, FIRST, content)
        refuse(bundle_copy, FIRST)
    assert not proof.exists()
    pickle.loads(content)
    assert proof.exists(), "it would have run code"


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("card.json", b"[]", "expected a model card"),
        ("card.json", b'{"a": "\\u001b[31m"}', "a control sign"),
        ("card.md", b"\x1b]0;owned\x07", "a control sign"),
        ("card.md", b"\xff\xfe", "expected UTF-8 text"),
    ],
)
def test_cards_that_act_on_a_terminal_are_refused(bundle_copy, name, content, match):
    damage_weights(bundle_copy, name, content)
    refuse(bundle_copy, f"{name}.*{match}")


def zip_of(folder, path, change):
    """Zip of a bundle whose members ``change`` may alter: it gets an info and its content, and returns both."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            for info, content in change(zipfile.ZipInfo(file.name), file.read_bytes()):
                archive.writestr(info, content)
    return path


def renamed(name):
    def change(info, content):
        if info.filename == FIRST:
            info = zipfile.ZipInfo(name)
            info.filename = name  # as an attacker writes it, backslashes and all
        return [(info, content)]

    return change


def as_link(info, content):
    if info.filename == FIRST:
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        content = b"/etc/passwd"
    return [(info, content)]


def twice(info, content):
    return [(info, content), (zipfile.ZipInfo(info.filename), content)]


def strangely_packed(info, content):
    info.compress_type = zipfile.ZIP_BZIP2
    return [(info, content)]


def with_bomb(info, content):
    found = [(info, content)]
    if info.filename == FIRST:
        bomb = zipfile.ZipInfo("bomb.txt")
        bomb.compress_type = zipfile.ZIP_DEFLATED
        found.append((bomb, bytes(50 * 2**20)))
    return found


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (renamed("../evil.safetensors"), "plain names alone, in no folder, got '../evil"),
        (renamed("/etc/evil"), "plain names alone, in no folder, got '/etc/evil'"),
        (renamed("a\\b.safetensors"), "plain names alone, in no folder"),
        (renamed("C:evil.safetensors"), "plain names alone, in no folder"),
        (renamed("tiny/" + FIRST), "plain names alone, in no folder"),
        (renamed("ANCHOR_FOLD_1.safetensors"), "differ by more than capitals"),
        (as_link, "expected a plain file, got a link"),
        (twice, "every name once, got .* twice"),
        (strangely_packed, "stored or deflated, got method 12"),
        (with_bomb, "also bomb.txt"),
    ],
    ids=range(10),
)
def test_zips_with_odd_members_are_refused(tiny_bundle, tmp_path, change, match):
    refuse(zip_of(tiny_bundle, tmp_path / "tiny.zip", change), match)


def test_a_zip_whose_member_is_larger_than_it_says_is_refused(tiny_bundle, tmp_path):
    path = pack(tiny_bundle, tmp_path / "tiny.zip")
    entry = read_json(tiny_bundle / "manifest.json")["files"]["card.md"]["bytes"]
    content = path.read_bytes()
    start = content.rindex(b"PK\x01\x02", 0, content.rindex(b"card.md"))
    assert struct.unpack("<L", content[start + 24 : start + 28]) == (entry,)
    path.write_bytes(content[: start + 24] + struct.pack("<L", entry - 1) + content[start + 28 :])
    refuse(path, "card.md")


def test_a_zip_that_declares_gigabytes_is_refused(tiny_bundle, tmp_path):
    path = pack(tiny_bundle, tmp_path / "tiny.zip")
    content = path.read_bytes()
    start = content.rindex(b"PK\x01\x02", 0, content.rindex(b"card.md"))
    path.write_bytes(content[: start + 24] + struct.pack("<L", 2**32 - 2) + content[start + 28 :])
    refuse(path, "bytes in all")


def test_a_zip_of_very_many_files_is_refused_before_they_are_listed(tmp_path, monkeypatch):
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2000):
            archive.writestr(zipfile.ZipInfo(f"{number}.txt"), b"")
    monkeypatch.setattr(zipfile, "ZipFile", None)
    refuse(path, "at most 128 files, got a list of them of 1[0-9]{5} bytes")
    content = path.read_bytes()
    path.write_bytes(content[:-22] + b"PK\x06\x07" + bytes(16) + content[-22:])
    refuse(path, "without a comment or zip64")
    path.write_bytes(content[:-2] + b"\x01\x00!")
    refuse(path, "expected a bundle's zip, without a comment")


def test_a_file_with_a_second_name_in_a_zip_is_read_by_the_listed_one(tiny_bundle, tmp_path):
    """Python 3.12 takes the one in an extra field as the file's name."""
    container = ZipContainer(pack(tiny_bundle, tmp_path / "tiny.zip"))
    for info in container._archive.infolist():
        info.filename = "another"
    container._archive.NameToInfo.clear()
    assert container.read("card.md", 1000) == (tiny_bundle / "card.md").read_bytes()


def test_an_encrypted_zip_is_refused(tiny_bundle, tmp_path):
    path = pack(tiny_bundle, tmp_path / "tiny.zip")
    content = path.read_bytes()
    start = content.rindex(b"PK\x01\x02", 0, content.rindex(b"card.md"))
    path.write_bytes(content[: start + 8] + b"\x01\x00" + content[start + 10 :])
    refuse(path, "without a password, got an encrypted one")


@pytest.mark.parametrize("kept", [0, 4, 0.5, 0.999])
def test_a_truncated_zip_is_refused(tiny_bundle, tmp_path, kept):
    path = pack(tiny_bundle, tmp_path / "tiny.zip")
    size = path.stat().st_size
    os.truncate(path, int(kept * size) if kept < 1 else kept)
    refuse(path, "expected a bundle's zip")


def test_a_zip_with_damaged_data_is_refused(tiny_bundle, tmp_path):
    path = pack(tiny_bundle, tmp_path / "tiny.zip")
    content = bytearray(path.read_bytes())
    middle = content.index(b"anchor_fold_1") + 1000
    content[middle] ^= 255
    path.write_bytes(bytes(content))
    refuse(path, "anchor_fold_1")


def test_another_file_is_no_bundle(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    refuse(path, "expected a bundle.s zip, without a comment or zip64, got another file")
    path.write_bytes(pickle.dumps(3))
    refuse(path, "expected a bundle's zip")


def test_every_hash_is_of_the_file_that_is_read(bundle_copy):
    """A file that is exchanged together with its hash is another bundle; exchanged alone, it is refused."""
    shutil.copyfile(bundle_copy / "anchor_fold_1.safetensors", bundle_copy / FIRST)
    refuse(bundle_copy, "SHA-256")
    assert stale_hashes(bundle_copy) == [FIRST]


def test_damage_is_done_where_it_is_meant(bundle_copy):
    """The tests above would pass for the wrong reason if the undamaged bundle were refused."""
    open_bundle(bundle_copy).verify()
    data = read_json(bundle_copy / "manifest.json")
    write_json(bundle_copy / "manifest.json", data)
    open_bundle(bundle_copy).verify()
    assert at(data, "branches.anchor.folds.0") == FIRST
    names = [re.sub(r"\W+", " ", name) for name in EVERY_DAMAGE]
    assert len(names) == len(set(names)) > 35
