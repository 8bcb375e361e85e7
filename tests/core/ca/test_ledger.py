"""The ledger: how it is written and read, which roots it trusts, and until when its CAs may sign."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import pytest
from cryptography import x509

from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.bundles import bundle
from mutualtls.core.ca import ledger
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.pki import certificates
from support.builders import DAY, NOW, SECOND, default_signer, grown, other_signer
from support.cas import ISSUING, ROOT

# Ledger


def test_a_ledger_is_written_and_read() -> None:
    """Nothing is lost between writing and reading."""
    known = grown().read_ledger()

    assert known is not None
    assert known == ledger.decode(ledger.encode(known))
    assert known.generations[0].not_after is not None
    assert known.generations[0].not_after.tzinfo is not None


def test_a_ledger_holds_no_key() -> None:
    """It is a ConfigMap."""
    home = grown()

    assert home.ledger_text is not None
    assert "PRIVATE" not in home.ledger_text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "not a ledger", id="empty"),
        pytest.param("[]", "not a ledger", id="another form"),
        pytest.param('{"version": 1}', "not a ledger", id="of nobody"),
        pytest.param('{"authorityUid": "u", "generations": [{"role": "x"}]}', "not a ledger", id="another role"),
        pytest.param('{"authorityUid": "u", "version": 2}', "a later version", id="a later version"),
    ],
)
def test_what_is_no_ledger_is_refused(text: str, said: str) -> None:
    """A later version most of all: what it says may not be what we read."""
    with pytest.raises(ValueError, match=said):
        ledger.decode(text)


def test_an_old_ledger_can_be_read() -> None:
    """The ledger here is one of version 1."""
    text = """{"authorityUid": "u", "generations": [
      {"role": "root", "number": 1, "state": "Active", "fingerprint": "f", "keyId": "k", "certificate": "c",
       "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2027-01-01T00:00:00Z", "signsUntil": "2026-01-02T00:00:00Z"},
      {"role": "issuing", "number": 1, "state": "Making", "issuer": 1}]}"""
    found = ledger.decode(text)
    root, issuing = found.generations

    assert ("u", 1) == (found.authority_uid, found.version)
    assert ("f", "k", "c") == (root.fingerprint, root.key_id, root.certificate)
    assert root.signs_until is not None
    assert (State.MAKING, 1, "") == (issuing.state, issuing.issuer, issuing.certificate)


def test_numbers_are_never_used_twice() -> None:
    """Each role counts on its own, also past what is gone."""
    known = Ledger(
        authority_uid="u",
        generations=(
            CAGeneration(role=Role.ROOT, number=1, state=State.GONE),
            CAGeneration(role=Role.ROOT, number=4, state=State.WITHDRAWN),
            CAGeneration(role=Role.ISSUING, number=2, state=State.ACTIVE),
        ),
    )

    assert (5, 3) == (known.next_number(Role.ROOT), known.next_number(Role.ISSUING))
    assert 1 == Ledger(authority_uid="u").next_number(Role.ROOT)


def test_a_generation_is_put_in_its_place() -> None:
    """A new one goes to the end; the old ledger stays as it was."""
    first = CAGeneration(role=Role.ROOT, number=1, state=State.MAKING)
    second = CAGeneration(role=Role.ISSUING, number=1, state=State.MAKING)
    before = Ledger(authority_uid="u", generations=(first, second))
    changed = msgspec.structs.replace(first, state=State.ACTIVE)
    third = msgspec.structs.replace(first, number=2)

    assert (changed, second) == before.put(changed).generations
    assert (first, second, third) == before.put(third).generations
    assert (first, second) == before.generations


@pytest.mark.parametrize(
    ("state", "is_trusted"),
    [
        pytest.param(State.MAKING, False, id="Making"),
        pytest.param(State.PUBLISHED, True, id="Published"),
        pytest.param(State.ACTIVE, True, id="Active"),
        pytest.param(State.RETIRING, True, id="Retiring"),
        pytest.param(State.WITHDRAWN, False, id="Withdrawn"),
        pytest.param(State.GONE, False, id="Gone"),
        pytest.param(State.LOST, True, id="Lost"),
    ],
)
def test_which_roots_are_trusted(state: State, *, is_trusted: bool) -> None:
    """A key that is lost does not make its leaves bad."""
    pem = "-----BEGIN CERTIFICATE-----"
    root = CAGeneration(role=Role.ROOT, number=1, state=state, certificate=pem)

    assert ((pem,) if is_trusted else ()) == ledger.trusted_roots(Ledger(authority_uid="u", generations=(root,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A root of the ledger that somebody offers as one of others."""

    state: State
    is_outside: bool = False
    stolen: tuple[CAId, ...] = ()
    """Which keys others may have."""


OFFERED = [
    pytest.param(Offered(state=State.WITHDRAWN), False, id="taken out"),
    pytest.param(Offered(state=State.GONE), False, id="its key deleted"),
    pytest.param(Offered(state=State.RETIRING), True, id="going"),
    pytest.param(Offered(state=State.ACTIVE, stolen=(ROOT,)), True, id="compromised, and no other signs"),
    pytest.param(Offered(state=State.GONE, is_outside=True), True, id="an outside one"),
    pytest.param(Offered(state=State.GONE, is_outside=True, stolen=(ROOT,)), False, id="an outside one, compromised"),
    pytest.param(
        Offered(state=State.WITHDRAWN, is_outside=True, stolen=(ISSUING,)),
        False,
        id="an outside one, a CA under it compromised",
    ),
]


