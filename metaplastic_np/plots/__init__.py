"""What a figure shows, as numbers, and how it is drawn."""

from .figures import make_figure, plot_matrix, plot_panel, save_figure, style_of
from .panels import BAND_TRIALS, Matrix, Panel, Picture, Series, measure_table
from .sketches import plot_curves, plot_images, plot_tables
