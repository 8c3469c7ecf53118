# %% [markdown]
# # One synapse
#
# **How far can a synapse travel before it stiffens, and how fast does it freeze?**
#
# You will see the one equation of the paper at work on a single weight: its travel budget, and
# why a random mixture of flexibilities freezes so much more slowly than any single one.
#
# A synapse of flexibility $f$, born with the weight $w_0$, has the plasticity
#
# $$ p = \operatorname{sech}^2\!\left(s\,\frac{1-f}{f}\,(w - w_0)\right) $$
#
# and moves by $-\eta\,p\,\partial L/\partial w$. It is fully plastic at birth, and it stiffens as
# it leaves home. Run time: about 2 s.

# %%
import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

# %% [markdown]
# ## A travel budget
#
# Measure displacement in units of $1/s$, that is $x = s\,|w - w_0|$. A synapse of flexibility $f$
# has lost most of its plasticity after about $f/(1-f)$ of them.

# %%
x = np.linspace(0, 6, 601)
levels = (0.3, 0.5, 0.7, 0.9)
single = {f: mp.measure_plasticity(np.full_like(x, f), x, steepness=1.0) for f in levels}

# The hybrid network draws f between 0 and 1: average over many synapses.
flexibility = mp.draw_flexibility("hybrid", 20_000, rng=np.random.default_rng(0), dtype=np.float64)
mixture = [
    mp.measure_plasticity(flexibility, np.full_like(flexibility, here), steepness=1.0).mean()
    for here in x
]

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for f, plasticity in single.items():
    left.plot(x, plasticity, label=f"f = {f}")
left.plot(x, mixture, color="black", linewidth=2.5, label="f random (hybrid)")
left.set(
    xlabel="displacement, in units of 1/s", ylabel="plasticity", title="Freezing with distance"
)
left.legend(loc=(0.48, 0.38), fontsize="small")

# %% [markdown]
# A single $f$ freezes exponentially. The mixture falls as $1/x$: wherever its synapses are, some
# of them are still young. Compare the two at $x = 5$.

# %%
at = int(np.argmin(np.abs(x - 5)))
print(f"at x = 5: f = 0.3 has {single[0.3][at]:.1e} left, the mixture {mixture[at]:.3f}")

# %% [markdown]
# ## The same pull, for ever
#
# Let a constant gradient pull, with plasticity refreshed all the time, and spend the effort $t =
# s\,\eta \sum |\partial L/\partial w|$. An ordinary weight would be $t$ away. A metaplastic one
# drifts as a logarithm, without end.

# %%
effort = np.geomspace(0.1, 1e4, 60)
for f in levels:
    right.semilogx(effort, [mp.measure_drift(t, flexibility=f) for t in effort], label=f"f = {f}")
right.set(
    xlabel="effort t", ylabel="displacement, in units of 1/s", title="Drift under a steady pull"
)
plt.show()

# %% [markdown]
# ## What to try
#
# * Where does the mixture's plasticity cross that of $f = 0.7$? Predict it, then plot.
# * Replace "hybrid" by "biased-up" and "biased-down".
#
# ## Reference
#
# Cho, Lee, Baek, Paik: Neuromimetic metaplasticity for adaptive continual learning,
# arXiv:2407.07133.
