"""Files of a stratified dataset's cases: CTs as they lie, label maps as the cascade's labels mean them."""

from __future__ import annotations

from soars_nnunet.cascade.dataset_listing import CaseFiles
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.source_files import require_unchanged, stratified_files
from soars_nnunet.cascade.storage import read_user_json
from soars_nnunet.errors import MissingArtifactError


def source_cases(cascade: Cascade) -> dict[str, CaseFiles]:
    """Files of every stratified case; where organs are derived, the derived label maps in place of the source's own.

    Raises:
        InputError: If there are no cases, or files are missing.
        MissingArtifactError: If a derived label map is missing.
    """
    cases = stratified_files(cascade)
    if not cascade.derived:
        return cases
    ending = read_user_json(raw_folder() / cascade.source / "dataset.json")["file_ending"]
    derived = {}
    for case, files in cases.items():
        path = cascade.derived_labels / f"{case}{ending}"
        if not path.is_file():
            raise MissingArtifactError(f"{case}: expected {path} with derived organs, found none; rerun soars-stratify")
        derived[case] = files._replace(labels=path)
    return derived


def unchanged_cases(cascade: Cascade) -> dict[str, CaseFiles]:
    """``source_cases``, whose files are those that were stratified.

    Raises:
        InputError: If files are missing.
        MissingArtifactError: If files changed, or a derived label map is missing.
    """
    require_unchanged(cascade)
    return source_cases(cascade)
