"""What tells of an authority's CAs and of their replacing, who may write it, and what follows from it.

What a tenant may write moves nothing on: it is done for its own consumers, and holds others up for a bounded time.
`tests/core/ca/test_evidence.py` has a test for each row, and docs/security.md shows them.
"""

from __future__ import annotations

from dataclasses import dataclass

_SYSTEM = "who writes in the operator's namespace"
_OPERATOR = "the operator alone"
_TENANT = "who edits its namespace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece of evidence, for people."""

    what: str
    writer: str
    """Who may write it."""
    moves: str
    """What follows from it."""
    holds: str
    """What it may hold up, and until when."""


PIECES = (
    Piece(what="the ledger", writer=_SYSTEM, moves="all", holds="all"),
    Piece(
        what="a CA Secret: key and certificate, or a tombstone",
        writer=_SYSTEM,
        moves="which CAs there are, and which numbers are used",
        holds="the making of a first CA, for good",
    ),
    Piece(
        what="`mutualtls.dev/step` on a CA Secret",
        writer=_SYSTEM,
        moves="without the ledger: the phase, and which roots go. The newest counts; it shows an older ledger as one",
        holds="nothing",
    ),
    Piece(
        what="the status of the authority",
        writer=_OPERATOR,
        moves="without the ledger: certificates of CAs; the phase, where it is newer than every `mutualtls.dev/step`",
        holds="the making of a first CA, for good",
    ),
    Piece(
        what="the ClusterTrustBundle",
        writer="who may attest for the signer: " + _OPERATOR,
        moves="without the ledger: its roots stay in; without a phase, a root that is in it alone signs",
        holds="the making of a first CA, for good",
    ),
    Piece(
        what="the status of an identity",
        writer=_OPERATOR,
        moves="which key is kept; `signsUntil` of a rebuilt ledger, up to the CA's end; where nothing can be signed, "
        "the soak ends before the first leaf does",
        holds="the making of a first CA, where the authority was served before and has no key: until it is given up",
    ),
    Piece(
        what="an identity",
        writer=_TENANT,
        moves="which Secrets are waited for",
        holds="each gate, until `laggardTimeout` after the phase began, or until the operator knows all identities",
    ),
    Piece(
        what="the Secret of an identity: its files, and what its annotation says of them",
        writer=_TENANT,
        moves="nothing: it is done for its own consumers",
        holds="each gate, until `laggardTimeout` after the phase began",
    ),
    Piece(
        what="a time in that annotation",
        writer=_TENANT,
        moves="nothing",
        holds="the soak, which begins `laggardTimeout` after the phase at the latest",
    ),
    Piece(
        what="a leaf in that Secret that a CA has really signed",
        writer=_TENANT + ": theirs, or none",
        moves="`signsUntil` of a rebuilt ledger, up to the CA's end; shows a ledger, or a `mutualtls.dev/step`, as an "
        "older one by which that CA has not signed",
        holds="the making of a first CA, where the authority was served before and has no key: until it is given up",
    ),
    Piece(
        what="a CA's certificate in that Secret",
        writer=_TENANT,
        moves="nothing, unless signatures of CAs that are known otherwise, or the order `abandon`, prove it: then it "
        "stays trusted",
        holds="the making of a first CA, where the authority was served before and has no key: until it is given up",
    ),
    Piece(
        what="a copy of the bundle in a ConfigMap that `spec.trust` asks for",
        writer=_TENANT,
        moves="nothing: it is done for its own readers",
        holds="each gate, until `laggardTimeout` after the phase began",
    ),
    Piece(
        what="any other object, whatever labels and `managedFields` it has",
        writer=_TENANT,
        moves="nothing",
        holds="nothing",
    ),
)
