# %% [markdown]
# # Exercise 2: one layer backwards
#
# **What must a layer tell its weights, its biases, and the layer below?**
#
# The network of this package is made of nothing but dense layers with a ReLU. You
# write the backward pass of one layer and check it against finite differences.
# Run time: 1 s.

# %%
import numpy as np

import metaplastic_np as mp
from metaplastic_np.exercises import check

# %% [markdown]
# ## Predict first
#
# A unit's bias is -100: its ReLU is off for every image, and every image is
# classified wrongly. After a million updates with plain gradient descent, what will
# the bias be?

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# Forward, for $n$ images as rows of $X$:
#
# $$ Z = X W + b, \qquad Y = \max(Z, 0) $$
#
# Given $\partial L / \partial Y$ (`d_outputs`), the chain rule gives first
# $\partial L / \partial Z$, then the three gradients that you return. Check your
# shapes: a gradient has the shape of what it belongs to.
#
# <details><summary>Hint 1</summary>
#
# The slope of the ReLU is 1 where its input $Z$ is above 0, and 0 elsewhere.
# Multiply `d_outputs` by it before anything else.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Weight $W_{jk}$ reaches output $k$ of *every* image, multiplied by that image's
# $X_{ij}$: add up over images. So does the bias, multiplied by 1.
#
# </details>


# %%
def layer_backward(d_outputs, inputs, weights, biases):
    """Gradients (d_inputs, d_weights, d_biases) of a dense layer with ReLU.

    Shapes: `d_outputs` (n, n_out), `inputs` (n, n_in), `weights` (n_in, n_out),
    `biases` (n_out,).
    """
    ### BEGIN SOLUTION
    d_hidden = d_outputs * (inputs @ weights + biases > 0)
    return d_hidden @ weights.T, inputs.T @ d_hidden, d_hidden.sum(axis=0)
    ### END SOLUTION


# %%
print(check("ex02", layer_backward))

# %% [markdown]
# ## Use it
#
# Take another loss: half the squared output, summed. Compare your gradient with
# finite differences, and see which weights get no gradient.

# %%
rng = np.random.default_rng(1)
inputs, weights = rng.standard_normal((6, 3)), rng.standard_normal((3, 4))
biases = np.array([0.0, -0.1, 1.0, -100.0])


def outputs(weights):
    """Forward pass."""
    return mp.nn.relu_forward(mp.nn.dense_forward(inputs, weights, biases)[0])[0]


_, d_weights, d_biases = layer_backward(outputs(weights), inputs, weights, biases)
print("unit  bias   on in  d_bias   d_weights   by finite differences")
for unit, bias in enumerate(biases):
    up, down = weights.copy(), weights.copy()
    up[0, unit] += 1e-5
    down[0, unit] -= 1e-5
    slope = ((outputs(up) ** 2).sum() - (outputs(down) ** 2).sum()) / 2 / 2e-5
    share = (outputs(weights)[:, unit] > 0).mean()
    print(f"{unit:4d} {bias:6.1f} {share:6.0%} {d_biases[unit]:8.4f}", end=" ")
    print(f"{d_weights[0, unit]:10.6f} {slope:12.6f}")

# %% [markdown]
# ## Explain
#
# * A unit that is off for every image gets no gradient, so it never changes again.
#   It is "dead". The paper's rigid synapse ($f = 0$) does not move either. What is
#   the difference?
# * `d_inputs` of the first layer is never needed. Why?
#
# ## Reference
#
# Rumelhart, Hinton, Williams: Learning representations by back-propagating errors,
# Nature 323 (1986). In this package: `dense_backward`, `relu_backward`, and
# `gradient_check`, which does what the table does along random directions.
