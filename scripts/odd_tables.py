"""The inputs of ``scripts.odd_inputs``: odd JSON, options, names, headers, checkpoints over all commands, as data."""

import json
import os
import pickle
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CASE = "phantom_004"
"""The CT that is predicted."""

SOURCE, FRESH = "Dataset042_Phantom", "Dataset043_Fresh"
"""The dataset of the trained cascade, and a copy that is not stratified."""

MODELS = f"nnUNet_results/{SOURCE}/SOARS__nnUNetPlans"
RECORDS = f"nnUNet_preprocessed/{SOURCE}"

PREDICT = ("cascade_predict", "-i", "cts", "-o", "new", "-m", MODELS, "--device", "cpu")
BUNDLED = ("cascade_predict", "-i", "cts", "-o", "new", "--model", "bundle", "--device", "cpu")
PLAN = ("plan", "-d", "42", "-np", "1")
SEARCHED = (*PLAN, "--plans-name", "Other", "--branches", "anchor", "--genotype", "genotype.json")
CHANNELS = ("channels", "-d", "42", "--device", "cpu")
STRATIFY = ("stratify", "-d", "43", "-p", "profile.json", "--folds", "2", "--not-annotated", "unannotated.json")
EVALUATE = ("evaluate", "-p", "out", "-r", "truth", "--profile", "hn42", "-o", "new", "-np", "1")
COMPARE = ("evaluate", "--compare", "one=eval", "two=other", "-o", "new")
REPORT_E = ("report", "-e", "eval/evaluation.json", "-o", "new.html")
REPORT_P = ("report", "-p", "out", "-i", "cts", "-o", "new")
VERIFY = ("bundle", "verify", "bundle")
IMPORT = ("import_set", "masks", "masks", "-d", "17", "-p", "hn42")

JSON_FILES = {
    "manifest": (f"{MODELS}/manifest.json", PREDICT),
    "postprocessing": (f"{MODELS}/postprocessing.json", PREDICT),
    "anchor plans": ("nnUNet_results/Dataset421_*/SOARS*/plans.json", PREDICT),
    "mid-level plans": ("nnUNet_results/Dataset422_*/SOARS*/plans.json", PREDICT),
    "detection plans": ("nnUNet_results/Dataset423_*/SOARS*/plans.json", PREDICT),
    "model dataset.json": ("nnUNet_results/Dataset424_*/SOARS*/dataset.json", PREDICT),
    "cascade record": (f"{RECORDS}/soars_cascade.json", PLAN),
    "remembered options": (f"{RECORDS}/soars_options_nnUNetPlans.json", PLAN),
    "splits": ("nnUNet_preprocessed/Dataset421_*/splits_final.json", PLAN),
    "branch dataset.json": ("nnUNet_raw/Dataset421_*/dataset.json", PLAN),
    "channels provenance": ("nnUNet_preprocessed/Dataset421_*/soars_channels_nnUNetPlans/provenance.json", PLAN),
    "targets": ("nnUNet_preprocessed/Dataset423_*/soars_channels_nnUNetPlans/targets.json", PLAN),
    "genotype": ("genotype.json", SEARCHED),
    "preprocessed plans": ("nnUNet_preprocessed/Dataset421_*/nnUNetPlans.json", CHANNELS),
    "raw dataset.json": (f"nnUNet_raw/{FRESH}/dataset.json", STRATIFY),
    "profile": ("profile.json", STRATIFY),
    "not annotated": ("unannotated.json", STRATIFY),
    "evaluation": ("eval/evaluation.json", REPORT_E),
    "compared evaluation": ("eval/evaluation.json", COMPARE),
    "prediction report": (f"out/{CASE}.json", REPORT_P),
    "label table": ("out/dataset.json", EVALUATE),
    "bundle manifest": ("bundle/manifest.json", BUNDLED),
    "bundle card": ("bundle/card.json", VERIFY),
}
"""By what it is: its place (one file), and the command that reads it."""

DEEP = b"[" * 100_000 + b"]" * 100_000

CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"hello",
    "null": b"null",
    "list": b"[]",
    "number": b"3",
    "text": b'"x"',
    "object without keys": b"{}",
    "deep": DEEP,
    "deep object": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "zero bytes": bytes(1000),
    "not UTF-8": b'{"\xff\xfe": 1}',
    "NaN": b"NaN",
    "digits": b"9" * 10_000,
    "a key twice": b'{"a": 1, "a": 2}',
    "escape in a key": b'{"\\u001b[31m\\nerror: x": 1}',
}
"""Contents that are no JSON of any kind here; all are to be refused."""

