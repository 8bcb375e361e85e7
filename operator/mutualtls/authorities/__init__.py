"""Authorities and their CAs: the only place that holds CA keys.

- `ca_store`: CA Secrets in the operator's namespace: the only place that reads, makes and deletes CA keys.
- `claims`: Which operator serves an authority: the annotation that names its namespace.
- `evidence`: Evidence of CAs outside the operator's namespace: the Secrets of identities, and the ClusterTrustBundle.
- `inputs`: What the spec of an authority refers to in the operator's namespace: the CA of an outside PKI, and more
  roots.
- `known_identities`: Whether the watch has reported all identities since the start. Until it has, they are counted.
- `ledgers`: Ledgers, and the last good specs beside them: the ConfigMaps of authorities in the operator's namespace.
- `lost_ledgers`: Ledgers that are gone, or older than what is there: how a lost one is noticed, and what is read to
  replace it.
- `offers`: What authorities offer to identities: the roots to trust, and the CA that signs.
- `outlook`: What can be seen of an authority beside its status: its ledger, which of its keys are there, what it
  trusts.
- `reconciler`: The reconciler of authorities: gather the view, take the next step until there is none, then write the
  status.
- `state`: What the operator keeps in memory of one authority, among it the CA that signs.
- `statuses`: Statuses and Events of authorities. What they say is worked out in `core.rotation.report`.
- `views`: The view of an authority: all that its next step is decided by.
"""
