"""Which private key of a Secret is kept."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mutualtls.core import times
from mutualtls.core.api.algorithms import Encoding, Usage
from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.leaf import facts
from mutualtls.core.leaf.facts import Damage, Facts
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.keys import KeyType
from support.builders import DAY, ED25519, NOW, P256, P384, RSA, default_signer, encoded, key
from support.secrets import NAMES, good


@functools.cache
def leaf_with(kind: KeyType, number: int = 0) -> x509.Certificate:
    """A leaf of a key."""
    life = times.validity(NOW, DAY)
    return issue.leaf(key(kind, number).public_key(), default_signer().issuing, names=NAMES, usages=(), validity=life)


def recorded(kind: KeyType, *, leaf: int = 0, of_key: int = 0) -> CertificateStatus:
    """What the status records of a leaf, and of a key."""
    return CertificateStatus(
        serial_number="1",
        fingerprint=leaf_with(kind, leaf).fingerprint(hashes.SHA256()).hex(),
        public_key_hash=keys.public_key_hash(key(kind, of_key).public_key()),
        not_before="",
        not_after="",
        renewal_time="",
        issuer_key_id="",
    )


def data_of(kind: KeyType, encoding: Encoding = Encoding.PKCS8, *, leaf: int = 0, of_key: int = 0) -> dict[str, str]:
    """Key and leaf as a Secret holds them."""
    files = {"tls.key": keys.to_pem(key(kind, of_key), encoding), "tls.crt": certificates.to_pem(leaf_with(kind, leaf))}
    return encoded(**files)


KEPT = [
    pytest.param(P256, Encoding.PKCS8, P256, True, id="as it was"),
    pytest.param(P256, Encoding.SEC1, P256, True, id="in another encoding"),
    pytest.param(RSA, Encoding.PKCS1, RSA, True, id="RSA"),
    pytest.param(ED25519, Encoding.PKCS8, ED25519, True, id="Ed25519"),
    pytest.param(P256, Encoding.PKCS8, P384, False, id="another size is asked for"),
    pytest.param(P256, Encoding.PKCS8, RSA, False, id="another algorithm is asked for"),
]


@pytest.mark.parametrize(("kind", "encoding", "asked", "is_kept"), KEPT)
@pytest.mark.parametrize("beside", [{}, {"ca.crt": "bm8="}, {"ca.crt": None}])
def test_a_key_is_kept_that_is_recorded_and_fits(
    kind: KeyType, encoding: Encoding, asked: KeyType, beside: dict[str, Any], *, is_kept: bool
) -> None:
    """It does not matter what is beside it."""
    body = {"data": data_of(kind, encoding) | beside}
    kept = facts.kept_key(body, recorded=recorded(kind), kind=asked)

    assert is_kept is (kept is not None)
    assert kept is None or kept.public_key() == key(kind, 0).public_key()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no Secret"),
        pytest.param({"data": {}}, id="no key"),
        pytest.param({"data": data_of(P256) | {"tls.key": ""}}, id="empty"),
        pytest.param({"data": data_of(P256) | {"tls.key": "?"}}, id="not base64"),
        pytest.param({"data": data_of(P256) | {"tls.key": "bm8="}}, id="not a key"),
        pytest.param({"data": data_of(P256, of_key=1)}, id="another"),
        pytest.param({"data": data_of(P256, leaf=1, of_key=1)}, id="another, with its leaf"),
        pytest.param({"data": data_of(P256, leaf=1)}, id="another leaf"),
        pytest.param({"data": data_of(P256) | {"tls.crt": ""}}, id="no leaf"),
        pytest.param({"data": data_of(P256) | {"tls.crt": "bm8="}}, id="nothing like a leaf"),
    ],
)
def test_a_key_that_is_not_the_recorded_one_is_not_kept(body: dict[str, Any]) -> None:
    """It may be known to others, or be none."""
    assert facts.kept_key(body, recorded=recorded(P256), kind=P256) is None


@pytest.mark.parametrize("is_tiered", [True, False])
def test_a_leaf_must_be_signed_by_the_ca_that_it_names(*, is_tiered: bool) -> None:
    """Otherwise a CA with the same key id could have a key of its own recorded."""
    signer, forger = default_signer().issuing, key(P256, 9)
    own = issue.CA(certificate=signer.certificate, key=forger)
    leaf = issue.leaf(
        key().public_key(), own, names=NAMES, usages=(Usage.SERVER_AUTH,), validity=times.validity(NOW, DAY)
    )
    body = good()
    chain = certificates.to_pem(leaf, *([signer.certificate] if is_tiered else []))
    body["data"] |= encoded(**{"tls.key": keys.to_pem(key(), Encoding.PKCS8), "tls.crt": chain})
    key_id = certificates.key_id(signer.certificate)

    assert isinstance(facts.read(body, issuers={key_id: signer.certificate}), Damage)
    assert is_tiered is isinstance(facts.read(body), Damage)
    assert isinstance(facts.read(good(), issuers={key_id: signer.certificate}), Facts)
