"""Neuromimetic metaplasticity for adaptive continual learning, from scratch in NumPy.

A network learns items one after another and keeps old ones, because every synapse stiffens, at its
own flexibility, as it travels from where it was born.

Reading order, an afternoon:

 1. plasticity      the equation
 2. flexibility     what tells the networks apart
 3. layers          forward and backward passes by hand
 4. gradient_check  and how we know that they are right
 5. network         an ordinary network that has never heard of the paper
 6. datasets        images
 7. items           what is shown, when, under which labels
 8. learning        the one place where weights move
 9. recall          what was remembered
10. trials          one draw of everything, learned by every network
11. experiments     what the paper did
12. figures         pictures
13. workers         many trials at once
14. sources         MNIST, and images of your own
15. _kernels        the same equations, compiled
"""

from ._errors import (
    DivergenceError,
    InputError,
    OutputError,
    WorkerError,
)
from .datasets import (
    Dataset,
    load_digits,
    measure_digest,
)
from .experiments import (
    CALIBRATION_SEED,
    Results,
    balance_steepness,
    load_results,
    run_serial_position,
    save_results,
)
from .figures import (
    make_serial_position_figure,
    plot_recall_matrix,
    plot_serial_position,
    save_figure,
)
from .flexibility import (
    NETWORKS,
    draw_flexibility,
)
from .gradient_check import (
    gradient_check,
)
from .items import (
    NON_TARGETS,
    Items,
    Presentation,
    draw_items,
    draw_presentation,
    freeze_features,
)
from .layers import (
    dense_backward,
    dense_forward,
    relu_backward,
    relu_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from .learning import (
    LearningSettings,
    Metaplasticity,
    init_metaplasticity,
    learn_item,
    load_metaplasticity,
    measure_displacement,
    save_metaplasticity,
)
from .machine import (
    describe_machine,
)
from .network import (
    Network,
    copy_network,
    init_network,
    load_network,
    loss_and_gradient,
    network_backward,
    network_forward,
    predict,
    save_network,
    sgd_step_inplace,
    split_parameters,
)
from .plasticity import (
    measure_drift,
    measure_kappa,
    measure_plasticity,
    measure_synaptic_rate,
)
from .recall import (
    chance_recall,
    measure_capacity,
    measure_confusion,
    measure_false_alarms,
    measure_forgetting,
    measure_gross_memory,
    measure_interval,
    measure_memorized,
    measure_primacy,
    measure_recall,
    measure_recency,
    measure_serial_position_curve,
)
from .sources import (
    DATASETS,
    check_sources,
    fetch_mnist,
    load_dataset,
    load_mnist,
    load_npz,
    read_idx,
)
from .storage import (
    read_arrays,
    write_arrays,
    write_atomic,
)
from .trials import (
    Settings,
    measure_default_steepness,
)
from .workers import (
    open_pool,
)

__all__ = [
    "CALIBRATION_SEED",
    "DATASETS",
    "NETWORKS",
    "NON_TARGETS",
    "Dataset",
    "DivergenceError",
    "InputError",
    "Items",
    "LearningSettings",
    "Metaplasticity",
    "Network",
    "OutputError",
    "Presentation",
    "Results",
    "Settings",
    "WorkerError",
    "balance_steepness",
    "chance_recall",
    "check_sources",
    "copy_network",
    "dense_backward",
    "dense_forward",
    "describe_machine",
    "draw_flexibility",
    "draw_items",
    "draw_presentation",
    "fetch_mnist",
    "freeze_features",
    "gradient_check",
    "init_metaplasticity",
    "init_network",
    "learn_item",
    "load_dataset",
    "load_digits",
    "load_metaplasticity",
    "load_mnist",
    "load_network",
    "load_npz",
    "load_results",
    "loss_and_gradient",
    "make_serial_position_figure",
    "measure_capacity",
    "measure_confusion",
    "measure_default_steepness",
    "measure_digest",
    "measure_displacement",
    "measure_drift",
    "measure_false_alarms",
    "measure_forgetting",
    "measure_gross_memory",
    "measure_interval",
    "measure_kappa",
    "measure_memorized",
    "measure_plasticity",
    "measure_primacy",
    "measure_recall",
    "measure_recency",
    "measure_serial_position_curve",
    "measure_synaptic_rate",
    "network_backward",
    "network_forward",
    "open_pool",
    "plot_recall_matrix",
    "plot_serial_position",
    "predict",
    "read_arrays",
    "read_idx",
    "relu_backward",
    "relu_forward",
    "run_serial_position",
    "save_figure",
    "save_metaplasticity",
    "save_network",
    "save_results",
    "sgd_step_inplace",
    "softmax_cross_entropy_backward",
    "softmax_cross_entropy_forward",
    "split_parameters",
    "write_arrays",
    "write_atomic",
]
