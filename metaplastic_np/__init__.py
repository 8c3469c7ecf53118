"""Neuromimetic metaplasticity for adaptive continual learning, from scratch in NumPy.

A network learns items one after another and keeps old ones, because each synapse becomes harder to
change the further its weight moves from its initial value; how quickly depends on its own
flexibility.

Each folder answers one question. Reading order, an afternoon:

.. code-block:: text

    rules.plasticity       the equation
    rules.flexibility      what tells the networks apart
    nn.layers              forward and backward passes by hand
    nn.gradient_check      and how we know that they are right
    nn.network             an ordinary network that has never heard of the paper
    scenarios.datasets     images
    scenarios.items        what is shown, when, and under which labels
    rules.rule             the joint between a network and a rule
    rules.metaplasticity   what the paper adds to a network
    rehearsal              what else is shown
    learning               the one place where weights move
    metrics.recall         what was remembered
    _fast                  the same update, compiled

and another one, for what is made of it:

.. code-block:: text

    scenarios.schedules    which item is presented when
    experiments            many trials: settings, trials, runs and their results, workers
    metrics.statistics     bounds and intervals over trials
    plots                  what a figure shows, as numbers, and how it is drawn
    paper                  the experiments and claims of the paper, and whether they hold
    scenarios.sources      MNIST, and images of your own
    exercises              what the exercises of the course ask, and what checks the answers
    cli                    the command line
"""

from . import exercises, experiments, metrics, nn, paper, plots, rehearsal, rules, scenarios
from ._util.errors import DivergenceError, InputError, OutputError, WorkerError
from .experiments import (
    Results,
    Settings,
    balance_steepness,
    load_results,
    open_pool,
    run_experiment,
    save_results,
)
from .learning import Learner, LearningSettings, learn_item
from .metrics import (
    chance_recall,
    measure_confusion,
    measure_recall,
    measure_serial_position_curve,
)
from .nn import (
    Network,
    copy_network,
    gradient_check,
    init_network,
    load_network,
    loss_and_gradient,
    predict,
    save_network,
    split_parameters,
)
from .paper import show_serial_position
from .plots import make_figure, style_of
from .rules import (
    Metaplasticity,
    draw_flexibility,
    init_metaplasticity,
    measure_displacement,
    measure_kappa,
    measure_plasticity,
)
from .scenarios import (
    Dataset,
    Step,
    draw_items,
    draw_presentation,
    load_digits,
    load_mnist,
    load_npz,
)

__version__ = "0.1.0"

__all__ = [
    "Dataset",
    "DivergenceError",
    "InputError",
    "Learner",
    "LearningSettings",
    "Metaplasticity",
    "Network",
    "OutputError",
    "Results",
    "Settings",
    "Step",
    "WorkerError",
    "balance_steepness",
    "chance_recall",
    "copy_network",
    "draw_flexibility",
    "draw_items",
    "draw_presentation",
    "exercises",
    "experiments",
    "gradient_check",
    "init_metaplasticity",
    "init_network",
    "learn_item",
    "load_digits",
    "load_mnist",
    "load_network",
    "load_npz",
    "load_results",
    "loss_and_gradient",
    "make_figure",
    "measure_confusion",
    "measure_displacement",
    "measure_kappa",
    "measure_plasticity",
    "measure_recall",
    "measure_serial_position_curve",
    "metrics",
    "nn",
    "open_pool",
    "paper",
    "plots",
    "predict",
    "rehearsal",
    "rules",
    "run_experiment",
    "save_network",
    "save_results",
    "scenarios",
    "show_serial_position",
    "split_parameters",
    "style_of",
]
