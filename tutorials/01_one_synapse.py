# %% [markdown]
# # 1. One synapse
#
# **How far can a synapse travel before it stiffens, and how fast does it freeze?**
#
# *You will learn* what a travel budget is; why, with distance, a random mixture of
# flexibilities freezes far more slowly than any single one; and why neither tells
# how fast a synapse freezes over *time*.
#
# A synapse with flexibility $f$ and initial weight $w_0$ has the plasticity
#
# $$
# p = \operatorname{sech}^2\left(s\,\frac{1-f}{f}\,(w - w_0)\right)
# $$
#
# where $s$ is the steepness. Each update moves the weight by
# $-\eta\,p\,\partial L/\partial w$. The synapse is fully plastic at birth, and
# stiffens as $w$ leaves $w_0$, its home. Distances below are $x = s\,|w - w_0|$:
# displacement in units of $1/s$.
#
# Run time: about 2 s. Read first: nothing.

# %%
import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

rng = np.random.default_rng(0)

# %% [markdown]
# ## A travel budget
#
# Move five synapses the same distance from home. How plastic is each of them still?
# A synapse with flexibility f has lost most of its plasticity at a distance of
# about $f/(1-f)$: its travel budget.
#
# (`mp.plots.plot_curves` draws named curves of one quantity against another. A name
# that begins with a network's name gets that network's color in all lessons.)


# %%
def plasticity_at(distance, f):
    """Plasticity of synapses of flexibility f at a distance from birth (in 1/s)."""
    distance = np.array(distance, dtype=float, ndmin=1)
    return mp.measure_plasticity(np.full(len(distance), f), distance, steepness=1.0)


x = np.linspace(0, 10, 1001)
levels = (0.1, 0.3, 0.5, 0.7, 0.9)
curves = {f"f = {f}": plasticity_at(x, f) for f in levels}
budgets = [f / (1 - f) for f in levels]
left_over = [plasticity_at(f / (1 - f), f)[0] for f in levels]
print("plasticity at the end of each budget:", np.round(left_over, 2))

what = "plasticity against distance from birth (1/s)"
curves["at the budget f/(1 - f)"] = budgets, left_over
mp.plots.plot_curves(curves, what, x=x)
plt.title("Plasticity falls with distance; at its budget 42 % are left")
plt.show()

# %% [markdown]
# ## A mixture freezes by a power law
#
# Far from home, every curve above falls exponentially. In the hybrid network f is
# random between 0 and 1. Average over many synapses that are all equally far from
# home, and use logarithmic axes, on which a power law is a straight line.

# %%
far = np.geomspace(0.05, 100, 60)
flexibility = mp.draw_flexibility("hybrid", 50_000, rng=rng, dtype=np.float64)


def plasticity_of_the_mixture(distance):
    """Mean plasticity of the hybrid's synapses, all equally far from birth."""
    displacement = np.full_like(flexibility, distance)
    return mp.measure_plasticity(flexibility, displacement, steepness=1.0).mean()


curves = {f"f = {f}": plasticity_at(far, f) for f in levels}
curves["hybrid (f random)"] = [plasticity_of_the_mixture(here) for here in far]
curves["1/x"] = far[far > 3], 1 / far[far > 3]
axes = mp.plots.plot_curves(curves, what, x=far)
axes.set(xscale="log", yscale="log", ylim=(1e-4, 1.5))
plt.title("One flexibility freezes exponentially, the mixture as 1/x")
plt.show()

# %% [markdown]
# At any distance, some synapses of the mixture have not yet used up their budget.
# This is what the word *mixing* brings to mind, and as a matter of *distance* it is
# right:

# %%
for distance in (1.0, 2.0, 5.0):
    one, many = plasticity_at(distance, 0.3)[0], plasticity_of_the_mixture(distance)
    print(
        f"at x = {distance:g}: f = 0.3 has {one:.1e} left, the mixture {many:.3f}"
    )

# %% [markdown]
# ## The same pull, for ever
#
# But a synapse that stiffens also slows down. Let a constant gradient pull at it,
# refresh its plasticity all the time, and measure the effort
# $t = s\,\eta \sum |\partial L/\partial w|$. An ordinary weight would reach the
# distance t. A metaplastic one obeys, with $c = (1-f)/f$,
#
# $$
# \frac{x}{2} + \frac{\sinh(2cx)}{4c} = t
# $$
#
# so it drifts logarithmically, without end. Its plasticity falls as $1/(2ct)$: **in
# time, a single f already freezes by a power law**, and the mixture adds only a
# logarithmic factor.

# %%
effort = np.geomspace(0.1, 1e4, 60)
sample = mp.draw_flexibility("hybrid", 200, rng=rng, dtype=np.float64)


def drift(effort, f):
    """How far a synapse has gone after each effort of a steady pull."""
    return np.array([mp.rules.measure_drift(t, flexibility=f) for t in effort])


decades = (10, 100, 1000, 10_000)
for f in (0.3, 0.7):
    gone = ", ".join(f"{distance:.2f}" for distance in drift(decades, f))
    print(f"f = {f}: distance after an effort of 10, 100, 1,000, 10,000: {gone}")

left_over = {f"f = {f}": plasticity_at(drift(effort, f), f) for f in levels}
each = [plasticity_at(drift(effort, f), f) for f in sample]
left_over["hybrid (f random)"] = np.mean(each, axis=0)

axes = mp.plots.plot_curves(left_over, "plasticity against effort", x=effort)
axes.set(xscale="log", yscale="log", title="In time, every f is a power law")
plt.show()

# %% [markdown]
# Every tenfold increase of effort adds nearly the same distance, and every line
# becomes straight.
#
# ## What makes it stick
#
# The paper does not refresh plasticity all the time, but **once per presentation**.
# The first presentation then moves every synapse freely, by about $\kappa$ in units
# of 1/s. A synapse that is far from home at the end of it is frozen at once. Repeat
# the same pull for twenty presentations, each with a net effort of $\kappa$:


# %%
def repeat_pull(f, kappa, n_presentations=20):
    """Distance after each presentation; its plasticity is that of its start."""
    distance = [0.0]
    for _ in range(n_presentations):
        distance.append(distance[-1] + kappa * plasticity_at(distance[-1], f)[0])
    return np.array(distance) / kappa


drifting, stuck = (
    {f"f = {f}": (np.arange(21), repeat_pull(f, kappa)) for f in levels}
    for kappa in (0.3, 10.0)
)

_, (left, right) = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True)
mp.plots.plot_curves(drifting, "distance against presentation", axes=left)
mp.plots.plot_curves(stuck, "distance against presentation", axes=right)
plt.suptitle("Small kappa (0.3): most drift. Large kappa (10): they stick.")
plt.show()

# %% [markdown]
# On the left, all but the stiffest synapses go on drifting. On the right, where
# four curves coincide, a synapse moves in the first presentation and not again,
# unless it is very flexible. So the network can keep the first item, while its most
# flexible synapses learn what comes later.
#
# ## What to try
#
# * Where does the mixture's plasticity cross that of f = 0.7? Predict it, then read
#   it off.
# * Draw "biased-up" and "biased-down" instead of "hybrid". Does the power law
#   change, or only where it starts?
# * For which kappa does f = 0.5 stop moving after one presentation?
#
# ## References
#
# * Cho, Lee, Baek, Paik (2024), arXiv:2407.07133: the equation.
# * Fusi, Drew, Abbott (2005), *Neuron* 45:599, doi:10.1016/j.neuron.2005.02.001:
#   cascades of metaplastic states, the first model in which a range of time scales
#   gives power-law forgetting.
