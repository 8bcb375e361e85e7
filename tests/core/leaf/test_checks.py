"""What each check finds, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mutualtls.core.api.algorithms import Encoding, Usage
from mutualtls.core.ca.offer import CAInUse
from mutualtls.core.leaf import checks
from mutualtls.core.leaf.checks import Check
from mutualtls.core.leaf.formats import ExtraFiles
from mutualtls.core.leaf.observed import Absent, Action, Observed, Unread
from mutualtls.core.names.names import Names
from mutualtls.core.pki.keys import KeyType
from mutualtls.core.reasons import Reason
from support.builders import DAY, HOUR, NOW, P256, RSA, SECOND, an_identity, default_signer, other_signer, settled
from support.observations import (
    Change,
    at,
    both,
    ca_that_ends,
    damaged,
    finding,
    foreign,
    holding,
    moved,
    ordered,
    planted,
    replaced,
    said_alone,
    trusting,
    wanting,
    with_known,
)


def nothing(o: Observed) -> Observed:
    """Change nothing."""
    return o


def colons(serial: str) -> str:
    """Write a serial number as OpenSSL and browsers print it."""
    digits = f"0{serial}" if len(serial) % 2 else serial
    return " " + ":".join(digits[at : at + 2] for at in range(0, len(digits), 2)).upper() + "\n"


def asking(**formats: Any) -> Change:
    """Ask for formats that there are not."""
    return lambda o: replace(o, identity=an_identity(formats=formats))


OTHER_CA = CAInUse(
    chain_hash="another",
    validity=default_signer().issuing.validity,
    certificate=default_signer().issuing.certificate,
)

CASES = [
    pytest.param(checks.secret_is_foreign, finding(foreign()), Reason.SECRET_CONFLICT, Action.NOTHING, id="foreign"),
    pytest.param(
        checks.secret_is_foreign,
        finding(foreign(seen=NOW - 30 * SECOND)),
        Reason.SECRET_CONFLICT,
        Action.LOOK,
        id="foreign, seen some time ago",
    ),
    pytest.param(checks.secret_is_unread, finding(Unread()), Reason.SECRET_UNREAD, Action.READ, id="unread"),
    pytest.param(checks.secret_is_missing, finding(Absent()), Reason.SECRET_MISSING, Action.ISSUE, id="missing"),
    pytest.param(
        checks.files_are_damaged, damaged(Reason.KEY_MISMATCH), Reason.KEY_MISMATCH, Action.ISSUE, id="damaged"
    ),
    pytest.param(
        checks.files_are_damaged,
        damaged(Reason.SECRET_TYPE_WRONG),
        Reason.SECRET_TYPE_WRONG,
        Action.REPLACE,
        id="of another type",
    ),
    pytest.param(
        checks.files_are_damaged,
        damaged(Reason.SECRET_IMMUTABLE),
        Reason.SECRET_IMMUTABLE,
        Action.REPLACE,
        id="made immutable",
    ),
    pytest.param(
        checks.issuer_is_not_in_use,
        trusting(in_use={}),
        Reason.AUTHORITY_CHANGED,
        Action.ISSUE,
        id="no CA is in use",
    ),
    pytest.param(
        checks.issuer_is_not_in_use,
        lambda o: replace(o, trust=other_signer().trust),
        Reason.AUTHORITY_CHANGED,
        Action.ISSUE,
        id="another authority",
    ),
    pytest.param(
        checks.issuer_is_not_in_use,
        lambda o: replace(o, trust=replace(o.trust, in_use={o.facts.issuer_key_id: OTHER_CA})),
        Reason.AUTHORITY_CHANGED,
        Action.ISSUE,
        id="another chain of the same key",
    ),
    pytest.param(
        checks.key_type_differs, wanting(key=RSA), Reason.KEY_TYPE_CHANGED, Action.ISSUE, id="another algorithm"
    ),
    pytest.param(
        checks.key_type_differs,
        wanting(key=KeyType(P256.algorithm, 521)),
        Reason.KEY_TYPE_CHANGED,
        Action.ISSUE,
        id="another size",
    ),
    pytest.param(
        checks.key_type_differs,
        wanting(encoding=Encoding.SEC1),
        Reason.KEY_TYPE_CHANGED,
        Action.ISSUE,
        id="another encoding",
    ),
    pytest.param(
        checks.names_differ, wanting(names=Names(dns=("a",))), Reason.NAMES_CHANGED, Action.ISSUE, id="other names"
    ),
    pytest.param(
        checks.usages_differ,
        wanting(usages=(Usage.CLIENT_AUTH,)),
        Reason.USAGES_CHANGED,
        Action.ISSUE,
        id="other usages",
    ),
    pytest.param(
        checks.duration_differs, wanting(duration=HOUR), Reason.DURATION_CHANGED, Action.ISSUE, id="shorter is asked"
    ),
    pytest.param(
        checks.duration_differs, wanting(duration=2 * DAY), Reason.DURATION_CHANGED, Action.ISSUE, id="longer is asked"
    ),
    pytest.param(
        checks.duration_differs,
        both(ca_that_ends(DAY), wanting(duration=HOUR)),
        Reason.DURATION_CHANGED,
        Action.ISSUE,
        id="shorter is asked, and the CA ends with the leaf",
    ),
    pytest.param(
        checks.leaf_is_not_recorded,
        said_alone(),
        Reason.SECRET_UNREAD,
        Action.READ,
        id="files that nobody has seen",
    ),
    pytest.param(checks.key_is_foreign, planted(), Reason.KEY_MISMATCH, Action.ISSUE, id="key that was planted"),
    pytest.param(
        checks.key_is_foreign, planted(made="k"), Reason.KEY_MISMATCH, Action.ISSUE, id="planted over a new key"
    ),
    pytest.param(checks.reissue_is_ordered, ordered(), Reason.REISSUE_ORDERED, Action.ISSUE, id="ordered"),
    pytest.param(
        checks.reissue_is_ordered, ordered(str.upper), Reason.REISSUE_ORDERED, Action.ISSUE, id="in upper case"
    ),
    pytest.param(
        checks.reissue_is_ordered, ordered(colons), Reason.REISSUE_ORDERED, Action.ISSUE, id="colons, a zero and blanks"
    ),
    pytest.param(
        checks.certificate_has_expired,
        at(lambda o: o.facts.not_after),
        Reason.EXPIRED,
        Action.ISSUE,
        id="at its end",
    ),
    pytest.param(
        checks.certificate_is_near_expiry,
        at(lambda o: o.renewal_time),
        Reason.RENEWAL_DUE,
        Action.ISSUE,
        id="at its renewal time",
    ),
    pytest.param(
        checks.certificate_is_near_expiry,
        both(at(lambda o: o.renewal_time), trusting(signing=None)),
        Reason.RENEWAL_DUE,
        Action.ISSUE,
        id="though nothing can be signed",
    ),
    pytest.param(
        checks.formats_differ, asking(der={}), Reason.FORMATS_CHANGED, Action.WRITE_FORMATS, id="another format"
    ),
    pytest.param(
        checks.formats_differ,
        both(asking(der={}), holding(further=ExtraFiles(inputs_hash="", files={}))),
        Reason.FORMATS_DAMAGED,
        Action.WRITE_FORMATS,
        id="a further file is damaged",
    ),
    pytest.param(
        checks.bundle_is_old, trusting(bundle_hash="new"), Reason.BUNDLE_OUTDATED, Action.WRITE_BUNDLE, id="new bundle"
    ),
    pytest.param(
        checks.metadata_drifted,
        wanting(labels={"team": "a"}),
        Reason.METADATA_DRIFTED,
        Action.WRITE_METADATA,
        id="other labels",
    ),
    pytest.param(
        checks.metadata_drifted,
        wanting(annotations={"note": "a"}),
        Reason.METADATA_DRIFTED,
        Action.WRITE_METADATA,
        id="other annotations",
    ),
    pytest.param(
        checks.metadata_drifted,
        wanting(owner_uid=None),
        Reason.METADATA_DRIFTED,
        Action.WRITE_METADATA,
        id="no owner any more",
    ),
    pytest.param(
        checks.issuer_was_replaced, replaced, Reason.ISSUER_REPLACED, Action.ISSUE, id="another CA signs in its place"
    ),
    pytest.param(checks.old_secret_is_left, moved, Reason.SECRET_RENAMED, Action.REMOVE_OLD, id="of former names"),
    pytest.param(
        checks.body_was_not_seen_for_long,
        lambda o: with_known(o, verified=o.verify_before),
        Reason.SECRET_UNREAD,
        Action.READ,
        id="not read for a day",
    ),
]


@pytest.mark.parametrize(("check", "change", "reason", "action"), CASES)
def test_a_check_finds(check: Check, change: Change, reason: Reason, action: Action) -> None:
    """The check finds what it is named for, and says why."""
    found = check(change(settled()))

    assert found is not None
    assert (reason, action) == (found.reason, found.action)
    assert found.message


def test_every_check_is_tested() -> None:
    """A new one needs a case above."""
    tested = {case.values[0] for case in CASES}

    assert set(checks.CHECKS) == tested


@pytest.mark.parametrize(
    ("check", "change", "said"),
    [
        pytest.param(checks.secret_is_foreign, finding(foreign()), "belongs to helm", id="whose it is"),
        pytest.param(
            checks.key_type_differs,
            wanting(key=RSA),
            "key is ECDSA 256 in PKCS8, but the spec asks for RSA 2048 in PKCS8",
            id="key",
        ),
        pytest.param(
            checks.usages_differ,
            wanting(usages=(Usage.CLIENT_AUTH,)),
            "certificate is for client auth, server auth, but the spec asks for client auth",
            id="usages",
        ),
        pytest.param(
            checks.duration_differs,
            wanting(duration=HOUR),
            "certificate lives for 24h, but the spec asks for 1h",
            id="durations",
        ),
        pytest.param(
            checks.certificate_has_expired, at(lambda o: o.facts.not_after), "2026-01-03T03:04:05Z", id="its end"
        ),
        pytest.param(checks.old_secret_is_left, moved, "no longer asks for secret orders-a, orders-b", id="which go"),
    ],
)
def test_a_check_says_what_it_found(check: Check, change: Change, said: str) -> None:
    """The message has what is there and what is asked for."""
    found = check(change(settled()))

    assert found is not None
    assert said in found.message
