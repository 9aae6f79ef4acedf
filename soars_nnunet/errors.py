"""What the commands say in one line: bad input, or a step that is missing."""

from __future__ import annotations


class MissingArtifactError(ValueError):
    """An artifact of an earlier step is absent or does not match; names it and the command that makes it."""


class InputError(ValueError):
    """An input that cannot be used: a CT, a label map, an option, a folder. One line that says what to do."""
