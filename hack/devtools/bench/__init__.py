"""Figures: ours beside a controller that only writes the two objects, rotations, and attacks on fairness."""
