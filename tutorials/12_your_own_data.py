# %% [markdown]
# # 12. Bring your own data
#
# **How do you run all of this on images of your own?**
#
# *You will learn* how to write images to a file that the package reads, why new
# images need a new steepness, how to find it, and how to judge whether what you see
# is real.
#
# A steepness fits the weights of one network on one kind of input. For new images
# it is **balanced**: we look for the s at which the hybrid network recalls the
# first and the last item of a list equally well,
#
# $$
# r_1(s) = r_N(s)
# $$
#
# by bisection, on seeds that no verdict will use.
#
# Run time: about 14 s. Read first: lessons 4 and 5.

# %%
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

rng = np.random.default_rng(0)

# %% [markdown]
# ## Images and labels
#
# Any images will do: photographs of leaves, spectrograms, microscopy. Each **class
# is an item**. Here are twelve kinds of texture: noisy gratings with four
# orientations and three widths.

# %%
size, n_train, n_test = 16, 300, 60
rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
kinds = [(angle, width) for angle in (0, 45, 90, 135) for width in (2.5, 4.0, 7.0)]


def draw_gratings(n):
    """Noisy, jittered gratings (12 n, 16, 16) of 0..255, and which kind each is."""
    images = []
    for angle, width in kinds:
        jitter = rng.uniform(-0.5, 0.5, (n, 1, 1))
        along = rows * np.sin(np.deg2rad(angle)) + columns * np.cos(
            np.deg2rad(angle)
        )
        images.append(127 + 60 * np.sin(2 * np.pi * along / width + jitter))
    noisy = np.concatenate(images) + rng.normal(0, 40, (len(kinds) * n, size, size))
    return np.clip(noisy, 0, 255).astype(np.uint8), np.repeat(
        np.arange(len(kinds)), n
    )


arrays = {}
for part, n in (("train", n_train), ("test", n_test)):
    arrays[f"{part}_images"], arrays[f"{part}_labels"] = draw_gratings(n)

names = [f"{angle}°, width {width:g}" for angle, width in kinds]
mp.plots.plot_images(arrays["train_images"][::n_train], names)
plt.suptitle("Twelve classes of our own, one image each")
plt.show()

# %% [markdown]
# ## One file
#
# You need one npz file with four arrays. On the command line it is
# `--dataset gratings.npz`. If both parts hold whole numbers from 0 to 255, they are
# taken for pixels and divided by 255; other numbers stay as they are. Labels may
# also be names: each distinct label is a class ([data](../docs/data.md)).

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "gratings.npz"
    np.savez(path, **arrays)
    dataset = mp.load_npz(path)
settings = mp.experiments.init_settings(dataset, n_items=8)
print(dataset.reading)
print(
    f"{len(dataset.item_classes)} items; inputs times {settings.input_scale:.1f}; "
    f"{settings.n_train_images} and {settings.n_test_images} images per item"
)

# %% [markdown]
# ## Can it be learned at all?
#
# Before you ask what is forgotten, ask whether a plain network can learn one item
# and, with true labels, all items. If not, no rule will help.

# %%
check = replace(
    settings, networks=("conventional",), trials=2, seed=10_001, non_target="true"
)
recall = mp.run_experiment(dataset, check).recall[0]
print(
    "with true labels an ordinary network ends with a mean recall of "
    f"{recall[:, -1].mean():.2f}"
)

# %% [markdown]
# ## Find the steepness
#
# A few calibration trials per step are enough for a lesson; take ten or more for a
# result.

# %%
tried = []
steepness = mp.balance_steepness(
    dataset,
    settings,
    trials=3,
    on_step=lambda s, first_minus_last: tried.append((s, first_minus_last)),
)
for step, (s, difference) in enumerate(tried, start=1):
    print(f"step {step}: s = {s:6.0f}, first minus last {difference:+.2f}")
print(f"steepness: {steepness:.0f}")

curves = {"hybrid": [difference for _, difference in tried]}
mp.plots.plot_curves(
    curves, "recall of first minus last against step of the search"
)
plt.title("Step by step, until first and last are recalled alike")
plt.show()

# %% [markdown]
# ## The curve, on seeds that chose nothing

# %%
final = replace(settings, steepness=steepness, kappa=None, trials=6, seed=20)
results = mp.run_experiment(dataset, final)
curves = mp.measure_serial_position_curve(results.recall)
gain = curves[2].mean(axis=1) - np.maximum(*curves[:2].mean(axis=2))
low, high = mp.metrics.measure_bounds(gain)
print(f"kappa {results.kappa.mean():.1f}")
print(
    f"hybrid's mean recall minus the better of the others': {gain.mean():+.2f}\n"
    f"at least {low:+.2f} with 95 % confidence"
)

_, axes = plt.subplots(figsize=(7.2, 4), layout="constrained")
mp.plots.plot_panel(axes, mp.show_serial_position(results).rows[0][0])
axes.legend()
plt.title("Serial positions of our own images")
plt.show()

# %% [markdown]
# Textures differ from digits in every way, and only one number was tuned to them.
# You now know how to find out whether the whole picture appears for *your* images,
# and how to report it. It does not always appear, as the first thing to try shows.
#
# ## What to try
#
# * Let the jitter be any phase, `rng.uniform(0, 2 * np.pi, ...)`: a class is then
#   no longer one pattern. True labels are still learned perfectly. What becomes of
#   the hybrid's gain?
# * Which items are taken for which? Draw `results.confusion[2, 0, -1]` (lesson 5).
# * Your own images. A network of 10,000 inputs is no problem; a hundred images per
#   item is few.
#
# ## References
#
# * [settings](../docs/settings.md): how the settings of the digits and of MNIST
#   were found.
