"""Each check alone, and the order of their chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from mutualtls.core.api import identity
from mutualtls.core.api.algorithms import Encoding, Usage
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.ca.offer import CAInUse
from mutualtls.core.leaf import checks, render
from mutualtls.core.leaf.checks import Check
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.formats import ExtraFiles
from mutualtls.core.leaf.observed import Absent, Action, Foreign, Found, Known, Observed, Unread, Violation
from mutualtls.core.model import labels
from mutualtls.core.names.names import Names
from mutualtls.core.pki.keys import KeyType
from mutualtls.core.reasons import Reason
from support import builders
from support.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    P256,
    RSA,
    SECOND,
    an_identity,
    default_signer,
    observed,
    other_signer,
    settled,
)

Change = Callable[[Observed], Observed]


def nothing(o: Observed) -> Observed:
    """Change nothing."""
    return o


def finding(found: Found) -> Change:
    """Find something else."""
    return lambda o: replace(o, found=found)


def damaged(reason: Reason) -> Change:
    """Find damaged files."""
    return finding(builders.damaged(reason))


def wanting(**more: Any) -> Change:
    """Want something else."""
    return lambda o: replace(o, wanted=replace(o.wanted, **more))


def holding(**more: Any) -> Change:
    """Find a certificate with other facts."""
    return lambda o: with_known(o, files=msgspec.structs.replace(o.facts, **more))


def with_known(o: Observed, **more: Any) -> Observed:
    """Know something else about the Secret."""
    if not isinstance(o.found, Known):
        raise TypeError("programming error: nothing is known")
    return replace(o, found=replace(o.found, **more))


def trusting(**more: Any) -> Change:
    """Have an authority that offers something else."""
    return lambda o: replace(o, trust=replace(o.trust, **more))


def said_alone(*, is_recorded: bool = False) -> Change:
    """Know of files by their annotation alone, which the status may record."""

    def say(o: Observed) -> Observed:
        status = render.identity_status(o, builders.decide(o)) if is_recorded else o.identity.status
        return replace(with_known(o, is_seen=False), identity=msgspec.structs.replace(o.identity, status=status))

    return say


def ordered(written: Callable[[str], str] = str) -> Change:
    """Order a re-issue of the very certificate, by its serial number as somebody may have written it."""

    def order(o: Observed) -> Observed:
        annotations = {labels.REISSUE: written(o.facts.serial_number)}
        _, reissue, _ = identity.parse_metadata({"generation": 1, "annotations": annotations})
        return replace(o, identity=msgspec.structs.replace(o.identity, reissue=reissue))

    return order


def colons(serial: str) -> str:
    """Write a serial number as OpenSSL and browsers print it."""
    digits = f"0{serial}" if len(serial) % 2 else serial
    return " " + ":".join(digits[at : at + 2] for at in range(0, len(digits), 2)).upper() + "\n"


def ordered_another(o: Observed) -> Observed:
    """Order a re-issue of a certificate that is gone."""
    return replace(o, identity=msgspec.structs.replace(o.identity, reissue="abc"))


def at(moment: Callable[[Observed], Any]) -> Change:
    """Look at another time, which the observation itself tells."""
    return lambda o: replace(o, now=moment(o))


def sweeping(every: timedelta) -> Change:
    """Have files be read again so often."""
    return lambda o: replace(o, intervals=replace(o.intervals, sweep=every))


def both(*changes: Change) -> Change:
    """Make several changes."""

    def change(o: Observed) -> Observed:
        for one in changes:
            o = one(o)
        return o

    return change


def ca_that_ends(after: Any) -> Change:
    """Have a CA that ends some time from now, of which the certificate is."""

    def change(o: Observed) -> Observed:
        ca = o.trust.in_use[o.facts.issuer_key_id]
        shortened = replace(ca, validity=replace(ca.validity, not_after=NOW + after))
        return replace(o, trust=replace(o.trust, signing=shortened, in_use={o.facts.issuer_key_id: shortened}))

    return change


def made_with_its_ca(*, lag: Any) -> Change:
    """Have a CA that began `lag` before now, which is less than leaves are backdated."""

    def change(o: Observed) -> Observed:
        ca = o.trust.in_use[o.facts.issuer_key_id]
        young = replace(ca, validity=replace(ca.validity, not_before=NOW - lag))
        return replace(o, trust=replace(o.trust, signing=young, in_use={o.facts.issuer_key_id: young}))

    return change


def replaced(o: Observed) -> Observed:
    """Have another CA sign in place of the one that signed the certificate."""
    of = o.facts.issuer_key_id
    return replace(o, trust=replace(o.trust, in_use={of: replace(o.trust.in_use[of], is_replaced=True)}))


def put_back(o: Observed) -> Observed:
    """Have the authority that settled files have."""
    return replace(o, trust=replace(o.trust, in_use=settled().trust.in_use))


def moved(o: Observed) -> Observed:
    """Have Secrets of former names, which have been there for longer than they stay."""
    return replace(with_known(o, created=o.remove_before), left_behind=("orders-a", "orders-b"))


def planted(*, made: str | None = None, policy: str = "Never") -> Change:
    """Record another key than the Secret's, under a policy, and perhaps have just made one."""

    def plant(o: Observed) -> Observed:
        of = an_identity(privateKey={"rotationPolicy": policy})
        status = CertificateStatus(
            serial_number=o.facts.serial_number,
            fingerprint=o.facts.fingerprint,
            public_key_hash="of another key",
            not_before="",
            not_after="",
            renewal_time="",
            issuer_key_id="",
        )
        recorded = msgspec.structs.replace(of, status=IdentityStatus(certificate=status))
        just_made = o.facts.public_key_hash if made == "this" else made
        wanted = replace(o.wanted, rotation_policy=of.spec.private_key.rotation_policy)
        return replace(o, identity=recorded, wanted=wanted, made_key=just_made)

    return plant


