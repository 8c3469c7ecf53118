# %% [markdown]
# # Exercise 8: massed or spaced
#
# **Every item is shown twice. Does it matter when?**
#
# People remember more if repetitions are spaced. You write a spaced schedule, and
# ask whether a network that knows nothing of time shows the effect. Run time: 6 s.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp
from metaplastic_np.exercises import SMALL, check

# %% [markdown]
# ## Predict first
#
# Massed: 0 0 1 1 2 2 ... Spaced: every item comes again after a pause. Who gains
# from spacing: the conventional network, the hybrid, both, neither? At which
# positions?

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# A schedule is a list of item numbers. Write one in which
#
# 1. each of the items 0 to `n_items - 1` is shown exactly twice, and nothing else;
# 2. the second showing of each item comes $g$ places after its first, with the same
#    $g$ for all items;
# 3. nothing is massed: $g \ge 2$.
#
# <details><summary>Hint 1</summary>
#
# 0 1 2 2 1 0 will not do: item 2 is massed, and the waits differ.
#
# </details>
# <details><summary>Hint 2</summary>
#
# What is $g$ if you go through the whole list, and then through it again in the
# same order?
#
# </details>


# %%
def spaced(n_items):
    """List of 2 * n_items items: each twice, with equal waits of 2 or more."""
    ### BEGIN SOLUTION
    return 2 * list(range(n_items))
    ### END SOLUTION


# %%
print(check("ex08", spaced))

# %% [markdown]
# ## Use it

# %%
n_items = 5
schedules = {
    "massed": [item for item in range(n_items) for _ in range(2)],
    "spaced": spaced(n_items),
}
figure, panels = plt.subplots(
    1, 2, figsize=(8, 3.6), sharey=True, layout="constrained"
)
for style, (name, schedule) in zip(
    ("o-", "s--", "^:"), schedules.items(), strict=False
):
    settings = replace(
        SMALL,
        n_items=n_items,
        schedule=schedule,
        trials=20,
        networks=("conventional", "hybrid"),
    )
    curves = mp.run_experiment(mp.load_digits(), settings).recall[:, :, -1]
    for axes, network, by_trial in zip(
        panels, settings.networks, curves, strict=True
    ):
        curve = by_trial.mean(axis=0)
        axes.plot(np.arange(1, 1 + n_items), curve, style, label=name)
        axes.set(title=network, xlabel="item", ylim=(0, 1))
        error = by_trial.mean(axis=1).std(ddof=1) / np.sqrt(settings.trials)
        print(
            f"{network:13s} {name}: mean recall {curve.mean():.3f} +- {error:.3f}"
        )
for axes in panels:
    axes.axhline(
        mp.chance_recall(n_items), color="gray", linewidth=0.8, label="chance"
    )
panels[0].set_ylabel("recall")
figure.suptitle("Recall after the same presentations, spaced and massed")
panels[0].legend()
plt.show()

# %% [markdown]
# ## Discuss
#
# * In a spaced list the first item's last showing is closer to the test. Is that
#   all there is to it? Where would you look to find out?
# * Massed repetition gives the hybrid's plastic synapses to one item for twice as
#   long. Which items pay for this?
# * The networks have no sense of time between presentations. Which part of what
#   psychologists call spacing can therefore not be in this model?
#
# ## Reference
#
# Cepeda, Pashler, Vul, Wixted, Rohrer: Distributed practice in verbal recall tasks,
# Psychological Bulletin 132 (2006).
