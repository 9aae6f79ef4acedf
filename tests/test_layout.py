import ast
import subprocess
import sys
from pathlib import Path

import pytest

import soars_nnunet

ROOT = Path(soars_nnunet.__file__).parent
FILES = {
    ".".join(("soars_nnunet", *path.relative_to(ROOT).with_suffix("").parts)): path
    for path in sorted(ROOT.rglob("*.py"))
    if path.name != "__init__.py"
}
LAYERS = (
    ("profile", "nifti"),
    ("artifacts", "ct", "regime", "sizes"),
    ("geometry", "networks"),
    ("training",),
    ("steps",),
    ("cli",),
)
"""From the bottom to the top; a module may import from its own layer and below. Steps are the modules not named."""


def layer(module):
    part = module.split(".")[1]
    named = [i for i, names in enumerate(LAYERS) if part in names]
    return named[0] if named else LAYERS.index(("steps",))


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
    assert "soars_nnunet.artifacts" in imports("soars_nnunet.stratify")
    assert "soars_nnunet.predict_files" in imports("soars_nnunet.cli")


@pytest.mark.parametrize("module", FILES)
def test_imports_point_one_way(module):
    own = layer(module)
    upward = {name for name in imports(module) if layer(name) > own}
    assert upward == set()


def test_geometry_and_networks_do_not_know_each_other():
    for module in FILES:
        for first, second in (("geometry", "networks"), ("networks", "geometry")):
            if module.startswith(f"soars_nnunet.{first}."):
                assert not any(name.startswith(f"soars_nnunet.{second}") for name in imports(module))


def test_profile_stands_alone_and_nothing_imports_the_trainer_folder():
    assert imports("soars_nnunet.profile") == set()
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
    assert bool(printing) == (module == "soars_nnunet.cli")


def test_light_modules_import_neither_torch_nor_nnunet():
    code = (
        "import sys, soars_nnunet.profile, soars_nnunet.artifacts, soars_nnunet.cli, soars_nnunet.ct\n"
        "soars_nnunet.profile.load_profile('hn42')\n"
        "sys.exit(' '.join({'torch', 'nnunetv2'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (0, "")
