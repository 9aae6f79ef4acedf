"""What several tests of trainers ask of the tiny cascade."""


def organs_of(cascade, tier):
    """Organs of a tier that the dataset has, in the order of their labels."""
    return [organ.name for organ in cascade.profile.tier(tier) if organ.name in cascade.labels]
