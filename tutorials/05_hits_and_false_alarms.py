r"""
Hits, false alarms, chance, and what "memorized" means
======================================================

**When has a network memorized an item, rather than said its name often?**

*You will learn* to read a confusion table, to test hits against chance exactly, where
such a test is too kind, and how one sign (> for >=) makes a network memorize items that
it never names.

Test images of all items are pooled: T in all, A of them *answered* k, B of them
*belonging* to k. If answers were shuffled, the hits X would be hypergeometric, and item
k counts as **memorized** if

.. math:: P(X \ge \text{hits}) < 0.05, \qquad X \sim \text{Hypergeometric}(T, A, B)

Run time: about 9 s.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import hypergeom

import metaplastic_np as mp

plt.rcParams["figure.constrained_layout.use"] = True

# %%
# The confusion table
# -------------------
#
# Everything is read off one table: how many of each item's 100 test images got which
# answer.

settings = mp.Settings(trials=2, seed=4)
results = mp.run_experiment(mp.load_digits(), settings)
# Networks, items, answers: first trial, after the whole list.
final = results.confusion[:, 0, -1]

figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True)
for place, network, confusion in zip(axes, settings.networks, final, strict=True):
    panel = mp.plots.Matrix(
        title=network,
        xlabel="answer",
        ylabel="item",
        label="test images",
        network=network,
        values=confusion,
        top=100,
    )
    image = mp.plots.plot_matrix(place, panel)
    place.label_outer()
figure.colorbar(image, ax=axes, label="test images")
figure.suptitle(
    "Who is taken for whom: the diagonal is hits, a bright column is a favorite answer"
)
plt.show()

# %%
# Hits without false alarms are worth nothing
# -------------------------------------------
#
# A network that says "item 10" to everything has a recall of 1 for item 10. So put
# **false alarms**, how often images of *others* get that name, next to the hits.

figure, axes = plt.subplots(figsize=(6, 4.6))
for network, confusion in zip(settings.networks, final, strict=True):
    style = {name: mp.style_of(network)[name] for name in ("color", "marker")}
    hits = mp.measure_recall(confusion)
    false_alarms = mp.metrics.measure_false_alarms(confusion)
    for verdict, filling in ((True, "full"), (False, "none")):
        chosen = mp.metrics.measure_memorized(confusion) == verdict
        label = f"{network}, {'memorized' if verdict else 'not'}"
        points = (false_alarms[chosen], hits[chosen])
        axes.plot(
            *points, **style, linestyle="", fillstyle=filling, markersize=7, label=label
        )
axes.plot([0, 1], [0, 1], color="0.5", linewidth=1)
axes.set(
    xlabel="false alarms",
    ylabel="hits (recall)",
    title="Items of one trial; on the gray line a name says nothing",
)
axes.legend(fontsize="small")
plt.show()

# %%
# The test, and its sign
# ----------------------
#
# The test is a sum of hypergeometric terms and needs no shuffling. But the published
# code of the paper counts shuffles with strictly *more* hits. Watch what that does for
# an item that is **never named**: no hits, and no shuffle can have more than none.

total, belong = 1000, 100
hits = np.arange(16)
for answered in (0, 50):
    print(f"answered {answered:>2} of {total}")
    for count in hits[: min(answered, 9) + 1 : 2]:
        at_least = hypergeom.sf(count - 1, total, answered, belong)
        more = hypergeom.sf(count, total, answered, belong)
        verdict = f"{at_least < 0.05!s:<6} with '>': {more < 0.05}"
        print(f"   {count} hits: P(X >= hits) = {at_least:.3f}, memorized {verdict}")

for network, confusion in zip(settings.networks, final, strict=True):
    named = confusion.sum(axis=0)
    strict = hypergeom.sf(np.diagonal(confusion), total, named, belong) < 0.05
    print(
        f"{network:<13} memorized {mp.metrics.measure_capacity(confusion)}, "
        f"counting only strictly more hits {strict.sum()}, "
        f"never named {(named == 0).sum()}"
    )

# %%
# A lenient test
# --------------
#
# Memorized does not mean remembered well. The more test images, the fewer hits above
# chance suffice: significance is not size.

figure, axes = plt.subplots(figsize=(6.5, 3.8))
n_test = np.array([20, 50, 100, 200, 500, 1000, 2000])
for share, line in ((0.1, "-"), (0.5, "--")):
    needed = []
    for n in n_test:
        answered = int(share * 10 * n)
        candidates = np.arange(min(answered, n) + 1)
        passes = hypergeom.sf(candidates - 1, 10 * n, answered, n) < 0.05
        needed.append(candidates[passes][0] / n - share)
    axes.semilogx(
        n_test,
        needed,
        line,
        marker="o",
        label=f"{share:.0%} of all answers are its name",
    )
axes.set(
    xlabel="test images per item",
    ylabel="hits - chance that suffice",
    title="With many test images, next to nothing counts as memorized",
)
axes.axhline(0.25, color="0.5", linewidth=1)
axes.annotate(
    "clearly remembered: hits - false alarms > 0.25", (20, 0.255), color="0.35"
)
axes.set_ylim(0, 0.3)
axes.legend()
plt.show()

# %%
# That is why the package reports hits minus false alarms > 0.25 alongside the test.
#
# What to try
# -----------
#
# * Make a confusion table of a network that gives one answer to everything. Is that
#   item memorized?
# * Find a table in which recall is the same for all items, and only half of them are
#   memorized.
# * Which of the two verdicts would you rather put in an abstract? Would a reader
#   notice?
#
# References
# ----------
#
# * Green, Swets (1966), *Signal Detection Theory and Psychophysics*: hits and false
#   alarms.
# * Cho, Lee, Baek, Paik (2024), arXiv:2407.07133, and the repository that goes with it.
