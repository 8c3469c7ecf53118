"""Exercises for students, and a checker that answers with hints."""

from .checker import EXERCISES, SMALL, Feedback, check
