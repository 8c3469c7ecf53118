"""Every rehearsal by its name behind a plus sign, as in ``"hybrid+replay:1000"``.

A new rehearsal is its file and a row here. A row takes a newborn network, the rehearsal's name with
its value, and a generator, and returns the rehearsal and its empty memory.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..nn import Network
from .rehearsal import Memory, Rehearsal

__all__ = ["REHEARSALS"]

REHEARSALS: dict[str, Callable[[Network, str, np.random.Generator], tuple[Rehearsal, Memory]]] = {}
