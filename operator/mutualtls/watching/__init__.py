"""What the operator watches, what it looks at when something changes, and what Kopf costs.

- `census`: Count what Kopf tells of now and then, against what it has told: identities, authorities and namespaces.
- `echoes`: What Kopf gets to see of its watches: bounded, pruned, and without the echoes of our own writes.
- `followed`: What the operator follows: what its own watches do, and what Kopf tells of and is counted.
- `handlers`: Note identities, authorities and namespaces that changed, by the watches of Kopf, and wake what depends on
  them.
- `kopf_run`: Run Kopf over a session that it borrows: several of them where each authority is followed by itself.
- `lean`: Kopf's settings, as lean as it goes: nothing is kept of any object, on it or in memory.
- `wakes`: What is looked at when something changes.
"""