def asking(**formats: Any) -> Change:
    """Ask for formats that there are not."""
    return lambda o: replace(o, identity=an_identity(formats=formats))


OTHER_CA = CAInUse(
    chain_hash="another",
    validity=default_signer().issuing.validity,
    certificate=default_signer().issuing.certificate,
)


def foreign(*, seen: Any = NOW) -> Foreign:
    """Find somebody else's Secret."""
    return Foreign(holder="helm", seen=seen)


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
    """What it is named for, and says why."""
    found = check(change(settled()))

    assert found is not None
    assert (reason, action) == (found.reason, found.action)
    assert found.message


def test_every_check_is_tested() -> None:
    """A new one needs a case above."""
    tested = {case.values[0] for case in CASES}

    assert set(checks.CHECKS) == tested


@pytest.mark.parametrize("check", [pytest.param(check, id=check.__name__) for check in checks.CHECKS])
def test_a_check_finds_nothing_in_good_files(check: Check) -> None:
    """Otherwise nothing would ever settle."""
    assert check(settled()) is None


NOT_FOUND = [
    pytest.param(checks.leaf_is_not_recorded, said_alone(is_recorded=True), id="files that the status records"),
    pytest.param(checks.key_is_foreign, planted(made="this"), id="new key, not recorded yet"),
    pytest.param(checks.key_is_foreign, planted(policy="Always"), id="key that will not be kept"),
    pytest.param(
        checks.duration_differs,
        both(ca_that_ends(5 * HOUR), holding(not_after=NOW + 5 * HOUR)),
        id="shortened by the end of its CA",
    ),
    pytest.param(
        checks.duration_differs,
        both(ca_that_ends(5 * HOUR), holding(not_after=NOW + 5 * HOUR), wanting(duration=3 * DAY)),
        id="longer is asked, but the CA ends all the same",
    ),
    pytest.param(
        checks.duration_differs,
        both(made_with_its_ca(lag=MINUTE), holding(not_before=NOW - MINUTE)),
        id="as young as its CA",
    ),
    pytest.param(checks.reissue_is_ordered, ordered_another, id="an order for another certificate"),
    pytest.param(
        checks.certificate_has_expired, at(lambda o: o.facts.not_after - SECOND), id="a second before its end"
    ),
    pytest.param(
        checks.certificate_is_near_expiry,
        at(lambda o: o.renewal_time - SECOND),
        id="a second before its renewal time",
    ),
    pytest.param(
        checks.certificate_is_near_expiry,
        both(ca_that_ends(25 * HOUR), at(lambda o: o.facts.not_after - SECOND)),
        id="a renewal would gain an hour only",
    ),
    pytest.param(
        checks.body_was_not_seen_for_long,
        lambda o: with_known(o, verified=o.verify_before + SECOND),
        id="read less than a day ago",
    ),
    pytest.param(checks.files_are_damaged, finding(Absent()), id="an absent Secret is not damaged"),
    pytest.param(
        checks.old_secret_is_left,
        both(moved, lambda o: with_known(o, created=o.remove_before + SECOND)),
        id="the new Secret is too young",
    ),
    pytest.param(checks.old_secret_is_left, both(moved, finding(Absent())), id="there is no new Secret"),
    pytest.param(checks.old_secret_is_left, both(moved, finding(Unread())), id="the new Secret is unread"),
    pytest.param(checks.old_secret_is_left, both(moved, finding(foreign())), id="the new Secret is another's"),
]


