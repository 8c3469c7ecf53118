"""The equation as a picture: python docs/examples/plasticity.py FILE.png."""

import sys

import matplotlib.pyplot as plt
import numpy as np

import metaplastic_np as mp

displacement = np.linspace(-4e-4, 4e-4, 801)
curves = {
    f"f = {f:g}": mp.measure_plasticity(np.full(801, f), displacement, steepness=10_900.0)
    for f in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
}
mp.plots.plot_curves(curves, "plasticity p against displacement w - w0", x=displacement)
plt.title("Every synapse is born plastic; a stiff one (small f) is spent after a short way")
plt.savefig(sys.argv[1], dpi=200)
