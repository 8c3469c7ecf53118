# %% [markdown]
# # Exercise 1: the gradient that starts everything
#
# **How hard does a wrong answer pull on a network?**
#
# Every weight moves because of one quantity: the gradient of the loss with respect
# to the logits. You derive it, then code it. Run time: 1 s.

# %%
import numpy as np

import metaplastic_np as mp
from metaplastic_np.exercises import check

# %% [markdown]
# ## Predict first
#
# One network is sure and wrong: it gives the right label a probability of 0.000001.
# Another is undecided and gives it 0.5. The *loss* of the first is about 20 times
# that of the second. How many times larger is its *gradient* at the right label's
# logit? Write down your guess and your reason.

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# For $n$ images with logits $Z$ and labels $y$, the loss is the mean cross-entropy,
#
# $$ L = -\frac{1}{n} \sum_i \log \frac{e^{Z_{i, y_i}}}{\sum_k e^{Z_{ik}}} $$
#
# Derive $\partial L / \partial Z_{ik}$ on paper: one case for $k = y_i$, one for
# all others. They are one formula if you write the labels as one-hot rows.
#
# <details><summary>Hint 1</summary>
#
# Write the logarithm of the fraction as a difference. The derivative of
# $\log \sum_k e^{Z_{ik}}$ with respect to $Z_{ik}$ is the softmax itself.
#
# </details>
# <details><summary>Hint 2</summary>
#
# $e^{1000}$ is too large for a floating-point number. The softmax does not change
# when a constant is subtracted from all logits of a row. Which constant makes every
# exponential at most 1?
#
# </details>


# %%
def softmax_gradient(logits, labels):
    """Gradient of the mean cross-entropy with respect to the logits.

    `logits` has shape (n, n_classes), `labels` holds n whole numbers.
    Returns (n, n_classes).
    """
    ### BEGIN SOLUTION
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    onehot = np.eye(logits.shape[1])[labels]
    return (probabilities - onehot) / len(labels)
    ### END SOLUTION


# %%
print(check("ex01", softmax_gradient))

# %% [markdown]
# ## Use it
#
# Take one image, two classes, and label 0. The probability of the label goes from
# hopeless to sure.

# %%
print("p(label)     loss   gradient at the label")
for probability in (1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999):
    logits = np.log([[probability, 1 - probability]])
    loss, _ = mp.nn.softmax_cross_entropy_forward(logits, np.array([0]))
    gradient = softmax_gradient(logits, np.array([0]))
    print(f"{probability:8g} {loss:8.3f} {gradient[0, 0]:10.6f}")

# %% [markdown]
# ## Explain
#
# * The loss has no upper bound, but the gradient has. What is the largest pull that
#   one image can have?
# * Each row of the gradient adds up to 0. Why must it?
# * An image that is classified well hardly pulls. Suppose that a network is taught
#   one item for five epochs. When does most of the learning happen?
#
# ## Reference
#
# Goodfellow, Bengio, Courville: Deep Learning, MIT Press 2016, section 6.2.2.3. In
# this package: `metaplastic_np.softmax_cross_entropy_backward`.
