# %% [markdown]
# # Exercise 9: pad the canvas and keep kappa
#
# **How do you state a steepness so that another network can use it?**
#
# The paper's steepness is $4 \cdot 10^5$; ours is 10,900. Both may be the same
# setting. You compute the number that tells. Run time: 1 s.

# %%
import numpy as np

import metaplastic_np as mp
from metaplastic_np.exercises import check

# %% [markdown]
# ## Predict first
#
# Put a black frame around every image, so that half of all pixels are always 0. The
# network learns exactly as before. What happens to the root mean square
# displacement of *all* weights of the first layer?

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# The steepness $s$ has the unit 1/weight. What matters is $s$ times a typical
# displacement:
#
# $$ \kappa = s \cdot \mathrm{rms}(w - w_0) $$
#
# It is measured after the first presentation, over all weights that moved, with all
# layers in one pool. The root mean square is the root of the mean of the squares.
#
# <details><summary>Hint 1</summary>
#
# `np.concatenate` makes one vector of all layers' differences, if you `ravel` each.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A weight whose pixel is always 0 gets the gradient 0, so its displacement is
# exactly 0. Leave such weights out.
#
# </details>


# %%
def kappa(weights, initial_weights, steepness):
    """Kappa, from s and two lists of weights, a matrix per layer."""
    ### BEGIN SOLUTION
    pairs = zip(weights, initial_weights, strict=True)
    displacement = np.concatenate([(now - birth).ravel() for now, birth in pairs])
    moved = displacement[displacement != 0]
    return steepness * np.sqrt(np.mean(moved**2))
    ### END SOLUTION


# %%
print(check("ex09", kappa))

# %% [markdown]
# ## Use it
#
# Train the same network on the bare and on the framed images. The weights of the
# frame are new, all others are the same.

# %%
rng = np.random.default_rng(0)
items = mp.draw_items(
    mp.load_digits(),
    n_items=5,
    n_train_images=200,
    n_test_images=50,
    rng=rng,
    dtype=np.float64,
)
shown = mp.draw_presentation(items, 0, epochs=5, rng=rng)
n_pixels = shown.images.shape[1]
bare = mp.init_network((n_pixels, 64, 5), rng=rng, dtype=np.float64)
framed = mp.init_network((2 * n_pixels, 64, 5), rng=rng, dtype=np.float64)
framed.weights[0][:n_pixels] = bare.weights[0]
framed.weights[1][:] = bare.weights[1]

print("            kappa   rms of all weights, times s")
for name, network in (("bare", bare), ("framed", framed)):
    frame = np.zeros((len(shown.images), network.layer_sizes[0] - n_pixels))
    images = np.hstack([shown.images, frame])
    birth = [weights.copy() for weights in network.weights]
    rule = mp.init_metaplasticity(network, "conventional", steepness=500.0, rng=rng)
    presentation = mp.scenarios.Presentation(
        images=images, labels=shown.labels, order=shown.order
    )
    mp.learn_item(
        network,
        rule,
        presentation,
        settings=mp.LearningSettings(learning_rate=0.05),
    )
    moves = [
        now - before for now, before in zip(network.weights, birth, strict=True)
    ]
    everything = np.concatenate([move.ravel() for move in moves])
    naive = 500.0 * np.sqrt(np.mean(everything**2))
    print(f"{name:8s} {kappa(network.weights, birth, 500.0):8.4f} {naive:10.4f}")

# %% [markdown]
# ## Explain
#
# * Which of the two numbers would you report in a paper, and why?
# * Double the learning rate: what must happen to $s$ to keep the same curve, to
#   first order?
# * Why is kappa measured after the *first* presentation, and why is it then the
#   same for all networks without rigid synapses?
#
# ## Reference
#
# In this package: `measure_kappa`, `Settings(kappa=...)`.
