# %% [markdown]
# # 2. Backpropagation by hand, and checked
#
# **How do you know that a gradient is right?**
#
# *You will learn* how to write a network's forward and backward passes with three
# pairs of functions, how to check them against finite differences, and what such a
# check can and cannot see.
#
# A dense layer is $Y = XW + b$. If $G = \partial L/\partial Y$ is known,
#
# $$
# \frac{\partial L}{\partial X} = G W^\top, \qquad
# \frac{\partial L}{\partial W} = X^\top G, \qquad
# \frac{\partial L}{\partial b} = \sum_i G_i
# $$
#
# A network is a stack of layers. Its backward pass calls theirs in reverse order.
#
# Run time: about 1 s. Read first: nothing.

# %%
import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

rng = np.random.default_rng(0)

# %% [markdown]
# ## Forward
#
# Take ten images of six pixels, five hidden units and three classes, in float64.
# Each forward function also returns a cache, which its backward partner needs.

# %%
images = rng.standard_normal((10, 6))
labels = rng.integers(3, size=10)
weights_1, biases_1 = rng.standard_normal((6, 5)), rng.standard_normal(5)
weights_2, biases_2 = rng.standard_normal((5, 3)), rng.standard_normal(3)


def forward(first_weights):
    """The loss of the whole network, and the caches of its four layers."""
    hidden, cache_1 = mp.nn.dense_forward(images, first_weights, biases_1)
    active, cache_relu = mp.nn.relu_forward(hidden)
    logits, cache_2 = mp.nn.dense_forward(active, weights_2, biases_2)
    loss, cache_loss = mp.nn.softmax_cross_entropy_forward(logits, labels)
    return loss, (cache_1, cache_relu, cache_2, cache_loss)


loss, caches = forward(weights_1)
print(f"loss {loss:.4f} nats; guessing among three would cost {np.log(3):.4f}")

# %% [markdown]
# ## Backward
#
# The same four lines, in reverse order. Each backward function takes the gradient
# of the loss with respect to its layer's outputs, and returns the gradient with
# respect to the layer's inputs.

# %%
cache_1, cache_relu, cache_2, cache_loss = caches
d_logits = mp.nn.softmax_cross_entropy_backward(cache_loss)
d_active, d_weights_2, d_biases_2 = mp.nn.dense_backward(d_logits, cache_2)
d_hidden = mp.nn.relu_backward(d_active, cache_relu)
_, d_weights_1, d_biases_1 = mp.nn.dense_backward(d_hidden, cache_1)
print("gradient of the first weights:", d_weights_1.shape)
print("the first weights:", weights_1.shape)

# %% [markdown]
# ## Check it
#
# Move all weights a little along one random direction $v$. Compare the change of
# the loss with what the gradient predicts, $\langle \nabla L, v\rangle$. One
# direction tests every entry at once, since an error in any entry changes the
# product.

# %%
direction = rng.standard_normal(weights_1.shape)
predicted = np.vdot(d_weights_1, direction)


def relative_error(step, dtype):
    """Central difference against prediction, all sums in one dtype."""
    step_along = (step * direction).astype(dtype)
    up = forward((weights_1.astype(dtype) + step_along).astype(np.float64))[0]
    down = forward((weights_1.astype(dtype) - step_along).astype(np.float64))[0]
    difference = (dtype(up) - dtype(down)) / dtype(2 * step)
    return abs(float(difference) - predicted) / abs(predicted)


steps = np.geomspace(1e-12, 1e-1, 56)
errors = {
    dtype.__name__: [relative_error(step, dtype) for step in steps]
    for dtype in (np.float64, np.float32)
}
what = "relative error against step of the finite difference"
mp.plots.plot_curves(errors, what, x=steps).set(xscale="log", yscale="log")
plt.title("Too large a step: the loss bends. Too small: its digits cancel.")
plt.show()

# %% [markdown]
# As the step shrinks, the error falls with its *square*, because the difference is
# central. Then rounding takes over. In float32 it does so early, which is why
# gradients are checked in float64. If you see a jump near large steps, it is a
# hidden unit that crosses the kink of its ReLU.
#
# The package's `mp.gradient_check` makes this check with a well-chosen step:

# %%
found = mp.gradient_check(lambda w: forward(w)[0], d_weights_1, weights_1, rng=rng)
print(f"right gradient: relative error {found:.1e}")

# %% [markdown]
# ## A check that cannot fail is not a check
#
# So give it wrong gradients. Here are three mistakes that everyone makes once:

# %%
is_eighth = np.arange(30).reshape(6, 5) == 7
mistakes = {
    "ReLU's mask forgotten": mp.nn.dense_backward(d_active, cache_1)[1],
    "sum instead of mean over the batch": d_weights_1 * len(images),
    "one entry off by 1 %": d_weights_1 * np.where(is_eighth, 1.01, 1),
}
for name, wrong in mistakes.items():
    error = mp.gradient_check(lambda w: forward(w)[0], wrong, weights_1, rng=rng)
    print(f"{name}: relative error {error:.1e}")

# %% [markdown]
# The package's network calls these functions in a loop, and gives the same numbers.

# %%
network = mp.init_network((6, 5, 3), rng=rng, dtype=np.float64)
for vector, values in zip(network.weights, (weights_1, weights_2), strict=True):
    vector[:] = values
for vector, values in zip(network.biases, (biases_1, biases_2), strict=True):
    vector[:] = values
same_loss, gradient = mp.loss_and_gradient(network, images, labels)
by_layer, _ = mp.split_parameters(gradient, network.layer_sizes)
print("same loss:", same_loss == loss)
print("same gradient:", np.allclose(by_layer[0], d_weights_1))

# %% [markdown]
# ## What to try
#
# * Set one bias so that a hidden unit sits exactly on its kink. What does the check
#   say, and who is right?
# * How small can the error in one entry be before the check no longer sees it? Why?
# * Compute the gradient of every entry by finite differences. How many forward
#   passes is that, for the network of the paper with its 55 million weights?
#
# ## References
#
# * Rumelhart, Hinton, Williams (1986), *Nature* 323:533, doi:10.1038/323533a0.
