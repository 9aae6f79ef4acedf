"""Facts of the untrained cascade, of which cards are made."""

import pytest

from soars_nnunet.bundles.card_facts import CardFacts
from soars_nnunet.bundles.training_facts import patients_by_organ, read_training
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS


@pytest.fixture(scope="session")
def facts(untrained_cascade):
    """All branches and folds, nothing stated, nothing evaluated."""
    manifest = Manifest.load(untrained_cascade.manifest(DEFAULT_PLANS))
    plans, trainings = {}, []
    for key in manifest.branches:
        folder = untrained_cascade.model(key, DEFAULT_PLANS)
        plans[key] = PlansFile.read(folder / "plans.json")
        trainings += [read_training(key, fold, folder) for fold in (0, 1)]
    return CardFacts(
        name="tiny",
        created="2026-11-28T12:00:00+00:00",
        precision="fp16",
        manifest=manifest,
        plans=plans,
        trainings=tuple(trainings),
        patients=patients_by_organ(untrained_cascade),
        without_evaluation="soars-cross-validate was not run",
    )
