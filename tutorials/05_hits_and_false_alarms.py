# %% [markdown]
# # 5. Hits, false alarms, chance, and what "memorized" means
#
# **When has a network memorized an item, rather than said its name often?**
#
# *You will learn* how to read a confusion table, how to test hits against chance
# exactly, when such a test is too lenient, and how one sign (> instead of >=) makes
# a network memorize items that it never names.
#
# Pool the test images of all items: T in all. A of them are *classified as* k, and
# B of them *belong* to k. If the answers were shuffled, the number of hits X would
# be hypergeometric. Item k counts as **memorized** if
#
# $$
# P(X \ge \text{hits}) < 0.05, \qquad X \sim \text{Hypergeometric}(T, A, B)
# $$
#
# Run time: about 9 s. Read first: lesson 4.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import hypergeom

import metaplastic_np as mp

# %% [markdown]
# ## The confusion table
#
# Everything comes from one table: it counts how many of each item's 100 test images
# were classified as which item.

# %%
settings = mp.Settings(trials=2, seed=4)
results = mp.run_experiment(mp.load_digits(), settings)
# First trial, after the whole list. Axes: networks, items, answers.
final = results.confusion[:, 0, -1]
tables = dict(zip(settings.networks, final, strict=True))

mp.plots.plot_tables(tables, "item against answer", colors="test images", top=100)
plt.suptitle("The diagonal is hits, a bright column is a favorite answer")
plt.show()

# %% [markdown]
# ## Hits without false alarms are worth nothing
#
# A network that calls every image "item 10" has a recall of 1 for item 10. So
# compare the hits with the **false alarms**: how often images of *other* items get
# that name.

# %%
points = {}
for network, confusion in tables.items():
    hits = mp.measure_recall(confusion)
    false_alarms = mp.metrics.measure_false_alarms(confusion)
    is_memorized = mp.metrics.measure_memorized(confusion)
    for chosen, word in ((is_memorized, "memorized"), (~is_memorized, "not")):
        points[f"{network}, {word}"] = false_alarms[chosen], hits[chosen]

mp.plots.plot_curves(points, "hits (recall) against false alarms", joined=False)
plt.axline((0, 0), slope=1, color="0.5", linewidth=1)
plt.title("Items of one trial; on the gray line a name says nothing")
plt.show()

# %% [markdown]
# ## The test, and its sign
#
# The test is a sum of hypergeometric terms, so nothing has to be shuffled. But the
# paper's published code counts shuffles with strictly *more* hits. See what that
# does to an item that is **never named**: it has 0 hits, and no shuffle can have
# more than 0.

# %%
total, belong = 1000, 100
hits = np.arange(16)
for answered in (0, 50):
    print(f"answered {answered:>2} of {total}")
    for count in hits[: min(answered, 9) + 1 : 2]:
        at_least = hypergeom.sf(count - 1, total, answered, belong)
        more = hypergeom.sf(count, total, answered, belong)
        verdict = f"{at_least < 0.05!s:<6} with '>': {more < 0.05}"
        print(
            f"   {count} hits: P(X >= hits) = {at_least:.3f}, memorized {verdict}"
        )

for network, confusion in zip(settings.networks, final, strict=True):
    named = confusion.sum(axis=0)
    strict = hypergeom.sf(np.diagonal(confusion), total, named, belong) < 0.05
    print(
        f"{network:<13} memorized {mp.metrics.measure_capacity(confusion)}, "
        f"counting only strictly more hits {strict.sum()}, "
        f"never named {(named == 0).sum()}"
    )

# %% [markdown]
# ## A lenient test
#
# "Memorized" does not mean "remembered well". The more test images there are, the
# fewer hits above chance suffice: significance is not size.

# %%
n_test = np.array([20, 50, 100, 200, 500, 1000, 2000])


def measure_hits_that_suffice(n, share):
    """Fewest hits of a memorized item minus chance, at a share of answers."""
    answered = int(share * 10 * n)
    candidates = np.arange(min(answered, n) + 1)
    passes = hypergeom.sf(candidates - 1, 10 * n, answered, n) < 0.05
    return candidates[passes][0] / n - share


needed = {
    f"{share:.0%} of all answers": [
        measure_hits_that_suffice(n, share) for n in n_test
    ]
    for share in (0.1, 0.5)
}
needed["clearly remembered"] = np.full(len(n_test), 0.25)

what = "hits - chance that suffice against test images per item"
mp.plots.plot_curves(needed, what, x=n_test).set(xscale="log", ylim=(0, 0.3))
plt.title("With many test images, next to nothing counts as memorized")
plt.show()

# %% [markdown]
# That is why the package also reports whether hits minus false alarms exceed 0.25.
#
# ## What to try
#
# * Make a confusion table of a network that gives one answer to everything. Is that
#   item memorized?
# * Find a table in which recall is the same for all items, and only half of them
#   are memorized.
# * Which of the two verdicts would you rather put in an abstract? Would a reader
#   notice?
#
# ## References
#
# * Green, Swets (1966), *Signal Detection Theory and Psychophysics*: hits and false
#   alarms.
# * Cho, Lee, Baek, Paik (2024), arXiv:2407.07133, and the repository that goes with
#   it.
