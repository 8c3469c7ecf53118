# %% [markdown]
# # Exercise 4: the law of drift
#
# **A constant gradient pulls at a synapse for ever. How far does it get?**
#
# You derive the law, and check it against a simulation. Run time: 2 s.

# %%
import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp
from metaplastic_np.exercises import check

# %% [markdown]
# ## Predict first
#
# A synapse stiffens exponentially with its displacement. Does it come to rest at
# some distance? If an effort of 100 units takes it a distance of 3, how far does an
# effort of 10,000 take it?

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# Let $x = s\,|w - w_0|$ be the scaled displacement and $c = (1 - f)/f$ the
# stiffness. The *effort* $t = s\,\eta \sum |\partial L / \partial w|$ is the
# distance that an ordinary synapse would have moved. If plasticity is refreshed all
# the time,
#
# $$ \frac{dx}{dt} = \operatorname{sech}^2(c x), \qquad x(0) = 0 $$
#
# Solve for the effort $t$ that a displacement $x$ costs.
#
# <details><summary>Hint 1</summary>
#
# Separate the variables: $dt = \cosh^2(c x)\,dx$, and
# $\cosh^2 u = \tfrac{1}{2} + \tfrac{1}{2}\cosh 2u$. Integrate from 0 to $x$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# At $f = 1$ your formula is 0/0. Its limit is what an ordinary synapse does.
#
# </details>


# %%
def effort(displacement, flexibility):
    """Effort t that takes a synapse to the scaled distance x. Numbers, f > 0."""
    ### BEGIN SOLUTION
    stiffness = (1 - flexibility) / flexibility
    if stiffness == 0:
        return displacement
    return displacement / 2 + np.sinh(2 * stiffness * displacement) / (
        4 * stiffness
    )
    ### END SOLUTION


# %%
print(check("ex04", effort))

# %% [markdown]
# ## Use it
#
# Pull in 10,000 small steps, and compare with your law.

# %%
total, n_steps = 100.0, 10_000
figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
for flexibility, marker in ((0.3, "o"), (0.5, "s"), (0.8, "^")):
    f, x, path = np.array([flexibility]), np.zeros(1), []
    for _ in range(n_steps):
        x = x + mp.measure_plasticity(f, x, steepness=1.0) * total / n_steps
        path.append(x[0])
    spent = total * np.arange(1, n_steps + 1) / n_steps
    (line,) = axes.semilogx(spent, path, label=f"f = {flexibility}: simulated")
    reached = np.linspace(0.01, path[-1], 12)
    cost = [effort(here, flexibility) for here in reached]
    axes.plot(
        cost,
        reached,
        marker,
        color=line.get_color(),
        markersize=5,
        label="your law",
    )
axes.set(
    xlabel="effort t",
    ylabel="scaled displacement x",
    title="A constant pull: simulated, and your law",
)
axes.legend()
plt.show()

# %% [markdown]
# ## Explain
#
# * On this axis a logarithm is a straight line: every tenfold increase of effort
#   adds the same distance. Which distance, in terms of $c$?
# * So "rigid after a while" is wrong. What does a logarithmic drift imply for a
#   memory that should last?
# * The law needs a plasticity that is refreshed all the time. The paper computes it
#   once per presentation. Exercise 7 shows what that changes.
#
# ## Reference
#
# Fusi, Drew, Abbott: Cascade models of synaptically stored memories, Neuron 45
# (2005), for another way to get slow forgetting. In this package: `measure_drift`,
# the inverse of your function.
