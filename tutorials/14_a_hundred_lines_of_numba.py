# %% [markdown]
# # 14. A hundred lines of Numba
#
# **How much faster than NumPy is a kernel of a hundred lines that you can read?**
#
# *You will learn* how to write the update of a whole batch as loops that Numba
# compiles, why fused loops save time, what a kernel must not do, and how to prove
# that a fast kernel computes the same as a slow one.
#
# One update takes a batch of n images forward through the network, and the gradient
# back. With the inputs X of a layer, its outputs Y, and
# $D = \partial L/\partial Y$,
#
# $$
# Y = XW + b, \qquad
# \frac{\partial L}{\partial X} = D W^\top, \qquad
# W \leftarrow W - (\eta p) \odot X^\top D
# $$
#
# where $\eta p$ is the synaptic rate, one number for each weight. NumPy computes
# every product and every sum in a call of its own, and every call writes an array
# that the next call reads. Loops can use a number while it is still in the cache.
#
# Run time: about 5 s. Read first: lesson 13.

# %%
import time
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

import metaplastic_np as mp

try:
    from numba import njit
except ImportError:
    has_numba = False
    print("Numba is not installed: Python interprets the loops, on a tiny world.")

    def njit(function, **options):
        """Leave the function as it is."""
        return function
else:
    has_numba = True

# %% [markdown]
# ## How it is compiled
#
# `@njit` compiles a function for the types of its arguments when it is first called
# with them: once for float32, and once more for float64. Three options matter here.
#
# * `nogil=True`: the compiled loops release Python's global lock. Two threads can
#   then train two networks at the same time.
# * `error_model="numpy"`: a division by 0 gives inf or NaN, as in NumPy. Numba's
#   default raises an exception, so it tests every divisor before it divides.
# * `cache=True`: Numba keeps the machine code in the folder `__pycache__` next to
#   this file. The first run of this lesson compiles for ten to twenty seconds; the
#   second run loads the code. The cache notices changes in this file only: if a
#   kernel calls a kernel in another file, delete the cache after you change that
#   file. At Python's plain prompt there is no file, and Numba refuses this option;
#   remove it there.
#
# If Numba cannot be imported, for instance in a browser, the same functions run
# uncompiled. This takes about a hundred times as long, so the lesson then uses a
# tiny world.

# %%
compiled = partial(njit, nogil=True, error_model="numpy", cache=True)

n_images, n_hidden = (250, 256) if has_numba else (10, 8)
batch_sizes = (4, 16, 64, 256) if has_numba else (4, 16)


def make_world(dtype):
    """A network, its metaplasticity, a presentation; the same in both dtypes."""
    rng = np.random.default_rng(0)
    items = mp.draw_items(
        mp.load_digits(),
        n_items=10,
        n_train_images=n_images,
        n_test_images=1,
        rng=rng,
        dtype=dtype,
    )
    presentation = mp.draw_presentation(items, 0, epochs=2, rng=rng)
    sizes = (presentation.images.shape[1], n_hidden, 10)
    network = mp.init_network(sizes, rng=rng, dtype=dtype)
    hybrid = mp.init_metaplasticity(network, "hybrid", steepness=50.0, rng=rng)
    return network, hybrid, presentation


images = make_world(np.float32)[2].images
print(f"{len(images)} images; {np.mean(images != 0):.0%} of their pixels are not 0")

# %% [markdown]
# ## One loop for two products
#
# A row of $XW$ is a sum of rows of W, each times one number of X. A row of
# $X^\top D$ is a sum of rows of D, each times one number of X. So one function
# serves both products. It takes the numbers of X that are not 0, and their places.
# A pixel that is 0 costs nothing, and half of the pixels are 0.
#
# `add_rows` adds four rows at a time, so it reads and writes every number of
# `total` once per four rows of the list, not once per row. The innermost loop runs
# along memory, so the compiler turns it into vector instructions.


# %%
@compiled
def list_what_is_on(values, places, row):
    """Write the numbers that are not 0, and their places; return how many."""
    count = 0
    for k in range(row.size):
        values[count], places[count] = row[k], k
        count += row[k] != 0  # a 0 will be overwritten by the next number
    for k in range(count, count + 3):  # zeros complete the last group of four
        values[k], places[k] = 0, 0
    return count


@compiled
def add_rows(total, matrix, values, places, count):
    """Add the listed rows of a matrix to `total`, each times its value."""
    for k in range(0, count, 4):
        a, of_a = values[k], matrix[places[k]]
        b, of_b = values[k + 1], matrix[places[k + 1]]
        c, of_c = values[k + 2], matrix[places[k + 2]]
        d, of_d = values[k + 3], matrix[places[k + 3]]
        for j in range(total.size):
            total[j] += (a * of_a[j] + b * of_b[j]) + (c * of_c[j] + d * of_d[j])


