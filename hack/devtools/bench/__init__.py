"""Figures: ours beside the floors and beside cert-manager, and attacks on fairness."""
