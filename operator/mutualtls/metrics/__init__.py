"""Metrics for Prometheus: the list of all, and how they are worked out when they are asked for.

- `catalogue`: The list of all metrics: name, type, labels and meaning. docs/operations/metrics.md has the same table.
- `metrics`: What the operator measures, put on a page when it is asked for.
- `of_authorities`: Metrics of authorities: their conditions, their CAs, their bundles, and how far a root rotation is.
- `of_identities`: Metrics of identities and their certificates, in one pass over what is known, a slice at a time.
- `page`: One page of metrics: the values of one scrape, in Prometheus' text format.
"""
