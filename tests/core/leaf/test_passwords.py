"""The password of stores: where it comes from, and which ones are refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from mutualtls.core.api.algorithms import Encoding
from mutualtls.core.errors import Fault, SpecError
from mutualtls.core.leaf import desired, formats, passwords
from mutualtls.core.leaf.passwords import PasswordState
from mutualtls.core.model import labels
from mutualtls.core.reasons import Reason
from support.builders import P256, PASSWORD, PKCS12, an_identity, default_signer, issued, key, observed
from support.formats import spec_of


def password_secret(
    content: bytes | str | None = PASSWORD, *, key: str = "password", part: str | None = "password"
) -> dict[str, Any]:
    """A Secret with a password."""
    text = base64.b64encode(content).decode() if isinstance(content, bytes) else content
    marked = {} if part is None else {labels.PART: part}
    return {"metadata": {"name": "stores", "labels": marked}, "data": {} if text is None else {key: text}}


@pytest.mark.parametrize(
    "password",
    [
        pytest.param(b"x", id="one letter"),
        pytest.param("pässwörd €".encode(), id="other than ASCII"),
        pytest.param(b"x" * 1024, id="long"),
    ],
)
def test_a_password_is_taken_as_it_is(password: bytes) -> None:
    """Each byte counts, and the password opens the stores."""
    assert password == passwords.password_in(password_secret(password), key="password")
    files = formats.write(
        spec_of(pkcs12=PKCS12),
        key(P256),
        encoding=Encoding.PKCS8,
        chain=x509.load_pem_x509_certificates(issued(observed(an_identity()))[1].chain),
        ca=default_signer().trust.bundle,
        alias="orders",
        opened=passwords.StorePassword(version="1", password=password),
    )

    assert pkcs12.load_pkcs12(files["keystore.p12"], password).key is not None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(password_secret(part=None), "mutualtls.dev/part=password: create it, or add", id="no label"),
        pytest.param(password_secret(part="files"), "mutualtls.dev/part=password", id="another label"),
        pytest.param(password_secret(key="other"), "has no key password", id="another key"),
        pytest.param(password_secret(None), "has no key password", id="no data"),
        pytest.param(password_secret(b""), "or nothing under it", id="empty"),
        pytest.param(password_secret(b"SECRET\xff"), "not text in UTF-8", id="not UTF-8"),
        pytest.param(password_secret("?"), "not text in UTF-8", id="not base64"),
        pytest.param(password_secret(b"SECRET" * 200), "longer than 1024 bytes", id="too long"),
        pytest.param(password_secret(b"SECRET\n"), "line break", id="line break"),
        pytest.param(password_secret(b"SE\x00CRET"), "control character", id="NUL"),
    ],
)
def test_a_password_that_cannot_be_used_is_refused(body: dict[str, Any], said: str) -> None:
    """The message says what to do, and shows nothing of the password."""
    with pytest.raises(ValueError, match="secret stores") as error:
        passwords.password_in(body, key="password")

    assert said in str(error.value)
    assert "SECRET" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param({}, Reason.PASSWORD_MISSING, id="nothing else"),
        pytest.param({"duration": "1h", "renewBefore": "2h"}, Reason.INVALID_SPEC, id="a faulty spec"),
        pytest.param({"dnsNames": ["a.example.com"]}, Reason.NOT_PERMITTED, id="a name of others"),
    ],
)
def test_a_missing_password_refuses_the_identity(spec: dict[str, Any], reason: Reason) -> None:
    """What is worse is the reason; all faults are named."""
    of = an_identity(formats={"pkcs12": PKCS12}, **spec)
    with pytest.raises(SpecError) as error:
        desired.wanted(of, default_signer().trust, None, PasswordState(version="", fault="why"))

    assert reason is error.value.reason
    assert Fault(field="spec.formats.pkcs12.passwordSecretRef", message="why") == error.value.faults[-1]
