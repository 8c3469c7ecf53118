# %% [markdown]
# # 13. From a triple loop to the roofline
#
# **Where does the time of learning go, and how fast could it be?**
#
# *You will learn* how to count what a computation must do, how to compare four ways
# of writing one matrix product with what the machine can deliver, and why the
# update of the weights is a different problem.
#
# A product of an (m, k) and a (k, n) matrix takes $2mkn$ floating-point operations
# (flops). A program that moves B bytes to and from memory cannot be faster than
#
# $$
# \text{flops per second} \le \min\left(\text{peak},\;
# \text{bandwidth} \times \frac{\text{flops}}{B}\right)
# $$
#
# Drawn against flops per byte, the **intensity**, this bound is a slope with a flat
# top: the roofline.
#
# Run time: about 5 s. Read first: lesson 2.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

rng = np.random.default_rng(0)


def measure_seconds(function, *arguments, repeats=5):
    """Median time of a call, after one that does not count (it compiles)."""
    function(*arguments)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


# %% [markdown]
# ## One product, four ways
#
# First, write it as the definition says; then in blocks.


# %%
def multiply_by_loops(left, right):
    """Three loops, as in a textbook."""
    product = np.zeros((left.shape[0], right.shape[1]), left.dtype)
    for i in range(left.shape[0]):
        for j in range(right.shape[1]):
            total = left.dtype.type(0)
            for k in range(left.shape[1]):
                total += left[i, k] * right[k, j]
            product[i, j] = total
    return product


def multiply_by_blocks(left, right, size=64):
    """A block that fits the cache is used again; the inner loop is along memory."""
    product = np.zeros((left.shape[0], right.shape[1]), left.dtype)
    for start in range(0, left.shape[1], size):
        for i in range(left.shape[0]):
            row = product[i]
            for k in range(start, min(start + size, left.shape[1])):
                factor, source = left[i, k], right[k]
                for j in range(len(row)):
                    row[j] += factor * source[j]
    return product


# %% [markdown]
# Then come the same functions compiled by Numba, if it is installed, and last the
# BLAS library that NumPy's `@` calls.

# %%
ways = {"Python loops": (multiply_by_loops, 48)}
try:
    import numba
except ImportError:
    print("Numba is not installed: its two rows are left out.")
else:
    compile_it = numba.njit(fastmath=True)
    ways["Numba, loops"] = (compile_it(multiply_by_loops), 512)
    ways["Numba, blocks"] = (compile_it(multiply_by_blocks), 512)
ways["BLAS"] = (np.matmul, 1024)

rates = {}
for name, (function, n) in ways.items():
    left, right = (rng.standard_normal((n, n), dtype=np.float32) for _ in range(2))
    error = np.abs(function(left, right) - left @ right).max() / np.sqrt(n)
    seconds = measure_seconds(function, left, right, repeats=3)
    rates[name] = 2 * n**3 / seconds / 1e9
    print(
        f"{name:<14} n = {n:<5} {rates[name]:9.4f} GF/s, largest error {error:.0e}"
    )

figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
bars = axes.barh(list(rates), list(rates.values()), color="#0072B2", log=True)
axes.bar_label(bars, fmt=lambda rate: f" {rate:.3g}")
axes.invert_yaxis()
axes.set(
    xlabel="billions of flops per second (logarithmic)",
    xlim=(None, 10 * max(rates.values())),
    title="The same sum, four ways of writing it",
)
plt.show()

# %% [markdown]
# The last is tens of thousands of times as fast as the first, and they compute the
# same numbers up to rounding. That is why the package's compiled code leaves
# products to BLAS, which NumPy calls, and has loops only for what BLAS lacks.
#
# ## What BLAS does not have: the update
#
# Once the gradient is known, the metaplastic step is
# $w \leftarrow w - (\eta p)\,g$. It takes two flops per synapse and moves 16 bytes
# (read the rate, the gradient and the weight; write the weight). The most readable
# NumPy line makes a temporary array, and moves 24 bytes.


# %%
def update_plainly(weights, rate, gradient):
    """As one would write it."""
    weights -= rate * gradient


def update_without_temporaries(weights, rate, gradient):
    """The same, over pieces whose product stays in the cache."""
    for start in range(0, len(weights), 16_384):
        piece = slice(start, start + 16_384)
        weights[piece] -= rate[piece] * gradient[piece]


n = 8_000_000
weights, rate, gradient = (np.full(n, 1e-3, dtype=np.float32) for _ in range(3))
n_bytes = {"two flops, 24 bytes": 24, "in pieces, 16 bytes": 16}
updates = {
    "two flops, 24 bytes": update_plainly,
    "in pieces, 16 bytes": update_without_temporaries,
}
speeds = {}
for name, function in updates.items():
    seconds = measure_seconds(function, weights, rate, gradient)
    speeds[name] = 2 * n / seconds / 1e9
    print(
        f"update, {name}: {speeds[name]:.2f} GF/s, "
        f"{n_bytes[name] * n / seconds / 1e9:.1f} GB/s"
    )

# %% [markdown]
# ## The roofline
#
# Measure both limits on this machine: the rate of a large product, and how fast a
# large array can be copied (8 bytes per number: 4 read, 4 written). Then place the
# computations in the figure.

# %%
peak = mp.experiments.measure_speed() / 1e9
copied = np.empty_like(weights)
bandwidth = 8 * n / measure_seconds(np.copyto, copied, weights) / 1e9

figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
intensity = np.geomspace(0.02, 2000, 200)
roof = np.minimum(peak, bandwidth * intensity)
axes.loglog(
    intensity, roof, color="0.3", linewidth=2, label="roofline of this machine"
)
for name, marker in zip(speeds, "sD", strict=True):
    axes.plot(2 / n_bytes[name], speeds[name], marker, label=f"update: {name}")
for batch, marker in ((64, "o"), (256, "^"), (1024, "P")):
    inputs = rng.standard_normal((batch, 1024), dtype=np.float32)
    matrix = rng.standard_normal((1024, 256), dtype=np.float32)
    flops = 2 * batch * 1024 * 256
    seconds = measure_seconds(np.matmul, inputs, matrix, repeats=15)
    moved = 4 * (inputs.size + matrix.size + batch * 256)
    axes.plot(
        flops / moved,
        flops / seconds / 1e9,
        marker,
        label=f"product, batch {batch}",
    )
axes.set(
    xlabel="flops per byte moved",
    ylabel="billions of flops per second",
    title="Products live under the flat roof, updates under the slope",
)
axes.legend(fontsize="small")
plt.show()
print(f"flat roof {peak:.0f} GF/s, slope {bandwidth:.0f} GB/s")

# %% [markdown]
# Arithmetic limits the product of a batch with the weights; memory limits the
# update of the same weights, far to the left. The larger the batch, the fewer
# updates an image needs. So a fused update pays most for small batches. A point
# above the slope has found its data in a cache.
#
# ## What to try
#
# * Choose 8 instead of 64 as the size of the blocks, and 512. Explain both.
# * `fastmath=False`: which of the two loops suffers, and why? (A sum may not be
#   reordered.)
# * The plasticity needs an exponential for every synapse. Where does it stand in
#   the picture, and why does it hardly matter? (How often is it computed?)
#
# ## References
#
# * Williams, Waterman, Patterson (2009), *Communications of the ACM* 52(4):65,
#   doi:10.1145/1498765.1498785: the roofline.
# * Goto, van de Geijn (2008), *ACM Transactions on Mathematical Software* 34(3):12,
#   doi:10.1145/1356052.1356053: how a fast product is made.
