"""A Kubernetes operator that provisions, renews and rotates mutual-TLS certificates."""
