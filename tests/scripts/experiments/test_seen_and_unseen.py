from scripts.experiments.seen_and_unseen import chosen, table


def test_every_second_case_of_each_fold_in_order_of_names():
    splits = [{"train": [], "val": ["c", "a", "b"]}, {"train": [], "val": ["d"]}]
    assert chosen(splits, 2) == {0: ["a", "c"], 1: ["d"]}


def test_means_are_over_the_pairs_that_both_have():
    unseen = {("a", "Brainstem"): 0.5, ("b", "Brainstem"): 0.7, ("a", "Larynx"): 0.2, ("c", "Brainstem"): 0.0}
    seen = {("a", "Brainstem"): 0.6, ("b", "Brainstem"): 1.0, ("a", "Larynx"): 0.4}
    lines = table(unseen, seen)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert rows == [
        ["Brainstem", "2", "0.600", "0.800", "+0.200"],
        ["Larynx", "1", "0.200", "0.400", "+0.200"],
        ["mean", "", "0.400", "0.600", "+0.200"],
    ]
