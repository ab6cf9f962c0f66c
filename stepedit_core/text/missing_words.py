"""The error of a run that needs the words of its recording."""

from __future__ import annotations


class MissingWordsError(ValueError):
    """The words of a recording are needed, and neither were they given nor does anything hear them.

    The command ends with the exit code of a wrong command line.
    """
