"""What is written: whole Secrets, patches that touch nothing of others, and statuses."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from mutualtls.core.api import identity
from mutualtls.core.api.algorithms import Encoding
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.status import CertificateStatus, Condition
from mutualtls.core.leaf import facts, plan, render, secret
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.observed import Absent, Action, Known, Observed
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.model import labels
from mutualtls.core.names.names import Names
from mutualtls.core.pki import keys
from mutualtls.core.reasons import Reason
from support.builders import (
    DAY,
    NOW,
    P256,
    UID,
    acted,
    an_identity,
    as_stored,
    decide,
    decoded,
    identity_body,
    issued,
    key,
    known,
    merged,
    observed,
    secret_of,
    settled,
)

KEY_PEM = keys.to_pem(key(P256), Encoding.PKCS8)
SECRETS = [line for line in KEY_PEM.decode().splitlines() if not line.startswith("-----")]
OWNER = {
    "apiVersion": "mutualtls.dev/v1alpha1",
    "kind": "MutualTLSIdentity",
    "name": "orders",
    "uid": UID,
    "blockOwnerDeletion": False,
}
POD = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "pod"}


def metadata_of(body: dict[str, Any]) -> secret.SecretMetadata:
    """Read the metadata of a Secret."""
    return secret.parse(body["metadata"])


def written(o: Observed) -> dict[str, Any]:
    """Write the whole Secret."""
    made, files = issued(o)
    return render.secret(o.identity, o.wanted, made, files)


# A whole Secret


def test_a_secret_is_of_the_type_that_consumers_know() -> None:
    """It has its name, its namespace, and the label that our watch selects."""
    body = written(observed(an_identity()))

    assert ("v1", "Secret", "kubernetes.io/tls") == (body["apiVersion"], body["kind"], body["type"])
    assert ("orders-mtls", "shop") == (body["metadata"]["name"], body["metadata"]["namespace"])
    ours = {labels.PART: "files", labels.AUTHORITY: "default", labels.MANAGED_BY: "mutualtls-operator"}
    assert ours == body["metadata"]["labels"]
    assert [OWNER] == body["metadata"]["ownerReferences"]


def test_a_secret_holds_the_files() -> None:
    """It has key, chain and bundle as they are, in base64."""
    o = observed(an_identity())
    made, files = issued(o)
    data = decoded(render.secret(o.identity, o.wanted, made, files))

    assert {"tls.key": files.key, "tls.crt": files.chain, "ca.crt": files.ca} == data
    assert KEY_PEM == data["tls.key"]


def test_a_secret_notes_its_facts_and_what_is_ours() -> None:
    """Annotations note them, and hold nothing secret."""
    o = observed(an_identity(secret={"labels": {"team": "a"}, "annotations": {"note": "b"}}))
    made, files = issued(o)
    annotations = render.secret(o.identity, o.wanted, made, files)["metadata"]["annotations"]
    owned = {
        "labels": [labels.MANAGED_BY, labels.AUTHORITY, labels.PART, "team"],
        "annotations": [labels.IDENTITY_NAME, labels.IDENTITY_UID, "note"],
        "data": ["ca.crt", "tls.crt", "tls.key"],
    }

    assert made == msgspec.json.decode(annotations[labels.FACTS], type=Facts)
    assert owned == json.loads(annotations[labels.OWNED])
    assert ("b", UID, "orders") == (
        annotations["note"],
        annotations[labels.IDENTITY_UID],
        annotations[labels.IDENTITY_NAME],
    )
    assert not any(line in text for line in SECRETS for text in annotations.values())


def test_a_secret_that_is_retained_has_no_owner() -> None:
    """Otherwise the garbage collector would delete it."""
    body = written(observed(an_identity(secret={"deletionPolicy": "Retain"})))

    assert [] == body["metadata"]["ownerReferences"]


# Patches


def everything_of_others(body: dict[str, Any]) -> dict[str, Any]:
    """Let others add what they may to a Secret."""
    theirs = {
        "metadata": {
            "labels": {"theirs": "1"},
            "annotations": {"theirs": "2"},
            "ownerReferences": [POD, *body["metadata"]["ownerReferences"]],
        },
        "data": {"theirs": base64.b64encode(b"3").decode()},
    }
    return merged(body, theirs)


BEFORE: dict[str, Any] = {"secret": {"labels": {"old": "1", "same": "1"}, "annotations": {"old": "2", "same": "2"}}}
AFTER: dict[str, Any] = {"secret": {"labels": {"new": "1", "same": "1"}, "annotations": {"new": "2", "same": "3"}}}


def moved_on(action: Action) -> tuple[dict[str, Any], dict[str, Any]]:
    """Change the spec of a Secret to which others have added, and return it before and after our patch."""
    before = everything_of_others(secret_of(observed(an_identity(**BEFORE))))
    o = replace(observed(an_identity(**AFTER)), found=known(before))
    decision = Decision(action=action, reason=Reason.METADATA_DRIFTED, message="", is_ready=True)
    return before, acted(o, before, decision)


@pytest.mark.parametrize("action", [Action.ISSUE, Action.WRITE_METADATA])
def test_what_the_spec_dropped_is_taken_away_and_nothing_else(action: Action) -> None:
    """This is about labels and annotations; what others added stays."""
    _, after = moved_on(action)
    metadata = after["metadata"]
    ours = {labels.FACTS, labels.OWNED, labels.IDENTITY_NAME, labels.IDENTITY_UID}

    assert {"new": "1", "same": "1", "theirs": "1"}.items() <= metadata["labels"].items()
    assert {"new", "same", "theirs", labels.PART, labels.AUTHORITY, labels.MANAGED_BY} == set(metadata["labels"])
    assert {"new": "2", "same": "3", "theirs": "2"}.items() <= metadata["annotations"].items()
    assert {"new", "same", "theirs"} | ours == set(metadata["annotations"])
    assert [POD, OWNER] == metadata["ownerReferences"]
    assert b"3" == decoded(after)["theirs"]


def test_data_that_is_not_wanted_any_more_is_taken_away() -> None:
    """Files of a format that the spec dropped go; data of others stays."""
    before = everything_of_others(secret_of(observed(an_identity())))
    owned = json.loads(before["metadata"]["annotations"][labels.OWNED])
    owned["data"].append("keystore.p12")
    before = merged(
        before, {"metadata": {"annotations": {labels.OWNED: json.dumps(owned)}}, "data": {"keystore.p12": "eA=="}}
    )
    o = observed(an_identity())
    made, files = issued(o)
    after = merged(before, render.secret_patch(o.identity, o.wanted, made, files, found=metadata_of(before)))

    assert {"tls.key", "tls.crt", "ca.crt", "theirs"} == set(after["data"])
    assert ("ca.crt", "tls.crt", "tls.key") == metadata_of(after).owned.data


def test_a_patch_of_metadata_leaves_the_files_alone() -> None:
    """Each byte stays as it is."""
    before, after = moved_on(Action.WRITE_METADATA)

    assert before["data"] == after["data"]
    assert metadata_of(before).owned.data == metadata_of(after).owned.data


def test_a_patch_of_metadata_keeps_the_facts() -> None:
    """The facts are about the files."""
    before, after = moved_on(Action.WRITE_METADATA)

    assert facts.read(before) == secret.facts_noted(after["metadata"])


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param({labels.OWNED: None}, id="removed"),
        pytest.param({labels.OWNED: "?"}, id="overwritten"),
        pytest.param({labels.OWNED: "{}"}, id="emptied"),
    ],
)
def test_a_note_of_what_is_ours_that_was_lost_is_written_whole(harm: dict[str, Any]) -> None:
    """Otherwise the Secret would be read again after every start, for ever."""
    before = merged(secret_of(observed(an_identity())), {"metadata": {"annotations": harm}})
    o = replace(observed(an_identity()), found=known(before))
    decision = decide(o)
    after = acted(o, before, decision)

    assert Action.WRITE_METADATA is decision.action
    assert facts.read(after) == secret.facts_noted(after["metadata"])


def test_an_owner_of_a_predecessor_is_replaced() -> None:
    """A Secret that was kept for the next identity of its name goes with that one."""
    before = secret_of(observed(an_identity()))
    before = merged(before, {"metadata": {"ownerReferences": [OWNER | {"uid": "older"}, POD]}})
    o = replace(observed(an_identity()), found=known(before))
    after = acted(o, before, decide(o))

    assert [POD, OWNER] == after["metadata"]["ownerReferences"]


def test_a_patch_of_the_bundle_changes_the_bundle_and_the_facts_only() -> None:
    """It leaves everything else that is wrong, or was added."""
    o = settled()
    before = everything_of_others(secret_of(observed(an_identity())))
    new = msgspec.structs.replace(o.facts, bundle_hash="new")
    patch = render.bundle_patch(new, b"new bundle", found=metadata_of(before))
    after = merged(before, patch)

    assert {"ca.crt"} == set(patch["data"])
    assert {labels.FACTS} == set(patch["metadata"]["annotations"])
    assert {"uid", "resourceVersion", "annotations"} == set(patch["metadata"])
    assert b"new bundle" == decoded(after)["ca.crt"]
    assert decoded(before) | {"ca.crt": b"new bundle"} == decoded(after)


@pytest.mark.parametrize("action", [Action.ISSUE, Action.WRITE_METADATA, Action.WRITE_BUNDLE])
def test_every_patch_has_a_precondition(action: Action) -> None:
    """It fails where the object is another, or another version, than the one that was seen."""
    body = secret_of(observed(an_identity()))
    o, found = settled(), metadata_of(body)
    made, files = issued(o)
    patches = {
        Action.ISSUE: lambda: render.secret_patch(o.identity, o.wanted, made, files, found=found),
        Action.WRITE_METADATA: lambda: render.metadata_patch(o.identity, o.wanted, made, found=found),
        Action.WRITE_BUNDLE: lambda: render.bundle_patch(made, b"x", found=found),
    }
    metadata = patches[action]()["metadata"]

    assert (body["metadata"]["uid"], body["metadata"]["resourceVersion"]) == (
        metadata["uid"],
        metadata["resourceVersion"],
    )


def test_a_patch_brings_key_chain_and_bundle_at_once() -> None:
    """Consumers never see a key without its certificate."""
    o = observed(an_identity())
    made, files = issued(o)
    patch = render.secret_patch(o.identity, o.wanted, made, files, found=metadata_of(secret_of(o)))

    assert {"tls.key": files.key, "tls.crt": files.chain, "ca.crt": files.ca} == decoded(patch)


def test_no_repr_shows_a_key() -> None:
    """This holds for files, observations, facts and decisions."""
    o = settled()
    made, files = issued(o)
    shown = [repr(files), repr(o), repr(made), repr(decide(o)), str(files)]

    assert not any(line in text for line in SECRETS for text in shown)
    assert files.encoded()["tls.key"] not in "".join(shown)


# Status


def ready(status: IdentityStatus) -> Condition:
    """Find the condition Ready."""
    return next(condition for condition in status.conditions if condition.type == "Ready")


def test_the_status_of_a_settled_identity() -> None:
    """The status has every field."""
    o = settled()
    facts_ = o.facts
    certificate = CertificateStatus(
        serial_number=facts_.serial_number,
        fingerprint=facts_.fingerprint,
        public_key_hash=facts_.public_key_hash,
        not_before="2026-01-02T02:59:05Z",
        not_after="2026-01-03T03:04:05Z",
        renewal_time=o.renewal_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        issuer_key_id=facts_.issuer_key_id,
        dns_names=("orders.shop.svc", "orders.shop.svc.cluster.local"),
        uris=("spiffe://cluster.local/ns/shop/sa/orders",),
    )
    decision = decide(o)
    since = "2026-01-02T03:04:05Z"
    conditions = (
        Condition(
            type="Ready",
            status="True",
            reason="Issued",
            message=decision.message,
            observed_generation=1,
            last_transition_time=since,
        ),
    )
    expected = IdentityStatus(
        observed_generation=1,
        conditions=conditions,
        certificate=certificate,
        authority="default",
        secret_name="orders-mtls",  # noqa: S106 - the name of an object
        bundle=o.trust.bundle_hash,
    )

    assert expected == render.identity_status(o, decision)


def test_the_names_of_a_certificate_are_those_that_it_holds() -> None:
    """The status keeps those recorded of it while others are asked for, and has none of an unknown one."""
    o = settled()
    before = render.identity_status(o, decide(o))
    assert before.certificate is not None
    identity = msgspec.structs.replace(o.identity, status=before)
    changed = replace(o, identity=identity, wanted=replace(o.wanted, names=Names(dns=("a.shop.svc",))))
    after = render.identity_status(changed, decide(changed)).certificate
    unknown = render.identity_status(replace(changed, identity=o.identity), decide(changed)).certificate

    assert after is not None
    assert unknown is not None
    assert before.certificate.dns_names == after.dns_names
    assert not unknown.has_names


def test_names_that_a_certificate_has_no_more_are_taken_away() -> None:
    """A merge patch keeps what it does not name."""
    o = settled()
    patch = render.status_patch("uid", "1", render.identity_status(o, decide(o)))["status"]["certificate"]

    assert patch["dnsNames"]
    assert (None, None) == (patch["ipAddresses"], patch["emailAddresses"])


def test_a_refused_identity_keeps_what_it_has_and_says_why() -> None:
    """The certificate is in the Secret still."""
    before = render.identity_status(settled(), decide(settled()))
    of = msgspec.structs.replace(an_identity(generation=2), status=before)
    decision = plan.without_authority("default")
    after = render.status_when_refused(of, None, decision, now="2026-01-03T00:00:00Z")

    assert [("Ready", "False", "AuthorityNotFound"), ("Stalled", "True", "AuthorityNotFound")] == [
        (condition.type, condition.status, condition.reason) for condition in after.conditions
    ]
    assert {decision.message} == {condition.message for condition in after.conditions}
    assert {"2026-01-03T00:00:00Z"} == {condition.last_transition_time for condition in after.conditions}
    assert (before.certificate, before.bundle, 2) == (after.certificate, after.bundle, after.observed_generation)


def test_a_refused_identity_without_files_records_none() -> None:
    """They were removed, by the authority's choice or by somebody."""
    before = render.identity_status(settled(), decide(settled()))
    o = replace(settled(), identity=msgspec.structs.replace(an_identity(), status=before), found=Absent())
    after = render.status_when_refused(o.identity, o, plan.without_authority("default"), now="2026-01-03T00:00:00Z")

    assert (None, None, None) == (after.certificate, after.bundle, after.secret_name)


