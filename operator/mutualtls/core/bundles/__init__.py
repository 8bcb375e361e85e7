"""The bundle of roots to trust, and its copies beside Secrets.

- `bundle`: The CA bundle (ca.crt): every root that must be trusted now, in bytes that are the same for the same roots.
- `plan`: Decide what to do about the copies of a bundle in one namespace: a pure function of what was observed.
- `publish`: Copies of the bundle beside the Secrets of identities, for whoever verifies: ConfigMaps and
  ClusterTrustBundles.
"""
