"""Networks by hand: layers, a gradient check, and the network. Knows no rule and no dataset."""

from .gradient_check import gradient_check
from .layers import (
    dense_backward,
    dense_forward,
    relu_backward,
    relu_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
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
