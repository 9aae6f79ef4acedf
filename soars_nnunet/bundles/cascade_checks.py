"""The ``cascade`` part of a bundle's manifest: profile, branches, patients, targets; from JSON to data."""

from __future__ import annotations

from soars_nnunet.branches import BRANCHES
from soars_nnunet.bundles.node import Node
from soars_nnunet.bundles.patterns import patient_pattern
from soars_nnunet.cascade.manifest import Manifest, ManifestBranch, StartedFrom
from soars_nnunet.cascade.target_facts import TargetFacts
from soars_nnunet.profile import TIERS, Organ, Profile, ProfileError

MAX_ORGANS = 255
"""Labels are written as uint8."""

ORGAN_NAME = r"[A-Za-z0-9][A-Za-z0-9 _.~+^()-]{0,63}"

BRANCH_KEYS = ("anchor", "mid_level", "detection", "small_hard")

MAX_FOLDS, MAX_PATIENTS = 25, 100_000

UPGRADE = "upgrade soars_nnunet, or ask its maker"


def cascade_manifest(node: Node) -> Manifest:
    """Check the part and return it, without model folders.

    Raises:
        MissingArtifactError: If a value is not as in a cascade's manifest, or values contradict each other.
    """
    fields = node.fields(
        ("source", "plans", "profile", "patient_pattern", "branches", "targets", "provenance"), advice=UPGRADE
    )
    profile = _profile(fields["profile"])
    branches = _branches(fields["branches"], profile)
    return Manifest(
        source=fields["source"].text(most=200),
        plans=fields["plans"].text(most=200),
        profile=profile,
        patient_pattern=patient_pattern(fields["patient_pattern"]),
        branches=branches,
        targets=_targets(fields["targets"], branches),
        provenance={key: value.text(most=100) for key, value in fields["provenance"].entries(100).items()},
    )


def _profile(node: Node) -> Profile:
    fields = node.fields(("name", "organs"), ("description", "source", "tolerance_sources"), UPGRADE)
    fields["name"].text(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,99}")
    for key in ("description", "source"):
        if key in fields:
            fields[key].text()
    if "tolerance_sources" in fields:
        for source in fields["tolerance_sources"].entries(100).values():
            source.text()
    for organ in fields["organs"].items(1, MAX_ORGANS):
        _check_organ(organ)
    try:
        return Profile.from_dict(node.value)
    except ProfileError as error:
        node.refuse("a profile without contradictions", str(error))


def _check_organ(node: Node) -> None:
    """Types and ranges; what organs say of each other is the profile's to check."""
    known = tuple(Organ.__dataclass_fields__)
    needed = ("name", "label", "paper_name", "tier")
    fields = node.fields(needed, known, UPGRADE)
    fields["name"].text(ORGAN_NAME)
    fields["label"].whole(1, MAX_ORGANS)
    fields["paper_name"].text(most=100)
    fields["tier"].one_of(TIERS)
    for key in ("mirror", "target"):
        if key in fields and fields[key].value is not None:
            fields[key].text(ORGAN_NAME)
    if "precedence" in fields:
        fields["precedence"].whole(-1000, 1000)
    for key in ("composite", "aliases"):
        if key in fields:
            fields[key].texts(100)
    if "tolerance_mm" in fields and fields["tolerance_mm"].value is not None:
        fields["tolerance_mm"].number(0, 100)
    if "tolerance_source" in fields and fields["tolerance_source"].value is not None:
        fields["tolerance_source"].text(most=100)


def _branches(node: Node, profile: Profile) -> dict[str, ManifestBranch]:
    branches = {}
    for key, branch in node.fields(("anchor",), BRANCH_KEYS, UPGRADE).items():
        branches[key] = _branch(branch, key, profile)
    if ("detection" in branches) != ("small_hard" in branches):
        node.refuse("detection and small_hard together", ", ".join(branches))
    for key, described in branches.items():
        guide = BRANCHES[key].guided_by
        guidance = branches[guide].classes if guide else ()
        if described.guidance not in ((), guidance):
            node.at(key).at("guidance").refuse(f"none, or the classes of {guide or 'no branch'}")
    return branches


def _branch(node: Node, key: str, profile: Profile) -> ManifestBranch:
    fields = node.fields(("guidance", "classes", "training_patients"), ("started_from",), UPGRADE)
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
    return ManifestBranch(
        model="",
        guidance=tuple(fields["guidance"].texts(MAX_ORGANS)),
        classes=tuple(classes),
        training_patients=_patients(fields["training_patients"]),
        started_from=_started_from(fields["started_from"]) if "started_from" in fields else None,
    )


def _patients(node: Node) -> tuple[tuple[str, ...], ...]:
    """By fold, hashes of patients."""
    patients = []
    for fold in node.items(1, MAX_FOLDS):
        patients.append(tuple(hashed.text("[0-9a-f]{16}") for hashed in fold.items(most=MAX_PATIENTS)))
    return tuple(patients)


def _started_from(node: Node) -> StartedFrom:
    fields = node.fields(("bundle", "sha256", "patients"), advice=UPGRADE)
    return StartedFrom(
        bundle=fields["bundle"].text("[a-z0-9][a-z0-9_.-]*", 100),
        sha256=fields["sha256"].text("[0-9a-f]{64}"),
        patients=_patients(fields["patients"]),
    )


def _targets(node: Node, branches: dict[str, ManifestBranch]) -> dict[str, TargetFacts]:
    """Facts of every detection target, and of no other."""
    detected = branches["detection"].classes if "detection" in branches else ()
    found = {}
    for target, facts in node.fields(detected).items():
        fields = facts.fields(("size_mm", "low_confidence_below", "mean_error_mm", "missed", "cases"), advice=UPGRADE)
        found[target] = TargetFacts(
            size_mm=tuple(fields["size_mm"].numbers(3, 1, 1000)),
            low_confidence_below=fields["low_confidence_below"].number(0, 1000),
            mean_error_mm=fields["mean_error_mm"].number(0, 1e5),
            missed=fields["missed"].whole(0, 10**7),
            cases=fields["cases"].whole(0, 10**7),
        )
    return found
