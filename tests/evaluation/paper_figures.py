"""The paper's own figures as evaluations."""

from soars_nnunet.evaluation.alignment import align
from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.profile import load_profile

TABLE4 = {
    "AnatomyNet": (86.7, 92.5, 53.2, 72.1, 70.6, 88.1, 87.3, 81.4, 81.3, 79.2),
    "FocusNet": (87.5, 93.5, 59.6, 73.5, 74.4, 86.3, 87.9, 79.8, 80.1, 80.3),
    "UaNet": (87.5, 95.0, 61.5, 74.8, 72.3, 88.7, 87.5, 82.3, 81.5, 81.2),
    "SOARS": (87.6, 95.1, 64.9, 75.3, 74.6, 88.2, 88.2, 84.2, 83.8, 82.4),
}
"""Table 4 of the paper: means by organ in the order of ``ORGANS``, then over all."""
ORGANS = (
    "Brainstem",
    "Bone_Mandible",
    "OpticChiasm",
    "OpticNrv_L",
    "OpticNrv_R",
    "Parotid_L",
    "Parotid_R",
    "Glnd_Submand_L",
    "Glnd_Submand_R",
)


def paper_methods():
    """Two cases each, one point of DSC above and below the paper's mean; HD falls as DSC rises."""
    profile = load_profile("miccai2015")
    names = {organ.name: organ.paper_name for organ in profile.organs}
    found = {}
    for method, means in TABLE4.items():
        scores = [
            OrganScore(c, o, profile.by_name[o].tier, "scored", (m + d) / 100, 100 - m, (100 - m) / 10, 1.0, 1.0)
            for c, d in (("1", 1.0), ("2", -1.0))
            for o, m in zip(ORGANS, means, strict=False)
        ]
        targets = tuple(TargetScore(c, "OpticChiasm", "scored", 100 - means[2]) for c in "12")
        found[method] = Evaluation(tuple(scores), "miccai2015", targets=targets, paper_names=names)
    return align(found)


def titled(tables, start):
    (table,) = [table for table in tables if table.title.startswith(start)]
    return table


def bold(table):
    return {(table.rows[r][0], c): table.rows[r][c] for r, c in table.best}


def spans(head):
    return tuple((heading.text, heading.span) for heading in head)
