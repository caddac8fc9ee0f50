"""benchlib: the parts of scripts/bench."""