EMPTY_IS_NONE = ("object without keys",)
"""Contents that some readers rightly take: no remembered options, nothing that is not annotated, no targets."""

VALUES: dict[str, Any] = {
    "null": None,
    "truth": True,
    "minus one": -1,
    "huge": 1e300,
    "NaN": float("nan"),
    "text": "x",
    "path": "../../x",
    "escape": "\x1b[31m\nx",
    "list": [],
    "object": {},
    "nested": [[[]]],
    "gone": ...,
}
"""What is put in the place of a value; ``...`` removes it."""

PLACES_A_FILE = 18
"""Values of each file that are exchanged."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "predict -o ''": (*PREDICT[:3], "-o", "", *PREDICT[5:]),
    "predict -i ''": ("cascade_predict", "-i", "", *PREDICT[3:]),
    "predict -i nowhere": ("cascade_predict", "-i", "nowhere", *PREDICT[3:]),
    "predict --folds 7": (*PREDICT, "--folds", "7"),
    "predict --folds -1": (*PREDICT, "--folds", "-1"),
    "predict --folds 10^30": (*PREDICT, "--folds", "1" + "0" * 30),
    "predict --roi-subset Nose": (*PREDICT, "--roi-subset", "Nose"),
    "predict --roi-subset escape": (*PREDICT, "--roi-subset", "\x1b[31mNose\n"),
    "predict --step-size 0": (*PREDICT, "--step-size", "0"),
    "predict --step-size NaN": (*PREDICT, "--step-size", "nan"),
    "predict --memory-limit NaN": (*PREDICT, "--memory-limit", "nan"),
    "predict --memory-limit 1e-9": (*PREDICT, "--memory-limit", "1e-9"),
    "predict --num-parts 0": (*PREDICT, "--num-parts", "0"),
    "predict --part-id 5": (*PREDICT, "--part-id", "5"),
    "predict --device abc": (*PREDICT[:-1], "abc"),
    "predict --plans-name without -d": (*PREDICT, "--plans-name", "Other"),
    "predict --plans-name unknown": ("cascade_predict", "-i", "cts", "-o", "new", "-d", "42", "--plans-name", "Other"),
    "predict -d 999": ("cascade_predict", "-i", "cts", "-o", "new", "-d", "999"),
    "predict -d ''": ("cascade_predict", "-i", "cts", "-o", "new", "-d", ""),
    "predict --model nowhere": ("cascade_predict", "-i", "cts", "-o", "new", "--model", "nowhere"),
    "predict --model ../x": ("cascade_predict", "-i", "cts", "-o", "new", "--model", "../x"),
    "predict -m nowhere": ("cascade_predict", "-i", "cts", "-o", "new", "-m", "nowhere"),
    "plan --plans-name a/b": (*PLAN, "--plans-name", "a/b"),
    "plan --plans-name ../x": (*PLAN, "--plans-name", "../x"),
    "plan --plans-name ''": (*PLAN, "--plans-name", ""),
    "plan --plans-name long": (*PLAN, "--plans-name", "a" * 400),
    "plan --fine-tune a/b": (*PLAN, "--fine-tune", "a/b"),
    "plan --spacing 0": (*PLAN, "--spacing", "0", "1", "1"),
    "plan --spacing 1e9": (*PLAN, "--spacing", "1e9", "1", "1"),
    "plan --spacing NaN": (*PLAN, "--spacing", "nan", "1", "1"),
    "plan --regime nope": (*PLAN, "--regime", "nope"),
    "plan --branches nope": (*PLAN, "--branches", "nope"),
    "plan --genotype nowhere": (*PLAN, "--genotype", "nowhere.json"),
    "plan --from-bundle nowhere": (*PLAN, "--from-bundle", "nowhere"),
    "plan -np 0": (*PLAN[:3], "-np", "0"),
    "plan -np 10^9": (*PLAN[:3], "-np", "1000000000"),
    "plan -d ../x": ("plan", "-d", "../x"),
    "channels --plans-name nope": (*CHANNELS, "--plans-name", "../nope"),
    "channels --branches nope": (*CHANNELS, "--branches", "nope"),
    "stratify --folds 0": (*STRATIFY[:5], "--folds", "0"),
    "stratify --folds 100": (*STRATIFY[:5], "--folds", "100"),
    "stratify -p nope": ("stratify", "-d", "43", "-p", "nope"),
    "stratify -p ../x": ("stratify", "-d", "43", "-p", "../x"),
    "stratify pattern (": (*STRATIFY, "--patient-pattern", "("),
    "stratify pattern ReDoS": (*STRATIFY, "--patient-pattern", "^(([a-z_0-9])+.)+x$"),
    "stratify pattern without group": (*STRATIFY, "--patient-pattern", "phantom"),
    "stratify pattern of 10k signs": (*STRATIFY, "--patient-pattern", "(a)" + "b" * 10_000),
    "stratify --not-annotated nowhere": ("stratify", "-d", "43", "-p", "hn42", "--not-annotated", "nowhere.json"),
    "evaluate -np -1": (*EVALUATE[:-1], "-1"),
    "evaluate --profile nope": (*EVALUATE, "--profile", "nope"),
    "evaluate --profile ../x.json": (*EVALUATE, "--profile", "../x.json"),
    "evaluate -r nowhere": ("evaluate", "-p", "out", "-r", "nowhere"),
    "evaluate --compare a": ("evaluate", "--compare", "a", "-o", "new"),
    "evaluate --compare one": ("evaluate", "--compare", "one=eval", "-o", "new"),
    "evaluate --compare twice": ("evaluate", "--compare", "a=eval", "a=eval", "-o", "new"),
    "evaluate --compare escape": ("evaluate", "--compare", "a=eval", "\x1b[31m\nb=nowhere", "-o", "new"),
    "report -e 100k letters": ("report", "-e", "a" * 100_000),
    "report -e folder": ("report", "-e", "cts"),
    "report -o ''": ("report", "-e", "eval", "-o", ""),
    "report -p without -i": ("report", "-p", "out"),
    "phantom --name a/b": ("phantom", "-d", "60", "--name", "a/b"),
    "phantom --name ''": ("phantom", "-d", "60", "--name", ""),
    "phantom --name ..": ("phantom", "-d", "60", "--name", ".."),
    "phantom --shape 1 1 1": ("phantom", "-d", "60", "--shape", "1", "1", "1"),
    "phantom --shape 100000^3": ("phantom", "-d", "60", "--shape", "100000", "100000", "100000"),
    "phantom --spacing 0": ("phantom", "-d", "60", "--spacing", "0", "1", "1"),
    "phantom --train -1": ("phantom", "-d", "60", "--train", "-1"),
    "phantom none": ("phantom", "-d", "60", "--train", "0", "--test", "0"),
    "phantom -d 1000": ("phantom", "-d", "1000"),
    "phantom --seed 10^30": ("phantom", "-d", "60", "--seed", "1" + "0" * 30),
    "import nope": ("import_set", "nope", "masks", "-d", "17"),
    "import --name ..": (*IMPORT, "--name", ".."),
    "import --name a/b": (*IMPORT, "--name", "a/b"),
    "import nowhere": ("import_set", "masks", "nowhere", "-d", "17"),
    "import -d 0": ("import_set", "masks", "masks", "-d", "0"),
    "import --choose a": (*IMPORT, "--choose", "a"),
    "bundle make --name ../x": ("bundle", "make", "-d", "42", "-o", "new", "--name", "../x"),
    "bundle make --name X Y": ("bundle", "make", "-d", "42", "-o", "new", "--name", "X Y"),
    "bundle verify cts": ("bundle", "verify", "cts"),
    "bundle install nowhere": ("bundle", "install", "nowhere"),
    "unknown option": (*PREDICT, "--nope\x1b[31m"),
}
"""Options that are to be refused."""

SETTINGS = (
    "max_patch_voxels=[1,1,1]",
    "max_patch_voxels=[16,16]",
    "features_per_stage=[1000000,1000000,1000000,1000000]",
    "features_per_stage=[0,0,0,0]",
    "n_convs_per_stage=[1000,1,1,1]",
    "num_epochs=1000000000000",
    "num_epochs=0",
    "num_epochs=1.5",
    'num_epochs="50"',
    "num_epoch=3",
    "batch_size=-1",
    "batch_size=1e9",
    "scaling=[2,1]",
    "scaling=[0,0]",
    "sigma_mm=1e9",
    "sigma_mm=NaN",
    "sigma_mm=Infinity",
    "sigma_mm=0",
    "initial_lr=1e400",
    "initial_lr=-1",
    "hu_per_unit=0",
    "low_pass_ratio=1",
    "p_mirror=2",
    "step_size=[0,0,0]",
    "dice_weight=0 ce_weight=0",
    "anchors.num_epochs=3",
    "seed=-1",
    "num_epochs",
    "=3",
    "num_epochs=" + "[" * 3000,
    "num_epochs=" + "9" * 6000,
    "\x1b[31m=3",
)
"""Values of ``--set`` that are to be refused."""

NAMES = (
    "",
    ".",
    "..",
    "../x",
    "/tmp/x",
    "a/b",
    "a\\b",
    "a\nerror: b",
    "\x1b[31mred",
    "evaluation",
    "dataset",
    "_0000",
    ".hidden",
    "a" * 300,
    "\u202ereversed",
    " ",
)
"""Names of cases in a ``dataset.json`` that are to be refused."""

FILE_NAMES = (
    "a\nerror: b",
    "\x1b[31mred",
    "\u202ereversed",
    "=1+1",
    "-rf",
    "@SUM(A1)",
    "a b",
    "ä",
    "evaluation",
    "dataset",
    "_0000",
    "a" * 200,
    "'quoted'",
    "$(touch x)",
    "",
    b"\xff\xfe",
)
"""Names of CTs: a bad one is refused or shown as escapes; none acts on a terminal."""

HEADER = {
    "sizeof_hdr": (0, "<i", (0, 1, -1, 540)),
    "dim[0]": (40, "<h", (0, 1, 2, 4, 7, 9, -1, 32767)),
    "dim[1]": (42, "<h", (0, -1, 1, 32767)),
    "dim[3]": (46, "<h", (0, -1, 1, 32767)),
    "dim[4]": (48, "<h", (0, 2, -1)),
    "datatype": (70, "<h", (0, 1, 2, 32, 128, 1536, -1)),
    "bitpix": (72, "<h", (0, 1, 7, 64)),
    "pixdim[0]": (76, "<f", (0.0, 5.0, float("nan"))),
    "pixdim[1]": (80, "<f", (0.0, -7.0, 1e-9, 1e9, float("nan"), float("inf"))),
    "pixdim[3]": (88, "<f", (0.0, -7.0, 1e-9, 1e9, float("nan"), float("inf"))),
    "vox_offset": (108, "<f", (0.0, 3.0, -1.0, 1e9, float("nan"), float("inf"))),
    "scl_slope": (112, "<f", (10.0, -1.0, float("nan"), float("inf"))),
    "scl_inter": (116, "<f", (1e9, float("nan"))),
    "xyzt_units": (123, "<b", (0, 1, 3)),
    "qform_code": (252, "<h", (0, -1, 99)),
    "sform_code": (254, "<h", (0, -1, 99)),
    "quatern_b": (256, "<f", (5.0, float("nan"))),
    "srow_x[0]": (280, "<f", (0.0, float("nan"), float("inf"), 1e9)),
    "srow_x[1]": (284, "<f", (3.0,)),
    "srow_y[1]": (300, "<f", (0.0, -7.0, float("nan"))),
    "magic": (344, "<i", (0, 1, -1)),
}
"""Fields of a NIfTI header: place, form, and values that are put there."""

READERS = {
    "predict": (f"cts/{CASE}_0000.nii.gz", PREDICT),
    "stratify CT": (f"nnUNet_raw/{FRESH}/imagesTr/phantom_000_0000.nii.gz", STRATIFY),
    "stratify labels": (f"nnUNet_raw/{FRESH}/labelsTr/phantom_000.nii.gz", STRATIFY),
    "evaluate": (f"out/{CASE}.nii.gz", EVALUATE),
    "report": (f"out/{CASE}.nii.gz", REPORT_P),
}
"""Images, and the commands that read them."""


@dataclass(frozen=True)
class OddInput:
    """An input.

    Attributes:
        name: By which it is known; unique.
        words: Module of ``soars_nnunet.cli``, then its arguments; paths are relative to the copy.
        change: What is done to the copy before.
        refused: Whether it is to be refused; where not, to take it is no fault by itself.
    """

    name: str
    words: tuple[str, ...]
    change: Callable[[Path], None] | None = None
    refused: bool = False


def all_inputs() -> list[OddInput]:
    """All inputs, in an order that is the same each time."""
    found = [*_contents(), *_kinds_of_files(), *_options(), *_dataset_names(), *_file_names(), *_headers(), *_images()]
    return [*found, *_checkpoints(), *_pickles(), *_values()]


def place(root: Path, pattern: str) -> Path:
    """The one file that a pattern means."""
    (path,) = root.glob(pattern) if "*" in pattern else [root / pattern]
    return path


def put(path: Path, content: bytes) -> None:
    """Exchange a file, never its other hard links."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _contents() -> Iterator[OddInput]:
    for what, (pattern, words) in JSON_FILES.items():
        for kind, content in CONTENTS.items():

            def change(root: Path, pattern: str = pattern, content: bytes = content) -> None:
                put(place(root, pattern), content)

            yield OddInput(f"{what}: {kind}", words, change, refused=kind not in EMPTY_IS_NONE)


