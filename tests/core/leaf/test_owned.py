"""Which Secrets are an identity's own, and are deleted when it asks for another: those that its status records."""

from __future__ import annotations

import msgspec
import pytest

from mutualtls.core.api import identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.status import OwnedSecretStatus
from mutualtls.core.leaf import secret
from support.builders import NOW, identity_body, observed, secret_of

FORMER = ("a", "b", "c", "d")
ASKED = "orders-mtls"
"""Name of the Secret that is asked for now."""


def own(there: dict[str, str], *recorded: str, secret_name: str | None = None) -> list[tuple[str, str]]:
    """List the Secrets that are the identity's own, of those that are there by name and uid, each with all marks."""
    secrets = tuple(
        OwnedSecretStatus(name=name, uid=f"uid of {name}", since="2026-01-01T03:04:05Z") for name in recorded
    )
    status = IdentityStatus(secret_name=secret_name, secrets=secrets)
    of = identity.parse(identity_body() | {"status": msgspec.to_builtins(status)})
    marks = secret_of(observed(identity.parse(identity_body())))["metadata"]
    found = {name: secret.parse(marks | {"name": name, "uid": uid}) for name, uid in there.items()}
    return [(one.name, one.uid) for one in secret.owned(of, found, now=NOW)]


def uids(*names: str) -> dict[str, str]:
    """Secrets of these names, as they were recorded."""
    return {name: f"uid of {name}" for name in names}


OWN = [
    pytest.param(uids("a", ASKED), ("a", ASKED), None, ("a", ASKED), id="recorded"),
    pytest.param(uids("copy", ASKED), (ASKED,), None, (ASKED,), id="not a copy of it"),
    pytest.param({"a": "of another", **uids(ASKED)}, ("a",), None, (ASKED,), id="not another of the name"),
    pytest.param(uids("a", ASKED), (), None, (ASKED,), id="nothing is recorded"),
    pytest.param(uids("a", ASKED), (), "a", ("a", ASKED), id="by name, as the release before"),
    pytest.param(uids(*FORMER, ASKED), FORMER, None, (*FORMER[1:], ASKED), id="the last four"),
    pytest.param(uids("a"), ("a", ASKED), None, ("a",), id="what is not there is not"),
]


@pytest.mark.parametrize(("there", "recorded", "secret_name", "expected"), OWN)
def test_what_an_identity_has_is_what_its_status_records(
    there: dict[str, str], recorded: tuple[str, ...], secret_name: str | None, expected: tuple[str, ...]
) -> None:
    """Marks can be copied, names be used again."""
    assert [(name, f"uid of {name}") for name in expected] == own(there, *recorded, secret_name=secret_name)
