"""The page of docs/reference that lists the organs of the shipped profiles."""

from __future__ import annotations

from soars_nnunet.profile import TIERS, available_profiles, load_profile

HEAD = """# Profiles

*Written by `python scripts/write_reference.py`.* Tier of each organ in the profiles that ship. To write another one:
[write your own profile](../how-to/write-a-profile.md).
"""


def profiles_page() -> str:
    """Markdown: what each profile is, and the tier of every organ in each."""
    profiles = [load_profile(name) for name in available_profiles()]
    lines = [HEAD, "| profile | organs | what it is |", "|---|---|---|"]
    for profile in profiles:
        tiers = ", ".join(f"{len(profile.tier(tier))} {tier}" for tier in TIERS)
        lines.append(f"| `{profile.name}` | {len(profile.organs)}: {tiers} | {profile.description} |")
    organs: dict[str, None] = {}
    for profile in sorted(profiles, key=lambda profile: -len(profile.organs)):
        organs.update(dict.fromkeys(profile.by_name))
    lines += ["", "## Organs", "", f"| organ | {' | '.join(profile.name for profile in profiles)} |"]
    lines.append("|---" * (1 + len(profiles)) + "|")
    for name in sorted(organs):
        tiers_of = [profile.by_name[name].tier if name in profile.by_name else "" for profile in profiles]
        lines.append(f"| {name} | {' | '.join(tiers_of)} |")
    lines += ["", "## Halves and wholes", "", "| profile | made at the midline | made by union |", "|---|---|---|"]
    for profile in profiles:
        split = [whole for whole in profile.halves if whole not in profile.by_name]
        united = [whole for whole in profile.halves if whole in profile.by_name]
        halves = ", ".join(f"both halves of {whole}" for whole in split)
        lines.append(f"| `{profile.name}` | {halves} | {', '.join(united)} |")
    return "\n".join(lines) + "\n"
