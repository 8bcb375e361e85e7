"""What of what was read is believed, what is only claimed, and which Secrets of identities are read at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import CAId
from mutualtls.core.ca import generations, ledger, readings
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.ca.readings import CASecret, Evidence, PublicFiles, Readings
from mutualtls.core.ca.rollout import Leaf
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki import certificates
from support.builders import (
    DAY,
    HOUR,
    NOW,
    an_identity,
    authority,
    decoded,
    default_signer,
    observed,
    other_signer,
    secret_of,
)
from support.cas import ISSUING, ROOT
from support.fleet import status_of

BY = default_signer()
FILES = decoded(secret_of(observed(an_identity())))
PUBLIC = PublicFiles(certificate=FILES["tls.crt"], bundle=FILES["ca.crt"])
CA_FILES = {ROOT: generations.secret_data(BY.root), ISSUING: generations.secret_data(BY.issuing)}


def ca_secret(ca: CAId, *, has_key: bool = True, revision: int | None = None) -> CASecret:
    """A CA Secret of the default authority."""
    mark = mark_at(revision) if revision is not None else None
    return CASecret(ca=ca, certificate=CA_FILES[ca]["tls.crt"], has_key=has_key, mark=mark)


def mark_at(revision: int) -> ledger.Mark:
    """What the ledger of the default authority has in CA Secrets, at a revision."""
    return msgspec.structs.replace(ledger.mark_of(BY.ledger), revision=revision)


def with_status(of: Authority) -> Authority:
    """An authority whose status tells of its CAs."""
    told = tuple(map(status_of, BY.ledger.generations))
    return msgspec.structs.replace(of, status=AuthorityStatus(generations=told, revision=7))


def judged(read: Readings, *, of: Authority | None = None, known: Ledger | None = None) -> Evidence:
    """The evidence that something comes to."""
    return readings.evidence(of or authority(), known, read)


def test_nothing_is_no_evidence() -> None:
    """Nobody has served the authority yet, or its objects are all gone."""
    served = msgspec.structs.replace(authority(), operator_namespace="ours")

    assert judged(Readings()).is_empty
    assert judged(Readings(), of=served).is_empty


def test_ca_secrets_are_believed() -> None:
    """Roots come after issuing CAs, each with the number of its Secret; one without a key is a tombstone."""
    secrets = (ca_secret(ROOT, revision=3), ca_secret(ISSUING, has_key=False))
    found = judged(Readings(ca_secrets=secrets))

    assert ((ISSUING, BY.issuing.certificate), (ROOT, BY.root.certificate)) == found.believed
    assert {ROOT} == found.with_key
    assert {ISSUING} == found.buried
    assert [3, 0] == [mark.revision for mark in found.marks]
    assert not found.is_empty


def test_what_stands_above_a_ca_is_read_from_its_secret() -> None:
    """An outside PKI's intermediates follow the CA in tls.crt, and its root is in ca.crt."""
    chain = certificates.to_pem(BY.issuing.certificate, other_signer().issuing.certificate)
    root = certificates.to_pem(other_signer().root.certificate)
    found = judged(Readings(ca_secrets=(CASecret(ca=ISSUING, certificate=chain, roots=root, has_key=True),)))

    assert ((ISSUING, BY.issuing.certificate),) == found.believed
    assert (other_signer().issuing.certificate,) == found.above
    assert (other_signer().root.certificate,) == found.roots


def test_a_secret_that_is_gone_meanwhile_says_that_its_number_is_used() -> None:
    """It was listed, and its body could not be read any more."""
    found = judged(Readings(ca_secrets=(CASecret(ca=ROOT),)))

    assert () == found.believed
    assert {ROOT} == found.buried


def test_a_status_is_believed_where_there_is_no_ledger() -> None:
    """It is all there is."""
    found = judged(Readings(), of=with_status(authority()))

    assert ((ROOT, BY.root.certificate), (ISSUING, BY.issuing.certificate)) == found.believed
    assert () == found.claimed
    assert 7 == found.marks[-1].revision


