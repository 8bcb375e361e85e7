"""The CA state machine with a CA of an outside PKI: whatever its source brings, besides all else that may happen."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from mutualtls.core.api.states import CAId, Role
from mutualtls.core.ca import ledger, source
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.ca.source import Source, SourceError
from mutualtls.core.pki import certificates
from mutualtls.core.pki.issue import CA
from mutualtls.core.rotation.steps import Sign
from support import builders
from support.builders import NOW
from support.fleet import SPEC, Fleet
from support.outside_cas import files, outside_intermediate, outside_root
from support.rotations import NAMES, SPECS, TENANT, Rotations

BROUGHT = {
    "a root": files(outside_root()),
    "an intermediate under it": files(outside_intermediate(), roots=(outside_root(),)),
    "another under it": files(outside_intermediate("Next"), roots=(outside_root(),)),
    "another root": files(outside_root("Other")),
    "an intermediate under that": files(outside_intermediate("Else", "Other"), roots=(outside_root("Other"),)),
    "nothing": {},
    "a root of its own": files(outside_root("Final")),
}
"""What may be in the Secret of `root.secretRef`."""
FIRST = ("a root", "an intermediate under it")
LAST = "a root of its own"
ANY = [one for one in BROUGHT if one != LAST]


@functools.lru_cache(maxsize=1000)
def read(brought: str, text: str | None, *, is_tiered: bool) -> Source | None:
    """Read a source beside a ledger, as the shell does; None where it cannot be used."""
    known = ledger.decode(text) if text is not None else None
    try:
        return source.parse(BROUGHT[brought], is_tiered=is_tiered, now=NOW, known=known)
    except SourceError:
        return None


@dataclass(kw_only=True)
class OutsideFleet(Fleet):
    """A fleet whose CA is an outside one."""

    brought: str

    def _see(self) -> None:
        """Read the source at each step, too."""
        super()._see()
        self.home.source = read(self.brought, self.home.ledger_text, is_tiered=self.of.spec.issuing.enabled)


class OutsideRotations(Rotations):
    """The same, and whatever is put into the Secret that `root.secretRef` names."""

    fleet: OutsideFleet

    @initialize(rotation=SPECS, is_tiered=st.booleans(), first=st.sampled_from(FIRST))
    def begin(self, rotation: dict[str, Any], first: str, *, is_tiered: bool) -> None:
        """Make the authority, and let it sign for three."""
        issuing = {"enabled": is_tiered, "duration": "48h"}
        outside = {"root": {"secretRef": {"name": "corp"}}, "trustDomain": "corp", "issuing": issuing}
        spec = {**SPEC, **outside, "rotation": {**SPEC["rotation"], **rotation}}
        self.fleet = OutsideFleet(of=builders.authority(**spec), brought=first)
        for name in (*NAMES, TENANT):
            self.fleet.add(name)
        self.fleet.settle()
        self.backups, self.late, self.kept = [], [], {}
        self.copied: dict[CAId, x509.Certificate] = {}

    @rule(brought=st.sampled_from(ANY))
    def bring(self, brought: str) -> None:
        """Put something else there."""
        self.fleet.brought = brought

    @rule(brought=st.sampled_from(ANY), then=st.sampled_from(ANY), after=st.integers(0, 4))
    def bring_another(self, brought: str, then: str, after: int) -> None:
        """Put something else there, and yet another when so many steps were taken towards the first."""
        self.fleet.brought = brought
        self.fleet.look(crash=after)
        self.fleet.brought = then

    def what_signs_is_trusted(self) -> None:
        """An intermediate is under the very root that the ledger says it is under."""
        super().what_signs_is_trusted()
        if self.fleet.offered is not None and isinstance(self.fleet.step, Sign) and self.fleet.step.ca.root is not None:
            signing = self.fleet.ledger.active(Role.ROOT)
            assert signing is not None
            assert signing.fingerprint == certificates.fingerprint(self.fleet.step.ca.root)

    def nothing_is_replaced_without_a_reason(self, before: Ledger, after: Ledger) -> None:
        """Only a root that was never there takes the place of another."""
        new = after.find(Role.ROOT, before.next_number(Role.ROOT))
        if new is not None and new.fingerprint:
            assert new.fingerprint not in {ca.fingerprint for ca in before.generations}

    def no_key_is_made_twice(self) -> None:
        """For one generation: what is copied again is the same."""
        for name, held in self.fleet.home.secrets.items():
            if isinstance(held, CA):
                assert held.certificate == self.copied.setdefault(name, held.certificate)

    def teardown(self) -> None:
        """It comes to rest under the last that is brought."""
        if hasattr(self, "fleet"):
            self.fleet.brought = LAST
        super().teardown()


OutsideRotations.TestCase.settings = Rotations.TestCase.settings
TestOutsideRotations = pytest.mark.further(OutsideRotations.TestCase)
