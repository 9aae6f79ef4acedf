"""Facts of organs as manifests store them."""

import json

import pytest

from soars_nnunet.anatomy.facts import AnatomyFacts, OrganFacts, Position

FACTS = AnatomyFacts(
    {
        "Eye_L": OrganFacts(3, Position(31.0, 2.5), Position(-80.0, 1.0), (6.0, 6.5, 8.0, 9.0, 9.5)),
        "Pituitary": OrganFacts(1, Position(10.0), Position(-30.0)),
    }
)


def test_facts_are_stored_and_read_back():
    assert AnatomyFacts.from_dict(json.loads(json.dumps(FACTS.to_dict()))) == FACTS
    assert AnatomyFacts().to_dict() == {}


@pytest.mark.parametrize(
    "spoilt", [{"Eye_L": {}}, {"Eye_L": {"cases": 1, "up_mm": 3, "back_mm": [1], "volume_ml": []}}]
)
def test_other_json_is_no_facts(spoilt):
    with pytest.raises((KeyError, TypeError)):
        AnatomyFacts.from_dict(spoilt)
