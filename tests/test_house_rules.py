"""Functions that can be read once: how long, how many arguments, how deep, how much on one line.

Counted in the syntax tree of every module of the package: comprehensions and generator expressions, and starred
expressions (in calls, displays and assignments), by 1000 lines of the files, blank ones and docstrings included.
"""

import ast
from pathlib import Path

import soars_nnunet

FILES = sorted(Path(soars_nnunet.__file__).parent.rglob("*.py"))
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 8
MAX_POSITIONAL = 4
MAX_NESTING = 4
MAX_FILE_LINES = 400
MAX_COMPREHENSIONS = 33
MAX_STARRED = 7.5
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BLOCKS = (ast.For, ast.While, ast.If, ast.With, ast.Try)
SIGNATURES_OF_NNUNET = {"get_training_transforms", "build_network_architecture", "run_case", "run_case_npy"}
"""Methods whose parameters nnU-Net chooses, beside a trainer's ``__init__``."""


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def parameters(function):
    given = function.args
    named = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    further = [argument for argument in (given.vararg, given.kwarg) if argument]
    return len([name for name in named if name not in ("self", "cls")]) + len(further)


def positional(function):
    given = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return [name for name in given if name not in ("self", "cls")]


def is_of_nnunet(function):
    return function.name in SIGNATURES_OF_NNUNET or positional(function)[:2] == ["plans", "configuration"]


def nesting(node, depth=0):
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        deepest = max(deepest, nesting(child, depth + isinstance(child, BLOCKS)))
    return deepest


def count_by_1000_lines(kinds):
    lines, found = 0, 0
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        lines += len(text.splitlines())
        found += sum(isinstance(node, kinds) for node in ast.walk(ast.parse(text)))
    return 1000 * found / lines


def place(path, node):
    return f"{path.parent.name}/{path.name}:{node.lineno}"


def test_functions_are_short_shallow_and_take_few_arguments():
    wrong = []
    for path in FILES:
        for function in functions(path):
            name = f"{place(path, function)} {function.name}"
            lines = function.end_lineno - function.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                wrong.append(f"{name}: {lines} lines")
            if parameters(function) > MAX_PARAMETERS and not is_of_nnunet(function):
                wrong.append(f"{name}: {parameters(function)} parameters")
            if len(positional(function)) > MAX_POSITIONAL and not is_of_nnunet(function):
                wrong.append(f"{name}: {len(positional(function))} positional parameters")
            if nesting(function) > MAX_NESTING:
                wrong.append(f"{name}: {nesting(function)} levels")
    assert wrong == []


def test_files_are_short():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path: count for path, count in lines.items() if count > MAX_FILE_LINES} == {}


def test_no_comprehension_holds_another():
    nested = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, COMPREHENSIONS) and any(
                isinstance(n, COMPREHENSIONS) for n in ast.walk(node) if n is not node
            ):
                nested.append(place(path, node))
    assert nested == []


def test_comprehensions_are_few():
    assert count_by_1000_lines(COMPREHENSIONS) <= MAX_COMPREHENSIONS


def test_starred_expressions_are_few():
    assert count_by_1000_lines(ast.Starred) <= MAX_STARRED
