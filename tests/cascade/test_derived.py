from soars_nnunet.cascade.derived import Derivation


def test_round_trip_and_words():
    split = Derivation(("J_L", "J_R"), (8, 9), ("Jaw",), (5,))
    union = Derivation(("J",), (8,), ("L jaw", "R jaw"), (5, 6))
    assert split.is_split and not union.is_split
    assert str(split) == "J_L and J_R from Jaw, divided at the midline"
    assert str(union) == "J from L jaw and R jaw, united"
    for derivation in (split, union):
        assert Derivation.from_dict(derivation.to_dict()) == derivation
