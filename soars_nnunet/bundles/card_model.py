"""Sections 0 to 2 of a model card: the card itself, what the model is, and how it works."""

from __future__ import annotations

from soars_nnunet import __version__
from soars_nnunet.bundles.card import CardTable, Cell, Column, Text
from soars_nnunet.bundles.card_facts import CardFacts
from soars_nnunet.bundles.card_form import card_form
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.plans_file import PlansFile

BYTES = {"fp16": 2, "fp32": 4}
"""Of a weight."""

MEGA = 1e6

BRANCH_NAMES = {"anchor": "anchor", "mid_level": "mid-level", "detection": "detection", "small_hard": "small & hard"}

PIPELINE = {
    "anchor": "The anchor networks segment the organs that are easy to see, from the CT alone.",
    "mid_level": "The mid-level networks segment further organs from the CT and the anchors' probabilities.",
    "detection": "The detection networks find the centres of small organs from the CT and the anchors, as heat maps.",
    "small_hard": "The small & hard networks segment each small organ in a box around its centre (VOI).",
}
"""What each branch does in prediction."""

ONE_BRANCH = "The networks segment all organs from the CT alone."


def metadata_texts(facts: CardFacts) -> dict[str, Text]:
    """Entries of section 0 that the program fills, by key."""
    stated = ", ".join(facts.stated)
    return {
        "card_created": facts.created,
        "template": card_form().template,
        "written_by": f"soars-bundle make, soars_nnunet {__version__}",
        "stated_by_authors": stated or "nothing",
    }


def basics_texts(facts: CardFacts) -> dict[str, Text]:
    """Entries of section 1 that the program fills, by key, but for the lowest scores."""
    ended = max(training.ended for training in facts.trainings)
    branches = len(facts.manifest.branches)
    one = "one branch" if branches == 1 else f"a cascade of {branches} branches"
    organs = "1 organ" if len(facts.organs) == 1 else f"{len(facts.organs)} organs"
    return {
        "name": facts.name,
        "model_created": ended or "not known",
        "summary": f"Segments {organs} at risk in CT: {one}, {len(facts.trainings)} trained networks.",
        "architecture": "Convolutional networks of the kind P-HNN (progressive holistically nested network), one set a "
        "branch, as in SOARS (Guo et al., CVPR 2020)",
        "software_licence": "Apache-2.0 (soars-nnunet, nnU-Net); the licence of the weights is stated by itself",
    }


def organs_table(manifest: Manifest) -> CardTable:
    """Which branch segments which organs, or finds which targets."""
    rows: list[tuple[Cell, ...]] = []
    for key, branch in manifest.branches.items():
        rows.append((BRANCH_NAMES.get(key, key), len(branch.classes), ", ".join(branch.classes)))
    columns = (Column("branch", "branch"), Column("number", "number"), Column("organs", "organs, or targets"))
    return CardTable("organs", "Organs by branch", columns, tuple(rows))


def technical_texts(facts: CardFacts) -> dict[str, Text]:
    """Entries of section 2 that the program fills, by key."""
    first = next(iter(facts.plans.values()))
    ct = first.contents["foreground_intensity_properties_per_channel"]["0"]
    low, high = ct["percentile_00_5"], ct["percentile_99_5"]
    pipeline = [PIPELINE[key] for key in facts.manifest.branches if key in PIPELINE]
    if len(facts.manifest.branches) == 1:
        pipeline = [ONE_BRANCH]
    pipeline.append("Outputs of the folds are averaged. Labels of all branches are merged on the CT's own grid.")
    parameters = sum(training.parameters for training in facts.trainings)
    size = parameters * BYTES[facts.precision] / MEGA
    return {
        "pipeline": tuple(pipeline),
        "inputs": "One CT volume in HU, in any orientation (NIfTI, NRRD or MHA)",
        "outputs": f"One label volume of {len(facts.organs)} organs on the CT's grid, and a report of each organ's "
        "volume, status and confidence",
        "pre_processing": f"HU are clipped to {low:g} to {high:g} and scaled; the CT is resampled to each network's "
        "grid. Outside of the body, and out of reach of the anchors, nothing is computed.",
        "post_processing": _postprocessing(facts),
        "weights": f"{parameters / MEGA:.2f} million in {len(facts.trainings)} networks, {facts.precision}, "
        f"about {size:.1f} MB; computed with in float32",
        "uncertainty": "A confidence of each organ in the report: the mean probability inside the organ, or the height "
        "of the heat map's peak. It is not calibrated.",
        "libraries": ", ".join(f"{name} {version}" for name, version in facts.manifest.provenance.items()),
    }


def _postprocessing(facts: CardFacts) -> str:
    if facts.largest_part is None:
        return "none: soars-cross-validate did not decide for these weights"
    if not facts.largest_part:
        return "none: for no organ the largest part alone was better out of fold"
    organs = ", ".join(facts.largest_part)
    return f"Only the largest part is kept of: {organs}. Decided out of fold, where it raised the mean DSC."


def networks_table(facts: CardFacts) -> CardTable:
    """How each branch's networks are built."""
    columns = (
        Column("branch", "branch"),
        Column("folds", "folds"),
        Column("num_folds", "of the split"),
        Column("parameters", "parameters (million, each)", 2),
        Column("spacing_mm", "voxel (Z, Y, X) mm"),
        Column("patch_size", "patch voxels"),
        Column("input_channels", "input channels"),
        Column("outputs", "outputs"),
        Column("genotype", "genotype"),
        Column("features", "channels of the blocks"),
        Column("convolutions", "convolutions of the blocks"),
    )
    rows = [_network_row(facts, branch, plans) for branch, plans in facts.plans.items()]
    notes = (
        "Genotype: the kind of convolution of each block (2D, 3D or pseudo-3D; width). Input channels: the CT and "
        "the guidance of earlier branches.",
    )
    return CardTable("networks", "Networks", columns, tuple(rows), notes)


def _network_row(facts: CardFacts, branch: str, plans: PlansFile) -> tuple[Cell, ...]:
    trainings = facts.of_branch(branch)
    arguments = plans.configuration["architecture"]["arch_kwargs"]
    described = facts.manifest.branches[branch]
    return (
        BRANCH_NAMES.get(branch, branch),
        " ".join(str(training.fold) for training in trainings),
        len(described.training_patients),
        max(training.parameters for training in trainings) / MEGA,
        tuple(float(mm) for mm in plans.spacing_mm),
        tuple(float(size) for size in plans.configuration["patch_size"]),
        1 + len(described.guidance),
        1 + len(described.classes),
        " ".join(arguments["genotype"]),
        " ".join(str(count) for count in arguments["features_per_stage"]),
        " ".join(str(count) for count in arguments["n_convs_per_stage"]),
    )
