# %% [markdown]
# # 11. Which synapses remember?
#
# **Where in the hybrid network is the first item kept, and where the last?**
#
# *You will learn* how to follow displacement by flexibility, how to do a lesion
# experiment on a network, and what a lesion can and cannot show.
#
# Sort all synapses into ten **deciles** of flexibility, from the stiffest tenth to
# the most flexible. The displacement of decile d after the list is a sum over
# presentations, $w_{10} - w_0 = \sum_t \Delta_t$, so you can ask which presentation
# wrote it. You can also undo it: a **lesion** puts the weights of a decile back to
# their initial values,
#
# $$
# w_i \leftarrow w_{0,i} \quad \text{for all } i \text{ in decile } d
# $$
#
# Run time: about 7 s. Read first: lesson 10.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

n_items = 10

# %% [markdown]
# ## Who writes when
#
# `by_flexibility=True` measures what each presentation adds to the displacement of
# each tenth of the synapses, sorted by f.

# %%
settings = mp.Settings(networks=("hybrid",), trials=2, seed=12, by_flexibility=True)
results = mp.run_experiment(mp.load_digits(), settings)
share = results.displacement_share[0].mean(axis=0)  # presentations, deciles
newest = share[-3:, -1].sum()
print(
    f"of the stiffest tenth's displacement the first item wrote {share[0, 0]:.0%}"
)
print(
    f"of the most flexible tenth's {share[0, -1]:.0%}; the last three {newest:.0%}"
)

what = "presentation against tenth of the synapses, stiffest first"
mp.plots.plot_tables({"hybrid": share}, what, colors="share of the way", top=None)
plt.suptitle("Who wrote where the synapses ended up")
plt.show()

# %% [markdown]
# The first presentation wrote the stiff synapses, and later ones hardly moved them.
# The flexible ones are rewritten all the time. It *looks* as if the first item were
# stored in the stiff ones.
#
# ## A lesion is an experiment
#
# Looking is correlation. So build a hybrid network by hand, let it learn a list,
# and put one decile at a time back to birth.

# %%
rng = np.random.default_rng(2)
lists = []
for _ in range(3):
    items = mp.draw_items(
        mp.load_digits(),
        n_items=n_items,
        n_train_images=500,
        n_test_images=100,
        rng=rng,
    )
    items = mp.scenarios.freeze_features(items, n_features=1024, rng=rng)
    items = replace(
        items,
        train_images=items.train_images * 8,
        test_images=items.test_images * 8,
    )
    network = mp.init_network((1024, 256, 256, n_items), rng=rng)
    steepness = mp.experiments.measure_default_steepness(n_items)
    rule = mp.init_metaplasticity(network, "hybrid", steepness=steepness, rng=rng)
    for k in range(n_items):
        shown = mp.draw_presentation(items, k, epochs=5, rng=rng)
        mp.learn_item(network, rule, shown, settings=mp.LearningSettings())
    lists.append((network, rule, items))


def test_without(decile):
    """Recall and false alarms with a decile put back to birth, mean over lists."""
    found = []
    for network, rule, items in lists:
        lesioned = mp.copy_network(network)
        is_hit = np.ceil(rule.flexibility * 10) == decile
        _, biases = mp.split_parameters(is_hit, network.layer_sizes)
        for bias in biases:
            bias[:] = False  # biases have f = 1 but are not modulated: leave them
        lesioned.parameters[is_hit] = rule.initial_weights[is_hit]
        confusion = mp.measure_confusion(lesioned, items.test_images)
        found.append(
            [
                mp.measure_recall(confusion),
                mp.metrics.measure_false_alarms(confusion),
            ]
        )
    return np.mean(found, axis=0)


intact, false_alarms = test_without(None)
deciles = np.arange(1, 11)
tests = [test_without(decile) for decile in deciles]
lost = np.array([intact - recall for recall, _ in tests])  # below 0: gained

# %% [markdown]
# ## What a lesion costs

# %%
ends = {"first three items": slice(0, 3), "last three items": slice(-3, None)}
costs = {name: lost[:, which].mean(axis=1) for name, which in ends.items()}
curves = {"hybrid": intact}
curves |= {
    f"without decile {decile}": intact - lost[decile - 1] for decile in (1, 10)
}
for name, cost in costs.items():
    worst = deciles[cost.argmax()]
    print(f"{name}: no decile costs more than {cost.max():.2f} of recall ({worst})")
(first, *_), (named, *_) = tests[9]
print(f"the first item: recall {intact[0]:.2f}, without decile 10 {first:.2f}")
print(
    f"   its name for others: {false_alarms[0]:.2f}, without decile 10 {named:.2f}"
)

_, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.6))
mp.plots.plot_curves(
    costs, "recall lost against decile put back to birth", axes=left
)
mp.plots.plot_curves(
    curves, "recall against serial position", axes=right, chance=0.1
)
plt.suptitle("One tenth of the synapses at a time, and the curve after a lesion")
plt.show()

# %% [markdown]
# There are two surprises. Without the stiffest decile nothing is lost, although the
# first item wrote it: the network can do without this tenth of its synapses, which
# moved least. And without the most *flexible* decile, which alone holds the newest
# items, **the first item comes back**. This is no mere guess: its false alarms rise
# much less than its hits. So it was not erased. The stiff synapses together had
# kept it, and the flexible ones had covered it with later answers. Items in the
# middle lose recall by the same lesion.
#
# So forgetting in the hybrid is partly a failure to *retrieve*. Where an item is
# written, where it is needed and what hides it are three questions; a picture of
# displacements answers only the first.
#
# ## What to try
#
# * Lesion the stiffest five tenths at once, then the most flexible five. Predict
#   both.
# * A fair lesion moves every decile by the same distance. Scale the lesions so that
#   they do.
# * Lesion the conventional network by *displacement* instead. Is there a decile
#   that spares the past?
#
# ## References
#
# * Cho, Lee, Baek, Paik (2024), arXiv:2407.07133.
# * Meyes, Lu, de Puiseau, Meisen (2019), arXiv:1901.08644: ablation studies of
#   networks, and their limits.
