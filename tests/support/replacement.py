"""An authority about to replace a CA, and the steps that it takes."""

from __future__ import annotations

from datetime import datetime

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import CAId
from mutualtls.core.ca import offer
from mutualtls.core.ca.offer import Offer
from mutualtls.core.ca.rollout import Leaf, Rollout
from mutualtls.core.rotation.steps import Bury, Make, Note, Write
from support.builders import DAY, HOUR, MINUTE, NOW, ORDERS, SECOND, Home, authority, grown, named
from support.cas import ISSUING, ROOT

HALF = NOW + 1080 * HOUR
"""Half of the life of an issuing CA that was made at NOW."""
LEAF_ENDS = HALF + DAY
MARGIN = 30 * SECOND


def signs_until(home: Home, name: CAId) -> datetime:
    """Read until when leaves of a CA may live."""
    found = home.recorded(name).signs_until
    if found is None:
        raise TypeError(f"no leaf of {name} was allowed")
    return found


def steps(home: Home, of: Authority, *, now: datetime) -> list[str]:
    """Take steps until there is nothing more to do, and name them."""
    seen = []
    for _ in range(20):
        step = home.next_step(of, now=now)
        seen.append(named(step))
        if not isinstance(step, Write | Note | Make | Bury):
            return seen
        home.act(of, step, now=now)
    raise AssertionError(f"steps without end: {seen}")


def offered(home: Home, of: Authority | None = None) -> Offer:
    """Say what an authority offers."""
    return offer.of(of or authority(), home.read_ledger())


def busy(of: Authority | None = None) -> Home:
    """An authority that signed a leaf shortly before half of its issuing CA's life."""
    home = grown(of)
    home.sign(until=LEAF_ENDS, now=HALF - MINUTE)
    return home


def home_step(home: Home, of: Authority, *, now: datetime) -> Write | Note | Make | Bury:
    """Say the next step, which is one to be taken."""
    step = home.next_step(of, now=now)
    if not isinstance(step, Write | Note | Make | Bury):
        raise TypeError(f"nothing to do: {step}")
    return step


def ordering(home: Home, name: CAId = ROOT) -> Authority:
    """Order to abandon a root."""
    return authority(abandon=home.recorded(name).fingerprint)


def abandoned() -> Home:
    """An authority whose keys are lost, and a leaf of it."""
    home = busy()
    home.lose(ROOT, ISSUING)
    key_id = home.recorded(ISSUING).key_id
    leaf = Leaf(secret=ORDERS, issuer_key_id=key_id, not_after=LEAF_ENDS, recorded_end=LEAF_ENDS)
    home.rollout = Rollout(leaves=(leaf,))
    return home
