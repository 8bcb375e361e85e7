"""How a ledger is rebuilt from what is left in the cluster, and where nothing can be rebuilt."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import msgspec
import pytest
from cryptography import x509

from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca import generations, readings, recovery
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.readings import Evidence
from mutualtls.core.errors import AuthorityError
from mutualtls.core.pki import issue
from mutualtls.core.pki.certificates import fingerprint, to_pem
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation.steps import Hold
from support.builders import (
    DAY,
    HOUR,
    NOW,
    an_identity,
    authority,
    decoded,
    default_signer,
    grown,
    observed,
    other_signer,
    secret_of,
)
from support.cas import ISSUING, ISSUING_2, ISSUING_3, ROOT, ROOT_2
from support.fleet import impostor, sign
from support.remains import LATER, ROOTS, everything, outcome, rebuilt, states, world


def foreign() -> x509.Certificate:
    """A CA whose subject does not tell which it is."""
    root = default_signer().root
    return issue.root(root.key, common_name="x", unique="ABC", validity=root.validity)


def stray() -> x509.Certificate:
    """A leaf of a CA that is nowhere."""
    return sign(other_signer().issuing, LATER + DAY)


# By example


def test_the_world_is_as_its_name_says() -> None:
    """It has one CA of each kind."""
    assert {ROOT, ROOT_2, ISSUING, ISSUING_2, ISSUING_3} == set(world().secrets)
    assert Tombstone() == world().secrets[ISSUING]


def test_no_evidence_is_empty() -> None:
    """The authority never had a CA."""
    assert Evidence().is_empty
    assert world().evidence(secrets=[], status=[], leaves=[]).is_empty


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(Evidence(believed=((ROOT, default_signer().root.certificate),)), id="a certificate"),
        pytest.param(Evidence(with_key=frozenset({ROOT})), id="a Secret with a key"),
        pytest.param(Evidence(buried=frozenset({ROOT})), id="a tombstone"),
        pytest.param(Evidence(leaves=(stray(),)), id="a leaf"),
        pytest.param(Evidence(ends={"ab": NOW}), id="the status of an identity"),
    ],
)
def test_any_evidence_counts(evidence: Evidence) -> None:
    """Otherwise a CA would be made where one ought to be."""
    assert not evidence.is_empty


CASES = [
    pytest.param(
        everything(),
        {
            ROOT: State.RETIRING,
            ROOT_2: State.ACTIVE,
            ISSUING: State.GONE,
            ISSUING_2: State.RETIRING,
            ISSUING_3: State.ACTIVE,
        },
        id="everything is there",
    ),
    pytest.param(
        everything(secrets=[ROOT, ROOT_2, ISSUING_2]),
        {
            ROOT: State.RETIRING,
            ROOT_2: State.ACTIVE,
            ISSUING: State.LOST,
            ISSUING_2: State.RETIRING,
            ISSUING_3: State.LOST,
        },
        id="the newest issuing CA has no key, and its root has",
    ),
    pytest.param(
        everything(secrets=[], status=[]),
        {ROOT: State.LOST, ROOT_2: State.ACTIVE, ISSUING_2: State.LOST, ISSUING_3: State.ACTIVE},
        id="leaves alone",
    ),
    pytest.param(
        everything(secrets=[], leaves=[]),
        {
            ROOT: State.LOST,
            ROOT_2: State.ACTIVE,
            ISSUING: State.LOST,
            ISSUING_2: State.LOST,
            ISSUING_3: State.ACTIVE,
        },
        id="the status alone",
    ),
    pytest.param(everything(secrets=[ISSUING], status=[], leaves=[]), {ISSUING: State.GONE}, id="a tombstone alone"),
    pytest.param(
        everything(secrets=[ROOT, ROOT_2], status=[], leaves=[]),
        {ROOT: State.ACTIVE, ROOT_2: State.PUBLISHED},
        id="roots alone",
    ),
    pytest.param(
        everything(secrets=[ROOT], status=[ROOT_2], leaves=[]),
        {ROOT: State.ACTIVE, ROOT_2: State.LOST},
        id="the root with a key counts",
    ),
    pytest.param(Evidence(believed=((ROOT, foreign()),)), {ROOT: State.ACTIVE}, id="an outside one, by its name"),
]


@pytest.mark.parametrize(("evidence", "expected"), CASES)
def test_a_ledger_is_rebuilt(evidence: Evidence, expected: dict[CAId, State]) -> None:
    """The newest issuing CA of the root that signs has its part; what else is there stays trusted for a while."""
    assert expected == states(rebuilt(evidence))


def test_a_root_of_the_same_key_that_its_key_did_not_sign_is_not_taken() -> None:
    """Otherwise anyone with a root's certificate could make an expired one of it, and have it trusted."""
    w = world()
    own = w.secrets[ROOT_2]
    assert isinstance(own, CA)
    forged = impostor(own.certificate, other_signer().root.key, LATER)
    without = everything(secrets=[ISSUING_3], status=[], leaves=[])
    found = rebuilt(replace(without, claimed=(forged, own.certificate)))

    assert generations.identify(forged) == generations.identify(own.certificate)
    assert [fingerprint(own.certificate)] == [ca.fingerprint for ca in found.of(Role.ROOT)]


def test_a_rebuilt_ledger_holds_what_the_certificates_say() -> None:
    """Nothing of it is lost, but for what was signed until when."""
    before = grown()
    known_ledger = before.read_ledger()
    by = {name: before.ca(name) for name in (ROOT, ISSUING)}
    evidence = Evidence(believed=tuple((name, ca.certificate) for name, ca in by.items()), with_key=frozenset(by))
    found = recovery.rebuilt(authority(), evidence, now=NOW)

    assert known_ledger is not None
    assert 169 * HOUR + NOW == found.generations[0].signs_until
    without = [msgspec.structs.replace(ca, signs_until=None) for ca in found.generations]
    assert list(known_ledger.generations) == without
    assert "uid-of-default" == found.authority_uid


