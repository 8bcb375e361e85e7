"""Gather, decide, act: for each identity, and for the copies of bundles.

- `actions`: Do what was decided about one identity, and see to what the API server says of it.
- `bundles`: Copies of bundles: observe those of a namespace, or the ClusterTrustBundle, decide, act, until all is done.
- `gather`: Gather what is known of one identity: its namespace, its password, its Secret, and its last good spec.
- `identities`: Identities: gather what is known of one, decide, act, until there is nothing to do; then settle its
  status.
- `limits`: Limits to what is done at once: slots for slow keys, shares of changes, the pace of re-issues.
- `look`: One look at an identity.
- `passwords`: Passwords of stores, in Secrets that users have labelled for it: which version there is, and why one
  cannot be used.
- `secrets`: The writer of Secrets: files, bundle, metadata, and the end of those that an identity has no more.
- `statuses`: Settle an identity: its status, what waits or cannot be done, and the Events that tell of it.
- `tally`: What was done for identities since the start, counted for metrics: certificates, refusals, repairs, and
  times.
"""
