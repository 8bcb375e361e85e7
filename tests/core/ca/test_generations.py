"""What a CA that an authority makes is like: its key, its name, its life, and its Secret."""

from __future__ import annotations

from typing import Any

import pytest

from mutualtls.core.api.algorithms import Algorithm
from mutualtls.core.api.states import Role, State
from mutualtls.core.ca import generations
from mutualtls.core.ca.ledger import CAGeneration
from mutualtls.core.errors import AuthorityError
from mutualtls.core.pki import certificates
from mutualtls.core.pki.keys import KeyType
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation.steps import Sign
from support.builders import HOUR, NOW, P256, P384, SECOND, authority, default_signer, key


@pytest.mark.parametrize(
    ("spec", "role", "kind"),
    [
        pytest.param({}, Role.ROOT, P256, id="root by default"),
        pytest.param({}, Role.ISSUING, P256, id="issuing CA by default"),
        pytest.param(
            {"root": {"selfSigned": {"privateKey": {"algorithm": "RSA"}}}},
            Role.ROOT,
            KeyType(Algorithm.RSA, 3072),
            id="RSA root",
        ),
        pytest.param(
            {"root": {"selfSigned": {"privateKey": {"algorithm": "RSA"}}}}, Role.ISSUING, P256, id="under an RSA root"
        ),
        pytest.param({"issuing": {"privateKey": {"size": 384}}}, Role.ISSUING, P384, id="P-384"),
    ],
)
def test_the_key_of_a_ca_is_as_asked(spec: dict[str, Any], role: Role, kind: KeyType) -> None:
    """Each role has its own."""
    assert kind == generations.key_type(authority(**spec), role)


ANNOUNCED_ROOT = CAGeneration(role=Role.ROOT, number=1, state=State.MAKING)
ANNOUNCED = CAGeneration(role=Role.ISSUING, number=3, state=State.MAKING, issuer=1)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        pytest.param({}, "default root", id="by default"),
        pytest.param({"root": {"selfSigned": {"commonName": "Example root"}}}, "Example root", id="as asked"),
    ],
)
def test_a_root_is_named(spec: dict[str, Any], name: str) -> None:
    """The common name is for people; the serialNumber attribute makes it unique."""
    ca = generations.certify(authority(**spec), ANNOUNCED_ROOT, key(), None, now=NOW)

    assert f"2.5.4.5=uid-of-default/{Role.ROOT}/1,CN={name}" == ca.certificate.subject.rfc4514_string()


def test_an_issuing_ca_lives_as_asked() -> None:
    """Its subject carries its number."""
    of = authority(issuing={"duration": "100h"})
    ca = generations.certify(of, ANNOUNCED, key(), default_signer().root, now=NOW)

    assert NOW + 100 * HOUR == ca.validity.not_after
    assert "uid-of-default/issuing/3" in ca.certificate.subject.rfc4514_string()


def test_an_issuing_ca_does_not_outlive_its_root() -> None:
    """It does not begin before its root, either."""
    root = generations.certify(authority(root={"selfSigned": {"duration": "1h"}}), ANNOUNCED_ROOT, key(), None, now=NOW)
    ca = generations.certify(authority(), ANNOUNCED, key(P384), root, now=NOW + SECOND)

    assert root.validity.not_after == ca.validity.not_after
    assert root.validity.not_before <= ca.validity.not_before


def test_an_issuing_ca_under_a_root_that_has_expired_is_not_made() -> None:
    """There would be nothing left of its life."""
    root = default_signer().root
    with pytest.raises(AuthorityError, match="root 1 has expired") as error:
        generations.certify(authority(), ANNOUNCED, key(), root, now=root.validity.not_after)

    assert Reason.CA_EXPIRED == error.value.reason


def test_the_secret_of_a_ca_holds_certificate_and_key() -> None:
    """The two belong together."""
    ca = default_signer().issuing
    data = generations.secret_data(ca)

    assert {"tls.crt", "tls.key"} == set(data)
    assert certificates.to_pem(ca.certificate) == data["tls.crt"]
    assert data["tls.key"].startswith(b"-----BEGIN PRIVATE KEY-----")


def test_no_repr_shows_the_key_of_a_ca() -> None:
    """The repr of a step that carries a key does not show it, either."""
    ca = default_signer().issuing
    number = generations.secret_data(ca)["tls.key"].decode().splitlines()[1]

    assert number not in repr(ca)
    assert "key" not in repr(ca).lower()
    assert "key=" not in repr(Sign(ca))
