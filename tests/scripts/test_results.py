"""Every results file has a head, plain sentences, and links that lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "scripts").glob("*/results/*.md"))
HEAD = re.compile(
    r"# [^\n]+\?\n\n\*\*Answer\.\*\* .+?\n\n- Date: 2\d{3}-\d\d-\d\d.*?\n- Commit: .+?\n- Machine: .+?\n- Command: ",
    re.DOTALL,
)
DATED_WORDS = ("former", "earlier", "previously", "now", "this machine", "last time")
MAX_WORDS = 30


def prose(text):
    """Text without code blocks, tables, links' targets and inline code."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("|", "#", "!")))
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return re.sub(r"`[^`]*`", "code", text)


def sentences(text):
    for paragraph in re.split(r"\n\s*\n|\n- ", prose(text)):
        yield from re.split(r"(?<=[.?!:;])\s+", paragraph)


def name(path):
    return path.relative_to(ROOT / "scripts").as_posix()


def test_results_are_seen():
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=name)
def test_head(path):
    text = path.read_text(encoding="utf-8")
    assert HEAD.match(text), "expected question, answer, date, commit, machine, command"
    commits = re.findall(r"`([0-9a-f]{7})`", text)
    assert commits, "expected the commit of the version that was measured"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_plain_words(path):
    text = path.read_text(encoding="utf-8")
    long = [sentence for sentence in sentences(text) if len(sentence.split()) > MAX_WORDS]
    assert long == []
    dated = [word for word in DATED_WORDS if re.search(rf"\b{word}\b", prose(text), re.IGNORECASE)]
    assert dated == []


@pytest.mark.parametrize("path", [*FILES, ROOT / "scripts" / "README.md"], ids=name)
def test_links_and_modules_are_there(path):
    text = path.read_text(encoding="utf-8")
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)]
    broken = [target for target in targets if "://" not in target and not (path.parent / target).exists()]
    assert broken == []
    modules = re.findall(r"scripts\.((?:benchmarks|experiments)\.[a-z_]+)", text)
    missing = [module for module in modules if not (ROOT / "scripts" / f"{module.replace('.', '/')}.py").is_file()]
    assert missing == []


def test_every_results_file_is_listed():
    text = (ROOT / "scripts" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in FILES if f"results/{path.name})" not in text] == []
