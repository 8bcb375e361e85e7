"""Processes, ports, programs and the cache of this machine, and the guard that tidies up after a run."""
