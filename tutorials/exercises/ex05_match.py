# %% [markdown]
# # Exercise 5: one flexibility to match a mixture
#
# **Does the hybrid network need its mixture, or would one flexibility everywhere do
# the same?**
#
# The paper mixes flexible and rigid synapses. The obvious control is a network in
# which all synapses have the same $f$, the best one. You write the search that
# finds it. Run time: 10 s.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp
from metaplastic_np.exercises import SMALL, check

# %% [markdown]
# ## Predict first
#
# The flexibilities of the hybrid are spread evenly between 0 and 1. Which single
# $f$ gives the same balance between first and last item? 0.5, the mean? Less? More?
# Will the rest of the curve match?

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# `balance(f)` runs a network and returns recall of the first item minus recall of
# the last. A stiff network keeps the first item, a flexible one the last, so
# balance *falls* as $f$ grows from 0 to 1. Each call is expensive. Find, to within
# 0.005 and in at most 12 calls, the $f$ at which `balance(f) == target`.
#
# <details><summary>Hint 1</summary>
#
# Keep an interval that contains the answer. Call `balance` in its middle; the
# result tells which half to keep. How often must you halve [0, 1] until half of the
# interval is below 0.005?
#
# </details>
# <details><summary>Hint 2</summary>
#
# If `balance(middle)` is above the target, the network is still too stiff: the $f$
# you look for is larger.
#
# </details>


# %%
def find_match(balance, target):
    """Flexibility in [0, 1] at which `balance`, a falling function, is `target`."""
    ### BEGIN SOLUTION
    low, high = 0.0, 1.0
    for _ in range(8):
        middle = (low + high) / 2
        low, high = (middle, high) if balance(middle) > target else (low, middle)
    return (low + high) / 2
    ### END SOLUTION


# %%
print(check("ex05", find_match))

# %% [markdown]
# ## Use it
#
# A small real network: five items, learned one after another, on calibration seeds.

# %%
dataset = mp.load_digits()


def curve(network):
    """Serial position curve, the mean over 20 trials."""
    settings = replace(SMALL, trials=20, networks=(network,))
    return mp.run_experiment(dataset, settings).recall[0, :, -1].mean(axis=0)


def balance(flexibility):
    """Recall of the first item minus recall of the last."""
    recall = curve(f"homogeneous:{flexibility}")
    print(f"f = {flexibility:.4f}: {recall[0] - recall[-1]:+.3f}")
    return recall[0] - recall[-1]


hybrid = curve("hybrid")
match = find_match(balance, hybrid[0] - hybrid[-1])
matched = curve(f"homogeneous:{match}")
print(
    f"f = {match:.3f} matches; mean recall {matched.mean():.3f}, "
    f"hybrid {hybrid.mean():.3f}"
)

# %%
figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
axes.plot(np.arange(1, 6), hybrid, "o-", label="hybrid")
axes.plot(np.arange(1, 6), matched, "s--", label=f"f = {match:.3f} everywhere")
axes.axhline(mp.chance_recall(5), color="gray", linewidth=0.8, label="chance")
axes.set(xlabel="serial position", ylabel="recall", ylim=(0, 1), xticks=range(1, 6))
axes.legend()
plt.show()

# %% [markdown]
# ## Discuss
#
# * Mean recall with one flexibility is no lower than with the mixture. What does
#   that say about the claim that *mixing* matters, for one pass through one list?
# * Why is the matching $f$ so much above the mean of the mixture? (Plasticity falls
#   exponentially with $(1 - f)/f$: which synapses of the mixture do the work?)
# * You chose $f$ on the same seeds on which you compare. What would a fair test
#   look like?
#
# ## Reference
#
# Cho, Lee, Baek, Paik, arXiv:2407.07133. Claims C10 and C11 of this package test
# both halves of the question, on other seeds: `metaplastic_np.CLAIMS`.
