# %% [markdown]
# # Exercise 11: every label must be wrong
#
# **How do you draw labels at random so that none of them is right?**
#
# To poison a list, every item needs the label of another item. The first idea is to
# shuffle, and it is not good enough. Run time: 2 s.

# %%
from collections import Counter

import numpy as np

import metaplastic_np as mp
from metaplastic_np.exercises import check

# %% [markdown]
# ## Predict first
#
# Shuffle the labels of 10 items. How many items get their own label back, on
# average? And if there are 1,000 items?

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# A permutation that leaves nothing in its place is a *derangement*. Four items have
# 24 permutations and 9 derangements. Draw yours uniformly: each must be equally
# likely. All random numbers come from `rng`, a `numpy.random.Generator`, so that
# equal seeds give equal experiments.
#
# <details><summary>Hint 1</summary>
#
# If you repair a bad permutation by swapping the items that are in their own place,
# some derangements become more likely than others. If you shift all labels by one,
# you get only a single cycle.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Rejection: draw a whole permutation. If it has a fixed point, forget it and draw
# another. About 1 in $e$ is accepted, for any number of items.
#
# </details>


# %%
def draw_poison(n_items, rng):
    """Uniformly drawn list of labels, one per item, none of them the item's own."""
    ### BEGIN SOLUTION
    while True:
        labels = rng.permutation(n_items)
        if (labels != np.arange(n_items)).all():
            return labels.tolist()
    ### END SOLUTION


# %%
print(check("ex11", draw_poison))

# %% [markdown]
# ## Use it
#
# See how many items a plain shuffle leaves unpoisoned, in lists of several lengths.
# Then see your own draws.

# %%
rng = np.random.default_rng(0)
print("items   right labels on average   share of derangements")
for n_items in (4, 10, 100, 1000):
    right = [
        int((rng.permutation(n_items) == np.arange(n_items)).sum())
        for _ in range(4000)
    ]
    print(
        f"{n_items:5d} {np.mean(right):25.3f} {np.mean(np.equal(right, 0)):23.3f}"
    )

drawn = Counter(tuple(draw_poison(4, rng)) for _ in range(9000))
for labels, count in sorted(drawn.items()):
    print(labels, count)
print(
    "as a schedule:",
    [mp.Step(item, label=k) for item, k in enumerate(draw_poison(3, rng))],
)

# %% [markdown]
# ## Explain
#
# * On average one item keeps its label, however long the list is. Prove it: each
#   item keeps its label with probability 1/N, and there are N items.
# * Suppose that a published poisoning test used plain shuffles of 10 labels. By how
#   much would that overstate recall after poisoning?
# * Why does rejection keep the distribution uniform?
#
# ## Reference
#
# de Montmort: Essay d'analyse sur les jeux de hazard (1708), the "problème des
# rencontres". In this package: the schedule "poisoning".
