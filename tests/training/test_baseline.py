"""The trainer of the baseline."""

from types import SimpleNamespace

from planning.cases import options, trainer_of

from soars_nnunet.planning.plan import plan
from soars_nnunet.stratification.stratify import StratifyOptions, stratify
from soars_nnunet.training.baseline import SOARSBaselineTrainer


def test_nnunet_finds_the_class(found_trainer):
    assert SOARSBaselineTrainer.branch == "baseline"
    assert found_trainer("baseline") is SOARSBaselineTrainer


def test_it_learns_all_organs_from_the_ct_alone_by_3d_convolutions(planned):
    profile = planned.cascade.profile
    cascade = stratify(42, profile, StratifyOptions(num_folds=2, baseline=True)).cascade
    assert plan(cascade, options(), ["baseline"]) == ["baseline"]
    trainer = trainer_of(SimpleNamespace(cascade=cascade), SOARSBaselineTrainer, "baseline")
    trainer.initialize()
    organs = [organ.name for organ in profile.organs if organ.name in cascade.labels]
    assert len(organs) > 30 and list(trainer.dataset_json["labels"]) == ["background", *organs]
    assert trainer.settings.guidance == () and trainer.num_input_channels == 1
    kernels = [weight.shape[2:] for weight in trainer.network.blocks.parameters() if weight.ndim == 5]
    assert set(kernels) == {(3, 3, 3)}