# %% [markdown]
# ## Forward: product, bias and ReLU
#
# In NumPy these are three passes over an array of shape (n, n_out). Here one row of
# the outputs gets its biases, its sum and its ReLU, and stays in the cache until it
# is finished.
#
# The constant `zero` has the dtype of the arrays. In Numba the float64 constant
# `0.0` makes `max(row[j], 0.0)` a computation in float64, and so does the integer
# 0: every float32 is converted, and half as many fit into a vector register. Here
# the result is the same, since `max` rounds nothing; of a product it would differ.


# %%
@compiled
def forward_into(outputs, inputs, weights, biases, is_hidden, notes):
    """Y = X W + b, and max(Y, 0) in a hidden layer."""
    values, places = notes
    zero = outputs.dtype.type(0)
    for i in range(inputs.shape[0]):
        count = list_what_is_on(values, places, inputs[i])
        row = outputs[i]
        for j in range(row.size):
            row[j] = biases[j]
        add_rows(row, weights, values, places, count)
        if is_hidden:
            for j in range(row.size):
                row[j] = max(row[j], zero)


# %% [markdown]
# ## The loss and its gradient
#
# The gradient of the mean cross-entropy with respect to the logits Z is
# `(softmax(Z) - onehot(label)) / n`. The loss and the gradient need the same
# exponentials, so one function computes both. It first subtracts the highest logit
# of a row, so no exponential can overflow. The sum of the losses is float64 on
# purpose.


# %%
@compiled
def softmax_cross_entropy_into(d_logits, logits, labels):
    """Write the gradient of the logits; return the mean loss in nats."""
    one, n = logits.dtype.type(1), logits.dtype.type(labels.size)
    total = 0.0
    for i in range(labels.size):
        row, d_row, label = logits[i], d_logits[i], labels[i]
        highest = row[0]
        for j in range(row.size):
            highest = max(highest, row[j])
        summed = logits.dtype.type(0)
        for j in range(row.size):
            d_row[j] = np.exp(row[j] - highest)
            summed += d_row[j]
        for j in range(row.size):
            d_row[j] /= summed * n
        d_row[label] -= one / n
        total += np.log(summed) + (highest - row[label])
    return total / labels.size


# %% [markdown]
# ## Backward: product and ReLU
#
# The gradient of a hidden unit is 0 if its ReLU was off. NumPy computes all of
# $D W^\top$ and then throws away what belongs to such units. The loop checks the
# unit first.


# %%
@compiled
def backward_into(d_inputs, inputs, d_outputs, weights):
    """DX = D W' where X is above 0, else 0."""
    zero = inputs.dtype.type(0)
    for i in range(inputs.shape[0]):
        d_row = d_outputs[i]
        for k in range(inputs.shape[1]):
            total = zero
            if inputs[i, k] > zero:
                for j in range(d_row.size):
                    total += d_row[j] * weights[k, j]
            d_inputs[i, k] = total


# %% [markdown]
# ## The step of every synapse
#
# There is no gradient matrix. The kernel computes the gradient of one row of W,
# uses it at once, and forgets it: `gradient` has the length of one row and stays in
# the cache. NumPy writes the whole gradient, reads it, writes the product
# `rate * gradient`, and reads that. If a pixel is 0 in all images of the batch, its
# gradients are 0, and the kernel does not even read that row of W.


# %%
@compiled
def step_inplace(weights, biases, rates, inputs, d_outputs, gradient, notes):
    """W -= rate * X' D, row by row, and b -= rate * (sum of the rows of D)."""
    values, places = notes
    weight_rates, bias_rates = rates
    for k in range(inputs.shape[1]):
        count = list_what_is_on(values, places, inputs[:, k])
        if count > 0:
            row, rate = weights[k], weight_rates[k]
            for j in range(row.size):
                gradient[j] = 0
            add_rows(gradient, d_outputs, values, places, count)
            for j in range(row.size):
                row[j] -= rate[j] * gradient[j]
    for j in range(biases.size):
        gradient[j] = 0
    for i in range(d_outputs.shape[0]):
        for j in range(biases.size):
            gradient[j] += d_outputs[i, j]
    for j in range(biases.size):
        biases[j] -= bias_rates[j] * gradient[j]


