"""A ledger that was lost is rebuilt from what is there: CA Secrets, the status, leaves; in any combination."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
import pytest
from cryptography import x509

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import AuthorityStatus, CAStatus
from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import TRUSTED, CAId, Phase, Role, State
from mutualtls.core.ca import generations, ledger, offer, readings, recovery, rotation_state
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.ledger import CAGeneration, Ledger, Mark, MarkedRoot
from mutualtls.core.ca.readings import Evidence
from mutualtls.core.errors import AuthorityError
from mutualtls.core.pki import issue
from mutualtls.core.pki.certificates import fingerprint, key_id, to_pem
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation.steps import Hold, Sign
from support.builders import (
    DAY,
    HOUR,
    NOW,
    Home,
    an_identity,
    authority,
    decoded,
    default_signer,
    grown,
    observed,
    other_signer,
    secret_of,
)
from support.fleet import impostor, sign

ROOT, ROOT_2, ROOT_3 = (CAId(Role.ROOT, number) for number in (1, 2, 3))
ISSUING, ISSUING_2, ISSUING_3 = (CAId(Role.ISSUING, number) for number in (1, 2, 3))
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


def foreign() -> x509.Certificate:
    """A CA whose subject does not tell which it is."""
    root = default_signer().root
    return issue.root(root.key, common_name="x", unique="ABC", validity=root.validity)


def short(names: Iterable[CAId]) -> str:
    """Name CAs in few letters."""
    return "+".join(f"{role[0]}{number}" for role, number in names) or "none"


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
    """No CA is made where one ought to be."""
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


A, B = (ROOT,), (ROOT_2,)
PHASES = [
    pytest.param([ISSUING_3], (), Phase.SIGNING, id="the new root has signed"),
    pytest.param([ISSUING_2], (), Phase.PUBLISHING, id="the new root has not signed"),
    pytest.param([], (), Phase.PUBLISHING, id="nothing tells"),
    pytest.param([], A + B, Phase.PUBLISHING, id="the ClusterTrustBundle holds both"),
    pytest.param([], A, Phase.PUBLISHING, id="it holds the old root alone"),
    pytest.param([], B, Phase.SIGNING, id="it holds the new root alone: everybody had it before that"),
]


@pytest.mark.parametrize(("leaves", "published", "phase"), PHASES)
def test_where_nothing_says_how_far_it_was_both_roots_are_trusted(
    leaves: list[CAId], published: tuple[CAId, ...], phase: Phase
) -> None:
    """The root signs that everybody is sure to trust."""
    w = world()
    evidence = replace(everything(leaves=leaves, status=[]), published=tuple(w.certificates[one] for one in published))
    found = rebuilt(evidence)
    at = rotation_state.of(found)

    assert at is not None
    assert phase is at.phase
    assert {w.certificates[one] for one in ROOTS} == {
        x509.load_pem_x509_certificate(pem.encode()) for pem in ledger.trusted_roots(found)
    }


def marking(**states: State) -> Mark:
    """A mark of the two roots, such as `_1=State.ACTIVE`."""
    w = world()
    roots = (
        MarkedRoot(
            number=int(name[1:]),
            fingerprint=fingerprint(w.certificates[CAId(Role.ROOT, int(name[1:]))]),
            state=one,
        )
        for name, one in states.items()
    )
    return Mark(revision=7, roots=tuple(roots))


MARKS = {
    Phase.PUBLISHING: marking(_1=State.ACTIVE, _2=State.PUBLISHED),
    Phase.SIGNING: marking(_1=State.RETIRING, _2=State.ACTIVE),
    Phase.RETIRING: marking(_1=State.WITHDRAWN, _2=State.ACTIVE),
    Phase.WITHDRAWING: marking(_1=State.ACTIVE, _2=State.RETIRING),
    Phase.REMOVING: marking(_1=State.ACTIVE, _2=State.WITHDRAWN),
}


@pytest.mark.parametrize("phase", MARKS)
@pytest.mark.parametrize("leaves", [[], [ISSUING_2]], ids=["no leaves", "of the old root"])
@pytest.mark.parametrize("published", [(), A, B, A + B], ids=["nothing", "the old root", "the new root", "both"])
def test_the_newest_mark_says_how_far_it_was(phase: Phase, leaves: list[CAId], published: tuple[CAId, ...]) -> None:
    """Older marks, bundles and what identities carry do not count beside it."""
    w = world()
    older = (replace_revision(mark, number) for number, mark in enumerate(MARKS.values()))
    evidence = replace(
        everything(leaves=leaves),
        published=tuple(w.certificates[one] for one in published),
        claimed=tuple(w.certificates[one] for one in published),
        marks=(*older, MARKS[phase]),
    )
    at = rotation_state.of(rebuilt(evidence))

    assert at is not None
    assert phase is at.phase


def replace_revision(mark: Mark, number: int) -> Mark:
    """The same mark of another time."""
    return msgspec.structs.replace(mark, revision=number)


@pytest.mark.parametrize(
    ("mark", "phase"),
    [
        pytest.param(MARKS[Phase.PUBLISHING], Phase.SIGNING, id="it says that it is published"),
        pytest.param(marking(_1=State.ACTIVE), Phase.SIGNING, id="it does not know it"),
        pytest.param(MARKS[Phase.REMOVING], Phase.REMOVING, id="it says that it was taken out"),
        pytest.param(
            msgspec.structs.replace(
                MARKS[Phase.PUBLISHING],
                roots=tuple(
                    msgspec.structs.replace(one, has_signed=one.number == 2) for one in MARKS[Phase.PUBLISHING].roots
                ),
            ),
            Phase.PUBLISHING,
            id="it says that it had signed before",
        ),
    ],
)
def test_a_mark_of_before_is_known_as_one(mark: Mark, phase: Phase) -> None:
    """A leaf lives under a root that it says has never signed, as after the restore of a backup."""
    at = rotation_state.of(rebuilt(replace(everything(leaves=[ISSUING_3]), marks=(mark,))))

    assert at is not None
    assert phase is at.phase


def test_who_only_claims_to_have_a_leaf_of_a_root_moves_nothing() -> None:
    """It bears the key id of the CA, and not its signature."""
    own = CA(certificate=world().certificates[ISSUING_3], key=other_signer().issuing.key)
    forged = sign(own, LATER + 400 * DAY)
    before = rebuilt(replace(everything(leaves=[]), marks=(MARKS[Phase.PUBLISHING],)))
    found = rebuilt(replace(everything(leaves=[]), marks=(MARKS[Phase.PUBLISHING],), leaves=(forged,)))

    assert before == found


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
    """Roots of others, as the ConfigMap that they came from may be gone; and what is noted for good."""
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


def outcome(evidence: Evidence, secrets: Iterable[CAId]) -> tuple[Sign | Hold, Home]:
    """Rebuild a ledger and go on from there. What cannot be rebuilt holds, as it does in the shell."""
    home = Home(secrets={name: world().secrets[name] for name in secrets})
    try:
        home.write_ledger(rebuilt(evidence))
    except AuthorityError as error:
        return Hold(error.reason, str(error)), home
    return home.walk(authority(), now=LATER), home


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
    """Where it is all that is left: who trusts its root would refuse all that another signs. It can be given up."""
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


# explains


@pytest.mark.parametrize(
    ("found", "does"),
    [
        pytest.param([], True, id="nothing"),
        pytest.param([ROOT, ISSUING], True, id="all that it knows"),
        pytest.param([ISSUING], True, id="less"),
        pytest.param([ROOT, ISSUING, ISSUING_2], False, id="a later one"),
        pytest.param([ROOT_2], False, id="another root"),
    ],
)
def test_a_ledger_explains_what_it_knows(found: list[CAId], *, does: bool) -> None:
    """One that knows less than is there is an old one, as good as lost."""
    assert does is recovery.explains(default_signer().ledger, found, AuthorityStatus())


@pytest.mark.parametrize("state", list(State))
def test_a_ca_of_any_state_is_explained(state: State) -> None:
    """This is also true of a CA that is announced, or gone."""
    of_state = Ledger(authority_uid="u", generations=(CAGeneration(role=Role.ROOT, number=1, state=state),))

    assert recovery.explains(of_state, [ROOT], AuthorityStatus())


def told(*certificates: x509.Certificate) -> AuthorityStatus:
    """A status that tells of CAs, which is believed to be root 99, whatever they are."""
    pems = [to_pem(one).decode() for one in certificates]
    return AuthorityStatus(
        generations=tuple(
            CAStatus(
                role=Role.ROOT,
                number=99,
                state=State.ACTIVE,
                fingerprint="",
                key_id="",
                not_after="2036-01-01T00:00:00Z",
                certificate=pem,
            )
            for pem in [*pems, "no certificate"]
        )
    )


def planted() -> x509.Certificate:
    """A root of somebody else's that says it is ours."""
    root = default_signer().root
    name = generations.unique_name(authority(), Role.ROOT, 99)
    return issue.root(other_signer().root.key, common_name="x", unique=name, validity=root.validity)


