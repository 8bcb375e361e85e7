"""Consumers of certificates as processes: mounts as kubelet makes them, handshakes, and what becomes of these."""
