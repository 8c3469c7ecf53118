"""How fast the package is, compared with other libraries that do the same work."""

from .bench import SECTIONS, format_bench, run_bench, save_bench