@pytest.mark.parametrize(("offered", "is_trusted"), OFFERED)
def test_a_root_that_was_taken_out_does_not_come_back(offered: Offered, *, is_trusted: bool) -> None:
    """It does not come back in another cluster's bundle, either; other roots in that bundle are trusted."""
    by, other = default_signer(), other_signer()
    pem, others = (certificates.to_pem(one.root.certificate).decode() for one in (by, other))
    root = msgspec.structs.replace(by.ledger.generations[0], state=offered.state, is_outside=offered.is_outside)
    issuing = msgspec.structs.replace(by.ledger.generations[1], state=State.GONE)
    fingerprints = {ROOT: root.fingerprint, ISSUING: issuing.fingerprint}
    known = Ledger(
        authority_uid="u",
        generations=(root, issuing),
        compromised=tuple(Compromise(fingerprint=fingerprints[one]) for one in offered.stolen),
        additional_roots={"copied/ca.crt": pem + others, "ours/ca.crt": pem},
    )
    trusted = x509.load_pem_x509_certificates(bundle.merge(ledger.trusted_roots(known)))

    assert {other.root.certificate, *([by.root.certificate] if is_trusted else [])} == set(trusted)


@pytest.mark.parametrize(
    ("before", "read", "after"),
    [
        pytest.param({}, {"a/ca.crt": "A"}, {"a/ca.crt": "A"}, id="a new one"),
        pytest.param({"a/ca.crt": "A"}, {"a/ca.crt": "B"}, {"a/ca.crt": "B"}, id="another one"),
        pytest.param({"a/ca.crt": "A"}, {"a/ca.crt": None}, {"a/ca.crt": "A"}, id="one that cannot be used any more"),
        pytest.param({}, {"a/ca.crt": None}, {}, id="one that could never be used"),
        pytest.param({"a/ca.crt": "A"}, {}, {}, id="one that is not asked for any more"),
        pytest.param(
            {"a/ca.crt": "A", "b/ca.crt": "B"},
            {"b/ca.crt": None, "c/ca.crt": "C"},
            {"b/ca.crt": "B", "c/ca.crt": "C"},
            id="each by itself",
        ),
    ],
)
def test_which_additional_roots_the_ledger_takes(
    before: dict[str, str], read: dict[str, str | None], after: dict[str, str]
) -> None:
    """A ConfigMap that is damaged or gone takes no root out of trust; a spec that does not name it does."""
    known = msgspec.structs.replace(default_signer().ledger, additional_roots=before)
    found = ledger.with_additional_roots(known, read)

    assert after == found.additional_roots
    assert known == msgspec.structs.replace(found, additional_roots=before)


def test_an_issuing_ca_is_no_root() -> None:
    """It travels with its leaves, and is trusted through its root only."""
    by = default_signer()

    assert certificates.to_pem(by.root.certificate) == by.trust.bundle


# signsUntil


def extended(*, until: timedelta, change: Callable[[Ledger], Ledger] = lambda known: known) -> tuple[Ledger, datetime]:
    """Allow leaves up to some time from now."""
    known = change(default_signer().ledger)
    active = known.active(Role.ISSUING)
    if active is None:
        raise TypeError("nothing signs")
    return ledger.extended(known, active, now=NOW, not_after=NOW + until), NOW + until


def signs_until(known: Ledger, role: Role) -> datetime | None:
    """Read signsUntil of the CA of a role that signs."""
    active = known.active(role)
    return active.signs_until if active else None


@pytest.mark.parametrize(
    ("until", "allowed"),
    [
        pytest.param(DAY, 1.1 * DAY, id="a tenth more"),
        pytest.param(60 * SECOND, 70 * SECOND, id="ten seconds more at least"),
    ],
)
def test_leaves_are_allowed_for_a_little_longer_than_asked(until: timedelta, allowed: timedelta) -> None:
    """One write then serves many leaves. The root must be trusted as long."""
    moved, _ = extended(until=until)

    assert NOW + allowed == signs_until(moved, Role.ISSUING)
    assert NOW + allowed == signs_until(moved, Role.ROOT)


def test_leaves_are_allowed_up_to_the_end_of_their_ca_only() -> None:
    """No leaf outlives its CA."""
    ca = default_signer().issuing
    moved, _ = extended(until=ca.validity.not_after - NOW)

    assert ca.validity.not_after == signs_until(moved, Role.ISSUING)


def test_what_is_covered_may_be_signed() -> None:
    """Nothing may be signed before the ledger was written."""
    before = default_signer().ledger.active(Role.ISSUING)
    moved, end = extended(until=DAY)
    after = moved.active(Role.ISSUING)

    assert before is not None
    assert after is not None
    assert not ledger.covers(before, end)
    assert ledger.covers(after, end)
    assert ledger.covers(after, NOW + 1.1 * DAY)
    assert not ledger.covers(after, NOW + 1.1 * DAY + SECOND)


def test_signs_until_of_a_root_is_never_moved_back() -> None:
    """An issuing CA before this one may have signed for longer."""

    def long_lived(known: Ledger) -> Ledger:
        root = known.generations[0]
        return known.put(msgspec.structs.replace(root, signs_until=NOW + 100 * DAY))

    moved, _ = extended(until=DAY, change=long_lived)

    assert NOW + 100 * DAY == signs_until(moved, Role.ROOT)


def test_nothing_else_of_a_ledger_is_changed() -> None:
    """One step does one thing."""
    moved, _ = extended(until=DAY)
    cleared = [msgspec.structs.replace(ca, signs_until=None) for ca in moved.generations]

    assert list(default_signer().ledger.generations) == cleared
