"""The same seed draws the same, whatever is upgraded below.

What is drawn is whole numbers, or floats made by operations that IEEE 754 rounds in one way only
(+, -, *, /, sqrt): the same bits on every machine. Digests of it are committed, so that an upgrade
of NumPy, or an edit, that shifts a draw does not go unseen. Normal numbers are not of that kind,
since their tails take a logarithm: of those, three digits are digested.

What comes after the draws is learned, with sums in an order that BLAS and processors choose; it has
the same bits on one machine, which other tests hold, and across backends the tolerances below.

Where a shift is meant: python tests/laws/test_same_bits.py --write
"""

import json
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import metaplastic_np as mp
from metaplastic_np.experiments import draw_presentations, draw_trial
from metaplastic_np.scenarios.schedules import SCHEDULES

DIGESTS = Path(__file__).with_name("digests.json")
SMALL = {"n_items": 5, "trials": 2, "n_train_images": 30, "n_test_images": 10, "hidden": (16,)}


def digest(*arrays):
    """SHA-256 of numbers, with their types and shapes."""
    found = sha256()
    for array in map(np.asarray, arrays):
        little = array.astype(array.dtype.newbyteorder("<"))
        found.update(f"{little.dtype.str} {little.shape} ".encode() + little.tobytes())
    return found.hexdigest()


def three_digits(values):
    return np.round(1000 * np.asarray(values, np.float64) / np.std(values)).astype(np.int32)


def draw_all():
    """Everything that is drawn, by name, as digests."""
    drawn = {}
    for name in SCHEDULES:
        steps = [
            mp.scenarios.draw_schedule(name, 10, rng=np.random.default_rng(seed))
            for seed in range(3)
        ]
        drawn[f"schedule {name}"] = digest(*(np.array(each) for each in steps))
    for kind in ("hybrid", "biased-up", "biased-down", "stable", "homogeneous:0.8"):
        rng = np.random.default_rng(0)
        drawn[f"flexibility {kind}"] = digest(mp.draw_flexibility(kind, 1000, rng=rng))
    for dtype in ("float32", "float64"):
        settings = mp.Settings(
            seed=3, n_features=0, schedule="poisoning-once", dtype=dtype, **SMALL
        )
        draws = draw_trial(mp.load_digits(), settings, 1)
        drawn[f"items {dtype}"] = digest(draws.items.classes)
        images = draws.items.train_images, draws.items.test_images
        drawn[f"images {dtype}"] = digest(*images)
        drawn[f"initial weights {dtype}"] = digest(three_digits(draws.newborn.weights[0]))
        shown = list(draw_presentations(draws, settings))
        drawn[f"labels {dtype}"] = digest(*(each.labels.astype(np.int64) for each in shown))
        drawn[f"orders {dtype}"] = digest(*(each.order.astype(np.int64) for each in shown))
        drawn[f"presented images {dtype}"] = digest(*(each.images for each in shown))
    rng = np.random.default_rng(0)
    items = mp.draw_items(mp.load_digits(), n_items=3, n_train_images=5, n_test_images=5, rng=rng)
    featured = mp.scenarios.freeze_features(items, n_features=50, rng=rng)
    drawn["frozen features that are on"] = digest(featured.test_images > 0)
    return drawn


def test_what_is_drawn_has_not_shifted():
    expected, drawn = json.loads(DIGESTS.read_text("utf-8")), draw_all()
    shifted = [name for name in expected | drawn if expected.get(name) != drawn.get(name)]
    assert not shifted, "see this file's first lines"


def test_a_digest_tells_a_bit_a_shape_and_a_type_apart():
    numbers = np.arange(6, dtype=np.float32)
    others = [numbers.reshape(2, 3), numbers.astype(np.float64), np.nextafter(numbers, np.inf)]
    assert len({digest(each) for each in (numbers, *others)}) == 4
    assert digest(numbers.astype(">f4")) == digest(numbers)


@pytest.mark.numba
@pytest.mark.parametrize(("dtype", "answers"), [("float64", 0.0), ("float32", 0.02)])
def test_backends_give_the_same_recall(dtype, answers):
    """All answers in float64; in float32 rounding may turn one in fifty."""
    settings = mp.Settings(seed=5, n_features=64, dtype=dtype, steepness=400.0, **SMALL)
    one, other = (
        mp.run_experiment(mp.load_digits(), settings, backend=backend)
        for backend in ("numpy", "numba")
    )
    turned = np.abs(one.confusion - other.confusion).sum() / 2 / one.confusion.sum()
    assert turned <= answers
    np.testing.assert_allclose(one.kappa, other.kappa, rtol=1e-9 if dtype == "float64" else 1e-4)
    assert np.ptp(one.recall) > 0.5


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        DIGESTS.write_text(json.dumps(draw_all(), indent=1) + "\n", "utf-8")
    else:
        print(__doc__)
