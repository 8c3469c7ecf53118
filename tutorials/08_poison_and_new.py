# %% [markdown]
# # 8. Poison and new learning, dose against dose
#
# **Is a network that resists false labels robust, or just slow to learn anything?**
#
# *You will learn* to ask what else would give the same result, and to give the
# control the same dose as the treatment.
#
# Once the list has been learned, present every item once more under another item's
# label. That is **data poisoning**, and the metaplastic network keeps most of what
# it knew. But its synapses have stiffened: perhaps it would now ignore *anything*.
# So take the same network, in the same state, and show it images of *new* items
# under the same labels. **Uptake** is the share of test images that get the label
# just taught:
#
# $$
# \text{uptake} =
# \frac{\text{test images classified as just taught}}{\text{test images}}
# $$
#
# Run time: about 21 s. Read first: lesson 4.

# %%
import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

n_items, passes, doses = 5, 4, 3

# %% [markdown]
# ## A schedule is a list
#
# First come four passes over five items, then three doses of poison. Then the
# network is *rewound* to the end of the four passes, and gets three doses of new
# items under the same labels. A `Step` says all of that: whose turn it is, under
# which label, with whose images, and from which state to go on.

# %%
false = np.roll(range(n_items), 1)  # item 0 is called 4, item 1 is called 0, ...
learned = passes * [mp.Step(k) for k in range(n_items)]
poison = doses * [mp.Step(k, label=int(false[k])) for k in range(n_items)]
new = doses * [
    mp.Step(k, label=int(false[k]), shown=n_items + k) for k in range(n_items)
]
new[0] = new[0]._replace(after=len(learned))
schedule = [*learned, *poison, *new]
for step in (
    schedule[0],
    schedule[len(learned)],
    schedule[len(learned) + len(poison)],
):
    print(step)

settings = mp.Settings(
    n_items=n_items,
    schedule=schedule,
    networks=("conventional", "hybrid"),
    trials=2,
    seed=7,
)
results = mp.run_experiment(mp.load_digits(), settings)

# %% [markdown]
# ## What poison does

# %%
# How many presentations have been learned after each dose.
ends = len(learned) + n_items * np.arange(doses + 1)
kept = {
    network: recall.mean(axis=(0, 2))[ends]
    for network, recall in zip(settings.networks, results.recall, strict=True)
}

what, x = "recall of the list against doses of poison", range(doses + 1)
mp.plots.plot_curves(kept, what, x=x, chance=mp.chance_recall(n_items))
plt.title("The hybrid keeps what it knew for longer")
plt.show()

# %% [markdown]
# ## The control: new items, same labels, same dose
#
# Uptake of poison comes from the confusion table of the list, uptake of new items
# from the confusion table of the new items. Both are measured at the end of each
# dose.

# %%
after_new = ends[-1] + n_items * np.arange(1, doses + 1)
items = np.arange(n_items)
uptake = {}
for network, confusion, new_confusion in zip(
    settings.networks, results.confusion, results.new_confusion, strict=True
):
    of_poison = confusion[:, ends[1:]][:, :, items, false].mean(axis=(0, 2))
    of_new = new_confusion[:, after_new][:, :, items, false].mean(axis=(0, 2))
    uptake[f"{network}, false labels"] = of_poison / settings.n_test_images
    uptake[f"{network}, new items"] = of_new / settings.n_test_images
for name, share in uptake.items():
    print(f"{name:<26} uptake after {doses} doses: {share[-1]:.2f}")

mp.plots.plot_curves(
    uptake, "uptake against doses", chance=mp.chance_recall(n_items)
)
plt.title("Does it resist the false (filled), or the new (hollow)?")
plt.show()

# %% [markdown]
# Compare heights, then gaps. The hybrid takes up less of the false labels than the
# conventional network, *and less of the new items*: much of its robustness is the
# stiffness that made it keep the list. Only the gap between hollow and filled, new
# minus false, could be called robustness, and the conventional network has one,
# too.
#
# ## What to try
#
# * Poison after one pass instead of four. Is the hybrid still robust?
# * One item only: `mp.Step(0, label=3)`, ten times in a row. Exercise 6 makes a
#   contest of it.
# * A false label that is the *previous* item's, or always the same one: which
#   poison is cheapest?
#
# ## References
#
# * Cho, Lee, Baek, Paik (2024), arXiv:2407.07133: data poisoning. The control is
#   not in it.
