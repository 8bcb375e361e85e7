"""The files of one identity: what the spec asks for, what the Secret holds, what to do about it, what to write.

- `checks`: Why a Secret is written: the ordered list of checks. Each names what is wrong; the first that finds
  something counts.
- `claims`: The names that an identity asks for, in canonical form, and those that no CA above could sign.
- `desired`: From what an identity's spec says, its authority and its namespace, to what is wanted: names, key, life,
  Secret.
- `facts`: What the files of a Secret say, read from the certificate itself. Facts are kept; key material is dropped.
- `failures`: What is done, and said, when what was decided could not be done.
- `formats`: The further files that `spec.formats` asks for: their names, how they are made, and what is recorded of
  them.
- `lastgood`: The last good spec, which counts while that of now cannot be read.
- `observed`: What is observed of one identity, by which `checks` judge.
- `passwords`: The password of PKCS#12 stores: what is known of it, and how it is read from its Secret.
- `plan`: Decide what to do about one identity: a pure function of what was observed.
- `render`: What is written: Secrets, patches and statuses as JSON-able dicts. Nothing here decides whether to write.
- `rollout`: How far the bundle and the leaves of an authority are rolled out, by what is known of Secrets and copies.
- `secret`: What is kept of a Secret's metadata: whose it is, what of it is ours, and whether anybody changed that after
  us.
- `secret_metadata`: Labels, annotations and owner that are asked for on a Secret: judged, and hashed by their meaning.
- `waiting`: What has to wait: what takes long, what may be decided meanwhile, and whether the status says so.
"""
