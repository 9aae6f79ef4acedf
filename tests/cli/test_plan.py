import pytest

from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.cli import plan
from soars_nnunet.planning import plan as planning


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--set", "nonsense=1"], "--set nonsense=1: expected the name of a setting"),
        (["--set", "num_epoch=1", "--set", "num_epochs=5"], "got 'num_epoch'; did you mean num_epochs?"),
        (["--set", "num_epochs=many"], "expected a JSON value"),
        (["--set", "num_epochs"], "expected KEY=VALUE"),
        (["--regime", "papers"], "expected one of paper, nnunet, demo"),
        (["--regime", "papers"], "did you mean paper?"),
        (["--branches", "anchors"], "expected some of anchor, mid_level, got anchors; did you mean anchor?"),
        (["--spacing", 40, 1, 1], "at least 4 voxels"),
        (["--from-bundle", "tiniest"], "no bundle 'tiniest': expected the name of a shipped or installed one"),
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


@pytest.mark.parametrize(
    "option",
    [
        ["--regime", "demo"],
        ["--spacing", 3, 3, 3],
        ["--guidance", "none"],
        ["--branches", "anchor"],
        ["--from-bundle", "tiny"],
    ],
)
def test_fine_tuning_takes_no_option_of_the_trained_plans(refused, stratified, option):
    line = refused(plan.main, "-d", 42, "--fine-tune", "Fine", *option)
    assert f"expected no {option[0]}, only --set" in line


def test_a_genotype_of_a_branch_that_the_cascade_lacks(refused, stratified, tmp_path):
    path = tmp_path / "genotype.json"
    write_json(path, {"small_hard": {"kinds": ["3D3", "3D3", "3D3", "3D3"]}})
    assert "small_hard is no branch of Dataset042_Neck" in refused(plan.main, "-d", 42, "--genotype", path)


def test_what_is_typed_arrives(stratified, tmp_path, monkeypatch, capfd):
    asked = []
    monkeypatch.setattr(
        planning, "plan", lambda cascade, options, branches, progress: asked.append((options, branches))
    )
    path = tmp_path / "genotype.json"
    kinds = ["2D3", "2D5", "3D3", "3D5"]
    write_json(path, {"anchor": {"kinds": kinds}})
    words = ["-d", "42", "--regime", "demo", "--spacing", "3", "2", "2", "--genotype", str(path), "-np", "5"]
    assert plan.main([*words, "--set", "seed=1", "batch_size=2", "--set", "num_epochs=3", "--branches", "anchor"]) == 0
    ((options, branches),) = asked
    assert (options.regime, options.spacing_mm, options.num_processes) == ("demo", (3.0, 2.0, 2.0), 5)
    assert options.overrides == ("seed=1", "batch_size=2", "num_epochs=3")
    assert options.genotypes == {"anchor": kinds} and branches == ["anchor"]
    assert "anchor" in capfd.readouterr().out
