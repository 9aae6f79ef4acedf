import pytest

from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.cli import plan


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--set", "nonsense=1"], "expected KEY=VALUE"),
        (["--set", "nonsense=1", "--set", "num_epochs=5"], "got 'nonsense=1'"),
        (["--set", "num_epochs=many"], "expected a JSON value"),
        (["--set", "num_epochs"], "expected KEY=VALUE"),
        (["--regime", "papers"], "expected one of paper, nnunet, demo"),
        (["--branches", "anchors"], "expected some of anchor, mid_level, got anchors"),
        (["--spacing", 1, 0, 1], "three positive numbers"),
        (["--spacing", 40, 1, 1], "at least 4 voxels"),
    ],
)
def test_bad_plan_options(refused, stratified, arguments, part):
    assert part in refused(plan.main, "-d", 42, *arguments)


def test_remembered_values_that_are_refused_now_name_their_file(refused, stratified):
    path = Cascade.load("42").options(DEFAULT_PLANS)
    write_json(path, {"regime": "demo", "overrides": ["seed=-1"]})
    line = refused(plan.main, "-d", 42)
    assert str(path) in line and "--set seed: expected a value like" in line and "give --set anew" in line
    assert str(path) not in refused(plan.main, "-d", 42, "--set", "seed=-1")
