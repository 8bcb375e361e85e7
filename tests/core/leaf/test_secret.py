"""Whose a Secret is, which ones an identity has, and which of them it has left behind."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mutualtls.core import times
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.status import OwnedSecretStatus
from mutualtls.core.leaf import secret
from mutualtls.core.leaf.secret import SecretMetadata
from mutualtls.core.model import labels
from support.builders import HOUR, NOW, UID, an_identity

SINCE = times.rfc3339(NOW - HOUR)
NAME, OLD = "orders-mtls", "orders-old"


def there(uid: str, *, of: str | None = UID, name: str | None = "orders", **more: Any) -> SecretMetadata:
    """Metadata of a Secret that carries the marks of an identity."""
    marks = {labels.IDENTITY_UID: of, labels.IDENTITY_NAME: name}
    return secret.parse(
        {
            "uid": uid,
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {key: value for key, value in marks.items() if value is not None},
            **more,
        }
    )


def recording(*secrets: tuple[str, str], secret_name: str | None = None) -> Identity:
    """An identity whose status records Secrets, by name and uid."""
    owned = tuple(OwnedSecretStatus(name=name, uid=uid, since=SINCE) for name, uid in secrets)
    return msgspec.structs.replace(an_identity(), status=IdentityStatus(secrets=owned, secret_name=secret_name))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(there("u"), True, id="its uid"),
        pytest.param(there("u", of="another"), True, id="a predecessor of its name"),
        pytest.param(there("u", of="another", name="payments"), False, id="another identity"),
        pytest.param(there("u", of=None), False, id="its name without a uid"),
        pytest.param(there("u", of=None, name=None), False, id="no marks"),
        pytest.param(there("recorded", of=None, name=None), True, id="recorded by its status"),
        pytest.param(secret.unreadable("too long"), False, id="one that cannot be read"),
    ],
)
def test_a_secret_is_of_the_identity_that_it_names_or_that_records_it(found: SecretMetadata, *, expected: bool) -> None:
    """All else is somebody's own, and never touched."""
    assert expected is found.is_of(recording((OLD, "recorded")))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(there("u", of="another", name="payments"), "identity payments", id="an identity"),
        pytest.param(
            there("u", of=None, managedFields=[{"manager": "helm", "operation": "Update", "fieldsV1": {"f:data": {}}}]),
            "helm",
            id="somebody else",
        ),
    ],
)
def test_the_holder_of_a_secret_is_named(found: SecretMetadata, expected: str) -> None:
    """People who have to make room learn whom to ask."""
    assert expected == found.holder


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(recording(), (NAME,), id="nothing is recorded"),
        pytest.param(recording((NAME, "u"), secret_name=NAME), (NAME,), id="it is recorded"),
        pytest.param(recording((OLD, "o"), (NAME, "u")), (OLD, NAME), id="a former name"),
        pytest.param(recording(secret_name=OLD), (OLD, NAME), id="a former name, by a release before"),
    ],
)
def test_only_names_that_are_asked_for_or_recorded_count(identity: Identity, expected: tuple[str, ...]) -> None:
    """The name that is asked for now comes last."""
    assert expected == secret.names_of(identity)


@pytest.mark.parametrize(
    ("identity", "found", "expected"),
    [
        pytest.param(recording(), {}, [], id="none is there"),
        pytest.param(recording(), {NAME: there("u")}, [(NAME, "u", "now")], id="a new one"),
        pytest.param(recording((NAME, "u")), {NAME: there("u")}, [(NAME, "u", "before")], id="a recorded one"),
        pytest.param(recording((NAME, "old")), {NAME: there("u")}, [(NAME, "u", "now")], id="made again"),
        pytest.param(
            recording((OLD, "o")),
            {OLD: there("o"), NAME: there("u")},
            [(OLD, "o", "before"), (NAME, "u", "now")],
            id="a former one",
        ),
        pytest.param(recording((OLD, "o")), {OLD: there("copy"), NAME: there("u")}, [(NAME, "u", "now")], id="a copy"),
        pytest.param(
            recording(secret_name=OLD), {OLD: there("o")}, [(OLD, "o", "now")], id="a former one, by a release before"
        ),
        pytest.param(recording(), {NAME: there("u", of="x", name="payments")}, [], id="somebody else's"),
        pytest.param(
            recording(*((f"{OLD}-{number}", f"u{number}") for number in range(5))),
            {f"{OLD}-{number}": there(f"u{number}") for number in range(5)},
            [(f"{OLD}-{number}", f"u{number}", "before") for number in range(1, 5)],
            id="more than a status lists",
        ),
    ],
)
def test_the_secrets_of_an_identity_are_those_that_are_there_and_its_own(
    identity: Identity, found: dict[str, SecretMetadata], expected: list[tuple[str, str, str]]
) -> None:
    """A former one counts only as the very object that is recorded: marks can be copied."""
    moments = {"now": times.rfc3339(NOW), "before": SINCE}
    owned = secret.owned(identity, found, now=NOW)

    assert [(name, uid, moments[since]) for name, uid, since in expected] == [
        (one.name, one.uid, one.since) for one in owned
    ]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param({OLD: there("o")}, (OLD,), id="there"),
        pytest.param(
            {OLD: there("o", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["example.com/keep"])},
            (),
            id="deleted, and kept by finalizers",
        ),
    ],
)
def test_what_is_left_behind_is_what_is_not_asked_for(
    found: dict[str, SecretMetadata], expected: tuple[str, ...]
) -> None:
    """What was deleted already is not deleted again."""
    identity, found = recording((OLD, "o")), found | {NAME: there("u")}

    assert expected == secret.left_behind(identity, secret.owned(identity, found, now=NOW), found)
