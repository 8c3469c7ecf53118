r"""
One synapse
===========

**How far can a synapse travel before it stiffens, and how fast does it freeze?**

*You will learn* what a travel budget is, why a random mixture of flexibilities freezes
against distance so much more slowly than any single one, and why neither says how fast
a synapse freezes in *time*.

A synapse of flexibility :math:`f`, born with the weight :math:`w_0`, has the plasticity

.. math:: p = \operatorname{sech}^2\left(s\,\frac{1-f}{f}\,(w - w_0)\right)

and moves by :math:`-\eta\,p\,\partial L/\partial w`. It is fully plastic at birth, and
stiffens as it leaves home. Distances below are :math:`x = s\,|w - w_0|`, displacement
in units of :math:`1/s`.

Run time: about 2 s.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

plt.rcParams["figure.constrained_layout.use"] = True
rng = np.random.default_rng(0)

# %%
# A travel budget
# ---------------
#
# Put five synapses at the same distance from home and ask how plastic each still is. A
# synapse of flexibility f has lost most of its plasticity after about :math:`f/(1-f)`:
# its travel budget.

x = np.linspace(0, 10, 1001)
levels = (0.1, 0.3, 0.5, 0.7, 0.9)
colors = plt.cm.viridis(np.linspace(0, 0.85, len(levels)))

figure, axes = plt.subplots(figsize=(7.5, 3.8))
for f, color in zip(levels, colors, strict=True):
    plasticity = mp.measure_plasticity(np.full_like(x, f), x, steepness=1.0)
    axes.plot(x, plasticity, color=color, linewidth=2, label=f"f = {f}")
    axes.plot(f / (1 - f), 0, "v", color=color, markersize=9, clip_on=False)
axes.set(
    xlabel="distance from birth, in units of 1/s",
    ylabel="plasticity",
    title="Plasticity falls with distance; triangles: the budget f/(1 - f)",
)
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %%
# A mixture freezes by a power law
# --------------------------------
#
# Every curve above falls exponentially in the end. In the hybrid network f is random
# between 0 and 1. Average over many synapses that have all gone equally far, and look
# on logarithmic axes, where a power law is a straight line.

far = np.geomspace(0.05, 100, 60)
flexibility = mp.draw_flexibility("hybrid", 50_000, rng=rng, dtype=np.float64)
mixture = [
    mp.measure_plasticity(
        flexibility, np.full_like(flexibility, here), steepness=1.0
    ).mean()
    for here in far
]

figure, axes = plt.subplots(figsize=(8, 3.8))
for f, color in zip(levels, colors, strict=True):
    plasticity = mp.measure_plasticity(np.full_like(far, f), far, steepness=1.0)
    axes.loglog(far, plasticity, color=color, label=f"f = {f}")
axes.loglog(far, mixture, color="black", linewidth=3, label="f random (hybrid)")
axes.loglog(far[far > 3], 1 / far[far > 3], ":", color="0.4", linewidth=2, label="1/x")
axes.set(
    xlabel="distance from birth, in units of 1/s",
    ylabel="plasticity",
    ylim=(1e-4, 1.5),
    title="One flexibility freezes exponentially, the mixture as 1/x",
)
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %%
# Wherever the mixture is, some of its synapses have not yet used their budget. This is
# the picture that the word *mixing* brings to mind, and it is right, *against
# distance*:

for distance in (1.0, 2.0, 5.0):
    one = mp.measure_plasticity(np.array([0.3]), np.array([distance]), steepness=1.0)[0]
    many = mp.measure_plasticity(
        flexibility, np.full_like(flexibility, distance), steepness=1.0
    ).mean()
    print(f"at x = {distance:g}: f = 0.3 has {one:.1e} left, the mixture {many:.3f}")

# %%
# The same pull, for ever
# -----------------------
#
# But a synapse that stiffens also stops moving. Let a constant gradient pull, refresh
# plasticity all the time, and count the effort
# :math:`t = s\,\eta \sum |\partial L/\partial w|`. An ordinary weight would be t away.
# A metaplastic one obeys, with :math:`c = (1-f)/f`,
#
# .. math:: \frac{x}{2} + \frac{\sinh(2cx)}{4c} = t
#
# a drift that is logarithmic and has no end. Its plasticity falls as :math:`1/(2ct)`:
# **in time, a single f already freezes by a power law**, and the mixture adds only a
# logarithmic factor.

effort = np.geomspace(0.1, 1e4, 60)
sample = mp.draw_flexibility("hybrid", 200, rng=rng, dtype=np.float64)


def plasticity_after(t, f):
    """What is left of a synapse's plasticity after a steady pull of effort t."""
    drifted = mp.rules.measure_drift(t, flexibility=f)
    return mp.measure_plasticity(np.array([f]), np.array([drifted]), steepness=1.0)[0]


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
for f, color in zip(levels, colors, strict=True):
    drift = [mp.rules.measure_drift(t, flexibility=f) for t in effort]
    left.semilogx(effort, drift, color=color, label=f"f = {f}")
    right.loglog(effort, [plasticity_after(t, f) for t in effort], color=color)
mean = [np.mean([plasticity_after(t, f) for f in sample]) for t in effort]
right.loglog(effort, mean, color="black", linewidth=3, label="f random (hybrid)")
left.set(
    xlabel="effort t",
    ylabel="distance, in units of 1/s",
    title="The drift is logarithmic",
)
right.set(
    xlabel="effort t", ylabel="plasticity", title="In time, every f is a power law"
)
left.legend()
right.legend()
plt.show()

# %%
# What makes it stick
# -------------------
#
# The paper does not refresh plasticity all the time, but **once per presentation**. A
# first presentation then moves every synapse freely, by about :math:`\kappa` in units
# of 1/s, and what is far from home at its end is frozen at once. Repeat the same pull
# for twenty presentations of net effort :math:`\kappa` each:

n_presentations = 20
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True)
for place, kappa in zip(axes, (0.3, 10.0), strict=True):
    for f, color in zip(levels, colors, strict=True):
        distance = [0.0]
        for _ in range(n_presentations):
            left_over = mp.measure_plasticity(
                np.array([f]), np.array([distance[-1]]), steepness=1.0
            )[0]
            distance.append(distance[-1] + kappa * left_over)
        place.plot(np.array(distance) / kappa, ".-", color=color, label=f"f = {f}")
    place.set(
        xlabel="presentation", title=f"kappa = {kappa:g}", xticks=(0, 5, 10, 15, 20)
    )
axes[0].set(ylabel="distance, in presentations' worth", ylim=(0, 10))
axes[0].legend()
figure.suptitle(
    "Small kappa: most synapses drift. Large kappa: one presentation, and they stick."
)
plt.show()

# %%
# On the left all but the stiffest go on drifting. On the right, where four curves lie
# on top of each other, a synapse takes the first presentation and nothing else, unless
# it is very flexible. That is how a first item can be kept, while the most flexible
# synapses are left to learn what comes later.
#
# What to try
# -----------
#
# * Where does the mixture's plasticity cross that of f = 0.7? Predict it, then read it
#   off.
# * Draw "biased-up" and "biased-down" instead of "hybrid". Does the power law change,
#   or only where it starts?
# * For which kappa does f = 0.5 stop moving after one presentation?
#
# References
# ----------
#
# * Cho, Lee, Baek, Paik (2024), arXiv:2407.07133: the equation.
# * Fusi, Drew, Abbott (2005), *Neuron* 45:599, doi:10.1016/j.neuron.2005.02.001:
#   cascades of metaplastic states, the first model in which a range of time scales
#   gives power-law forgetting.
