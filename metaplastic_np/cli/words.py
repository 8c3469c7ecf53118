"""What the program is called, and how it speaks: results on stdout, complaints on stderr."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from .._util import errors

PROGRAM = "metaplastic-np"


def say(text: str) -> None:
    """Lines on stdout, at once; what a terminal cannot spell becomes a question mark.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    if sys.stdout is None:  # closed before Python started
        raise errors.OutputError("cannot write to standard output: it is closed")
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except (OSError, ValueError) as error:  # ValueError: closed since
        _turn_off(sys.stdout)
        if isinstance(error, BrokenPipeError):  # `... | head`
            raise
        reason = getattr(error, "strerror", None) or error
        raise errors.OutputError(f"cannot write to standard output: {reason}") from error


def complain(message: str) -> None:
    """One line on stderr, if there is one."""
    if sys.stderr is None:
        return
    try:
        print(f"{PROGRAM}: " + " ".join(message.split()), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _turn_off(sys.stderr)


def _turn_off(stream: Any) -> None:
    """Send what a stream still holds nowhere, or Python would fail with it at the end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