# %% [markdown]
# ## One update, and all updates of a presentation
#
# Every call from Python into compiled code costs some microseconds, since Numba
# first looks at the type of every argument. So one call learns all epochs. The
# order of the lines matters in one place: the gradient goes back through W before W
# takes its step.
#
# What a kernel must not do:
#
# * *allocate in a loop*: all arrays come from outside, and every batch uses them
#   again;
# * *draw random numbers*: Numba has a generator of its own, so compiled and
#   interpreted code would see the images in different orders; the order is an
#   argument;
# * *read a global that changes*: the compiler makes it a constant;
# * *check and raise*: Python checks shapes and labels before the call, and can say
#   in words what is wrong; the kernel trusts them, and a wrong index would read or
#   overwrite memory outside the array;
# * *use* `fastmath=True` where NaN can occur: the option tells the compiler that
#   there is none;
# * *assign arrays as a whole*: `row[:] = image` is short, but Numba then also
#   compiles the error message for shapes that do not fit, which can take ten
#   seconds.


# %%
@compiled
def learn_batch(layers, units, d_units, labels, gradient, notes):
    """One update: forward, loss, backward, step. Returns the loss."""
    n, last = labels.size, len(layers) - 1
    for k in range(last + 1):
        weights, biases, _ = layers[k]
        inputs, outputs = units[k][:n], units[k + 1][:n]
        forward_into(outputs, inputs, weights, biases, k < last, notes)
    d_outputs = d_units[last + 1][:n]
    loss = softmax_cross_entropy_into(d_outputs, units[last + 1][:n], labels)
    for k in range(last, -1, -1):
        weights, biases, rates = layers[k]
        inputs, d_outputs = units[k][:n], d_units[k + 1][:n]
        if k > 0:  # the inputs of the first layer are images: they need no gradient
            backward_into(d_units[k][:n], inputs, d_outputs, weights)
        row = gradient[: biases.size]
        step_inplace(weights, biases, rates, inputs, d_outputs, row, notes)
    return loss


@compiled
def learn_epochs(layers, units, d_units, shown, taken, gradient, notes, losses):
    """All updates of a presentation, `taken.size` images per batch."""
    images, labels, order = shown
    update = 0
    for epoch in range(order.shape[0]):
        for start in range(0, order.shape[1], taken.size):
            batch = order[epoch, start : start + taken.size]
            for i in range(batch.size):
                taken[i] = labels[batch[i]]
                image, row = images[batch[i]], units[0][i]
                for j in range(row.size):
                    row[j] = image[j]
            here = taken[: batch.size]
            loss = learn_batch(layers, units, d_units, here, gradient, notes)
            losses[update] = loss
            update += 1


# %% [markdown]
# These are about a hundred lines. Python does the rest: it computes the synaptic
# rate once per presentation, as the paper does, allocates the arrays, and calls the
# kernel.


