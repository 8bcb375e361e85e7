"""Figures: ours beside the floors and beside cert-manager, attacks on fairness, and how renewals spread."""
