# %% [markdown]
# # Exercise 3: one equation, four traps
#
# **What does it take to compute one line of a paper?**
#
# The plasticity of a synapse is one short formula. Coded as it stands, it fails in
# several places, without an error. Run time: 1 s.

# %%
import numpy as np

from metaplastic_np.exercises import check

# %% [markdown]
# ## Predict first
#
# Take $f = 0.5$ and $s = 1$, and move a synapse a distance of 25 from home. What
# does `1 - np.tanh(25)**2` print? Is that the true value? What is the plasticity of
# a synapse with $f = 0$ that has not moved?

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# A synapse of flexibility $f$, displaced by $d = w - w_0$, has the plasticity
#
# $$
# p = 1 - \tanh^2(a) = \operatorname{sech}^2(a), \qquad a = s\,\frac{1 - f}{f}\,d
# $$
#
# * $f = 1$: plastic for ever, $p = 1$.
# * $f = 0$: rigid, $p = 0$, also at $d = 0$.
# * Far from home $p$ is tiny but not 0: about $4 e^{-2|a|}$. The checker asks for
#   *relative* accuracy.
#
# <details><summary>Hint 1</summary>
#
# Write $\cosh$ with exponentials. Multiply above and below until only $e^{-2|a|}$
# is left: it lies between 0 and 1 and cannot overflow.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Dividing by 0 is allowed in NumPy (inf, and a warning that `np.errstate`
# silences). Inf times 0 is nan. Decide at the end, with `np.where`, what a rigid
# synapse gets.
#
# </details>


# %%
def plasticity(flexibility, displacement, steepness):
    """Plasticity of each synapse, from two arrays of one shape and a number."""
    ### BEGIN SOLUTION
    with np.errstate(divide="ignore", invalid="ignore"):
        decay = np.exp(
            -2 * steepness * (1 - flexibility) / flexibility * np.abs(displacement)
        )
    return np.where(flexibility == 0, 0.0, 4 * decay / (1 + decay) ** 2)
    ### END SOLUTION


# %%
print(check("ex03", plasticity))

# %% [markdown]
# ## Use it
#
# Compare the formula as it stands with your function.

# %%
print("displacement   1 - tanh^2        yours")
for displacement in (0.0, 1.0, 5.0, 15.0, 18.0, 19.0, 20.0, 25.0):
    naive = 1 - np.tanh(displacement) ** 2
    mine = plasticity(np.array([0.5]), np.array([displacement]), 1.0)[0]
    print(f"{displacement:12g} {naive:12.4e} {mine:12.4e}")

# %% [markdown]
# ## Explain
#
# * From which displacement on are the digits in the column `1 - tanh^2` noise, and
#   why there?
# * Would a training run in float32 notice? Think of learning rate times plasticity
#   times gradient, added to a weight of size 0.05.
# * A function that returns nan for rigid synapses *once* spoils a network *for
#   ever*. Follow the nan through one forward and one backward pass.
#
# ## References
#
# Cho, Lee, Baek, Paik: Neuromimetic metaplasticity for adaptive continual learning,
# arXiv:2407.07133. Goldberg: What every computer scientist should know about
# floating-point arithmetic, ACM Computing Surveys 23 (1991). In this package:
# `measure_plasticity`.
