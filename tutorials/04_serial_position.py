r"""
The serial position effect
==========================

**Which items of a list does a network remember, and does it look like us?**

*You will learn* to run the paper's main experiment, to read a serial position curve,
and why a curve without its uncertainty is an anecdote.

Three networks differ in nothing but the flexibility of their synapses: conventional,
f = 1; stable, f = 0.3; hybrid, f random between 0 and 1. **Primacy** is recall of the
first item minus the mean of the middle, **recency** that of the last:

.. math:: \text{primacy} = r_1 - \overline{r_{4..7}}, \qquad
          \text{recency} = r_{10} - \overline{r_{4..7}}

Run time: about 14 s.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

plt.rcParams["figure.constrained_layout.use"] = True
digits = mp.load_digits()

# %%
# One list
# --------
#
# Ten items, one after the other, none ever shown again as itself. All networks start
# from the same weights and see the same images in the same order.

settings = mp.Settings(trials=4, seed=1)
results = mp.run_experiment(digits, settings)
print("recall has the axes network, trial, presentation, item:", results.recall.shape)

# %%
# How memory fills
# ----------------
#
# Row t is a test of all items after t presentations. Look along the diagonal for what
# was just learned, down a column for the fate of one item.

figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True)
for place, network, recall in zip(axes, settings.networks, results.recall, strict=True):
    panel = mp.plots.Matrix(
        title=network,
        xlabel="item",
        ylabel="items presented so far",
        label="recall",
        network=network,
        values=recall.mean(axis=0)[1:],
    )
    image = mp.plots.plot_matrix(place, panel)
    place.label_outer()
figure.colorbar(image, ax=axes, label="recall")
figure.suptitle(
    "A conventional memory is overwritten, a stable one is full, a hybrid one is both"
)
plt.show()

# %%
# The curve
# ---------
#
# The last row, against when each item was presented, is the **serial position curve**.
# The shading is the 95 % interval of the mean over trials.

curves = mp.measure_serial_position_curve(results.recall)
positions = np.arange(1, 11)
panel = mp.plots.Panel(
    title="Recall after the whole list",
    xlabel="serial position",
    ylabel="recall",
    chance=mp.chance_recall(10),
    series=[
        mp.plots.Series(label=network, network=network, x=positions, values=values)
        for network, values in zip(settings.networks, curves, strict=True)
    ],
)
figure, axes = plt.subplots(figsize=(7, 4))
mp.plots.plot_panel(axes, panel)
axes.legend()
plt.show()

for network, values in zip(settings.networks, curves, strict=True):
    primacy, recency = (
        mp.metrics.measure_primacy(values).mean(),
        mp.metrics.measure_recency(values).mean(),
    )
    mean = values.mean()
    print(
        f"{network:<13} primacy {primacy:+.2f}, recency {recency:+.2f}, "
        f"mean recall {mean:.2f}"
    )

# %%
# One trial is an anecdote
# ------------------------
#
# The hybrid network again, each trial by itself. Its U is a statement about means: a
# single list may show it or not, since it also matters which items resemble each other.

figure, axes = plt.subplots(1, 4, figsize=(11, 3), sharey=True)
for trial, place in enumerate(axes):
    place.plot(positions, curves[2, trial], "o-", color="#009E73")
    place.axhline(0.1, color="0.5", linewidth=1)
    shown = ["".join(map(str, classes)) for classes in results.item_classes[trial]]
    place.set(title=f"trial {trial + 1}", xlabel="item")
    place.set_xticks(positions, shown, rotation=90, fontsize="small")
axes[0].set(ylabel="recall", ylim=(0, 1.02))
figure.suptitle("The hybrid network, four lists one by one; gray: chance")
plt.show()

spread = curves[2].std(axis=0, ddof=1).mean()
print(f"standard deviation of one position's recall over trials: {spread:.2f}")
print(
    f"so the mean of 4 trials is uncertain by {spread / 2:.2f}, "
    f"of 40 by {spread / 40**0.5:.2f}"
)

# %%
# And people?
# -----------
#
# People who hear a list of words and repeat it in any order show the same U: Murdock
# (1962) found 6.39 of 10 words recalled on average at two seconds a word, and 8.82 of
# 30 at one second. Recall of words and accuracy of classification are not the same
# quantity, so compare shapes, not heights.
#
# What to try
# -----------
#
# * ``Settings(trials=4, seed=2)``: other lists, other noise. Which of your conclusions
#   survive?
# * ``networks=("hybrid", "biased-up", "biased-down")``: more flexible or less on
#   average. Predict which end of the curve rises.
# * Items 7 and 17 share a digit. Does an item suffer more from similar neighbors?
#
# References
# ----------
#
# * Murdock (1962), *Journal of Experimental Psychology* 64:482, doi:10.1037/h0045106.
# * Cho, Lee, Baek, Paik (2024), arXiv:2407.07133.
