# %% [markdown]
# # 4. The serial position effect
#
# **Which items of a list does a network remember, and does it look like us?**
#
# *You will learn* how to run the paper's main experiment, how to read a serial
# position curve, and why a curve without its uncertainty is an anecdote.
#
# Three networks differ only in the flexibility of their synapses: conventional, f =
# 1; stable, f = 0.3; hybrid, f random between 0 and 1. **Primacy** is recall of the
# first item minus mean recall of the middle items. **Recency** is the same for the
# last item:
#
# $$
# \text{primacy} = r_1 - \bar{r}_{4..7}, \qquad
# \text{recency} = r_{10} - \bar{r}_{4..7}
# $$
#
# Run time: about 14 s. Read first: lesson 3.

# %%
import matplotlib.pyplot as plt

import metaplastic_np as mp

digits = mp.load_digits()

# %% [markdown]
# ## One list
#
# Ten items are presented one after the other. None is ever shown again under its
# own label. All networks start from the same weights and see the same images in the
# same order.

# %%
settings = mp.Settings(trials=4, seed=1)
results = mp.run_experiment(digits, settings)
print(
    "recall has the axes network, trial, presentation, item:", results.recall.shape
)

# %% [markdown]
# ## How memory fills
#
# Row t is a test of all items after t presentations. The diagonal shows the item
# just learned; a column shows what becomes of one item.

# %%
# Mean over trials, without row 0 (the untrained network).
tables = {
    network: recall.mean(axis=0)[1:]
    for network, recall in zip(settings.networks, results.recall, strict=True)
}

mp.plots.plot_tables(tables, "items presented so far against item", colors="recall")
plt.suptitle("One memory is overwritten, one is full, the hybrid is a bit of both")
plt.show()

# %% [markdown]
# ## The curve
#
# The last row, plotted against the order of presentation, is the **serial position
# curve**. The shading is the 95 % interval of the mean over trials.

# %%
curves = mp.measure_serial_position_curve(
    results.recall
)  # network, trial, position
for network, values in zip(settings.networks, curves, strict=True):
    primacy = mp.metrics.measure_primacy(values).mean()
    recency = mp.metrics.measure_recency(values).mean()
    print(
        f"{network:<13} primacy {primacy:+.2f}, recency {recency:+.2f}, "
        f"mean recall {values.mean():.2f}"
    )

_, axes = plt.subplots(figsize=(7.2, 4), layout="constrained")
mp.plots.plot_panel(axes, mp.show_serial_position(results).rows[0][0])
axes.legend()
plt.title("Recall after the whole list")
plt.show()

# %% [markdown]
# ## One trial is an anecdote
#
# Here is the hybrid network again, one curve per trial. Its U is a statement about
# means: a single list may or may not show it, since it also matters which items
# resemble each other.

# %%
hybrid = curves[2]
lists = {}
for trial, recall in enumerate(hybrid):
    classes = results.item_classes[trial]
    items = " ".join(f"{tens}{ones}" for tens, ones in classes)
    lists[f"trial {trial + 1}"] = recall
    print(
        f"trial {trial + 1}: items {items}; best {items.split()[recall.argmax()]}"
    )
spread = hybrid.std(axis=0, ddof=1).mean()
print(f"standard deviation of one position's recall over trials: {spread:.2f}")
print(
    f"so the mean of 4 trials is uncertain by {spread / 2:.2f}, "
    f"of 40 by {spread / 40**0.5:.2f}"
)

mp.plots.plot_curves(lists, "recall against serial position", chance=0.1)
plt.title("The hybrid network, four lists one by one")
plt.show()

# %% [markdown]
# ## And people?
#
# People who hear a list of words and repeat it in any order show the same U. At two
# seconds per word, Murdock (1962) found 6.39 of 10 words recalled on average; at
# one second per word, 8.82 of 30. Recall of words and accuracy of classification
# are not the same quantity, so compare shapes, not heights.
#
# ## What to try
#
# * `Settings(trials=4, seed=2)`: other lists, other noise. Which of your
#   conclusions survive?
# * `networks=("hybrid", "biased-up", "biased-down")`: more flexible or less on
#   average. Predict which end of the curve rises.
# * Items 07 and 17 share a digit. Does an item suffer more from similar neighbors?
#
# ## References
#
# * Murdock (1962), *Journal of Experimental Psychology* 64:482,
#   doi:10.1037/h0045106.
# * Cho, Lee, Baek, Paik (2024), arXiv:2407.07133.
