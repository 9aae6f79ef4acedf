"""Which folds of a stored model are used."""

import pytest

from soars_nnunet.cascade.stored_model import StoredModel
from soars_nnunet.errors import MissingArtifactError


class Model(StoredModel):
    name, where, plans, dataset_json, folds = "tiny", "/models/tiny", {}, {}, [0, 2]

    def fingerprint(self, folds):
        return [str(fold) for fold in folds]

    def weights(self, fold):
        return {}


class Empty(Model):
    folds = []


def test_folds_are_those_asked_for_or_all():
    assert Model().choose_folds(None) == [0, 2]
    assert Model().choose_folds((2,)) == [2]


@pytest.mark.parametrize(("wanted", "named"), [([1, 2], r"\[1\]"), ([], r"\[\]")])
def test_other_folds_are_refused(wanted, named):
    with pytest.raises(MissingArtifactError, match=rf"tiny: fold\(s\) {named} are not trained, only \[0, 2\]"):
        Model().choose_folds(wanted)


def test_a_model_without_folds_is_refused():
    with pytest.raises(MissingArtifactError, match="/models/tiny: expected weights of at least one fold"):
        Empty().choose_folds(None)
