"""The compiled body: the equations of learning once more, fast."""
