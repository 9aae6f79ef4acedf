"""Architecture search as a mixin over a branch's trainer (paper sec. 3.2 and 4.2; first-order DARTS).

The branch's trainer supplies loss, targets and augmentation; the mixin swaps P-HNN for the super-network
and nnU-Net's single optimisation for the bilevel one: alpha is frozen at first, then each iteration makes
one alpha step on patients of its own and one weight step on the others. All numbers are plans values
(``search_...``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import nn

from soars_nnunet.cascade.case_names import patient_of, source_case
from soars_nnunet.cascade.plans_file import settings_of
from soars_nnunet.cascade.record import GENOTYPE, PREPROCESSING_RECORD
from soars_nnunet.cascade.storage import json_hash, read_json, write_json
from soars_nnunet.networks.genotype import describe_genotype, genotype_entry
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.networks.supernet import SuperPHNN
from soars_nnunet.training.anchor import SOARSAnchorTrainer
from soars_nnunet.training.base import SOARSTrainer
from soars_nnunet.training.detection import SOARSDetectionTrainer
from soars_nnunet.training.gammas import gamma_lines, plot_gammas, read_gammas, write_gammas
from soars_nnunet.training.midlevel import SOARSMidLevelTrainer
from soars_nnunet.training.optimizer import make_optimizer
from soars_nnunet.training.smallhard import SOARSSmallHardTrainer

GAMMAS_FILE = "gammas.csv"
PLOT_FILE = "gammas.png"


def split_for_search(
    cases: Sequence[str], patient: Callable[[str], str], alpha_share: float, seed: int
) -> dict[str, list[str]]:
    """Divide a fold's training cases by patient between the weights and alpha.

    Args:
        cases: Training cases of the fold.
        patient: Patient of a case.
        alpha_share: Share of the patients that alpha gets (the paper: a third), at least one.
        seed: Draws the patients.

    Returns:
        Cases of ``weights`` and of ``alpha``, each sorted; no patient is in both.

    Raises:
        RuntimeError: If there are fewer than two patients.
    """
    patients = sorted({patient(case) for case in cases})
    if len(patients) < 2:
        raise RuntimeError(f"the search needs at least 2 training patients, one for alpha; got {len(patients)}")
    count = min(max(1, round(len(patients) * alpha_share)), len(patients) - 1)
    of_alpha = set(np.random.default_rng(seed).permutation(patients)[:count].tolist())
    shares: dict[str, list[str]] = {"weights": [], "alpha": []}
    for case in sorted(cases):
        part = "alpha" if patient(case) in of_alpha else "weights"
        shares[part].append(case)
    return shares


class WeightsOnlyPolyLR(PolyLRScheduler):
    """nnU-Net's polynomial decay of the weights' rate; alpha, the second parameter group, keeps its own."""

    def step(self, current_step: int | None = None) -> None:
        """Set the learning rates of an epoch."""
        alpha_lr = self.optimizer.param_groups[1]["lr"]
        super().step(current_step)
        self.optimizer.param_groups[1]["lr"] = alpha_lr


class ArchitectureSearch(SOARSTrainer):
    """Turns a branch's trainer into its search; combine as ``class Search(ArchitectureSearch, BranchTrainer)``.

    Resuming with ``--c`` restores everything: alpha is a parameter of the network, its moments are in the
    optimiser's state. Every epoch draws from random generators seeded by its own number, so with data
    loading in the main process (``nnUNet_n_proc_DA=0``) a resumed search on CPU ends like an uninterrupted one.
    """

    network_class: type[PHNN] | type[SuperPHNN] = SuperPHNN
    _loads_alpha_cases = False

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 - nnU-Net's signature, inspected by name
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        if self.is_ddp:
            raise RuntimeError("the architecture search runs on one GPU: expected -num_gpus 1")
        # by epoch, as a step of alpha and one of the weights would count as two
        settings = replace(self.settings, seed=self.settings.search_seed, lr_decays_by_step=False)
        self.settings = settings
        if not isinstance(settings.seed, int) or settings.seed < 0:
            raise RuntimeError(f"search_seed: expected a whole number of 0 or more, got {settings.seed}")
        self.initial_lr = settings.search_initial_lr
        self.num_epochs = settings.search_frozen_epochs + settings.search_joint_epochs
        # plans that are not soars-plan's take the regime as it is written, where null stands for a pass
        if settings.search_iterations_per_epoch:
            self.num_iterations_per_epoch = settings.search_iterations_per_epoch

    def _set_batch_size_and_oversample(self) -> None:
        self.batch_size = self.settings.search_batch_size

    @classmethod
    def architecture(cls, configuration_manager: ConfigurationManager) -> dict[str, Any]:
        """Widths and strides of the plans; their genotype plays no part."""
        architecture = super().architecture(configuration_manager)
        architecture.pop("genotype", None)
        return architecture

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        """RAdam, whatever trains the branch, with two groups: weights with its decay, alpha without any."""
        settings = self.settings
        groups = [
            {"params": list(self.network.weight_parameters())},
            {
                "params": self.network.architecture_parameters(),
                "lr": settings.search_alpha_lr,
                "betas": tuple(settings.search_alpha_betas),
                "weight_decay": 0.0,
            },
        ]
        optimizer = make_optimizer(replace(settings, optimizer="RAdam"), groups, self.initial_lr)
        return optimizer, WeightsOnlyPolyLR(optimizer, self.initial_lr, self.num_epochs)

    def do_split(self) -> tuple[list[str], list[str]]:
        """nnU-Net's split with the training patients divided: weights on one part, alpha on the other.

        Returns:
            Training cases (of the part that is being loaded) and the fold's validation cases.

        Raises:
            RuntimeError: If the fold has fewer than two training patients, or trains on a validation patient.
        """
        training, validation = super().do_split()
        if self.fold == "all":
            self.print_to_log_file("fold all: no patient is kept out of the search; its validation loss means nothing")
        else:
            self._require_disjoint(training, validation)
        shares = split_for_search(training, self._patient, self.settings.search_alpha_share, self._fold_number)
        return shares["alpha" if self._loads_alpha_cases else "weights"], validation

    def _require_disjoint(self, training: Sequence[str], validation: Sequence[str]) -> None:
        shared = {self._patient(case) for case in training} & {self._patient(case) for case in validation}
        if shared:
            raise RuntimeError(f"{len(shared)} patients are on both sides of fold {self.fold}; make splits by patient")

    def _patient(self, case: str) -> str:
        case = source_case(case) if self.branch == "small_hard" else case
        return patient_of(case, self.settings.patient_pattern) or case

    def get_dataloaders(self) -> tuple:
        """nnU-Net's loaders, built twice: the second training loader draws the patients of alpha."""
        self._loads_alpha_cases = True
        self.dataloader_alpha, unused = super().get_dataloaders()
        self._loads_alpha_cases = False
        if hasattr(unused, "_finish"):
            unused._finish()
        return super().get_dataloaders()

    def on_train_epoch_start(self) -> None:
        """Seed the epoch by its number, so that a resumed search goes on as an uninterrupted one."""
        seed = np.random.SeedSequence((self.settings.search_seed, self._fold_number, self.current_epoch))
        state = int(seed.generate_state(1)[0])
        np.random.seed(state)
        torch.manual_seed(state)
        super().on_train_epoch_start()

    def train_step(self, batch: dict) -> dict:
        """A step of alpha, once it is no longer frozen, then one of the weights."""
        of_weights, of_alpha = self.optimizer.param_groups
        weights, alphas = of_weights["params"], of_alpha["params"]
        if self.current_epoch >= self.settings.search_frozen_epochs:
            self._step(next(self.dataloader_alpha), alphas, weights)
        return self._step(batch, weights, alphas)

    def _step(self, batch: dict, moving: list[nn.Parameter], resting: list[nn.Parameter]) -> dict:
        """nnU-Net's step on some parameters: without a gradient the optimiser and the clipping pass over the rest."""
        self.optimizer.zero_grad(set_to_none=True)
        for parameter in moving:
            parameter.requires_grad_(True)
        for parameter in resting:
            parameter.requires_grad_(False)
        return super().train_step(batch)

    def on_epoch_end(self) -> None:
        """Log gamma, draw its course, then nnU-Net's end of the epoch."""
        folder = Path(self.output_folder)
        gammas = self.network.gammas().numpy()
        before = read_gammas(folder / GAMMAS_FILE)[: self.current_epoch]
        history = np.concatenate((before, gammas[None]))
        write_gammas(folder / GAMMAS_FILE, history)
        plot_gammas(folder / PLOT_FILE, history, self.settings.search_frozen_epochs)
        for line in gamma_lines(gammas):
            self.print_to_log_file(line)
        super().on_epoch_end()

    def on_train_end(self) -> None:
        """nnU-Net's end of training, and ``genotype.json`` for ``soars-plan --genotype``."""
        super().on_train_end()
        if hasattr(self.dataloader_alpha, "_finish"):
            self.dataloader_alpha._finish()
        facts = {
            "fold": self.fold,
            "seed": self.settings.seed,
            "epochs": [self.settings.search_frozen_epochs, self.settings.search_joint_epochs],
            "data_sha256": self._data_hash(),
        }
        entry = genotype_entry(self.network.gammas().numpy(), facts)
        path = Path(self.output_folder) / GENOTYPE
        write_json(path, {self.branch: entry})
        self.print_to_log_file(describe_genotype(self.branch, entry))
        self.print_to_log_file(f"next: soars-plan -d SOURCE_DATASET --genotype {path}")

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """A super-network is not a model: nothing to validate."""
        self.print_to_log_file("No validation of the super-network; retrain the genotype it found")

    def _data_hash(self) -> str:
        """Hash of the split and of what the cases were made from (by ``soars-plan``), or of their files' sizes."""
        record = Path(self.preprocessed_dataset_folder) / PREPROCESSING_RECORD
        if record.is_file():
            data = read_json(record)
        else:
            files = sorted(Path(self.preprocessed_dataset_folder).iterdir())
            data = [[file.name, file.stat().st_size] for file in files]
        return json_hash([self.settings.split_sha256, data])

    def _design(self, configuration: dict[str, Any]) -> dict[str, Any]:
        """The planned genotype plays no part in a search, its own values do."""
        design = super()._design(configuration)
        widths = dict((design["architecture"] or {}).get("arch_kwargs", {}))
        widths.pop("genotype", None)
        return {**design, "architecture": widths, "soars": settings_of(configuration)}


class SOARSAnchorSearchTrainer(ArchitectureSearch, SOARSAnchorTrainer):
    """Search of the anchor branch."""


class SOARSMidLevelSearchTrainer(ArchitectureSearch, SOARSMidLevelTrainer):
    """Search of the mid-level branch."""


class SOARSDetectionSearchTrainer(ArchitectureSearch, SOARSDetectionTrainer):
    """Search of the detection branch."""


class SOARSSmallHardSearchTrainer(ArchitectureSearch, SOARSSmallHardTrainer):
    """Search of the small & hard branch."""
