"""Mixed flexibilities against one flexibility everywhere: what was measured, and what was chosen.

A hybrid network can choose its steepness s, a network with one flexibility its f. For images known
by name, ``tests/benchmarks/frontier.py`` has measured both after one to nine passes over a list of
ten items, on a calibration seed. It chose the networks that claims C10 and C11 compare with the
hybrid, and compared them on a fresh seed. What it wrote is read here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from .._util import checks

__all__ = ["BEST", "CALIBRATED", "MATCHED", "load_frontier", "name_networks"]

CALIBRATED = ("digits", "mnist")
BEST = "homogeneous:best"  # recalls most after one pass over ten items
MATCHED = "homogeneous:matched"  # then recalls as much as the hybrid
QUESTIONS = {BEST: "best after one pass", MATCHED: "matched after one pass"}


@cache
def load_frontier(dataset: str) -> dict[str, Any]:
    """Recall of hybrid and of homogeneous networks after one to nine passes over a list.

    Parameters
    ----------
    dataset : {"digits", "mnist"}

    Returns
    -------
    dict, as JSON holds it
        calibration and judged: seed, trials, and recall by network, (n_trials, 9) each;
        "hybrid:2" has twice the calibrated steepness. pairs: the hybrid and the homogeneous network
        that were chosen, by question. comparisons: what the judged trials say of each pair.

    Raises
    ------
    InputError
        If nothing was measured on these images.

    Examples
    --------
    >>> hybrid, homogeneous = load_frontier("digits")["pairs"]["matched after one pass"]
    >>> hybrid
    'hybrid:1'
    """
    checks.check_choice("dataset", dataset, CALIBRATED)
    file = files("metaplastic_np.data") / f"frontier-{dataset}.json"
    return json.loads(file.read_text("utf-8"))


def name_networks(networks: Iterable[str], dataset: str) -> tuple[str, ...]:
    """Put the calibrated networks in the place of BEST and MATCHED, and name each network once.

    Images for which nothing was calibrated take those of MNIST; no claim rests on them.

    Parameters
    ----------
    networks : iterable of str
    dataset : str
        The name of the images.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> len(name_networks([BEST, MATCHED, BEST], "digits"))
    2
    """
    pairs = load_frontier(dataset if dataset in CALIBRATED else "mnist")["pairs"]
    names = (pairs[QUESTIONS[name]][1] if name in QUESTIONS else name for name in networks)
    return tuple(dict.fromkeys(names))
