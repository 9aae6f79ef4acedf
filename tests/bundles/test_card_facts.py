"""What is counted in the facts of a card."""


def test_trainings_patients_and_organs(facts):
    assert [training.fold for training in facts.of_branch("detection")] == [0, 1]
    assert facts.of_branch("baseline") == []
    assert facts.num_patients == 4
    assert len(facts.organs) == 42 and facts.organs == [organ.name for organ in facts.manifest.profile.organs]
