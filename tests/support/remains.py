"""What is left of an authority whose ledger is lost."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca import generations, ledger, recovery
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.ca.readings import Evidence
from mutualtls.core.errors import AuthorityError
from mutualtls.core.pki import issue
from mutualtls.core.pki.certificates import key_id
from mutualtls.core.pki.issue import CA
from mutualtls.core.rotation.steps import Hold, Sign
from support.builders import DAY, HOUR, NOW, Home, authority, default_signer, grown, other_signer
from support.cas import ISSUING, ISSUING_2, ISSUING_3, ROOT, ROOT_2
from support.fleet import sign

ROOTS = (ROOT, ROOT_2)
HALF = NOW + 1080 * HOUR
LATER = HALF + 3 * DAY
"""When the ledgers of these tests are lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that is left of an authority whose ledger is lost, before more of it is lost."""

    certificates: dict[CAId, x509.Certificate]
    issuers: dict[CAId, CAId]
    """Which root signed which issuing CA."""
    secrets: dict[CAId, CA | Tombstone]
    leaves: dict[CAId, datetime]
    """For each issuing CA with living leaves, the end of the last."""

    def evidence(self, *, secrets: Iterable[CAId], status: Iterable[CAId], leaves: Iterable[CAId]) -> Evidence:
        """Gather a part of what is left, as the shell does: a leaf's Secret carries its issuer and both roots."""
        there = {name: self.secrets[name] for name in secrets}
        alive = {name: self.leaves[name] for name in leaves}
        carried = [certificate for name in alive for certificate in (name, *ROOTS)]
        seen = [*status, *there, *carried]
        return Evidence(
            believed=tuple((name, self.certificates[name]) for name in seen),
            with_key=frozenset(name for name, held in there.items() if isinstance(held, CA)),
            buried=frozenset(name for name, held in there.items() if isinstance(held, Tombstone)),
            leaves=tuple(self.leaf(name, end) for name, end in alive.items()),
        )

    def leaf(self, name: CAId, end: datetime) -> x509.Certificate:
        """Make a leaf of a CA."""
        ca = self.secrets[name]
        if not isinstance(ca, CA):
            raise TypeError(f"the key of {name} was deleted")
        return sign(ca, end)

    def key_id(self, name: CAId) -> str:
        """Tell the key id of a CA."""
        return key_id(self.certificates[name])

    def home(self, rebuilt: Ledger, secrets: Iterable[CAId]) -> Home:
        """The operator's namespace with a rebuilt ledger."""
        return Home(ledger_text=ledger.encode(rebuilt), secrets={name: self.secrets[name] for name in secrets})


@functools.cache
def world() -> World:
    """An authority with two roots, of which the first was given up, and three issuing CAs, of which one is buried."""
    home, of = grown(), authority()
    home.sign(until=NOW + DAY, now=NOW)
    home.walk(of, now=HALF)
    home.sign(until=LATER + 5 * DAY, now=HALF)
    kept = dict(home.secrets)
    home.lose(ROOT, ISSUING_2)
    home.walk(authority(abandon=home.recorded(ROOT).fingerprint), now=HALF + DAY)
    home.sign(until=LATER + 2 * DAY, now=HALF + DAY)
    names = [ROOT, ROOT_2, ISSUING, ISSUING_2, ISSUING_3]
    pems = {name: home.recorded(name).certificate.encode() for name in names}
    return World(
        certificates={name: x509.load_pem_x509_certificate(pem) for name, pem in pems.items()},
        issuers={ISSUING: ROOT, ISSUING_2: ROOT, ISSUING_3: ROOT_2},
        secrets={**home.secrets, ROOT: kept[ROOT], ISSUING_2: kept[ISSUING_2]},
        leaves={ISSUING_2: LATER + 5 * DAY, ISSUING_3: LATER + 2 * DAY},
    )


def rebuilt(evidence: Evidence, of: Authority | None = None) -> Ledger:
    """Rebuild a ledger after it was lost."""
    return recovery.rebuilt(of or authority(), evidence, now=LATER)


def states(found: Ledger) -> dict[CAId, State]:
    """Where each generation is."""
    return {ca.id: ca.state for ca in found.generations}


def everything(
    *,
    secrets: Iterable[CAId] | None = None,
    status: Iterable[CAId] | None = None,
    leaves: Iterable[CAId] | None = None,
) -> Evidence:
    """All that is left of the world, or less of one kind."""
    w = world()
    return w.evidence(
        secrets=w.secrets if secrets is None else secrets,
        status=w.certificates if status is None else status,
        leaves=w.leaves if leaves is None else leaves,
    )


def outcome(evidence: Evidence, secrets: Iterable[CAId]) -> tuple[Sign | Hold, Home]:
    """Rebuild a ledger and go on from there. What cannot be rebuilt holds, as it does in the shell."""
    home = Home(secrets={name: world().secrets[name] for name in secrets})
    try:
        home.write_ledger(rebuilt(evidence))
    except AuthorityError as error:
        return Hold(error.reason, str(error)), home
    return home.walk(authority(), now=LATER), home


def planted() -> x509.Certificate:
    """A root of somebody else's that says it is ours."""
    root = default_signer().root
    name = generations.unique_name(authority(), Role.ROOT, 99)
    return issue.root(other_signer().root.key, common_name="x", unique=name, validity=root.validity)
