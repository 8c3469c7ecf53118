"""How a synapse moves: the joint between a network and a rule, and the rule of the paper."""

from .flexibility import NETWORKS, draw_flexibility
from .metaplasticity import (
    Metaplasticity,
    init_metaplasticity,
    learn_by_plasticity,
    load_metaplasticity,
    measure_displacement,
    save_metaplasticity,
)
from .plasticity import measure_drift, measure_kappa, measure_plasticity, measure_synaptic_rate
from .rule import (
    DESCENT,
    Birth,
    Coefficients,
    HasRule,
    Hidden,
    Synapses,
    SynapticRule,
    descend,
)
from .table import RULES, check_rule, init_synapses
