"""Labels of a dataset.json that mean no one thing."""

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.label_faults import label_faults
from soars_nnunet.stratification.label_match import match_labels

HN42 = load_profile("hn42")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param({"Brainstem": 1, "Cerebellum": 1}, "one label, 'Brainstem' and 'Cerebellum'", id="one number"),
        pytest.param({"Brainstem": 1, "Tumour": 1}, "one label, 'Brainstem' and 'Tumour'", id="number of no organ"),
        pytest.param({"Brainstem": 1, "ignore": 1}, "one label, 'Brainstem' and 'ignore'", id="number of ignore"),
        pytest.param({"Brainstem": 0}, "one label, 'background' and 'Brainstem'", id="organ is background"),
        pytest.param({"Brainstem": 1, "ignore": 0}, "one label, 'background' and 'ignore'", id="ignored background"),
        pytest.param({"Brainstem": [1, 2]}, "a list for 'Brainstem'.*regions are unusable", id="region"),
        pytest.param({"Brainstem": [1]}, "regions are unusable", id="region of one label"),
        pytest.param({"Brainstem": 1, "all": [1, 2]}, "a list for 'all'", id="region beside a label"),
        pytest.param({"ignore": [3]}, "a list for 'ignore'", id="ignore as region"),
        pytest.param({"0": "background", "1": "Brainstem"}, "numbers for names", id="inverted"),
        pytest.param({"1": "Brainstem", "2": "ignore"}, "numbers for names", id="inverted without background"),
        pytest.param({"Brainstem": True}, "True for 'Brainstem'", id="bool"),
        pytest.param({"background": False, "Brainstem": 1}, "False for 'background'", id="bool background"),
        pytest.param({"Brainstem": -1}, "-1 for 'Brainstem'", id="negative"),
        pytest.param({"Brainstem": 1.0}, "1.0 for 'Brainstem'", id="float"),
        pytest.param({"Brainstem": "1"}, "'1' for 'Brainstem'", id="text"),
        pytest.param({"Brainstem": None}, "None for 'Brainstem'", id="null"),
        pytest.param({"Brainstem": {"value": 1}}, "for 'Brainstem'", id="object"),
        pytest.param({"Brainstem": 2**31}, "2147483648 for 'Brainstem'", id="2^31"),
        pytest.param({"Brainstem": 2**32 + 1}, "4294967297 for 'Brainstem'", id="2^32+1"),
        pytest.param({"Brainstem": 65536}, "65536 for 'Brainstem'", id="17 bits"),
        pytest.param({"background": 1, "Brainstem": 2}, "1 for the background", id="background 1"),
    ],
)
def test_label_lists_that_mean_no_one_thing_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        match_labels({"background": 0, **labels} if "0" not in labels else labels, HN42)


def test_all_faults_are_named_at_once():
    faults = label_faults({"background": 0, "Brainstem": True, "Cerebellum": -2, "Eye_L": 3, "Eye_R": 3})
    assert len(faults) == 3
    with pytest.raises(InputError, match="True for 'Brainstem'; -2 for 'Cerebellum'; two organs"):
        match_labels({"Brainstem": True, "Cerebellum": -2, "Eye_L": 3, "Eye_R": 3}, HN42)
