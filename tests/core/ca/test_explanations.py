"""Whether a ledger explains the CAs that are there, and which other evidence is believed beside it."""

from __future__ import annotations

import pytest
from cryptography import x509

from mutualtls.core.api.authority_status import AuthorityStatus, CAStatus
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca import generations, recovery
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.ca.readings import Evidence
from mutualtls.core.pki.certificates import to_pem
from support.builders import NOW, authority, default_signer
from support.cas import ISSUING, ISSUING_2, ROOT, ROOT_2
from support.remains import planted, rebuilt, states


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
