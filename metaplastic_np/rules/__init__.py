"""How a synapse moves: plasticity, flexibility, and the rule of the paper."""

from .flexibility import NETWORKS, check_network, draw_flexibility
from .metaplasticity import (
    Metaplasticity,
    init_metaplasticity,
    load_metaplasticity,
    measure_displacement,
    save_metaplasticity,
)
from .plasticity import measure_drift, measure_kappa, measure_plasticity, measure_synaptic_rate
