"""What the doors in hack/ run, and the small files that only they need."""
