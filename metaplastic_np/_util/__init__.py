"""Checks of arguments, exceptions, files and BLAS threads: what every folder uses."""
