import ast
import subprocess
import sys
from pathlib import Path

import pytest

import soars_nnunet

ROOT = Path(soars_nnunet.__file__).parent
TESTS = Path(__file__).parent
FILES = {
    ".".join(("soars_nnunet", *path.relative_to(ROOT).with_suffix("").parts)): path
    for path in sorted(ROOT.rglob("*.py"))
    if path.name != "__init__.py"
}
LAYERS = (
    ("errors", "json_text", "naming"),
    ("progress", "paper", "branches", "schemas"),
    ("profile",),
    ("anatomy", "settings"),
    ("cascade", "images"),
    ("geometry", "networks"),
    ("stratification", "importing", "phantom", "training", "evaluation"),
    ("bundles",),
    ("prediction",),
    ("guidance",),
    ("planning",),
    ("cross_validate", "html_report"),
    ("cli", "nnunet_ext"),
)
"""From the bottom to the top; a package may import from those below, not from others of its layer."""
MAX_TOP_LEVEL_MODULES = 8


def package(module):
    return module.split(".")[1]


def layer(name):
    (found,) = (index for index, names in enumerate(LAYERS) if name in names)
    return found


def imports(module):
    """Modules of the package that a module imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            for alias in node.names:
                assert alias.name != "*", f"{module}: wildcard import"
                full = f"{node.module}.{alias.name}"
                found.add(full if full in FILES else node.module)
    return {name for name in found if name in FILES}


def test_the_package_is_seen():
    assert len(FILES) > 30 and "soars_nnunet.training.base" in FILES
    assert "soars_nnunet.cascade.record" in imports("soars_nnunet.stratification.stratify")
    assert "soars_nnunet.prediction.files" in imports("soars_nnunet.cli.cascade_predict")


def test_every_package_has_a_layer_and_few_modules_lie_beside_them():
    names = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert names - {"__init__"} == {name for names in LAYERS for name in names}
    assert len(list(ROOT.glob("*.py"))) <= MAX_TOP_LEVEL_MODULES


def test_every_module_has_its_own_tests():
    """``tests/PACKAGE/test_MODULE.py`` for each; the other files test what takes several modules."""
    missing = []
    for path in FILES.values():
        mirror = TESTS / path.relative_to(ROOT).with_name(f"test_{path.name}")
        if not mirror.is_file() or "def test_" not in mirror.read_text(encoding="utf-8"):
            missing.append(mirror.relative_to(TESTS).as_posix())
    assert missing == []


@pytest.mark.parametrize("module", FILES)
def test_imports_point_one_way(module):
    others = {package(name) for name in imports(module)} - {package(module)}
    upward = {name for name in others if layer(name) >= layer(package(module))}
    assert upward == set()


def test_profile_stands_alone_and_nothing_imports_the_trainer_folder():
    bottom = {"soars_nnunet.errors", "soars_nnunet.json_text", "soars_nnunet.naming.organ_names"}
    named = {*bottom, "soars_nnunet.naming.halves", "soars_nnunet.naming.organ"}
    assert {name for name in imports("soars_nnunet.profile") if package(name) != "schemas"} == named
    assert imports("soars_nnunet.naming.halves") == {"soars_nnunet.naming.organ_names"}
    assert not any(imports(module) for module in bottom)
    assert not any(name.startswith("soars_nnunet.nnunet_ext") for module in FILES for name in imports(module))
    assert {
        name.split(".")[1]
        for module in FILES
        if module.startswith("soars_nnunet.nnunet_ext.")
        for name in imports(module)
    } == {"training"}


def test_no_import_cycles():
    order, visiting = [], []

    def visit(module):
        assert module not in visiting, f"cycle: {' -> '.join([*visiting, module])}"
        if module not in order:
            visiting.append(module)
            for name in sorted(imports(module)):
                visit(name)
            visiting.pop()
            order.append(module)

    for module in FILES:
        visit(module)
    assert len(order) == len(FILES)


@pytest.mark.parametrize("module", FILES)
def test_only_the_cli_prints(module):
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    printing = [node.lineno for node in calls if node.func.id == "print"]
    assert not printing or package(module) == "cli"


def test_light_modules_import_neither_torch_nor_nnunet():
    code = (
        "import sys, soars_nnunet.profile, soars_nnunet.cascade.record, soars_nnunet.images.ct\n"
        "import soars_nnunet.images.network_frame, soars_nnunet.images.label_map, soars_nnunet.images.sides\n"
        "from importlib import import_module\n"
        "from soars_nnunet.cli.commands import COMMANDS\n"
        "for command in COMMANDS.values(): import_module(command.import_path)\n"
        "soars_nnunet.profile.load_profile('hn42')\n"
        "sys.exit(' '.join({'torch', 'nnunetv2'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (0, "")
