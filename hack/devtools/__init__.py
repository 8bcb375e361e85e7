"""What stands behind the doors of hack/: clusters on this machine, the demo, the tests, the benchmark, the CRDs."""
