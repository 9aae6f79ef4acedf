"""A cascade's manifest, of a training or in a bundle: types, ranges, and what its parts say of each other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from soars_nnunet.anatomy.facts import VOLUME_PERCENTILES
from soars_nnunet.branches import BRANCHES
from soars_nnunet.profile import Profile, ProfileError
from soars_nnunet.schemas.node import Node
from soars_nnunet.schemas.patterns import check_quick_pattern, check_simple_pattern
from soars_nnunet.schemas.profile_schema import MAX_ORGANS

ORGAN_NAME = r"[A-Za-z0-9][A-Za-z0-9 _.~+^()-]{0,63}"
"""In a bundle."""

BRANCH_KEYS = ("anchor", "mid_level", "detection", "small_hard")

MAX_FOLDS, MAX_PATIENTS = 25, 100_000

UPGRADE = "upgrade soars_nnunet, or ask its maker"

ALWAYS = ("profile", "branches", "targets")
"""Keys of every manifest."""

FURTHER = ("source", "plans", "patient_pattern", "provenance")
"""Keys that a bundle's manifest has; a training's may lack them."""

FAR_MM, LARGEST_ML = 1e5, 1e6
"""Beyond any distance in a patient, and any organ."""

TARGET_KEYS = ("size_mm", "low_confidence_below", "mean_error_mm", "missed", "cases")


@dataclass(frozen=True)
class BranchFacts:
    """What a branch's plans and ``dataset.json`` have to agree with.

    Attributes:
        key: Of the branch; empty for any.
        guidance: Names of its guidance channels.
        classes: Names of its foreground classes, in label order.
        profile: The organs; None where they are not known.
        patient_pattern: As in ``Manifest``.
    """

    key: str
    guidance: tuple[str, ...]
    classes: tuple[str, ...]
    profile: Profile | None = None
    patient_pattern: str | None = None


def check_cascade(node: Node, *, stored: bool) -> None:
    """Check a manifest.

    Args:
        node: The manifest.
        stored: Whether it is a training's: it names model folders, branches may be planned in part and targets still
            without facts. Otherwise it is a bundle's, of a whole cascade.

    Raises:
        FaultError: If a value is not as in a cascade's manifest, or values contradict each other.
    """
    fields = node.fields(ALWAYS if stored else (*ALWAYS, *FURTHER), (*FURTHER, "anatomy", "made_from"), UPGRADE)
    profile = _profile(fields["profile"], stored)
    classes = _check_branches(fields["branches"], profile, stored)
    for key in ("source", "plans"):
        if key in fields:
            with node.part():
                fields[key].text(most=200)
    if "patient_pattern" in fields:
        with node.part():
            (check_quick_pattern if stored else check_simple_pattern)(fields["patient_pattern"])
    with node.part():
        _check_targets(fields["targets"], classes.get("detection"), profile, stored)
    if "anatomy" in fields:
        check_anatomy(fields["anatomy"], profile)
    if "made_from" in fields:
        _check_made_from(fields["made_from"])
    for version in fields["provenance"].entries(100).values() if "provenance" in fields else ():
        with node.part():
            version.text(most=100)


def _check_made_from(node: Node) -> None:
    """Check the hash, the tilings and the folds of searches."""
    with node.part():
        fields = node.fields(("stratification", "tilings", "genotype_folds"), (), UPGRADE)
        fields["stratification"].text("[0-9a-f]{64}")
        for tiling in fields["tilings"].entries(len(BRANCH_KEYS)).values():
            for value in tiling.entries(10).values():
                if not isinstance(value.value, (bool, int, float, type(None))):
                    value.refuse("a switch, a number or null")
        for fold in fields["genotype_folds"].entries(len(BRANCH_KEYS)).values():
            if fold.value != "all" and type(fold.value) is not int:
                fold.refuse("a fold, or all")


def _profile(node: Node, stored: bool) -> Profile:
    if not stored:
        _check_plain_names(node)
    try:
        return Profile.from_dict(node.value)
    except ProfileError as error:
        node.refuse("a profile without contradictions", str(error))


def _check_plain_names(node: Node) -> None:
    """Profile and organs of a bundle have names that can be typed anywhere."""
    fields = node.fields(("name", "organs"), ("description", "source", "tolerance_sources", "halves"), UPGRADE)
    fields["name"].text(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,99}")
    for organ in fields["organs"].items(1, MAX_ORGANS):
        values = organ.entries()
        for key in ("name", "mirror", "target"):
            if key in values and (key == "name" or values[key].value is not None):
                values[key].text(ORGAN_NAME)


def _check_branches(node: Node, profile: Profile, stored: bool) -> dict[str, Sequence[str]]:
    """Check every branch; classes by branch."""
    found = node.fields(() if stored else ("anchor",), BRANCH_KEYS, UPGRADE)
    unknown = [key for key in found if key not in BRANCH_KEYS]
    if unknown or not found:
        node.refuse(f"branches out of {', '.join(BRANCH_KEYS)}", ", ".join(unknown) or "none")
    classes = {}
    for key, branch in found.items():
        with node.part():
            classes[key] = _check_branch(branch, key, profile, stored)
    if not stored and ("detection" in classes) != ("small_hard" in classes):
        node.refuse("detection and small_hard together", ", ".join(classes))
    for key in classes:
        guide = BRANCHES[key].guided_by
        guidance = classes.get(guide, ()) if guide else ()
        named = found[key].at("guidance")
        if named.value not in ([], list(guidance)) and (guide in classes or not guide):
            with node.part():
                named.refuse(f"none, or the classes of {guide or 'no branch'}")
    return classes


def _check_branch(node: Node, key: str, profile: Profile, stored: bool) -> Sequence[str]:
    needed = ("guidance", "classes", "training_patients")
    fields = node.fields((*needed, "model") if stored else needed, ("started_from",), UPGRADE)
    if "weights" in fields:
        _check_weights(fields["weights"])
    known = set(profile.targets)
    if key != "detection":
        known = {organ.name for organ in profile.tier(BRANCHES[key].tier)}
    classes = fields["classes"].texts(MAX_ORGANS)
    if not classes or len(set(classes)) != len(classes):
        fields["classes"].refuse("at least one class, each once")
    unknown = [name for name in classes if name not in known]
    if unknown:
        tier = f"of tier {BRANCHES[key].tier} in the profile"
        fields["classes"].refuse(f"{'targets' if key == 'detection' else 'organs'} {tier}", ", ".join(unknown))
    fields["guidance"].texts(MAX_ORGANS)
    if stored:
        _check_folder(fields["model"])
    _check_patients(fields["training_patients"])
    if "started_from" in fields and (not stored or fields["started_from"].value is not None):
        _check_start(fields["started_from"])
    return classes


def _check_folder(node: Node) -> None:
    """A model folder relative to the manifest: no signs that a path cannot have, not absolute, at most two levels up.

    Its own folder is two levels below nnU-Net's results folder, where the model folders lie.
    """
    name = node.text(most=1000)
    parts = name.split("/")
    inside = [part for part in parts if part != ".."]
    ups = len(parts) - len(inside)
    plain = name.isprintable() and "\\" not in name and not name.startswith("/") and ":" not in name
    if not plain or not all(inside) or ups > 2 or parts[:ups] != [".."] * ups:
        node.refuse("a folder below nnU-Net's results, as ../../Dataset071_Neck_Anchor/MODEL")


def _check_weights(node: Node) -> None:
    """By fold, hash of its checkpoint."""
    for fold, hashed in node.entries(MAX_FOLDS).items():
        if not fold.isdecimal() or len(fold) > 4:
            hashed.refuse("the number of a fold", fold)
        hashed.text("[0-9a-f]{64}")


def _check_patients(node: Node) -> None:
    """By fold, hashes of patients."""
    for fold in node.items(1, MAX_FOLDS):
        for hashed in fold.items(most=MAX_PATIENTS):
            hashed.text("[0-9a-f]{16}")


def _check_start(node: Node) -> None:
    fields = node.fields(("bundle", "sha256", "patients"), advice=UPGRADE)
    fields["bundle"].text("[a-z0-9][a-z0-9_.-]*", 100)
    fields["sha256"].text("[0-9a-f]{64}")
    _check_patients(fields["patients"])


def check_anatomy(node: Node, profile: Profile) -> None:
    """Check where organs lie and how large they are, in a cascade's record or manifest.

    Raises:
        FaultError: If an organ is not the profile's, or a value is out of range.
    """
    for name, organ in node.entries().items():
        with node.part():
            if name not in profile.by_name:
                organ.refuse("an organ of the profile", name)
            row = organ.fields(("cases", "up_mm", "back_mm", "volume_ml"), advice=UPGRADE)
            row["cases"].whole(0, MAX_PATIENTS)
            for key in ("up_mm", "back_mm"):
                place, spread = row[key].items(2, 2)
                place.number(-FAR_MM, FAR_MM)
                spread.number(0, FAR_MM)
            volumes = [volume.number(0, LARGEST_ML) for volume in row["volume_ml"].items(most=len(VOLUME_PERCENTILES))]
            if volumes != sorted(volumes) or len(volumes) not in (0, len(VOLUME_PERCENTILES)):
                row["volume_ml"].refuse(f"no volume, or {len(VOLUME_PERCENTILES)} of them, ascending")


def _check_targets(node: Node, detected: Sequence[str] | None, profile: Profile, stored: bool) -> None:
    """Facts of every detection target, and of no other; a training has none before its crops are cut."""
    if detected is None:
        detected = tuple(profile.targets) if stored else ()
        needed: Sequence[str] = ()
    else:
        needed = detected if node.value or not stored else ()
    found = node.fields(needed, detected, UPGRADE)
    unknown = [name for name in found if name not in detected]
    if unknown:
        node.refuse("known keys alone", f"also {', '.join(unknown)}")
    for facts in found.values():
        with node.part():
            check_target_facts(facts)


def check_target_facts(node: Node) -> None:
    """Check facts of a detection target.

    Raises:
        FaultError: If one is missing, no number or out of proportion.
    """
    fields = node.fields(TARGET_KEYS, advice=UPGRADE)
    fields["size_mm"].numbers(3, 1, 1000)
    fields["low_confidence_below"].number(0, 1000)
    fields["mean_error_mm"].number(0, 1e5)
    fields["missed"].whole(0, 10**7)
    fields["cases"].whole(0, 10**7)


def check_postprocessing(node: Node, organs: Collection[str], branches: Collection[str] | None) -> None:
    """Check the decision which organs keep their largest part alone.

    Args:
        node: The decision.
        organs: Names in the profile.
        branches: Whose weights the decision names; None in a bundle, where it holds for all.

    Raises:
        FaultError: If it is none, or names other organs.
    """
    needed = ("largest_part",) if branches is None else ("largest_part", "models")
    fields = node.fields(needed, ("effects", "options"), UPGRADE)
    for organ in fields["largest_part"].items():
        with node.part():
            _check_organ(organ, organs)
    for effect in fields["effects"].items() if "effects" in fields else ():
        with node.part():
            row = effect.fields(("organ", "n", "dsc", "dsc_largest"), advice=UPGRADE)
            _check_organ(row["organ"], organs)
            row["n"].whole(0, 10**7)
            row["dsc"].number(0, 1)
            row["dsc_largest"].number(0, 1)
    if "options" in fields:
        fields["options"].entries(20)
    for key, hashes in fields["models"].entries(20).items() if branches is not None else ():
        with node.part():
            if key not in BRANCH_KEYS:
                hashes.refuse(f"a branch of {', '.join(BRANCH_KEYS)}", key)
            for hashed in hashes.items(1, MAX_FOLDS):
                hashed.text("[0-9a-f]{64}")


def _check_organ(node: Node, organs: Collection[str]) -> None:
    if node.text() not in organs:
        node.refuse("an organ of the profile")
