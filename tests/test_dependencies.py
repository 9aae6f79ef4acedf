"""What the package imports is what setup.cfg declares, and the other way round."""

import ast
import configparser
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

import soars_nnunet

PACKAGE = Path(soars_nnunet.__file__).parent
ROOT = PACKAGE.parent


def imported_modules(folder):
    """Top-level names that the modules below a folder import, at their top or inside functions."""
    found = set()
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found.add(alias.name.split(".")[0])
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.split(".")[0])
    return found


def canonical(name):
    """A distribution's name as package indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions_of(modules):
    """Distribution of every module that is neither Python's nor ours."""
    known = metadata.packages_distributions()
    found = {}
    for module in modules - set(sys.stdlib_module_names) - {"soars_nnunet"}:
        assert module in known, f"import {module}: no installed distribution provides it"
        found[module] = {canonical(name) for name in known[module]}
    return found


def declared():
    """Names of the declared requirements, without extras."""
    names = set()
    for requirement in metadata.requires("soars-nnunet"):
        if "extra ==" not in requirement:
            names.add(canonical(re.match(r"[A-Za-z0-9._-]+", requirement).group()))
    return names


def setup_cfg():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


needs_checkout = pytest.mark.skipif(not (ROOT / "setup.cfg").is_file(), reason="needs setup.cfg beside the package")


def test_the_package_imports_what_is_expected():
    modules = imported_modules(PACKAGE)
    assert {"nnunetv2", "torch", "numpy", "SimpleITK"} <= modules


def test_every_imported_distribution_is_declared():
    undeclared = {}
    for module, distributions in distributions_of(imported_modules(PACKAGE)).items():
        if not distributions & declared():
            undeclared[module] = sorted(distributions)
    assert undeclared == {}, "add them to install_requires in setup.cfg"


def test_every_declared_distribution_is_imported():
    imported = set().union(*distributions_of(imported_modules(PACKAGE)).values())
    assert declared() - imported == set(), "remove them from install_requires in setup.cfg"


@needs_checkout
def test_the_installed_metadata_are_those_of_this_checkout():
    written = setup_cfg()["options"]["install_requires"].split()
    assert declared() == {canonical(re.match(r"[A-Za-z0-9._-]+", line).group()) for line in written}, (
        "run: pip install --no-deps -e ."
    )


@needs_checkout
def test_every_package_is_installed():
    listed = set(setup_cfg()["options"]["packages"].split())
    there = {"soars_nnunet", "soars_nnunet.plans"}
    for path in PACKAGE.rglob("__init__.py"):
        there.add(".".join((PACKAGE.name, *path.parent.relative_to(PACKAGE).parts)))
    assert listed == there


@needs_checkout
def test_data_files_are_installed():
    patterns = dict(setup_cfg()["options.package_data"])
    assert patterns["soars_nnunet"] == "py.typed" and (PACKAGE / "py.typed").is_file()
    for path in PACKAGE.rglob("*"):
        if path.is_dir() or path.suffix in (".py", ".pyc") or path.name == "py.typed":
            continue
        folder = next(folder for folder in path.parents if (folder / "__init__.py").is_file())
        package = ".".join((PACKAGE.name, *folder.relative_to(PACKAGE).parts))
        chosen = patterns.get(package, "").split(",")
        assert any(path.match(pattern.strip()) for pattern in chosen if pattern.strip()), path


@needs_checkout
def test_versions_of_python_agree():
    metadata_section, options = setup_cfg()["metadata"], setup_cfg()["options"]
    named = re.findall(r"Python :: (3\.\d+)", metadata_section["classifiers"])
    assert options["python_requires"] == f">={named[0]}"
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    for version in named:
        assert f'"{version}"' in workflow
