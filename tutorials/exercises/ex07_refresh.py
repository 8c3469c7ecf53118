# %% [markdown]
# # Exercise 7: refresh at every update
#
# **Does the network need to be told when a new item begins?**
#
# The paper computes plasticity once per presentation. That is a hidden signal:
# "something new begins". You take it away. Run time: 6 s.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp
from metaplastic_np.exercises import SMALL, check

# %% [markdown]
# ## Predict first
#
# Plasticity that is computed anew before every update is always up to date. That
# sounds better. What will happen to recall of the first, the middle and the last
# items?

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# Take one synapse with initial weight $w_0$ and displacement $d = w - w_0$. Each
# update is
#
# $$ d \leftarrow d - \eta\,p\,g,
# \qquad p = \operatorname{sech}^2\!\left(s\,\frac{1-f}{f}\,d\right) $$
#
# * `refresh="presentation"`: $p$ is computed before the first update of a
#   presentation and kept.
# * `refresh="update"`: $p$ is computed anew before every update.
#
# <details><summary>Hint 1</summary>
#
# Write two loops, over presentations and over updates. The two settings differ only
# in *where* the line that computes $p$ stands. `mp.measure_plasticity` takes
# arrays, even of one element.
#
# </details>
# <details><summary>Hint 2</summary>
#
# $d$ carries over from one presentation to the next. Only $p$ is computed anew.
#
# </details>


# %%
def learn(gradients, flexibility, steepness, learning_rate, refresh):
    """Displacement of one synapse after every update, in the shape of `gradients`.

    `gradients` has shape (n_presentations, n_updates); `refresh` is "presentation"
    or "update".
    """
    ### BEGIN SOLUTION
    path, displacement = np.empty(gradients.shape), 0.0
    for presentation, row in enumerate(gradients):
        for update, gradient in enumerate(row):
            if update == 0 or refresh == "update":
                stiffness = steepness * (1 - flexibility) / flexibility
                plasticity = 1 / np.cosh(stiffness * displacement) ** 2
            displacement -= learning_rate * plasticity * gradient
            path[presentation, update] = displacement
    return path
    ### END SOLUTION


# %%
print(check("ex07", learn))

# %% [markdown]
# ## Use it
#
# First comes one synapse under a steady pull, then a whole network. Its steepness
# of 1,700 was balanced for one refresh per presentation. With a refresh per update,
# a larger steepness does not help.

# %%
pull = np.full((5, 20), -1.0)
runs = {
    "presentation, s = 1,700": ("presentation", 1_700.0),
    "update, s = 1,700": ("update", 1_700.0),
    "update, s = 17,000": ("update", 17_000.0),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for style, (name, (refresh, steepness)) in zip(
    ("o-", "s--", "^:"), runs.items(), strict=False
):
    path = learn(pull, 0.6, steepness, 0.001, refresh).ravel()
    left.plot(1 + np.arange(path.size), path, style, markevery=0.1, label=name)
    settings = replace(
        SMALL, trials=20, networks=("hybrid",), steepness=steepness, refresh=refresh
    )
    curve = (
        mp.run_experiment(mp.load_digits(), settings).recall[0, :, -1].mean(axis=0)
    )
    right.plot(np.arange(1, 6), curve, style, label=name)
    print(f"{name:24s} recall by position", *(f"{recall:.2f}" for recall in curve))
left.set(
    xlabel="update, 20 per presentation",
    ylabel="displacement",
    title="One synapse, f = 0.6",
)
left.set(yscale="log")
right.axhline(mp.chance_recall(5), color="gray", linewidth=0.8, label="chance")
right.set(
    xlabel="serial position",
    ylabel="recall",
    xticks=range(1, 6),
    ylim=(0, 1),
    title="Network",
)
right.legend()
plt.show()

# %% [markdown]
# ## Explain
#
# * Under the paper's rule a synapse overshoots its travel budget by far in its
#   first presentation, because its plasticity still says "newborn". Afterwards it
#   is stuck. Refreshed at every update, it creeps on. Find both in the left panel.
#   Which step makes it stick at s = 17,000?
# * Why do the *middle* items suffer most?
# * Brains have no presentation counter. What could play its part?
#
# ## Reference
#
# Cho, Lee, Baek, Paik, arXiv:2407.07133. The logarithmic drift on the left is the
# law of exercise 4.
