"""README and docs: links resolve, commands parse, sentences are short."""

import ast
import inspect
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

import soars_nnunet
from soars_nnunet.cli.command import make_parser
from soars_nnunet.cli.commands import COMMANDS, FRONT_DOOR
from soars_nnunet.cli.reference import actions_of

ROOT = Path(soars_nnunet.__file__).parents[1]
DOCS = ROOT / "docs"
TOP_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
PAGES = sorted([*(ROOT / page for page in TOP_PAGES), *DOCS.rglob("*.md")])
MAX_README_LINES = 130
MAX_SENTENCE_WORDS = 35
GENERATED = ("commands.md", "settings.md", "model-card.md", "profiles.md")
"""Reference that is written from the code, whose sentences are the code's."""
BANNED = (
    r"an earlier run",
    r"former(ly)?",
    r"\bthis machine\b",
    r"\bas of (today|now)\b",
    r"\bundrawn\b",
    r"--large-tiles",
    r"--everywhere",
    r"--unannotated",
    r"--jittered-crops",
    r"--no-crops",
    r"--ids\b",
    r"--no-viewer",
)
"""History, and words and options for which docs have others."""
NOT_BANNED = {"CHANGELOG.md": BANNED, "commands.md": ("--unannotated",)}
OTHER_OPTIONS = ("--c", "--npz", "--version", "--real-only")
"""Options of nnUNetv2_train, the front door and demo.sh, which docs mention in running text."""
OPTION = re.compile(r"--[a-z][a-z-]*")
PROGRAMS = {command.program.split()[0] for command in COMMANDS.values()}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL_BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="needs a checkout with docs/")


def name(path):
    return path.relative_to(ROOT).as_posix()


def text_of(path):
    return path.read_text(encoding="utf-8")


def prose_of(path):
    """The text without code blocks."""
    return CODE_BLOCK.sub("", text_of(path))


def anchors_of(path):
    """Anchors of a page's headings, as GitHub makes them."""
    anchors = set()
    for line in prose_of(path).splitlines():
        if heading := re.match(r"#{1,6} (.*)", line):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1)).lower()
            kept = re.sub(r"[^\w\- ]", "", words)
            anchors.add(kept.strip().replace(" ", "-"))
    return anchors


def shell_lines(text):
    """Lines of the shell blocks of a page, continued ones joined."""
    for block in SHELL_BLOCK.findall(text):
        yield from block.replace("\\\n", " ").splitlines()


def soars_commands(line):
    """The soars-* commands in a shell line, as words: of pipes, loops, ``&&`` and ``$(...)`` too."""
    words = shlex.split(line.replace("$(", " ( ").replace(";", " ; "), comments=True)
    found, inside = [], False
    for word in words:
        if word in ("&&", "||", "|", ";", "do", "done", "(", "&"):
            inside = False
        elif not inside and word in PROGRAMS:
            found.append([word])
            inside = True
        elif inside:
            found[-1].append(word.rstrip(")") if word.endswith(")") and "(" not in word else word)
    return found


def replaced(word):
    """A word with placeholders in place of variables, which the shell would fill."""
    return re.sub(r"\$\{?\w+\}?", "0", word)


def parse(words):
    """Parse a command as the shell would run it; argparse exits on anything it does not know."""
    program, arguments = words[0], [replaced(word) for word in words[1:]]
    if program == FRONT_DOOR:
        if not arguments or arguments[0].startswith("-"):
            return
        command = COMMANDS[arguments.pop(0)]
    else:
        command = COMMANDS[program.removeprefix("soars-")]
    if "--help" not in arguments:
        make_parser(command, import_module(command.import_path).add_arguments).parse_args(arguments)


def documented_commands():
    found = []
    for page in PAGES:
        if page.is_file():
            for line in shell_lines(text_of(page)):
                for words in soars_commands(line):
                    found.append(pytest.param(words, id=f"{name(page)}: {' '.join(words)}"))
    return found


