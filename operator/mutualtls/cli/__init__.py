"""The command line: run the operator, or check manifests without one.

- `check`: `mutualtls check`: would identities be issued, with which names, and if not why? Judged by the operator's
  code.
- `impact`: What an authority would take away if it were applied: names of identities, and copies of its bundle.
- `main`: The command `mutualtls`.
"""