def test_the_transition_time_stays_while_the_status_does() -> None:
    """It stays even if reason and message change (API conventions)."""
    o = settled()
    before = render.identity_status(o, decide(o))
    later = replace(o, now=NOW + DAY / 2, identity=msgspec.structs.replace(o.identity, status=before, generation=7))
    decision = Decision(action=Action.NOTHING, reason=Reason.SUSPENDED, message="another", is_ready=True)
    after = render.identity_status(later, decision)

    assert ("Suspended", "another", 7) == (
        ready(after).reason,
        ready(after).message,
        ready(after).observed_generation,
    )
    assert ready(before).last_transition_time == ready(after).last_transition_time


def test_an_unchanged_status_is_not_written_again() -> None:
    """The time does not matter: the statuses compare equal."""
    o = settled()
    before = render.identity_status(o, decide(o))
    later = replace(o, now=NOW + DAY / 2, identity=msgspec.structs.replace(o.identity, status=before))

    assert before == render.identity_status(later, decide(later))


def test_a_status_survives_the_api_server() -> None:
    """What is read back compares equal to what was written, or it would be written again."""
    o = settled()
    new = render.identity_status(o, decide(o))
    stored = merged(identity_body(), {"status": render.status_patch(UID, "1", new)["status"]})

    assert new == identity.parse(json.loads(json.dumps(stored))).status


def test_a_status_patch_takes_away_what_went_away() -> None:
    """The API server refuses the patch if the object is another."""
    o = settled()
    with_files = render.identity_status(o, decide(o))
    without = render.identity_status(replace(o, found=Absent()), decide(o))
    patch = render.status_patch(UID, "1", without)
    after = merged(merged({}, render.status_patch(UID, "1", with_files)), patch)

    assert {"uid": UID, "resourceVersion": "1"} == patch["metadata"]
    assert {"observedGeneration", "conditions"} == set(after["status"])


def test_a_status_that_does_not_fit_is_no_status() -> None:
    """It is written anew."""
    body = merged(identity_body(), {"status": {"conditions": [{"type": "Ready"}]}})

    assert IdentityStatus() == identity.parse(body).status
    assert -1 == IdentityStatus().observed_generation


def test_what_is_written_is_what_is_known_after() -> None:
    """The answer to a POST tells the store all that a read would."""
    o = observed(an_identity())
    body = as_stored(written(o))
    noted = secret.facts_noted(body["metadata"])

    assert isinstance(known(body), Known)
    assert known(body).files == noted
