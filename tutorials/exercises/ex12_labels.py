# %% [markdown]
# # Exercise 12: the labels of the others
#
# **How much of forgetting is learning something wrong?**
#
# While one item is taught, images of all other items are shown too, under labels
# that are neither their own nor the item's. You draw those labels, then ask what
# they do. Run time: 8 s.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp
from metaplastic_np.exercises import SMALL, check

# %% [markdown]
# ## Predict first
#
# Of all images in a presentation, what share has a wrong label? If those images
# were left out, or shown under their true labels, would the conventional network
# still forget?

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# While `item` is presented, $n$ images of the item `shown` need labels. Of the
# `n_items` labels two are excluded: `shown`, which would be the truth, and `item`,
# which is being taught. Spread the $n$ images evenly over the others. If they do
# not divide evenly, the remaining images get *different* labels, drawn at random,
# so that no label is favored in the long run.
#
# <details><summary>Hint 1</summary>
#
# `divmod(n, len(others))` tells how many images each label gets for certain, and
# how many images are left over.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `rng.choice(others, left_over, replace=False)` draws different labels.
#
# </details>


# %%
def draw_labels(n, item, shown, n_items, rng):
    """Labels for n images of `shown` while `item` is presented: int array (n,)."""
    ### BEGIN SOLUTION
    others = [label for label in range(n_items) if label not in (item, shown)]
    each, left_over = divmod(n, len(others))
    drawn = rng.choice(others, left_over, replace=False)
    return rng.permutation(np.concatenate([np.repeat(others, each), drawn]))
    ### END SOLUTION


# %%
print(check("ex12", draw_labels))

# %% [markdown]
# ## Use it
#
# A presentation of item 0 with 200 images: 50 of each of the four others, 200 wrong
# labels in all. Then the ablation: the paper's permuted labels, no non-targets, or
# true labels (rehearsal).

# %%
rng = np.random.default_rng(0)
print("item   labels 0 to 4")
for shown in range(1, 5):
    print(
        f"{shown:4d}  ", np.bincount(draw_labels(50, 0, shown, 5, rng), minlength=5)
    )

figure, panels = plt.subplots(
    1, 2, figsize=(8, 3.6), sharey=True, layout="constrained"
)
for non_target, style in {"permuted": "o-", "none": "s--", "true": "^:"}.items():
    settings = replace(
        SMALL, trials=20, networks=("conventional", "hybrid"), non_target=non_target
    )
    curves = (
        mp.run_experiment(mp.load_digits(), settings).recall[:, :, -1].mean(axis=1)
    )
    for axes, network, curve in zip(panels, settings.networks, curves, strict=True):
        axes.plot(np.arange(1, 6), curve, style, label=non_target)
        axes.set(title=network, xlabel="serial position", ylim=(0, 1.02))
        print(f"{non_target:9s} {network:13s} mean recall {curve.mean():.2f}")
for axes in panels:
    axes.axhline(mp.chance_recall(5), color="gray", linewidth=0.8, label="chance")
panels[0].set_ylabel("recall")
figure.suptitle("Recall after five items, by the labels of the non-targets")
panels[0].legend(title="non-targets")
plt.show()

# %% [markdown]
# ## Discuss
#
# * Without non-targets the conventional network forgets, too. What does it learn to
#   answer?
# * With true labels a network without any metaplasticity keeps its items. Is it
#   then fair to call the conventional network's forgetting "catastrophic"? What did
#   the true labels cost?
# * Without non-targets a network gives every image the newest item's name. Why do
#   wrong labels prevent that?
#
# ## Reference
#
# Robins: Catastrophic forgetting, rehearsal and pseudorehearsal, Connection Science
# 7 (1995). In this package: `draw_presentation`, `Settings(non_target=...)`, claim
# C12.