@pytest.mark.parametrize(("check", "change"), NOT_FOUND)
def test_a_check_does_not_find(check: Check, change: Change) -> None:
    """What is near to what it looks for, and good."""
    assert check(change(settled())) is None


def test_a_renewal_that_gains_a_tenth_is_made() -> None:
    """The CA ends soon, but not so soon."""
    o = both(ca_that_ends(DAY + DAY / 10), at(lambda o: o.renewal_time))(settled())

    assert checks.certificate_is_near_expiry(o) is not None


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
    """What is there, and what is asked for."""
    found = check(change(settled()))

    assert found is not None
    assert said in found.message


def first(o: Observed) -> Violation | None:
    """Ask all checks in order."""
    return next((found for check in checks.CHECKS if (found := check(o)) is not None), None)


EVERYTHING_WRONG = both(
    wanting(key=RSA, names=Names(dns=("a",)), usages=(Usage.CLIENT_AUTH,), duration=HOUR, labels={}),
    moved,
    ordered(),
    at(lambda o: o.facts.not_after),
    sweeping(timedelta()),
    trusting(bundle_hash="new"),
    replaced,
)
MENDED = [
    (Reason.KEY_TYPE_CHANGED, wanting(key=P256)),
    (Reason.NAMES_CHANGED, lambda o: replace(o, wanted=replace(o.wanted, names=settled().wanted.names))),
    (Reason.USAGES_CHANGED, wanting(usages=(Usage.CLIENT_AUTH, Usage.SERVER_AUTH))),
    (Reason.DURATION_CHANGED, wanting(duration=DAY)),
    (Reason.REISSUE_ORDERED, ordered_another),
    (Reason.EXPIRED, at(lambda o: o.facts.not_after - SECOND)),
    (Reason.RENEWAL_DUE, at(lambda _: NOW)),
    (Reason.ISSUER_REPLACED, put_back),
    (Reason.BUNDLE_OUTDATED, trusting(bundle_hash=default_signer().trust.bundle_hash)),
    (Reason.METADATA_DRIFTED, lambda o: replace(o, wanted=replace(o.wanted, labels=settled().wanted.labels))),
    (Reason.SECRET_RENAMED, lambda o: replace(o, left_behind=())),
    (Reason.SECRET_UNREAD, sweeping(10 * DAY)),
]


def test_of_several_violations_the_first_counts() -> None:
    """With everything wrong, and one fault repaired after the other, each is named in its turn."""
    o = EVERYTHING_WRONG(settled())
    found = []
    for _, mend in MENDED:
        violation = first(o)
        found.append(violation.reason if violation else None)
        o = mend(o)

    assert [reason for reason, _ in MENDED] == found
    assert first(o) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(finding(foreign()), Reason.SECRET_CONFLICT, id="somebody else's"),
        pytest.param(finding(Unread()), Reason.SECRET_UNREAD, id="unread"),
        pytest.param(finding(Absent()), Reason.SECRET_RENAMED, id="missing, after another name"),
        pytest.param(damaged(Reason.KEY_MISMATCH), Reason.KEY_MISMATCH, id="damaged"),
        pytest.param(trusting(in_use={}), Reason.AUTHORITY_CHANGED, id="of no CA in use"),
    ],
)
def test_what_makes_facts_worthless_comes_before_all_that_ask_for_them(change: Change, reason: Reason) -> None:
    """The checks after it would fail, or judge what is somebody else's."""
    violation = first(change(EVERYTHING_WRONG(settled())))

    assert violation is not None
    assert reason == violation.reason


def test_asking_for_facts_that_are_not_there_is_a_programming_error() -> None:
    """Such an error fails loudly."""
    with pytest.raises(TypeError, match="programming error"):
        _ = observed(an_identity()).facts


def test_facts_are_those_of_the_certificate() -> None:
    """A settled observation is what its name says."""
    assert isinstance(settled().facts, Facts)
    assert NOW + DAY == settled().facts.not_after
