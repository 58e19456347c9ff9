"""What the terminal says first, and where log lines go while a progress bar is shown."""

import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from im2im import __version__

ONLY_FILE = {"console": False}  # as ``extra`` of a log call: the line goes to im2im.log, not to the terminal


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is at that moment: while a progress bar is shown, rich puts such lines above it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Where lines go."""
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless it is for the file alone."""
        if getattr(record, "console", True):
            super().emit(record)


def opening(facts: Mapping[str, Any]) -> str:
    """Say in one line what was started: ``im2im 0.1.0: mode train, task labelfree, data ../labelfree``.

    Args:
        facts: Word → value; what is None or empty is left out.
    """
    told = [f"{word} {value}" for word, value in facts.items() if value]
    return f"im2im {__version__}: {', '.join(told)}"
