"""What an authority offers by its ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from mutualtls.core.api.states import Role, State
from mutualtls.core.ca import offer
from mutualtls.core.pki import certificates
from mutualtls.core.reasons import Reason, Refusal
from support.builders import DAY, authority, default_signer


def test_what_an_authority_offers() -> None:
    """Its bounds, its bundle, and who signs."""
    by = default_signer()
    offered = by.trust
    key_id = certificates.key_id(by.issuing.certificate)

    assert {key_id, certificates.key_id(by.root.certificate)} == set(offered.in_use)
    assert offered.in_use[key_id] == offered.signing
    assert by.issuing.validity == offered.in_use[key_id].validity
    assert (DAY, timedelta(minutes=10), 7 * DAY) == (
        offered.leaf_duration,
        offered.leaf_min_duration,
        offered.leaf_max_duration,
    )
    assert ("default", "cluster.local", "cluster.local") == (
        offered.name,
        offered.trust_domain,
        offered.cluster_domain,
    )
    assert (False, None) == (offered.suspended, offered.why_not)


def test_an_authority_that_cannot_sign_still_offers_its_bundle() -> None:
    """Its leaves are still valid."""
    by = default_signer()
    offered = offer.of(by.authority, by.ledger, why_not=Refusal(Reason.CA_EXPIRED, "why"))

    assert replace(by.trust, signing=None, why_not=Refusal(Reason.CA_EXPIRED, "why")) == offered


def test_an_authority_without_a_ledger_is_preparing() -> None:
    """It offers nothing yet."""
    offered = offer.of(authority(), None)

    assert offered.why_not is not None
    assert Reason.PREPARING == offered.why_not.reason
    assert (None, b"", 0) == (offered.signing, offered.bundle, len(offered.in_use))


@pytest.mark.parametrize(
    ("state", "is_good"),
    [
        pytest.param(State.PUBLISHED, True, id="Published"),
        pytest.param(State.RETIRING, True, id="Retiring"),
        pytest.param(State.LOST, True, id="Lost"),
        pytest.param(State.WITHDRAWN, False, id="Withdrawn"),
        pytest.param(State.GONE, False, id="Gone"),
    ],
)
def test_whose_leaves_are_good(state: State, *, is_good: bool) -> None:
    """Leaves are good of every CA that is not taken out."""
    by = default_signer()
    issuing = by.ledger.active(Role.ISSUING)
    if issuing is None:
        raise TypeError("nothing signs")
    offered = offer.of(by.authority, by.ledger.put(msgspec.structs.replace(issuing, state=state)))

    assert is_good is (issuing.key_id in offered.in_use)
    assert offered.signing is None
