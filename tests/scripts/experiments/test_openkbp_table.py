from scripts.experiments.openkbp_table import table
from soars_nnunet.evaluation.evaluation_file import write_evaluation
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation


def evaluation(dsc):
    """One anchor and one mid-level organ, which is missed at a DSC of 0."""
    anchor = OrganScore("a", "Brainstem", "anchor", "scored", dsc, 4.25, 1.125, 1.0, 1.0)
    mid_level = OrganScore("a", "Larynx", "mid_level", "missed", 0.0, None, None, 1.0, 0.0)
    return Evaluation((anchor, mid_level))


def test_ct_only_is_shown_for_mid_level_organs_alone(tmp_path):
    for name, dsc in (("final", 0.9), ("cascade", 0.75), ("ct_only", 0.5)):
        write_evaluation(evaluation(dsc), tmp_path / name)
    lines = table(tmp_path)
    assert lines[0] == (
        "| organ | final DSC | HD mm | ASD mm | as predicted DSC | HD mm | ASD mm | CT only DSC | HD mm | ASD mm |"
    )
    assert lines[1] == "|---" * 10 + "|"
    assert lines[2] == "| Brainstem | 0.900 | 4.2 | 1.12 | 0.750 | 4.2 | 1.12 | - | - | - |"
    assert lines[3] == "| Larynx | 0.000 | - | - | 0.000 | - | - | 0.000 | - | - |"
