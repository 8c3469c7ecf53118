# %% [markdown]
# # 3. Catastrophic forgetting: is it the labels?
#
# **Why does an ordinary network forget the first items: because it learns others,
# or because it is taught that they are something else?**
#
# *You will learn* what one presentation of the paper's protocol contains, how to
# take it apart, and which part of the famous forgetting labels can cause, or cure.
#
# An ordinary network minimizes the loss of what it is shown *now*,
#
# $$
# w \leftarrow w - \eta\,\nabla L_{\text{now}}(w)
# $$
#
# and nothing in this rule protects earlier items.
#
# Run time: about 10 s. Read first: nothing.

# %%
import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

digits = mp.load_digits()

# %% [markdown]
# ## What an item is
#
# An **item** is a two-digit number: two handwritten digits side by side. Ten items
# make a list. Here are four training images of each of three items.

# %%
rng = np.random.default_rng(3)
items = mp.draw_items(digits, n_items=3, n_train_images=4, n_test_images=1, rng=rng)
images = items.train_images.reshape(-1, 8, 16)  # 3 items, 4 images each
names = [f"item {tens}{ones}" for tens, ones in items.classes for _ in range(4)]

mp.plots.plot_images(images, names, columns=4)
plt.suptitle("Three items, four training images each")
plt.show()

# %% [markdown]
# ## What a presentation is
#
# In item k's turn, the network sees all images of item k, labeled k, *and* about as
# many images of the other items, the **non-targets**. In the paper their labels are
# **permuted**: an image of item j gets any label but j. Look at one presentation:

# %%
items = mp.draw_items(
    digits, n_items=10, n_train_images=500, n_test_images=100, rng=rng
)
for kind in ("permuted", "true", "none"):
    shown = mp.draw_presentation(items, 0, epochs=1, non_target=kind, rng=rng)
    counts = np.bincount(shown.labels, minlength=10)
    print(f"{kind:<9}{len(shown.images):>5} images; labels 0 to 9: {counts}")

# %% [markdown]
# Permuted and true labels have nearly the same *counts*; only which image gets
# which label differs. So there are two reasons to forget item j while item k is
# learned: the weights move to fit k, and the network is told fifty-odd times that
# images of j are not j.
#
# ## Take the two apart
#
# Teach an ordinary network the same lists three times: with the paper's permuted
# labels, without non-targets, and with true labels.

# %%
runs = {
    kind: mp.run_experiment(
        digits,
        mp.Settings(networks=("conventional",), trials=3, non_target=kind, seed=1),
    )
    for kind in ("permuted", "none", "true")
}
recall = {kind: run.recall[0].mean(axis=0)[1:] for kind, run in runs.items()}

mp.plots.plot_tables(recall, "items presented so far against item", colors="recall")
plt.suptitle("How a memory fills, and empties, under three kinds of labels")
plt.show()

# %% [markdown]
# Each row tests all ten items after one more was presented. Items below the
# diagonal are in the past, items above it have not yet had their turn. The right
# panel has no past: non-targets come from *all* items, so with true labels the
# network learns the whole list at once. That is joint training, the best that any
# rule could hope for.

# %%
for kind, run in runs.items():
    curve = mp.measure_serial_position_curve(run.recall[0]).mean(axis=0)
    past, last = curve[:-1].mean(), curve[-1]
    false_alarms = mp.metrics.measure_false_alarms(run.confusion[0, :, -1])
    false_alarms = false_alarms[:, -1].mean()
    print(f"{kind:<9} first nine items {past:.2f}, last item {last:.2f};", end=" ")
    print(f"others that get the last item's name {false_alarms:.2f}")

# %% [markdown]
# * *Permuted*: the network knows the item just learned, and little else. The oldest
#   items fall below chance (0.1): the network has learned what they are *not*.
# * *None*: no label is wrong, and the result is worse. Nearly every image gets the
#   newest item's name: learning one class alone is enough to forget all others.
# * *True*: with a few fresh images of every item under its own name, plain gradient
#   descent learns the whole list.
#
# So forgetting needs no wrong labels, and true labels prevent it; the paper's
# networks have to do without them. When you read that a method "solves forgetting",
# ask first what caused the forgetting.
#
# ## What to try
#
# * Replace the networks by `("hybrid",)`. Under which labels does it gain most?
# * Real rehearsal shows again only what has been *presented*. How would you draw
#   such non-targets?
# * After how many epochs without non-targets is the first item gone?
#   (`by_epoch=True`)
#
# ## References
#
# * McCloskey, Cohen (1989), *Psychology of Learning and Motivation* 24:109,
#   doi:10.1016/S0079-7421(08)60536-8: catastrophic interference.
# * Cho, Lee, Baek, Paik (2024), arXiv:2407.07133: the protocol with permuted
#   non-targets.