def test_a_root_that_only_the_status_tells_of_beside_a_ledger_is_not_believed() -> None:
    """Otherwise anyone who can write a status could plant a root into every bundle."""
    known = default_signer().ledger
    own = tuple((ca.id, x509.load_pem_x509_certificate(ca.certificate.encode())) for ca in known.generations)

    assert recovery.explains(known, [ROOT, ISSUING], told(planted()))
    found = rebuilt(Evidence(believed=own, claimed=(planted(),), with_key=frozenset({ROOT, ISSUING})))
    assert {ROOT, ISSUING} == states(found).keys()


def test_an_issuing_ca_that_a_known_root_signed_is_believed() -> None:
    """Its number is never used again, be the ledger an old one."""
    signer = default_signer()
    made = generations.certify(
        authority(),
        CAGeneration(role=Role.ISSUING, number=2, state=State.MAKING, issuer=1),
        signer.issuing.key,
        signer.root,
        now=NOW,
    )

    assert not recovery.explains(signer.ledger, [ROOT, ISSUING], told(made.certificate))
    own = tuple((ca.id, x509.load_pem_x509_certificate(ca.certificate.encode())) for ca in signer.ledger.generations)
    evidence = Evidence(believed=own, claimed=(made.certificate,), with_key=frozenset({ROOT, ISSUING}))
    assert recovery.explains(rebuilt(evidence), [ROOT, ISSUING], told(made.certificate))


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
    """But no reason to fail, either."""
    assert () == readings.certificates_in(pem)


