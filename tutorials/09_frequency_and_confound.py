# %% [markdown]
# # 9. Frequency, and how a confound fools you
#
# **Is an item remembered because it was shown often, or because it was shown early,
# or late?**
#
# *You will learn* what a confound is in numbers, how to draw schedules without it,
# and how it makes the same networks tell another story.
#
# Show N items 1, 2, ..., N times each, in a random order. An item that is shown
# often is *likely to come early for the first time and late for the last time*.
# Spearman's rank correlation measures how closely each position goes with
# frequency:
#
# $$
# \rho = \text{corr}(\text{rank of frequency}, \text{rank of position})
# $$
#
# Run time: about 24 s. Read first: lesson 4.

# %%
import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

rng = np.random.default_rng(0)
n_items = 7

# %% [markdown]
# ## The confound
#
# Draw two thousand random orders, without training a network, and correlate.

# %%
frequency = np.arange(1, n_items + 1)
shown = np.repeat(np.arange(n_items), frequency)
orders = rng.permuted(np.tile(shown, (2000, 1)), axis=1)
# Axes: first, mean and last position; orders; items.
positions = mp.scenarios.measure_positions(orders, n_items)
rho = mp.metrics.measure_rank_correlation(positions, frequency)
is_balanced = (np.abs(rho) <= 0.15).all(axis=0)
print(f"orders with all three within 0.15: {is_balanced.sum()} of {len(orders)}")

steps = np.arange(-28, 29) / 28  # rho of seven items comes in steps of 1/28
edges = (np.arange(-28, 30) - 0.5) / 28
counts = {
    f"{name} position: mean {values.mean():+.2f}": np.histogram(values, edges)[0]
    for values, name in zip(rho, ("first", "mean", "last"), strict=True)
}

mp.plots.plot_curves(
    counts, "orders against rank correlation with frequency", x=steps
)
plt.axvspan(-0.15, 0.15, color="0.92")
plt.title("In a random order the frequent comes early and stays late")
plt.show()

# %% [markdown]
# Balanced orders are rare, but a computer can draw until it has one: this package's
# schedule "frequency" does so. The orders in the paper's published code balance
# frequency against the *last* position, but not against the *first*.
#
# ## A fooled experimenter
#
# Take an extreme case: item k is shown k + 1 times, and the more frequent an item,
# the earlier it starts and stops. Compare it with a balanced order of the same
# counts: same networks, same number of presentations.

# %%
early = [k for start in range(n_items) for k in range(start, n_items)][::-1]
balanced = [
    step.item for step in mp.scenarios.draw_schedule("frequency", n_items, rng=rng)
]
designs = {"frequent first": early, "balanced": balanced}

runs = {}
for name, order in designs.items():
    place = mp.scenarios.measure_positions(np.array(order), n_items)
    counts = np.bincount(order)
    first, _, last = mp.metrics.measure_rank_correlation(place, counts)
    print(
        f"{name:<15} frequency with first position {first:+.2f}, last {last:+.2f}"
    )
    runs[name] = mp.run_experiment(
        mp.load_digits(),
        mp.Settings(
            n_items=n_items,
            schedule=order,
            networks=("conventional", "hybrid"),
            trials=2,
            seed=8,
        ),
    )

# %% [markdown]
# ## What each design says

# %%
points = {name: {} for name in runs}
for name, run in runs.items():
    counts = np.bincount(designs[name])
    last = mp.scenarios.measure_positions(np.array(designs[name]), n_items)[2]
    for network, recall in zip(run.settings.networks, run.recall, strict=True):
        final = recall[:, -1].mean(axis=0)
        points[name][network] = counts, final
        by_frequency = mp.metrics.measure_rank_correlation(final, counts)
        by_last = mp.metrics.measure_rank_correlation(final, last)
        print(
            f"{name:<15} {network:<13} recall with frequency {by_frequency:+.2f}, "
            f"with last position {by_last:+.2f}"
        )
when = dict(zip(counts.tolist(), last.tolist(), strict=True))
print("balanced, when last:", when)

_, panels = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True)
for axes, (name, curves) in zip(panels, points.items(), strict=True):
    what, chance = f"recall against times shown: {name}", mp.chance_recall(n_items)
    mp.plots.plot_curves(curves, what, axes=axes, chance=chance, joined=False)
plt.suptitle("The same networks under two designs")
plt.show()

# %% [markdown]
# With frequent items first, a network that keeps only the newest item seems to
# *dislike* repetition, and the hybrid seems to count. But here nobody could tell
# frequency from age: they are the same variable. With the balanced design you can.
# There the conventional network follows the last position (its high points are the
# items that came last), and the hybrid still follows frequency. Two trials of one
# order are few; claim C8 tests many trials, each with a new balanced order.
#
# ## What to try
#
# * Reverse `early`: frequent items last. What would you have concluded?
# * What share of orders would be balanced within 0.15 if the three correlations
#   were independent? Predict it from the histograms, then count in 50,000 orders.
#   Why is it more?
# * Find a confound in a paper you like. Which three lines of code would expose it?
#
# ## References
#
# * Cho, Lee, Baek, Paik (2024), arXiv:2407.07133: learning frequency.
# * Spearman (1904), *American Journal of Psychology* 15:72, doi:10.2307/1412159.