def sentences_of(path):
    """Sentences of running text: no code, tables, headings and images; a list item ends like a sentence."""
    text = "\n".join(line for line in prose_of(path).splitlines() if not re.match(r"\s*(\||#|!\[)", line))
    text = re.sub(r"`[^`]*`", "CODE", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    for paragraph in re.split(r"\n\s*\n|\n\s*(?:[*-]|\d+\.) ", text):
        words = " ".join(paragraph.split())
        yield from re.split(r"(?<=[.!?])[*\"')]*\s+(?=[*\"'(]*[A-Z0-9a-z])", words)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_resolve(page):
    broken = []
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            broken.append(target)
        elif anchor and anchor not in anchors_of(file):
            broken.append(target)
    assert broken == []


def test_every_page_is_in_the_index():
    linked = {(DOCS / target.partition("#")[0]).resolve() for target in LINK.findall(text_of(DOCS / "README.md"))}
    assert set(DOCS.rglob("*.md")) - {DOCS / "README.md"} - linked == set()


def test_every_image_is_used():
    linked = set()
    for page in [*PAGES, *(ROOT / "scripts").rglob("*.md")]:
        linked |= {(page.parent / target).resolve() for target in LINK.findall(text_of(page))}
    assert set((DOCS / "images").iterdir()) - linked == set()


@pytest.mark.parametrize("words", documented_commands())
def test_commands_parse(words):
    parse(words)


def test_commands_are_found_in_shell_lines():
    assert soars_commands('eval "$(soars-env)"') == []  # quoted: one word for the shell
    assert soars_commands("soars-channels -d 7 && soars-plan -d 7   # both") == [
        ["soars-channels", "-d", "7"],
        ["soars-plan", "-d", "7"],
    ]
    assert soars_commands("for f in 0 1; do soars-env; done") == [["soars-env"]]
    assert len(documented_commands()) > 60


def test_an_unknown_option_does_not_parse():
    with pytest.raises(SystemExit):
        parse(["soars-plan", "-d", "7", "--no-such-option"])


def python_blocks():
    found = []
    for page in PAGES:
        if page.is_file():
            found += [pytest.param(code, id=name(page)) for code in PYTHON_BLOCK.findall(text_of(page))]
    return found


@pytest.mark.parametrize("code", python_blocks())
def test_python_examples_use_what_there_is(code):
    tree, ours = ast.parse(code), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("soars_nnunet"):
            for alias in node.names:
                ours[alias.name] = getattr(import_module(node.module), alias.name)
    assert ours
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ours:
            keywords = {keyword.arg: None for keyword in node.keywords}
            inspect.signature(ours[node.func.id]).bind(*node.args, **keywords)


def test_functions_that_the_api_page_names_exist():
    rows = re.findall(
        r"^\| \[(soars_nnunet[\w.]+)\]\([^)]*\) \| `(\w+)`", text_of(DOCS / "how-to/use-the-python-api.md"), re.M
    )
    assert len(rows) > 5
    for module, function in rows:
        assert callable(getattr(import_module(module), function))


def test_modules_that_the_changelog_names_exist():
    named = set()
    for row in re.findall(r"^  \| `soars_nnunet\.[^|]*\|([^|]*)\|$", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE):
        named |= set(re.findall(r"`(soars_nnunet[\w.]*)`", row))
    assert len(named) > 10
    for module in named:
        import_module(module)


def known_options():
    known = set(OTHER_OPTIONS)
    for command in COMMANDS.values():
        parser = make_parser(command, import_module(command.import_path).add_arguments)
        for one in (parser, *actions_of(parser).values()):
            known |= set(OPTION.findall(one.format_help()))
    return known


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_options_in_running_text_exist(page):
    named = set()
    for code in re.findall(r"`([^`\n]+)`", prose_of(page)):
        named |= set(OPTION.findall(code))
    assert named - known_options() == set()


def test_every_command_is_documented():
    used = {param.values[0][0] for param in documented_commands()} | {"soars-env"}
    assert PROGRAMS - used == set()


def test_readme_is_short_and_starts_with_two_commands():
    lines = text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= MAX_README_LINES
    (first, *_) = SHELL_BLOCK.findall(text_of(ROOT / "README.md"))
    assert [line.split()[0] for line in first.splitlines()] == ["./scripts/demo.sh", "./scripts/test.sh"]
    assert lines.index(first.splitlines()[1]) < 30, "both belong on the first screen"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in GENERATED], ids=name)
def test_sentences_are_short(page):
    long = [sentence for sentence in sentences_of(page) if len(sentence.split()) > MAX_SENTENCE_WORDS]
    assert long == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_words_are_the_readers(page):
    allowed = NOT_BANNED.get(page.name, ())
    found = []
    for pattern in BANNED:
        if pattern not in allowed:
            found += [match.group() for match in re.finditer(pattern, text_of(page), re.IGNORECASE)]
    assert found == []