# From every subset


SUBSETS = [
    pytest.param(
        secrets, status, leaves, id=f"Secrets {short(secrets)}, status {short(status)}, leaves {short(leaves)}"
    )
    for secrets, status, leaves in itertools.product(
        itertools.chain.from_iterable(itertools.combinations(world().secrets, size) for size in range(6)),
        ((), tuple(world().certificates)),
        itertools.chain.from_iterable(itertools.combinations(world().leaves, size) for size in range(3)),
    )
    if secrets or status or leaves
]


@pytest.mark.parametrize(("secrets", "status", "leaves"), SUBSETS)
def test_what_is_rebuilt_holds_all_that_is_there(
    secrets: tuple[CAId, ...], status: tuple[CAId, ...], leaves: tuple[CAId, ...]
) -> None:
    """Every Secret is explained, what lives is trusted long enough, and no number can be used twice."""
    w = world()
    evidence = w.evidence(secrets=secrets, status=status, leaves=leaves)
    found = rebuilt(evidence)
    offered = offer.of(authority(), found)
    roots = {ca.certificate for ca in found.of(Role.ROOT) if ca.state in TRUSTED}

    assert recovery.explains(found, [*secrets, *status], AuthorityStatus())
    assert found == ledger.decode(ledger.encode(found))
    rooted = [name for name in w.issuers if name in evidence.with_key and found.find(*w.issuers[name])]
    active = found.active(Role.ROOT)
    assert active is not None or not rooted
    if active is not None and rooted:
        under = [name for name in rooted if w.issuers[name] == CAId(Role.ROOT, active.number)]
        signing = found.active(Role.ISSUING)
        is_followed = any(ca.state == State.PUBLISHED for ca in found.of(Role.ROOT))
        assert under or CAId(Role.ROOT, active.number) in evidence.with_key or is_followed
        assert max(under, default=None) == (CAId(Role.ISSUING, signing.number) if signing else None)
    for role in Role:
        assert found.next_number(role) > max((number for of, number in (*secrets, *status) if of == role), default=0)
        assert 1 >= sum(ca.state == State.ACTIVE for ca in found.of(role))
    for name in leaves:
        ca, root = found.find(*name), found.find(*w.issuers[name])
        assert ca is not None
        assert root is not None
        assert w.key_id(name) in offered.in_use
        assert root.certificate in roots
        for one in (ca, root):
            assert one.signs_until is not None
            assert one.signs_until >= w.leaves[name]


@pytest.mark.parametrize(("secrets", "status", "leaves"), SUBSETS)
def test_after_a_rebuilding_things_go_on_or_hold(
    secrets: tuple[CAId, ...], status: tuple[CAId, ...], leaves: tuple[CAId, ...]
) -> None:
    """A new CA has a new number, and the CA that signs is under a root that every bundle gets."""
    w = world()
    step, home = outcome(w.evidence(secrets=secrets, status=status, leaves=leaves), secrets)
    end = offer.of(authority(), home.read_ledger())
    seen = {*secrets, *status, *leaves, *(w.issuers[name] for name in leaves)}

    assert not set(home.made) & seen
    if isinstance(step, Sign):
        roots = x509.load_pem_x509_certificates(end.bundle)
        assert step.ca.certificate.issuer in {root.subject for root in roots}
    for name in leaves if home.ledger_text else ():
        assert w.key_id(name) in end.in_use
        assert home.recorded(w.issuers[name]).certificate.encode() in end.bundle


def test_what_was_rebuilt_comes_to_rest() -> None:
    """Once every leaf that may have been signed has expired, only the CAs that sign are left."""
    w = world()
    home = w.home(rebuilt(everything()), w.secrets)
    home.walk(authority(), now=LATER + 8 * DAY)

    assert {
        ROOT: State.GONE,
        ROOT_2: State.ACTIVE,
        ISSUING: State.GONE,
        ISSUING_2: State.GONE,
        ISSUING_3: State.ACTIVE,
    } == home.states()
    assert {ROOT, ISSUING_2} == set(home.buried)
