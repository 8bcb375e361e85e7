"""Keys and certificates: made, read, and judged as OpenSSL, Python, Go and Java judge them.

- `certificates`: What is told of any certificate: fingerprint, key identifier, PEM.
- `issue`: Build certificates: roots, issuing CAs and leaves, to RFC 5280. With `keys`, the only place that draws
  entropy.
- `keys`: Private keys: make, write, read, and name their public half. With `issue`, the only place that draws entropy.
- `name_constraints`: The extension name constraints (RFC 5280 §4.2.1.10) of a CA: written, and read as OpenSSL and Go
  read it.
- `verifiers`: What common verifiers refuse in the certificate of a CA, read from the certificate alone.
"""
