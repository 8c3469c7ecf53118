r"""What the paper adds to a network: where every synapse was born, and how flexible it is.

One object accompanies an ordinary :class:`~metaplastic_np.nn.network.Network`, with one number for
every parameter. Its rule scales the network's gradient by the plasticity before each step:

.. math:: w \leftarrow w - (\eta\,p)\,\frac{\partial L}{\partial w}
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors
from .._util.storage import read_arrays, write_arrays
from ..nn import Network, split_parameters
from .flexibility import draw_flexibility
from .plasticity import measure_plasticity, measure_synaptic_rate
from .rule import Coefficients, Hidden, SynapticRule

__all__ = [
    "Metaplasticity",
    "init_metaplasticity",
    "learn_by_plasticity",
    "load_metaplasticity",
    "measure_displacement",
    "save_metaplasticity",
]

PIECE = 65_536  # synapses whose rate is computed at once: no temporary array of all synapses


def learn_by_plasticity(
    parameters: NDArray[Any], hidden: Hidden, *, learning_rate: float
) -> Coefficients:
    """The paper's rule: the rate of each synapse is learning_rate * plasticity.

    Parameters
    ----------
    parameters : array (n_parameters,)
    hidden : dict
        `initial_weights` and `flexibility`, arrays like the parameters, and `steepness`.
    learning_rate : float

    Returns
    -------
    Coefficients
        With a rate, and without a pull.

    Raises
    ------
    InputError
        If an array does not belong to these parameters.

    Examples
    --------
    >>> import numpy as np
    >>> born, now = np.zeros(3), np.array([0.0, 0.0, 1.0])
    >>> hidden = {"initial_weights": born, "flexibility": np.array([0.0, 0.5, 0.5]),
    ...           "steepness": np.array(1.0)}
    >>> learn_by_plasticity(now, hidden, learning_rate=0.1).rate.round(3)
    array([0.   , 0.1  , 0.042])
    """
    for name in ("initial_weights", "flexibility"):
        checks.check_array(name, hidden[name], shape=parameters.shape, dtype=parameters.dtype)
    rate = np.empty_like(parameters)
    for start in range(0, rate.size, PIECE):
        here = slice(start, start + PIECE)
        plasticity = measure_plasticity(
            hidden["flexibility"][here],
            _displacement(parameters[here], hidden["initial_weights"][here]),
            steepness=float(hidden["steepness"]),
        )
        rate[here] = measure_synaptic_rate(plasticity, learning_rate=learning_rate)
    return Coefficients(rate)


METAPLASTICITY = SynapticRule(name="metaplasticity", coefficients=learn_by_plasticity)


@dataclass(frozen=True, kw_only=True, eq=False)
class Metaplasticity:
    """What the paper adds to a network: where every synapse was born, and how flexible it is.

    Parameters
    ----------
    initial_weights : array (n_parameters,), read-only
        w0, laid out like ``network.parameters`` (cut it with :func:`split_parameters`).
    flexibility : array (n_parameters,), read-only
        f in [0, 1]. 1 at the biases, unless they are modulated too.
    steepness : float
        s > 0, in 1/weight.

    Raises
    ------
    InputError
        If the shapes or dtypes differ, f leaves [0, 1], or s is not above 0.

    Examples
    --------
    See :func:`init_metaplasticity`.
    """

    initial_weights: NDArray[Any]
    flexibility: NDArray[Any]
    steepness: float

    def __post_init__(self) -> None:
        """Check, and keep private read-only copies of whatever the caller could still write to."""
        birth = checks.check_finite(
            "initial_weights",
            checks.check_array("initial_weights", self.initial_weights, shape=(None,)),
        )
        flexibility = checks.check_array(
            "flexibility", self.flexibility, shape=birth.shape, dtype=birth.dtype
        )
        checks.check_unit_interval("flexibility", flexibility)
        checks.check_positive("steepness", self.steepness)
        object.__setattr__(self, "initial_weights", checks.freeze(birth))
        object.__setattr__(self, "flexibility", checks.freeze(flexibility))

    @property
    def rule(self) -> SynapticRule:
        """How a synapse moves: by its plasticity."""
        return METAPLASTICITY

    @property
    def hidden(self) -> Hidden:
        """What the rule keeps: all of it is fixed at birth."""
        steepness = np.array(self.steepness)
        steepness.flags.writeable = False
        return {
            "initial_weights": self.initial_weights,
            "flexibility": self.flexibility,
            "steepness": steepness,
        }


def init_metaplasticity(
    network: Network,
    kind: str,
    *,
    steepness: float,
    rng: np.random.Generator,
    modulate_biases: bool = False,
) -> Metaplasticity:
    """Make a newborn network metaplastic: remember its weights, draw its flexibility.

    Parameters
    ----------
    network : Network
        As it was born; it is not changed.
    kind : str
        A name that :func:`draw_flexibility` knows: "conventional", "stable", "hybrid", ...
    steepness : float
        s > 0, in 1/weight.
    rng : numpy.random.Generator
    modulate_biases : bool
        Draw a flexibility for biases too; in the paper they stay ordinary.

    Returns
    -------
    Metaplasticity

    Raises
    ------
    InputError
        If the kind is unknown or the steepness is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import init_network
    >>> rng = np.random.default_rng(0)
    >>> network = init_network((4, 3, 2), rng=rng)
    >>> hybrid = init_metaplasticity(network, "hybrid", steepness=7.0, rng=rng)
    >>> hybrid.flexibility.shape == network.parameters.shape
    True
    """
    parameters = network.parameters
    flexibility = draw_flexibility(kind, parameters.shape, rng=rng, dtype=parameters.dtype).copy()
    if not checks.check_flag("modulate_biases", modulate_biases):
        _, biases = split_parameters(flexibility, network.layer_sizes)
        for bias in biases:
            bias[:] = 1
    birth = parameters.copy()
    birth.flags.writeable = flexibility.flags.writeable = False  # handed over, not copied again
    return Metaplasticity(initial_weights=birth, flexibility=flexibility, steepness=steepness)


def measure_displacement(network: Network, metaplasticity: Metaplasticity) -> NDArray[Any]:
    """How far every parameter is from where it was born, w - w0. Changes nothing.

    Parameters
    ----------
    network : Network
    metaplasticity : Metaplasticity

    Returns
    -------
    array (n_parameters,), in units of weight
        The largest float where it would overflow.

    Raises
    ------
    InputError
        If the two do not belong together.

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import init_network
    >>> rng = np.random.default_rng(0)
    >>> network = init_network((4, 2), rng=rng)
    >>> stable = init_metaplasticity(network, "stable", steepness=7.0, rng=rng)
    >>> bool(measure_displacement(network, stable).any())
    False
    """
    birth = checks.check_array(
        "initial_weights",
        metaplasticity.initial_weights,
        shape=network.parameters.shape,
        dtype=network.parameters.dtype,
    )
    return _displacement(network.parameters, birth)


def _displacement(parameters: NDArray[Any], birth: NDArray[Any]) -> NDArray[Any]:
    """Return w - w0, or the largest float where it would overflow."""
    largest = np.finfo(birth.dtype).max
    with np.errstate(over="ignore"):
        return np.clip(parameters - birth, -largest, largest)


def save_metaplasticity(path: Path | str, metaplasticity: Metaplasticity) -> None:
    """Write birth weights, flexibility and steepness to an npz file, atomically.

    With :func:`save_network` this is all that is needed to go on learning later.

    Parameters
    ----------
    path : path
    metaplasticity : Metaplasticity

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    See :func:`load_metaplasticity`.
    """
    write_arrays(path, metaplasticity.hidden, header={"kind": "metaplasticity", "schema": 1})


def load_metaplasticity(path: Path | str) -> Metaplasticity:
    """Read what :func:`save_metaplasticity` wrote, equal in every bit.

    Parameters
    ----------
    path : path

    Returns
    -------
    Metaplasticity

    Raises
    ------
    InputError
        If the file is missing, damaged or holds something else.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from metaplastic_np import init_network
    >>> rng = np.random.default_rng(0)
    >>> network = init_network((4, 2), rng=rng)
    >>> hybrid = init_metaplasticity(network, "hybrid", steepness=7.0, rng=rng)
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "hybrid.npz")
    >>> save_metaplasticity(path, hybrid)
    >>> bool(np.array_equal(load_metaplasticity(path).flexibility, hybrid.flexibility))
    True
    >>> folder.cleanup()
    """
    arrays, header = read_arrays(path)
    errors.check_file_kind(Path(path), header, kind="metaplasticity")
    errors.check_names(Path(path), arrays, ("initial_weights", "flexibility", "steepness"))
    try:
        return Metaplasticity(
            initial_weights=arrays["initial_weights"],
            flexibility=arrays["flexibility"],
            steepness=float(arrays["steepness"]),
        )
    except (TypeError, ValueError) as error:
        errors.raise_unreadable_file(Path(path), f"it makes no metaplasticity ({error})")
