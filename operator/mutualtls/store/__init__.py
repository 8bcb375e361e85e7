"""What the operator knows of the cluster, from watches and from its own writes.

- `authorities`: The authorities that are known. Where the spec of one cannot be read, the one before counts on.
- `copies`: The copies of bundles that are known, and what is in their place, fed by their watches and by our own
  writes.
- `identities`: The identities that are known, also by what they depend on: authority, namespace, Secret, password.
- `index`: Keys of objects by the name of something that they depend on.
- `secrets`: What is known of Secrets: their metadata, and what their files say. Key material never enters.
- `store`: What is known of the cluster, and what follows from one kind for another.
- `versioned`: Objects at the latest version that is known: by our own writes first, then by what watches tell, never
  backwards.
"""
