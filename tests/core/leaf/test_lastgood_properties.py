"""No edit that cannot be read changes anything, whatever it is and was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mutualtls.core.api import authority as authorities
from mutualtls.core.api import authority_spec, identity, identity_spec, kept_spec
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.bundles import publish
from mutualtls.core.ca import offer
from mutualtls.core.ca.offer import Offer
from mutualtls.core.leaf import render
from mutualtls.core.leaf.observed import Action
from mutualtls.core.model.object_key import ObjectKey
from support.builders import Signer, decide, default_signer, identity_body, known, observed, other_signer, secret_of
from support.faulty import FAULTY, LETTERS, UNREADABLE, Spec, body_of, decided, edited, part, store_with

garbage = st.sampled_from([5, "", "xn--a", "a_b", [], {}, ["a*b.example.com"], {"a": 1}, True, "1d", [{}], [5]])
of_authorities = st.sampled_from(sorted(authority_spec.AuthoritySpec.__struct_encode_fields__))
of_identities = st.sampled_from(sorted(identity_spec.IdentitySpec.__struct_encode_fields__))
faulty_parts: st.SearchStrategy[Spec] = st.sampled_from(list(map(part, FAULTY)))
unreadable_parts: st.SearchStrategy[Spec] = st.sampled_from(list(map(part, UNREADABLE)))
good_authorities = st.fixed_dictionaries(
    {
        "trust": st.fixed_dictionaries(
            {"clusterTrustBundle": st.booleans()},
            optional={
                "configMap": st.fixed_dictionaries(
                    {
                        "name": st.sampled_from(["roots", "others"]),
                        "namespaceSelector": st.sampled_from([{}, {"matchLabels": {"team": "a"}}]),
                    }
                )
            },
        ),
        "permits": st.just([LETTERS]),
        "onNotPermitted": st.sampled_from(["Keep", "Delete"]),
    }
)
good_identities = st.fixed_dictionaries(
    {"authority": st.sampled_from(["default", "other"])},
    optional={
        "services": st.lists(st.sampled_from(["orders", "db"]), unique=True),
        "dnsNames": st.lists(st.sampled_from(["a.example.com", "*.db.shop.svc", "b.orders.shop.svc"]), unique=True),
        "usages": st.just(["client auth"]),
        "duration": st.sampled_from(["1h", "24h", "100h"]),
        "renewBefore": st.sampled_from(["10m", "30m"]),
        "privateKey": st.sampled_from([{"size": 384}, {"encoding": "SEC1"}, {"rotationPolicy": "Never"}]),
        "secret": st.sampled_from([{"name": "b"}, {"labels": {"a": "b"}}, {"deletionPolicy": "Retain"}]),
        "formats": st.sampled_from([{"der": {}}, {"combinedPEM": {}}]),
    },
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(good_authorities, good_identities, st.data())
def test_no_edit_that_cannot_be_read_changes_an_object_or_a_root(good: Spec, asked: Spec, data: st.DataObject) -> None:
    """The edit may be of an authority, an identity or both, among other edits, also after a restart."""
    signers = {"default": default_signer(), "other": other_signer()}
    asked, name = {"services": ["orders"]} | asked, str(asked["authority"])
    bodies = {name: body_of(name, **good) for name in signers}
    store = store_with(*bodies.values())
    before = {name: offer.of(store.authorities[name], by.ledger) for name, by in signers.items()}
    status, secret = issued_by(signers[name], before[name], asked)

    edit: Spec = data.draw(faulty_parts | st.dictionaries(of_authorities, garbage, max_size=3), label="authority")
    edit_of_identity: Spec = data.draw(
        unreadable_parts | st.dictionaries(of_identities, garbage, max_size=3), label="identity"
    )
    faulty = {name: body_of(name, version=2, **(good | edit)) for name in signers}
    of = edited(status, **(asked | edit_of_identity))
    assume(authorities.parse(faulty["default"]).fault or edit == {})
    assume(of.faults or edit_of_identity == {})
    restarted = store_with(*faulty.values())
    for name in signers:
        store.authorities.note(faulty[name])
        kept = kept_spec.decode(kept_spec.encode(authorities.parse(bodies[name]).spec))
        assert kept is not None
        restarted.authorities.note_good_spec(restarted.authorities[name], kept)

    for told in (store, restarted):
        for name, by in signers.items():
            found = told.authorities[name]
            after = offer.of(found, by.ledger)
            assert before[name].bundle == after.bundle
            assert copies_of(bodies[name]) == sorted(publish.wanted_copies(found, told.places))
        after = offer.of(told.authorities[of.authority], signers[of.authority].ledger)
        assert Action.NOTHING is decided(of, after, secret)[1].action
        assert (status.authority, status.secret_name) == (of.authority, of.secret_name)


def issued_by(by: Signer, offered: Offer, asked: Spec) -> tuple[IdentityStatus, dict[str, Any]]:
    """The status and the Secret of an identity that was issued by what an authority offered."""
    o = observed(identity.parse(identity_body(**asked)), trust=offered)
    body = secret_of(o, by)
    o = replace(o, found=known(body))
    return render.identity_status(o, decide(o)), body


def copies_of(body: Mapping[str, Any]) -> list[ObjectKey]:
    """The copies that there are of the bundle of a good authority."""
    store = store_with(body)
    return sorted(publish.wanted_copies(store.authorities[body["metadata"]["name"]], store.places))
