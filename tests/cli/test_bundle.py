"""What the user types and reads; tests/bundles tests the work itself."""

import argparse
import json
import shutil
import subprocess
import sys

import pytest

from soars_nnunet.bundles import install, make, places
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.bundles.places import VARIABLE
from soars_nnunet.cli import bundle as command
from soars_nnunet.cli.command import make_parser
from soars_nnunet.cli.commands import COMMANDS
from soars_nnunet.cli.reference import actions_of


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "installed"))
    for module in (install, places):
        monkeypatch.setattr(module, "shipped_folder", lambda: tmp_path / "shipped")
    return tmp_path / "installed"


def test_every_action_explains_itself():
    parsers = actions_of(make_parser(COMMANDS["bundle"], command.add_arguments))
    assert list(parsers) == list(command.ACTIONS) == ["make", "verify", "install", "list", "card"]
    for name, parser in parsers.items():
        action = command.ACTIONS[name]
        text = parser.format_help()
        assert text.startswith(f"usage: soars-bundle {name}") and f"example:\n  {action.example}\n" in text
        parser.parse_args(action.example.split()[2:])
        assert len(action.summary) <= 90 and action.summary.endswith(".")
        for option in parser._actions:
            assert option.help and not option.help.endswith(".") and option.help is not argparse.SUPPRESS


def test_an_action_must_be_named(capsys):
    with pytest.raises(SystemExit):
        command.main([])
    assert "make|verify|install|list|card" in capsys.readouterr().err


def test_make_passes_on_what_was_asked(tiny_bundle, manifest, monkeypatch, capfd, tmp_path):
    seen = {}

    def work(path, output, options, cascade, *, progress):
        seen.update(path=path, output=output, options=options, cascade=cascade)
        progress("anchor: 2 of 2 folds")
        return open_bundle(tiny_bundle)

    monkeypatch.setattr(make, "make_bundle", work)
    words = ["make", "-m", manifest, "-o", tmp_path / "x.zip", "--name", "neck", "--precision", "fp32", "--folds", 1, 0]
    words += ["--card", "c.json", "--evaluation", "A=a", "B=b", "--evaluation", "C=c"]
    assert command.main([str(word) for word in words]) == 0
    options = seen["options"]
    assert (seen["path"], seen["output"], seen["cascade"]) == (manifest / "manifest.json", tmp_path / "x.zip", None)
    assert (options.name, options.precision, options.folds) == ("neck", "fp32", [1, 0])
    assert (str(options.card), options.evaluations) == ("c.json", ["A=a", "B=b", "C=c"])
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "anchor: 2 of 2 folds"
    assert lines[1].startswith(f"wrote {tmp_path / 'x.zip'}, verified: anchor x 2 folds, mid_level x 2 folds, ")
    assert len(lines) == 2, "its licence is stated"


def test_make_without_a_cascade_is_refused_in_one_line(refused, tmp_path):
    line = refused(command.main, "make", "-d", 99, "-o", tmp_path / "x", "--name", "x")
    assert "dataset 99" in line
    line = refused(command.main, "make", "-m", tmp_path / "nowhere", "-o", tmp_path / "x", "--name", "x")
    assert "nowhere" in line


def test_verify_prints_a_line_a_file_and_the_verdict(tiny_bundle, capfd):
    assert command.main(["verify", str(tiny_bundle)]) == 0
    lines = capfd.readouterr().out.splitlines()
    files = [path for path in tiny_bundle.iterdir() if path.name != "manifest.json"]
    assert len(lines) == len(files) + 1 and all(line.endswith(": ok") for line in lines[:-1])
    assert lines[-1].startswith(f"{tiny_bundle}: sound; anchor x 2 folds")


def test_verify_names_every_damaged_file(bundle_copy, capfd):
    for name in ("card.md", "anchor_fold_0.safetensors"):
        content = (bundle_copy / name).read_bytes()
        (bundle_copy / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert command.main(["verify", str(bundle_copy)]) == 2
    captured = capfd.readouterr()
    assert captured.out.count(": ok") == len(list(bundle_copy.iterdir())) - 3
    assert captured.err.count("\n") == 1 and "damaged: anchor_fold_0.safetensors, card.md;" in captured.err


def test_what_is_no_bundle_is_refused_in_one_line(refused, tmp_path):
    (tmp_path / "x.zip").write_text("no zip")
    for action in ("verify", "install", "card"):
        refused(command.main, action, tmp_path / "x.zip")
        assert "no bundle 'nothing'" in refused(command.main, action, "nothing")


def test_install_list_and_card_by_name(tiny_bundle, bundle_copy, installed, capfd, refused):
    assert command.main(["list"]) == 0
    assert capfd.readouterr().out.splitlines()[0] == "no bundle is shipped or installed"
    assert command.main(["install", str(tiny_bundle)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"installed: {installed / 'tiny'}" and lines[1].endswith("--model tiny")
    assert command.main(["install", str(tiny_bundle)]) == 0
    assert capfd.readouterr().out.startswith("is installed already: ")
    manifest = bundle_copy / "manifest.json"
    manifest.write_text(manifest.read_text().replace("4 phantoms", "5 phantoms"))
    assert "--replace" in refused(command.main, "install", bundle_copy)
    assert command.main(["list"]) == 0
    out = capfd.readouterr().out
    assert "tiny (installed)\n  trained on 4 phantoms; licence of the weights: CC-BY-4.0\n" in out
    organs = out[out.index("  42 organs: Brainstem, ") : out.index("installed bundles lie in")]
    assert "Pituitary" in organs and max(map(len, organs.splitlines())) <= 100
    assert command.main(["card", "tiny"]) == 0
    assert capfd.readouterr().out == (tiny_bundle / "card.md").read_text()
    assert command.main(["card", "tiny", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == json.loads((tiny_bundle / "card.json").read_text())


def test_a_hidden_shipped_bundle_and_a_broken_one_are_said_to_be_so(tiny_bundle, installed, tmp_path, capfd):
    shutil.copytree(tiny_bundle, tmp_path / "shipped" / "tiny")
    assert command.main(["install", str(tiny_bundle), "--replace"]) == 0
    assert "the shipped bundle 'tiny' is hidden by it" in capfd.readouterr().out
    (installed / "odd.zip").write_text("")
    assert command.main(["list"]) == 0
    out = capfd.readouterr().out
    assert "tiny (shipped, hidden by the installed one)" in out and "tiny (installed, hides the shipped one)" in out
    assert "odd (installed): not usable, " in out


def test_help_list_and_card_load_no_torch(tiny_bundle, tmp_path):
    code = (
        "import sys\nfrom soars_nnunet.cli.bundle import main\n"
        f"assert main(['list']) == 0 and main(['card', {str(tiny_bundle)!r}]) == 0\n"
        "sys.exit(' '.join({'torch', 'nnunetv2'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (0, "")
