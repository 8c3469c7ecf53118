# %% [markdown]
# # Exercise 6: break it
#
# **How few lies does it take to make a hybrid network forget?**
#
# The paper poisons a network that has learned its list: each item's images are
# shown once more under the label of another item. The hybrid network withstands
# this. You design a better attack. Run time: 15 s.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt

import metaplastic_np as mp
from metaplastic_np.exercises import SMALL, check

# %% [markdown]
# ## Predict first
#
# You may show six poisoned presentations. Which attack does the most harm: every
# item under a *different* wrong label, as in the paper; all items under *one* wrong
# label; or a single item under one wrong label, six times over? Rank the three.

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# A presentation is an `mp.Step(item, label=...)`: the images of `item`, taught as
# `label`. A `Step` is poison if the label is wrong. (The non-targets that every
# presentation contains have wrong labels, too, as always.)
#
# The victim has learned five items, presented nine times over, on calibration
# seeds. You pass if at most 70 % of its mean recall is left after at most 6
# presentations. The checker says what is left.
#
# <details><summary>Hint 1</summary>
#
# "0 is 1" and "1 is 2" push the last layer's weights in different directions. What
# do "0 is 4" and "1 is 4" have in common?
#
# </details>
# <details><summary>Hint 2</summary>
#
# A network that answers 4 to everything has a recall of 1/5. How many presentations
# does it take to teach it that?
#
# </details>


# %%
def attack(n_items):
    """List of poisoned presentations, each an mp.Step with a wrong label."""
    ### BEGIN SOLUTION
    everything_is_last = [
        mp.Step(item, label=n_items - 1) for item in range(n_items - 1)
    ]
    return everything_is_last + everything_is_last[:2]
    ### END SOLUTION


# %%
print(check("ex06", attack))

# %% [markdown]
# ## Use it
#
# Compare your attack with the paper's and with the single lie, presentation by
# presentation.

# %%
n_items, learned = 5, 9 * list(range(5))
attacks = {
    "yours": attack(n_items),
    "each another label": [mp.Step(k % 5, label=(k + 1) % 5) for k in range(6)],
    "one lie, six times": 6 * [mp.Step(0, label=1)],
}
figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
for marker, (name, lies) in zip("os^", attacks.items(), strict=False):
    settings = replace(
        SMALL,
        n_items=n_items,
        schedule=[*learned, *lies],
        trials=4,
        networks=("conventional", "hybrid"),
    )
    recall = mp.run_experiment(mp.load_digits(), settings).recall.mean(axis=(1, 3))
    conventional, hybrid = recall[:, len(learned) :]
    (line,) = axes.plot(hybrid, f"{marker}-", label=name)
    axes.plot(conventional, f"{marker}:", color=line.get_color(), markersize=4)
    print(f"{name:20s} hybrid {hybrid[0]:.2f} -> {hybrid[-1]:.2f}", end="")
    print(f", conventional {conventional[0]:.2f} -> {conventional[-1]:.2f}")
axes.axhline(mp.chance_recall(n_items), color="gray", linewidth=0.8, label="chance")
axes.set(
    xlabel="poisoned presentations",
    ylabel="mean recall",
    title="Hybrid (solid), conventional (dotted)",
)
axes.legend()
plt.show()

# %% [markdown]
# ## Discuss
#
# * Lies that contradict each other partly cancel. Is "robust to poisoning" a
#   property of the network, or of the attack it was tested with?
# * One lie about *one* item harms *all* items. Through which images?
# * Attack a network that has learned its list only once:
#   `learned = list(range(5))`. What protects a network: the mixture, or nine
#   repetitions of freezing?
#
# ## Reference
#
# Cho, Lee, Baek, Paik, arXiv:2407.07133, data poisoning. On what a test against one
# attack proves: Athalye, Carlini, Wagner: Obfuscated gradients give a false sense
# of security, ICML 2018.