def test_a_status_beside_a_ledger_is_only_claimed() -> None:
    """Whoever may write it could else plant a root into every bundle."""
    stolen = (Compromise(fingerprint="ab"),)
    known = msgspec.structs.replace(
        BY.ledger, generations=BY.ledger.generations[:1], compromised=stolen, additional_roots={"a/b": "PEM"}
    )
    found = judged(Readings(), of=with_status(authority()), known=known)

    assert ((ROOT, BY.root.certificate),) == found.believed
    assert (BY.root.certificate, BY.issuing.certificate) == found.claimed
    assert (stolen, {"a/b": "PEM"}) == (found.compromised, found.additional_roots)
    assert [known.revision, 7] == [mark.revision for mark in found.marks]
    assert found.is_owned


def test_what_identities_carry_is_claimed() -> None:
    """The CAs of chain and bundle are claimed, and so is the leaf itself."""
    found = judged(Readings(files=(PUBLIC, PublicFiles())), known=BY.ledger)

    assert (BY.issuing.certificate, BY.root.certificate) == found.claimed
    assert readings.leaf_in(FILES["tls.crt"]) == found.leaves
    assert 1 == len(found.leaves)


def test_the_cluster_trust_bundle_is_read() -> None:
    """Nobody else writes it."""
    assert (BY.root.certificate,) == judged(Readings(trust_bundle=BY.trust.bundle)).published


def test_the_last_end_that_is_recorded_of_each_ca_counts() -> None:
    """Statuses of identities record the ends of their leaves."""
    ends = (("aa", NOW + HOUR), ("bb", NOW), ("aa", NOW + DAY), ("aa", NOW))

    assert {"aa": NOW + DAY, "bb": NOW} == judged(Readings(recorded_ends=ends)).ends


@pytest.mark.parametrize(
    ("namespace", "known", "expected"),
    [(None, None, False), ("ours", None, True), (None, BY.ledger, True)],
    ids=["served by nobody", "served", "with a ledger"],
)
def test_who_was_served_may_have_certificates(namespace: str | None, known: Ledger | None, *, expected: bool) -> None:
    """Nobody can have one of an authority that no operator has served."""
    of = msgspec.structs.replace(authority(), operator_namespace=namespace)

    assert expected is readings.is_owned(of, known)


# Which Secrets are read


def leaf(secret: str, *, issuer: str = "aa", bundle: str = "v1", ends: timedelta = DAY) -> Leaf:
    """What a Secret claims of its leaf."""
    return Leaf(secret=ObjectKey(*secret.split("/")), issuer_key_id=issuer, bundle_hash=bundle, not_after=NOW + ends)


def to_be_read(leaves: Iterable[Leaf]) -> list[str]:
    """Name the Secrets that are read."""
    return [str(key) for key in readings.to_be_read(leaves)]


def test_one_secret_is_read_for_each_ca_and_bundle_of_a_namespace() -> None:
    """The one whose leaf ends last."""
    leaves = [
        leaf("shop/a"),
        leaf("shop/b", ends=2 * DAY),
        leaf("shop/c", issuer="bb"),
        leaf("shop/d", bundle="v2"),
        leaf("bank/a"),
        replace(leaf("bank/b", issuer="bb"), not_after=None),
    ]

    assert {"shop/b", "shop/c", "shop/d", "bank/a", "bank/b"} == set(to_be_read(leaves))


def test_nobody_hides_the_secret_of_another_behind_their_own() -> None:
    """A bounded number of Secrets is read of each namespace."""
    crowd = [leaf(f"mallory/{number}", issuer=f"{number:02x}", ends=9 * DAY) for number in range(100)]
    chosen = to_be_read([*crowd, leaf("shop/a")])

    assert "shop/a" in chosen
    assert 1 + readings.MOST_OF_A_NAMESPACE == len(chosen)