# %%
def learn_in_loops(network, hybrid, presentation, *, settings):
    """The same as `learn_item`, without its checks."""
    displacement = mp.measure_displacement(network, hybrid)
    steepness, eta = hybrid.steepness, settings.learning_rate
    plasticity = mp.measure_plasticity(
        hybrid.flexibility,
        displacement,
        steepness=steepness,
    )
    rate = mp.rules.measure_synaptic_rate(plasticity, learning_rate=eta)
    rates = zip(*mp.split_parameters(rate, network.layer_sizes), strict=True)
    layers = tuple(zip(network.weights, network.biases, rates, strict=True))

    n, dtype, sizes = settings.batch_size, rate.dtype, network.layer_sizes
    units = tuple(np.empty((n, size), dtype) for size in sizes)
    d_units = tuple(np.empty((n, size), dtype) for size in sizes)
    longest = max(n, *sizes) + 3
    notes = np.empty(longest, dtype), np.empty(longest, np.intp)
    gradient, taken = np.empty(max(sizes), dtype), np.empty(n, np.intp)
    shown = presentation.images, presentation.labels, presentation.order
    losses = np.empty(len(presentation.order) * -(-len(presentation.images) // n))
    learn_epochs(layers, units, d_units, shown, taken, gradient, notes, losses)
    return losses


# %% [markdown]
# ## How fast is it?
#
# Three programs learn the same presentation from the same start: the package's
# NumPy code, the kernel above, and `learn_item` with the package's compiled code.
# They take turns, so a busy machine slows down all three. The time per update is
# the time of a whole presentation, divided by its number of updates; the figure
# shows the median of nine turns. An earlier turn compiles and does not count. All
# three programs use one core, since the kernel above has one thread. (Without
# Numba, `learn_item` is the NumPy code, too.)

# %%
ways = {
    "NumPy (backend='numpy')": partial(mp.learn_item, backend="numpy"),
    "the kernel of this lesson": learn_in_loops,
    "the package: learn_item": mp.learn_item,
}


def measure_seconds(batch_size, repeats):
    """Median seconds per update, for each of the ways."""
    network, hybrid, presentation = make_world(np.float32)
    settings = mp.LearningSettings(learning_rate=0.1, batch_size=batch_size)
    seconds = np.empty((repeats + 1, len(ways)))
    for turn in range(repeats + 1):
        for number, learn in enumerate(ways.values()):
            twin = mp.copy_network(network)
            started = time.perf_counter()
            losses = learn(twin, hybrid, presentation, settings=settings)
            seconds[turn, number] = (time.perf_counter() - started) / len(losses)
    return np.median(seconds[1:], axis=0)


with threadpool_limits(limits=1):
    medians = np.array([measure_seconds(size, repeats=9) for size in batch_sizes])
for size, (plain, ours, package) in zip(batch_sizes, 1e6 * medians, strict=True):
    print(
        f"batch of {size:>3}: NumPy {plain:4.0f} µs, kernel {ours:4.0f} µs "
        f"({plain / ours:#.2g} times as fast), learn_item {package:4.0f} µs"
    )

ratios = medians[:, 0] / medians[:, 1]
figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
styles = (("#D55E00", "s--"), ("#0072B2", "o-"), ("#009E73", "^:"))
for name, times, (color, style) in zip(ways, medians.T, styles, strict=True):
    axes.loglog(batch_sizes, 1e6 * times, style, color=color, label=name)
axes.set(
    xlabel="images per update (batch size)",
    ylabel="microseconds per update",
    title=f"This kernel is {ratios[0]:#.2g} times as fast as NumPy for "
    f"batches of {batch_sizes[0]}, {ratios[-1]:#.2g} times for {batch_sizes[-1]}",
)
axes.set_xticks(batch_sizes, batch_sizes)
axes.yaxis.set_major_locator(plt.LogLocator(subs=(1, 2, 5)))
axes.yaxis.set_major_formatter("{x:g}")
axes.minorticks_off()
axes.legend()
plt.show()

# %% [markdown]
# With a small batch there is little to multiply. NumPy then spends most of its time
# on calls, on temporary arrays and on the step of the weights, and the kernel saves
# most of that. With a large batch, products take nearly all of the time, and BLAS,
# which NumPy calls, is hard to beat: BLAS keeps its sums in registers, while
# `add_rows` reads and writes `total` for every four rows. So the package's compiled
# code lets NumPy multiply, and has loops only for what lies between the products.
# It makes no lists: it leaves out a pixel only if the pixel is 0 in all images of
# the presentation.
#
# ## The same numbers
#
# A fast kernel that computes something else is worth nothing. So learn one whole
# presentation twice from the same start, with the kernel and with `learn_item`, and
# compare all parameters. In float64, `learn_item` runs its NumPy code, and the two
# must agree to rounding. In float32 it runs the package's compiled code, if Numba
# is installed. Sums in another order then differ in the seventh digit, and learning
# makes the difference grow, so the tolerance is loose. The comparison means
# something only if the parameters moved much further than the tolerance, so the
# cell prints how far they moved.

# %%
for dtype, backend, tolerance in (
    (np.float64, "numpy", 1e-12),
    (np.float32, "auto", 1e-4),
):
    network, hybrid, presentation = make_world(dtype)
    settings = mp.LearningSettings(learning_rate=0.1, batch_size=batch_sizes[1])
    ours, theirs = mp.copy_network(network), mp.copy_network(network)
    with threadpool_limits(limits=1):
        losses = learn_in_loops(ours, hybrid, presentation, settings=settings)
        expected = mp.learn_item(
            theirs,
            hybrid,
            presentation,
            settings=settings,
            backend=backend,
        )
    agree = partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance)
    agree(ours.parameters, theirs.parameters)
    agree(losses, expected)
    moved = np.abs(ours.parameters - network.parameters).max()
    apart = np.abs(ours.parameters - theirs.parameters).max()
    print(f"{dtype.__name__}: moved up to {moved:.2f}, at most {apart:.0e} apart")

# %% [markdown]
# ## What to try
#
# * Let `add_rows` add one row at a time, then eight. Which batch sizes gain, which
#   lose?
# * Write `0.0` instead of `zero` in `forward_into`, and call
#   `forward_into.inspect_types()`. Where does float64 come in?
# * Break the kernel: let W take its step before the gradient goes back. How far
#   apart are the parameters now?
# * Add 0.1 to every pixel, so that none is 0. Which of the three programs slows
#   down most, and why?
#
# ## References
#
# * Lam, Pitrou, Seibert (2015), *Proceedings of LLVM-HPC*,
#   doi:10.1145/2833157.2833162: Numba.
# * Goto, van de Geijn (2008), *ACM Transactions on Mathematical Software* 34(3):12,
#   doi:10.1145/1356052.1356053: how BLAS keeps its sums in registers.