def test_the_longest_leaf_is_that_of_the_spec() -> None:
    """An hour is added, because every CA may have signed a leaf a moment ago."""
    of = authority(leaf={"maxDuration": "48h"})
    found = rebuilt(everything(leaves=[]), of)

    assert {LATER + 49 * HOUR, None} == {ca.signs_until for ca in found.generations}


def test_a_leaf_that_was_seen_counts_if_it_lives_longer() -> None:
    """It may have been signed under another spec. Its root must be trusted as long."""
    late = (world().leaf(ISSUING_2, LATER + 80 * DAY), world().leaf(ISSUING_2, LATER + DAY))
    found = rebuilt(replace(everything(), leaves=late))

    for name in (ISSUING_2, ROOT):
        ca = found.find(*name)
        assert ca is not None
        assert ca.signs_until is not None
        assert LATER + 80 * DAY <= ca.signs_until


def test_what_an_identity_records_counts_as_long_as_its_ca_lives() -> None:
    """No leaf outlives it, whatever is said."""
    far = datetime.max.replace(tzinfo=NOW.tzinfo)
    found = rebuilt(replace(everything(), ends={world().key_id(ISSUING_2): far}))
    ca = found.find(*ISSUING_2)

    assert ca is not None
    assert ca.not_after == ca.signs_until


def test_what_no_certificate_tells_is_taken_over_from_the_ledger_before() -> None:
    """Roots of others and what is noted for good stand nowhere else, as their ConfigMap may be gone."""
    noted = (Compromise(fingerprint=fingerprint(world().certificates[ROOT_2])),)
    roots = {"old-roots/ca.crt": to_pem(foreign()).decode()}
    found = rebuilt(replace(everything(), compromised=noted, additional_roots=roots))

    assert (noted, roots) == (found.compromised, found.additional_roots)
    assert states(rebuilt(everything())) == states(found)


def test_a_compromised_root_whose_time_is_past_is_not_put_back() -> None:
    """It stays out even if the annotation is gone, and only the previous ledger has it noted."""
    noted = Compromise(fingerprint=fingerprint(world().certificates[ROOT]), by=LATER)
    found = rebuilt(replace(everything(), compromised=(noted,)))

    assert {ROOT: State.WITHDRAWN, ROOT_2: State.ACTIVE} == {
        name: state for name, state in states(found).items() if name in ROOTS
    }


def test_an_issuing_ca_whose_root_is_nowhere_does_not_sign() -> None:
    """No root is made in place of the one that ought to be, which the leaves of the issuing CA would not be under."""
    step, home = outcome(everything(secrets=[ISSUING_3], status=[], leaves=[]), [ISSUING_3])

    assert isinstance(step, Hold)
    assert [] == home.made


def test_a_leaf_whose_ca_is_nowhere_is_evidence_that_holds() -> None:
    """No CA is made where one ought to be."""
    step, home = outcome(Evidence(leaves=(stray(),)), [])

    assert isinstance(step, Hold)
    assert [] == home.made


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param(Evidence(leaves=(stray(),)), id="a leaf"),
        pytest.param(Evidence(claimed=(other_signer().root.certificate,)), id="a root"),
        pytest.param(Evidence(ends={"ab": NOW + DAY}), id="an identity that was another authority's"),
    ],
)
def test_what_tenants_may_write_holds_no_authority_up_that_nobody_has_served(planted: Evidence) -> None:
    """Nobody can have had a certificate of it, so that it makes its first CA."""
    assert not planted.is_empty
    assert replace(planted, is_owned=False).is_empty


def test_a_bundle_that_was_published_is_evidence_that_holds() -> None:
    """Whoever trusts its root would refuse all that another signs; the root can be given up by an order."""
    root = world().certificates[ROOT]
    evidence = Evidence(claimed=(root,))
    step, home = outcome(evidence, [])
    given_up = recovery.rebuilt(authority(abandon=fingerprint(root)), evidence, now=LATER)

    assert not evidence.is_empty
    assert isinstance(step, Hold)
    assert (Reason.LEDGER_LOST, []) == (step.reason, home.made)
    assert [ROOT] == list(states(given_up))


def test_a_published_root_of_others_is_no_evidence() -> None:
    """Such a root comes from `trust.additionalRoots`."""
    assert Evidence(claimed=(foreign(),), published=(foreign(),)).is_empty


def test_a_key_whose_certificate_cannot_be_read_is_explained_or_refused() -> None:
    """Otherwise the ledger would be rebuilt for ever."""
    evidence = Evidence(believed=((ROOT, world().certificates[ROOT]),), with_key=frozenset({ROOT, ISSUING}))
    try:
        found = rebuilt(evidence)
    except AuthorityError:
        return

    assert recovery.explains(found, evidence.with_key, AuthorityStatus())


# certificates_in


def test_the_cas_of_a_chain_are_read() -> None:
    """The leaf is left out."""
    body = secret_of(observed(an_identity()))
    files = decoded(body)

    assert (default_signer().issuing.certificate,) == readings.certificates_in(files["tls.crt"])
    assert (default_signer().root.certificate,) == readings.certificates_in(files["ca.crt"])


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not PEM", id="no PEM"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="no certificate"),
        pytest.param(generations.secret_data(default_signer().root)["tls.key"], id="a key"),
    ],
)
def test_what_is_no_certificate_is_no_evidence(pem: bytes) -> None:
    """It is no reason to fail either."""
    assert () == readings.certificates_in(pem)
