"""What the commands say in one line: bad input, or a step that is missing."""

from __future__ import annotations


class MissingArtifactError(ValueError):
    """An artifact of an earlier step is absent or does not match; names it and the command that makes it."""


class InputError(ValueError):
    """An input that is not a usable CT; the message is one line and says what to do."""