def _kinds_of_files() -> Iterator[OddInput]:
    def pipe(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    def folder(path: Path) -> None:
        path.unlink()
        path.mkdir()

    def broken_link(path: Path) -> None:
        path.unlink()
        path.symlink_to("nowhere")

    def truncated(path: Path) -> None:
        put(path, path.read_bytes()[: path.stat().st_size // 2])

    def marked(path: Path) -> None:
        put(path, b"\xef\xbb\xbf" + path.read_bytes())

    for what, (pattern, words) in JSON_FILES.items():
        for damage in (pipe, folder, broken_link, truncated, marked):

            def change(root: Path, pattern: str = pattern, damage: Callable[[Path], None] = damage) -> None:
                damage(place(root, pattern))

            yield OddInput(f"{what}: {damage.__name__}", words, change, refused=damage is truncated)


def _options() -> Iterator[OddInput]:
    for name, words in OPTIONS.items():
        yield OddInput(f"option: {name}", words, refused=True)
    for setting in SETTINGS:
        words = (*PLAN, "--plans-name", "Set", "--branches", "anchor", "--set", *setting.split(" "))
        yield OddInput(f"--set {setting[:40]!r}", words, refused=True)


def _dataset_names() -> Iterator[OddInput]:
    def change(root: Path, name: str) -> None:
        path = root / f"nnUNet_raw/{FRESH}/dataset.json"
        data = json.loads(path.read_text())
        rows = {}
        for number in range(4):
            case = f"phantom_{number:03d}"
            start = f"$nnUNet_raw/{FRESH}"
            files = {"images": [f"{start}/imagesTr/{case}_0000.nii.gz"], "label": f"{start}/labelsTr/{case}.nii.gz"}
            rows[name if number == 0 else case] = files
        put(path, json.dumps({**data, "dataset": rows}).encode())

    for name in NAMES:
        yield OddInput(f"case in dataset.json: {name[:30]!r}", STRATIFY, lambda root, n=name: change(root, n), True)


def _file_names() -> Iterator[OddInput]:
    def change(root: Path, name: str | bytes, folder: str, ending: str) -> None:
        old = next((root / folder).glob(f"{CASE}*.nii.gz"))
        new = os.fsencode(root / folder) + b"/" + (name if isinstance(name, bytes) else os.fsencode(name))
        shutil.copyfile(old, new + os.fsencode(ending))

    for name in FILE_NAMES:
        shown = repr(name[:30])
        yield OddInput(f"CT named {shown}", PREDICT, lambda root, n=name: change(root, n, "cts", "_0000.nii.gz"))
        yield OddInput(f"labels named {shown}", EVALUATE, lambda root, n=name: change(root, n, "out", ".nii.gz"))


def _headers() -> Iterator[OddInput]:
    import gzip

    def change(root: Path, file: str, start: int, content: bytes) -> None:
        image = bytearray(gzip.decompress((root / file).read_bytes()))
        image[start : start + len(content)] = content
        put(root / file, gzip.compress(bytes(image), 1))

    for reader, (file, words) in READERS.items():
        for field, (start, form, values) in HEADER.items():
            for value in values if reader == "predict" else values[:1]:
                content = struct.pack(form, value)

                def damage(root: Path, file: str = file, start: int = start, content: bytes = content) -> None:
                    change(root, file, start, content)

                yield OddInput(f"{reader}: {field} = {value}", words, damage)


def _images() -> Iterator[OddInput]:
    contents: dict[str, Callable[[bytes], bytes]] = {
        "no byte": lambda content: b"",
        "one byte": lambda content: b"\x1f",
        "text": lambda content: b"hello",
        "half": lambda content: content[: len(content) // 2],
        "a byte flipped": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        "more behind": lambda content: content + b"more",
        "a pickle": lambda content: b"\x80\x04N.",
    }
    for reader, (file, words) in READERS.items():
        for kind, damage in contents.items():

            def change(root: Path, file: str = file, damage: Callable[[bytes], bytes] = damage) -> None:
                put(root / file, damage((root / file).read_bytes()))

            refused = kind in ("no byte", "one byte", "text", "half", "a pickle")
            yield OddInput(f"{reader}: image of {kind}", words, change, refused)


def _checkpoints() -> Iterator[OddInput]:
    import torch

    def damaged(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
        def damage(root: Path) -> None:
            path = next(root.glob("nnUNet_results/Dataset421_*/SOARS*/fold_0/checkpoint_final.pth"))
            content = torch.load(path, weights_only=False)
            path.unlink()
            torch.save(change(content), path)

        return damage

    def weights(change: Callable[[torch.Tensor], Any]) -> Callable[[Path], None]:
        def all_of(content: dict[str, Any]) -> dict[str, Any]:
            return {**content, "network_weights": {k: change(v) for k, v in content["network_weights"].items()}}

        return damaged(all_of)

    changes = {
        "list": damaged(lambda content: []),
        "None": damaged(lambda content: None),
        "without weights": damaged(lambda content: {}),
        "weights None": damaged(lambda content: {**content, "network_weights": None}),
        "weights list": damaged(lambda content: {**content, "network_weights": [1, 2]}),
        "no weight": damaged(lambda content: {**content, "network_weights": {}}),
        "a class": damaged(lambda content: {**content, "logging": np.random.default_rng}),
        "weights of text": weights(lambda tensor: "x"),
        "sparse": weights(lambda tensor: tensor.float().to_sparse()),
        "NaN": weights(lambda tensor: tensor * float("nan")),
        "complex": weights(lambda tensor: tensor * 1j),
        "transposed": weights(lambda tensor: tensor.flatten(0)),
    }
    for kind, change in changes.items():
        yield OddInput(f"checkpoint: {kind}", PREDICT, change, refused=True)


class _Runs:
    """A pickle of it runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ../ran",)


def _pickles() -> Iterator[OddInput]:
    """Files beside preprocessed cases that nnU-Net unpickles."""
    contents = {"a program": pickle.dumps(_Runs()), "nothing": b"", "text": b"hello", "a class": b"cos\nsystem\n."}
    for kind, content in contents.items():

        def change(root: Path, content: bytes = content) -> None:
            shutil.rmtree(place(root, "nnUNet_preprocessed/Dataset421_*/soars_channels_nnUNetPlans"))
            put(next(root.glob("nnUNet_preprocessed/Dataset421_*/nnUNetPlans_3d_fullres/*.pkl")), content)

        yield OddInput(f"preprocessed .pkl: {kind}", CHANNELS, change, refused=True)


def _values() -> Iterator[OddInput]:
    """Values of each JSON file exchanged; which ones is drawn from the file when it is run, by a fixed seed."""
    for what, (pattern, words) in JSON_FILES.items():
        for number in range(PLACES_A_FILE):
            kind = list(VALUES)[number % len(VALUES)]

            def change(root: Path, pattern: str = pattern, number: int = number, kind: str = kind) -> None:
                exchange(place(root, pattern), number, VALUES[kind])

            yield OddInput(f"{what}: value {number} becomes {kind}", words, change)


def exchange(path: Path, number: int, value: Any) -> None:
    """Put a value in a place of a JSON file, or remove what stands there."""
    data = json.loads(path.read_bytes())
    places = list(places_in(data))
    if not places:
        put(path, json.dumps([value] if value is not ... else [None]).encode())
        return
    keys = random.Random(number).choice(places)
    target = data
    for key in keys[:-1]:
        target = target[key]
    if value is ...:
        del target[keys[-1]]
    else:
        target[keys[-1]] = value
    put(path, json.dumps(data).encode())


def places_in(data: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys that lead to each value; of long lists the first ones."""
    entries = data.items() if isinstance(data, dict) else enumerate(data[:3]) if isinstance(data, list) else ()
    for key, value in entries:
        yield (*before, key)
        yield from places_in(value, (*before, key))
