"""Files of a stratified dataset's cases: CTs as they lie, label maps as the cascade's labels mean them."""

from __future__ import annotations

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.raw_cases import CaseFiles, training_cases
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_user_json
from soars_nnunet.errors import MissingArtifactError


def source_cases(cascade: Cascade) -> dict[str, CaseFiles]:
    """Files of every training case; where organs are derived, the derived label maps in place of the source's own.

    Raises:
        InputError: If there are no cases, or files are missing.
        MissingArtifactError: If a derived label map is missing.
    """
    dataset_json = read_user_json(raw_folder() / cascade.source / "dataset.json")
    cases = training_cases(cascade.source, dataset_json)
    if not cascade.derived:
        return cases
    derived = {}
    for case, files in cases.items():
        path = cascade.derived_labels / f"{case}{dataset_json['file_ending']}"
        if not path.is_file():
            raise MissingArtifactError(f"{case}: expected {path} with derived organs, found none; rerun soars-stratify")
        derived[case] = files._replace(labels=path)
    return derived
