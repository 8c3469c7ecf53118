"""What the program is called, and how it speaks on stderr."""

from __future__ import annotations

import sys

PROGRAM = "metaplastic-np"


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"{PROGRAM}: " + " ".join(message.split()), file=sys.stderr)
