"""What an operator goes on with that sees the cluster put back to a backup while it runs.

All that the cluster holds is of one earlier moment then, and goes together. What has been signed since, and which
numbers were used, only the operator knows.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import CAId, State
from mutualtls.core.ca import readings, recovery
from mutualtls.core.ca.generations import Held, Tombstone
from mutualtls.core.ca.ledger import CAGeneration, Ledger, Mark, mark_of
from mutualtls.core.ca.readings import Evidence
from mutualtls.core.pki.issue import CA


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What the operator knew of an authority's CAs before the cluster was put back."""

    ledger: Ledger
    held: Held

    def missing(self, there: Container[CAId]) -> Iterator[tuple[CAId, CA | Tombstone]]:
        """List the CA Secrets that there were and are not any more: keys, and numbers that were used."""
        for ca in self.ledger.generations:
            name = ca.id
            known = Tombstone() if ca.state is State.GONE else self.held.get(name)
            if name not in there and known is not None:
                yield name, known


def resumed(authority: Authority, evidence: Evidence, remembered: Ledger, *, now: datetime) -> Ledger:
    """Make the ledger to go on with, once what is missing was put back. `evidence` is what there is then.

    How far the replacing of a root was is what the backup says, as bundles and leaves are of that moment: a root that
    came later is published again before it signs. It stays trusted, as do all whose leaves somebody may still hold.
    What is remembered of `signsUntil`, and what is compromised, stays.

    Raises:
        AuthorityError: a CA Secret is unreadable.
    """
    chains = [one for ca in remembered.generations for one in readings.certificates_in(ca.chain.encode())]
    new = recovery.rebuilt(
        authority,
        replace(
            evidence,
            believed=(*evidence.believed, *readings.numbered(remembered.generations)),
            above=(*evidence.above, *chains),
            marks=(*evidence.marks, _numbers(remembered)),
            compromised=(*evidence.compromised, *remembered.compromised),
            # Nobody else has signed, so that nothing needs to be concluded from leaves.
            claimed=(),
            leaves=(),
            ends={},
        ),
        now=now,
    )
    for known in remembered.generations:
        found = new.find(known.role, known.number)
        if found is not None and found.state is not State.GONE:
            new = new.put(_completed(found, known))
    return msgspec.structs.replace(
        new,
        revision=max(new.revision, remembered.revision),
        is_automatic=new.is_automatic and remembered.is_automatic,
    )


def _completed(found: CAGeneration, known: CAGeneration) -> CAGeneration:
    """Add what is remembered of a generation: until when it may have signed, and that it was rolled back."""
    ends = [ca.signs_until for ca in (known, found) if ca.signs_until is not None]
    is_rolled_back = found.state is State.PUBLISHED and known.state in {State.RETIRING, State.WITHDRAWN}
    state = known.state if is_rolled_back else found.state
    return msgspec.structs.replace(found, state=state, signs_until=max(ends, default=None))


def _numbers(remembered: Ledger) -> Mark:
    """Say by which numbers roots go, older than any other mark. What is gone by now may not have been then."""
    mark = mark_of(remembered)
    roots = tuple(root for root in mark.roots if root.state is not State.GONE)
    return msgspec.structs.replace(mark, revision=0, roots=roots, compromised=())
