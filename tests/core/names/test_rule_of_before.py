"""Names that the release before permitted and this one does not: kept by whoever holds them already, for one release.

This file goes with `core/names/rule_of_before`.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mutualtls.core.api.authority_spec import OnNotPermitted
from mutualtls.core.ca import offer as trusts
from mutualtls.core.ca.offer import Offer
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import desired, plan, render
from mutualtls.core.leaf.observed import Absent, Action, Observed
from mutualtls.core.reasons import Reason
from support.builders import Signer, an_identity, authority, decide, known, observed, other_signer, secret_of
from support.builders import signer as a_signer

POD = "10-0-0-1.ops.pod"
WIDE: dict[str, Any] = {"namespaceSelector": {}, "dnsNames": ["**"], "commonNames": ["*"], "ipRanges": ["::/0"]}
ASKED: dict[str, Any] = {"dnsNames": [POD]}
WORD = (
    f"spec.dnsNames[0]: {POD} is not permitted: it is a name of namespace ops; add dnsNames: "
    f'["{POD}"] and otherNamespaces: true to a permit of authority default whose namespaceSelector matches namespace '
    "shop"
)


def under(by: Signer, *permits: dict[str, Any], on_not_permitted: OnNotPermitted = OnNotPermitted.KEEP) -> Offer:
    """What an authority offers when its permits are these."""
    policy = trusts.of(authority(by.authority.name, permits=list(permits)), None).policy
    return replace(by.trust, policy=policy, on_not_permitted=on_not_permitted)


BY = a_signer(permits=[WIDE | {"otherNamespaces": True}])
NOW_WIDE = under(BY, WIDE)


def held(*, offered: Offer = NOW_WIDE, is_read: bool = True, **asked: Any) -> Observed:
    """Show `shop/orders` and its files, which were issued when all that it asked for was permitted.

    Wanted is what it had then; whether it still may is for `judged`.
    """
    o = observed(an_identity(**(asked or ASKED)), BY)
    o = replace(o, found=known(secret_of(o, BY)))
    recorded = render.identity_status(o, decide(o))
    of = msgspec.structs.replace(o.identity, status=recorded)
    return replace(o, identity=of, trust=offered, leaf_read=o.facts if is_read else None)


def judged(o: Observed, *, generation: int = 1, **asked: Any) -> Observed:
    """Work out what an identity wants now, as the reconciler does; its spec may have changed."""
    of = msgspec.structs.replace(an_identity(generation=generation, **(asked or ASKED)), status=o.identity.status)
    o = replace(o, identity=of)
    return replace(o, wanted=desired.wanted(of, o.trust, {}, proven=o.proven_names))


def refusal(o: Observed, **asked: Any) -> SpecError:
    """Work out why it is refused."""
    with pytest.raises(SpecError) as error:
        judged(o, **asked)
    return error.value


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(ASKED, id="pod"),
        pytest.param({"dnsNames": ["a.ops.svc.cluster"]}, id="Service"),
        pytest.param({"dnsNames": ["kubernetes.default.svc.cluster"]}, id="API server"),
        pytest.param({"dnsNames": ["web-0.nginx.ops"]}, id="pod by its Service"),
        pytest.param({"ipAddresses": ["64:ff9b::a00:1"]}, id="IPv6 address"),
        pytest.param({"subject": {"commonName": "spiffe://cluster.local/ns/ops/sa/a"}}, id="SPIFFE ID as text"),
        pytest.param({"subject": {"commonName": "a@example.com"}}, id="e-mail address as text"),
        pytest.param({"subject": {"commonName": "a.b.smith"}}, id="user that reads as a DNS name"),
    ],
)
def test_what_the_release_before_permitted_is_told_apart(asked: dict[str, Any]) -> None:
    """It is refused like any other; and it was permitted by these permits, not by others."""
    error, without = refusal(held(is_read=False), **asked), refusal(held(offered=under(BY)), **asked)

    assert (Reason.NOT_PERMITTED, True) == (error.reason, error.takes_nothing)
    assert all(fault.was_permitted for fault in error.faults)
    assert (Reason.NOT_PERMITTED, False) == (without.reason, without.takes_nothing)


def test_what_no_release_permitted_is_no_such_name() -> None:
    """One such name does not turn another name into one, either."""
    error = refusal(held(), dnsNames=[POD, "orders.ops.svc"])

    assert [True, False] == [fault.was_permitted for fault in error.faults]
    assert not error.takes_nothing


def test_a_subject_is_one_name_by_either_rule() -> None:
    """A user of one permit was never put into the group of another."""
    permits: list[dict[str, Any]] = [
        {"namespaceSelector": {}, "commonNames": ["*"]},
        {"namespaceSelector": {}, "subjects": {"organizations": ["admins"]}},
    ]
    error = refusal(
        held(offered=under(BY, *permits)), subject={"commonName": "a@b.example", "organizations": ["admins"]}
    )

    assert not error.takes_nothing


def test_whoever_holds_it_is_issued_and_warned() -> None:
    """The message names it, says until when, and what would permit it."""
    o = judged(held())
    settled, later = decide(o), decide(replace(o, now=o.renewal_time))

    assert (Action.NOTHING, Reason.RULE_TIGHTENED, True) == (settled.action, settled.reason, settled.is_ready)
    assert settled.message.endswith(f", until version {plan.END_OF_RULE_OF_BEFORE} of the operator: {WORD}")
    assert (Action.ISSUE, Reason.RENEWAL_DUE) == (later.action, later.reason)


def test_files_are_read_before_they_prove_anything() -> None:
    """What is noted of them in the Secret is for everybody to write who may write Secrets."""
    o = held(is_read=False)
    error = refusal(o)

    assert Action.READ is plan.refused(o, error).action
    assert Action.NOTHING is plan.refused(replace(o, leaf_read=o.facts), error).action


def test_the_status_proves_it_from_then_on() -> None:
    """It does so even if the Secret is deleted, or if another field of the spec changes."""
    first = judged(held())
    status = render.identity_status(first, decide(first))
    of = msgspec.structs.replace(first.identity, status=status)
    o = judged(replace(first, identity=of, leaf_read=None, found=Absent()), generation=2, duration="12h", **ASKED)

    assert (Action.ISSUE, Reason.SECRET_MISSING) == (decide(o).action, decide(o).reason)
    assert status.held_names == render.identity_status(o, decide(o)).held_names is not None


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"dnsNames": [POD, "10-0-0-2.ops.pod"]}, id="another such name"),
        pytest.param({"dnsNames": [POD, "api.example.com"]}, id="a name that is permitted"),
        pytest.param({"dnsNames": ["10-0-0-2.ops.pod"]}, id="in place of it"),
    ],
)
def test_a_new_name_is_refused(asked: dict[str, Any]) -> None:
    """What was held is then judged by the rule of now; whether status or files tell of it."""
    first = judged(held())
    status = render.identity_status(first, decide(first))
    o = replace(first, identity=msgspec.structs.replace(first.identity, status=status))

    assert refusal(o, generation=2, **asked).takes_nothing


def test_a_new_identity_is_refused() -> None:
    """It has no leaf that the status records."""
    o = held()
    of = msgspec.structs.replace(o.identity, status=an_identity().status)

    assert refusal(replace(o, identity=of)).takes_nothing


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param({"fingerprint": "0" * 64}, id="another than the recorded one"),
        pytest.param({"issuer_key_id": "00"}, id="of another CA"),
        pytest.param({"chain_hash": "00"}, id="of a CA that has only its key id"),
    ],
)
def test_a_leaf_that_somebody_may_have_put_there_proves_nothing(planted: dict[str, str]) -> None:
    """It must be the one that the status records, under a chain of the authority."""
    o = held()
    of_theirs = msgspec.structs.replace(o.facts, **planted)

    assert refusal(replace(o, leaf_read=of_theirs)).takes_nothing


def test_a_leaf_of_another_authority_proves_nothing() -> None:
    """A status that records another authority's leaf proves nothing, either."""
    first = judged(held())
    status = render.identity_status(first, decide(first))
    elsewhere = replace(under(other_signer(), WIDE), in_use=other_signer().trust.in_use)
    o = replace(first, identity=msgspec.structs.replace(first.identity, status=status), trust=elsewhere)

    assert refusal(o).takes_nothing


def test_nothing_is_removed_for_it() -> None:
    """The authority deletes what is no longer permitted, but only a withdrawn right counts as that."""
    o = held(offered=under(BY, WIDE, on_not_permitted=OnNotPermitted.DELETE))
    new, taken = refusal(o, dnsNames=[POD, "10-0-0-2.ops.pod"]), refusal(replace(o, trust=under(BY)))

    assert Action.NOTHING is plan.refused(o, new).action
    assert Action.REMOVE is plan.refused(o, taken).action


def test_it_is_over_when_it_is_permitted() -> None:
    """Nothing is said to be held then, and the next tightening begins from the files."""
    o = judged(held(offered=BY.trust))
    status = render.identity_status(o, decide(o))

    assert (Reason.ISSUED, None) == (decide(o).reason, status.held_names)


def test_the_rule_of_before_is_for_one_release() -> None:
    """This test fails when the version is raised: remove the rule then."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    version, end = (
        tuple(map(int, text.split("."))) for text in (project["project"]["version"], plan.END_OF_RULE_OF_BEFORE)
    )

    assert version < end
