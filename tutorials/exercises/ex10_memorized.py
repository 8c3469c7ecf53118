# %% [markdown]
# # Exercise 10: two tests that disagree
#
# **When may you say that a network has memorized an item?**
#
# Two tests differ in one sign: "more than" or "at least". They disagree about the
# items that matter most. Run time: 3 s.

# %%
from dataclasses import replace
from math import comb

import numpy as np
from scipy.stats import hypergeom

import metaplastic_np as mp
from metaplastic_np.exercises import SMALL, check

# %% [markdown]
# ## Predict first
#
# A network never answers 3, whatever the image. Test A asks how often shuffled
# labels give *more* hits than the network has; test B, how often they give *at
# least as many*. If this happens in less than 5 % of shuffles, the item counts as
# memorized. What does each test say about item 3?

# %%
prediction = ""  # your words

# %% [markdown]
# ## Facts
#
# Of the $T$ test images (`total`), $A$ are classified as item $k$ (`answered`) and
# $B$ show item $k$ (`belong`); `hits` counts those that do both. If answers had
# nothing to do with images, hits $X$ would be hypergeometric: draw $A$ of $T$
# images without replacement, and count those that show item $k$.
#
# $$ P(X = h) = \binom{B}{h} \binom{T - B}{A - h} / \binom{T}{A} $$
#
# Return $P(X \ge \mathrm{hits})$.
#
# <details><summary>Hint 1</summary>
#
# `math.comb` counts exactly, and gives 0 if there are too few to choose from. Or
# use `scipy.stats.hypergeom`, whose `sf(x, ...)` is $P(X > x)$: what must $x$ be?
#
# </details>
# <details><summary>Hint 2</summary>
#
# An item that is never named has 0 hits, and $P(X \ge 0) = 1$ whatever the numbers
# are.
#
# </details>


# %%
def p_value(hits, answered, belong, total):
    """Probability of at least so many hits by chance, from four whole numbers."""
    ### BEGIN SOLUTION
    ways = sum(
        comb(belong, k) * comb(total - belong, answered - k)
        for k in range(hits, min(answered, belong) + 1)
    )
    return ways / comb(total, answered)
    ### END SOLUTION


# %%
print(check("ex10", p_value))

# %% [markdown]
# ## Use it
#
# Take a conventional network after a list of five items, taught without
# non-targets. Test A is "more than", test B is yours.

# %%
settings = replace(SMALL, trials=3, networks=("conventional",), non_target="none")
confusion = mp.run_experiment(mp.load_digits(), settings).confusion[0, :, -1]
print("trial item answered hits    test A    test B")
for trial, counts in enumerate(confusion):
    for item in range(5):
        answered, hits = int(counts[:, item].sum()), int(counts[item, item])
        belong, total = int(counts[item].sum()), int(counts.sum())
        strict = hypergeom.sf(hits, total, belong, answered)
        mine = p_value(hits, answered, belong, total)
        words = "  disagree" if (strict < 0.05) != (mine < 0.05) else ""
        print(
            f"{trial:5d} {item:4d} {answered:8d} {hits:4d} "
            f"{strict:9.2g} {mine:9.2g}{words}"
        )

# %% [markdown]
# SciPy calls the four numbers M, n and N, and everyone mixes up n and N. Does it
# matter?

# %%
one, other = hypergeom.sf(4, 40, 10, 12), hypergeom.sf(4, 40, 12, 10)
print(
    f"belong and answered swapped: {one:.12f} and {other:.12f}",
    np.isclose(one, other),
)

# %% [markdown]
# ## Discuss
#
# * Test A says that the network has memorized an item that it has never named. Why
#   does nobody notice this in a summary such as "4 of 5 items memorized"?
# * Why does swapping `belong` and `answered` change nothing? Find the symmetry in
#   words: who draws from whom?
# * With 10 times as many test images, an item with slightly more hits than chance
#   becomes significant. What would you report alongside the test?
#
# ## Reference
#
# Phipson, Smyth: Permutation p-values should never be zero, Statistical
# Applications in Genetics and Molecular Biology 9 (2010). In this package:
# `measure_memorized`.
