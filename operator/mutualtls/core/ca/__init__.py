"""The CAs of an authority: the ledger that lists them, what they offer to identities, how a lost ledger is rebuilt.

- `evidence`: What tells of an authority's CAs and of their replacing, who may write it, and what follows from it.
- `generations`: One CA generation: how its key and certificate are made, how it is named, and how it is known again.
- `ledger`: The ledger of an authority: every CA generation, its state and certificate, kept in one ConfigMap.
- `offer`: What an authority offers now, as identities see it: who signs, which CAs are in use, which roots to trust.
- `readings`: What was read of an authority's CAs, and the evidence that it amounts to.
- `recovered_cas`: Which certificate among the evidence is which CA's, which root it is under, and until when it has
  surely signed.
- `recovered_states`: Which state each CA is in that the evidence tells of.
- `recovery`: Rebuild a lost ledger from what is there, and above all from what nobody but operators writes.
- `restored`: What an operator goes on with that sees the cluster put back to a backup while it runs.
- `rollout`: How far bundles and leaves are rolled out, as gates and the rebuilding of a ledger look at it.
- `rotation_state`: How far the rotation of a root is: the phase, as the states of the roots in the ledger say it.
- `source`: What is of an outside PKI: a CA, as `root.secretRef` brings it, and roots to be trusted as well.
"""
