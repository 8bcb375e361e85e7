"""An upgrade writes nothing for an object at rest: only what is really another state is written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mutualtls.core.api import earlier_words
from mutualtls.core.api.authority_status import AuthorityStatus, CAStatus, OrderStatus
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.states import Phase, Role, State
from mutualtls.core.api.status import CertificateStatus, Condition
from mutualtls.core.leaf import render
from mutualtls.core.leaf.observed import Action
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import report
from mutualtls.core.rotation.progress import Progress
from mutualtls.core.rotation.steps import Hold, Sign
from support.builders import an_identity, authority, decide, default_signer, settled

AT, LATER = "2026-01-02T03:04:05Z", "2026-02-02T03:04:05Z"
FORMER = {Reason.ACTIVE: "Signing", Reason.BUNDLE_OUTDATED: "BundleOld", Reason.SECRET_RENAMED: "SecretMoved"}
"""What reasons of `Ready` were called in 0.1.0."""


def condition(kind: str, status: Any, reason: str, message: str = "") -> Condition:
    """A condition of the first generation."""
    return Condition(
        type=kind, status=status, reason=reason, message=message, observed_generation=1, last_transition_time=AT
    )


# Identities


def before(reason: str, message: str, *, is_ready: bool, is_stalled: bool) -> IdentityStatus:
    """The status of an identity as 0.1.0 wrote it."""
    stalled = condition("Stalled", str(is_stalled), reason, message if is_stalled else "")
    return IdentityStatus(
        observed_generation=1, conditions=(condition("Ready", str(is_ready), reason, message), stalled)
    )


def is_written(said: IdentityStatus, decision: Decision, *, generation: int = 1) -> bool:
    """Tell whether an identity with a status is written after a decision."""
    identity = msgspec.structs.replace(an_identity(generation=generation), status=said)
    return not render.is_as_told(render.status_of(identity, decision, now=LATER), said)


def decided(reason: Reason, message: str, *, is_ready: bool = False, is_stalled: bool = False) -> Decision:
    """Do nothing, for a reason."""
    return Decision(action=Action.NOTHING, reason=reason, message=message, is_ready=is_ready, is_stalled=is_stalled)


@pytest.mark.parametrize("is_ready", [True, False])
@pytest.mark.parametrize("is_stalled", [True, False])
@pytest.mark.parametrize("reason", list(Reason))
def test_an_identity_at_rest_is_not_written(*, reason: Reason, is_ready: bool, is_stalled: bool) -> None:
    """Its reason does not matter; a change of its state, of its message or of its spec is written."""
    said = before(FORMER.get(reason, reason), "why", is_ready=is_ready, is_stalled=is_stalled)
    flags = {"is_ready": is_ready, "is_stalled": is_stalled}
    other = Reason.ISSUED if reason is not Reason.ISSUED else Reason.SUSPENDED

    assert not is_written(said, decided(reason, "why", **flags))
    assert is_written(said, decided(reason, "why not", **flags))
    assert is_written(said, decided(reason, "why", **flags | {"is_ready": not is_ready}))
    assert is_written(said, decided(reason, "why", **flags | {"is_stalled": not is_stalled}))
    assert is_written(said, decided(other, "why", **flags))
    assert is_written(said, decided(reason, "why", **flags), generation=2)


REWORDED = [
    pytest.param(
        "key is RSA 2048 in PKCS8, asked for is ECDSA 256 in PKCS8",
        "key is RSA 2048 in PKCS8, but the spec asks for ECDSA 256 in PKCS8",
        id="the key",
    ),
    pytest.param(
        "certificate has other names than asked for",
        "certificate has other names than the spec asks for",
        id="names",
    ),
    pytest.param(
        "secret new is asked for instead of old, older", "the spec asks for secret new instead of old, older", id="name"
    ),
    pytest.param(
        "a file that spec.formats asked for is missing, or is not as it was written",
        "a file that spec.formats asks for is missing or was changed",
        id="a file",
    ),
    pytest.param(
        "the further files are not what spec.formats asks for, or their password has changed",
        "the additional files are not what spec.formats asks for, or their password has changed",
        id="formats",
    ),
    pytest.param(
        "labels, annotations or owner of the secret are not as asked for",
        "labels, annotations or owner of the secret are not as the spec asks",
        id="metadata",
    ),
    pytest.param(
        "secret a, b is not asked for any more; x",
        "the spec no longer asks for secret a, b; x",
        id="former names",
    ),
    pytest.param(
        f"certificate is valid until {LATER}, shorter than asked for as its CA ends then, and is not renewed while "
        f"spec.suspend is true, which would be at {AT}",
        f"certificate is valid until {LATER}, shorter than the spec asks for because its CA ends then, and is not "
        f"renewed while spec.suspend is true (renewal would be due at {AT})",
        id="a CA that ends, and suspended",
    ),
    pytest.param(
        "what is new waits until the spec of authority default can be read: spec.permits: must be a list",
        "new certificates wait until the spec of authority default can be read: spec.permits: must be a list",
        id="a faulty authority",
    ),
    pytest.param(
        "spec.privateKey.algorithm: authority default signs for ECDSA, RSA only: Ed25519; spec.duration: authority "
        "default signs for 1m to 168h: 720h",
        "spec.privateKey.algorithm: authority default allows ECDSA, RSA only (leaf.algorithms), and not Ed25519; "
        "spec.duration: 720h is longer than authority default allows (leaf.maxDuration 168h)",
        id="out of bounds",
    ),
    pytest.param(
        "spec.duration: authority default signs for 10m to 168h: 9m59s",
        "spec.duration: 9m59s is shorter than authority default allows (leaf.minDuration 10m)",
        id="too short",
    ),
    pytest.param(
        "secret a was deleted and is kept by finalizers (x): have whoever set them take them off",
        "secret a was deleted and is kept by finalizers (x): have their owner remove them",
        id="finalizers",
    ),
    pytest.param(
        "root 1: its key is ECDSA 256, asked for is ECDSA 384; mutualtls.dev/rotate-root: ab/2 brings it; issuing CA "
        "1: it lives for 2160h, asked for is 24h; mutualtls.dev/rotate-issuing: cd/2 brings it, or half of its life",
        "root 1: its key is ECDSA 256, but the spec asks for ECDSA 384; apply mutualtls.dev/rotate-root: ab/2; issuing "
        "CA 1: it lives for 2160h, but the spec asks for 24h; apply mutualtls.dev/rotate-issuing: cd/2, or wait for "
        "the renewal at half its lifetime",
        id="another spec of CAs",
    ),
    pytest.param(
        "root 1 is an outside one, and spec.root asks for one of the operator; mutualtls.dev/rotate-root: ab brings it",
        "root 1 is of an outside PKI, but spec.root asks for one of the operator; apply mutualtls.dev/rotate-root: ab",
        id="an outside root",
    ),
    pytest.param(
        "1 not written, as somebody else's is there: configmap a/b; delete it",
        "1 not written because another object has the name: configmap a/b; delete it",
        id="a conflict",
    ),
    pytest.param(
        f"after a roll-back, root 1 is not replaced by itself before {AT}",
        f"after a rollback, root 1 is not replaced automatically before {AT}",
        id="after a rollback",
    ),
    pytest.param("the root is an outside one: put", "the root is of an outside PKI: put", id="no order for it"),
    pytest.param(
        "root 1 is an outside one and stays trusted: put",
        "root 1 is of an outside PKI and stays trusted: put",
        id="it stays trusted",
    ),
    pytest.param(
        "waits, as the root is being replaced (phase Publishing)",
        "waits until the root rotation is over (phase Publishing)",
        id="an order that waits",
    ),
    pytest.param("there is no issuing CA of ours", "there is no issuing CA that the operator made", id="no issuing CA"),
    pytest.param(
        "more changes were asked for than are made at once, next at 20",
        "more changes were requested than are made at once, next at 20",
        id="throttled",
    ),
    pytest.param("the order now would be ab/2", "the order would now be ab/2", id="another order"),
    pytest.param("it names no root that is coming", "it names no incoming root", id="another root"),
    pytest.param(
        "must be fingerprints of lost CAs, by comma", "must be fingerprints of lost CAs, comma-separated", id="a form"
    ),
    pytest.param(
        "_; have it made anew with UTF8String; who takes its place needs a key of its own",
        "_; have it reissued with UTF8String; its replacement needs a key of its own",
        id="a source",
    ),
]


@pytest.mark.parametrize(("former", "now"), REWORDED)
def test_what_is_only_reworded_is_not_written(former: str, now: str) -> None:
    """Conditions and orders that say the same are not written; another thing said is."""
    said = before("InvalidSpec", f"x; {former}", is_ready=False, is_stalled=True)

    assert not is_written(said, decided(Reason.INVALID_SPEC, f"x; {now}", is_stalled=True))
    assert is_written(said, decided(Reason.INVALID_SPEC, f"y; {now}", is_stalled=True))
    assert now == earlier_words.message(now)


def test_every_former_wording_is_tested() -> None:
    """A new one needs a case above."""
    former = " ".join(str(case.values[0]) for case in REWORDED)

    assert all(pattern.search(former) for pattern, _ in earlier_words._COMPILED)  # noqa: SLF001 - to miss none


def test_what_is_quoted_is_never_taken_for_a_former_wording() -> None:
    """The words of an admission policy would else be written at every look."""
    said = before("SecretNotWritable", "denied: names, by comma", is_ready=False, is_stalled=True)
    new = decided(Reason.SECRET_NOT_WRITABLE, "denied: names, by comma", is_stalled=True)

    assert not is_written(said, new)


def test_the_names_of_a_certificate_alone_are_not_written() -> None:
    """0.1.0 recorded none; with another certificate they are."""
    o = settled()
    new = render.identity_status(o, decide(o))
    certificate = new.certificate
    assert certificate is not None
    nameless = msgspec.convert(
        {
            name: value
            for name, value in msgspec.to_builtins(certificate).items()
            if name not in {"dnsNames", "ipAddresses", "uris", "emailAddresses"}
        },
        CertificateStatus,
    )
    said = msgspec.structs.replace(new, certificate=nameless)

    assert certificate.has_names
    assert not nameless.has_names
    assert render.is_as_told(new, said)
    other = msgspec.structs.replace(nameless, fingerprint="another")
    assert not render.is_as_told(new, msgspec.structs.replace(said, certificate=other))
    renewed = msgspec.structs.replace(nameless, renewal_time=LATER)
    assert not render.is_as_told(new, msgspec.structs.replace(said, certificate=renewed))


# Authorities


SIGNS = Sign(ca=default_signer().issuing)
LOST = Hold(Reason.KEY_LOST, "the key is gone")
HOLDS = [Hold(reason, "why") for reason in Reason]
NOTHING = report.Found(ledger=None, bundle_hash=None, faults=(), conflicts=[])
AT_REST = {"KeyLost": "Stable", "Drifted": "AsAsked", "Conflicting": "AsAsked", "Rotating": "Stable"}
"""Reasons of conditions that were in order, in 0.1.0; none had a message."""


def status_of(step: Sign | Hold, **more: Any) -> AuthorityStatus:
    """The status of an authority by this version."""
    of = msgspec.structs.replace(authority(), **more)
    return report.status_of(of, step, Progress(), NOTHING, now=LATER)


def as_formerly(new: AuthorityStatus) -> AuthorityStatus:
    """Say a status as 0.1.0 wrote it."""
    conditions = []
    for one in new.conditions:
        reason, message = one.reason, one.message
        if one.status == "False" and one.type in AT_REST:
            reason, message = AT_REST[one.type], ""
        reason = FORMER.get(Reason(reason), reason) if one.type == "Ready" else reason
        conditions.append(msgspec.structs.replace(one, reason=reason, message=message, last_transition_time=AT))
    if new.condition("Stalled") is None:
        conditions.insert(1, condition("Stalled", "False", conditions[0].reason))
    return msgspec.structs.replace(new, conditions=tuple(conditions))


@pytest.mark.parametrize("step", [SIGNS, Sign(ca=SIGNS.ca, lost="root 1"), *HOLDS], ids=str)
def test_an_authority_at_rest_is_not_written(step: Sign | Hold) -> None:
    """It may sign or hold, whatever for; another state is written, and so is another spec."""
    said = as_formerly(status_of(step))
    other = Hold(Reason.CLOCK_SKEW, "set it right")

    assert said != status_of(step, status=said)
    for may_tell in (True, False):
        assert not report.is_worth_telling(said, status_of(step, status=said), may_tell=may_tell)
    assert report.is_worth_telling(said, status_of(other, status=said), may_tell=True)
    assert report.is_worth_telling(said, status_of(step, status=said, generation=2), may_tell=True)
    rotating = report.status_of(
        msgspec.structs.replace(authority(), status=said), step, Progress(phase=Phase.SIGNING), NOTHING, now=LATER
    )
    assert report.is_worth_telling(said, rotating, may_tell=True)


def test_what_came_to_the_description_of_a_ca_alone_is_not_written() -> None:
    """Another order of CAs is not written either; another state of one is."""
    described = CAStatus(
        role=Role.ROOT, number=2, state=State.ACTIVE, fingerprint="b", key_id="b", not_after=LATER, certificate="b",
        subject="CN=b", serial_number="b", not_before=AT,
    )  # fmt: skip
    other = msgspec.structs.replace(described, number=1, state=State.RETIRING, fingerprint="a", subject="CN=a")
    new = msgspec.structs.replace(status_of(SIGNS), generations=(described, other))
    plain = [msgspec.structs.replace(one, subject="", serial_number="", not_before=None) for one in (other, described)]
    said = msgspec.structs.replace(as_formerly(new), generations=tuple(plain))
    moved = msgspec.structs.replace(new, generations=(described, msgspec.structs.replace(other, state=State.LOST)))
    settled = msgspec.structs.replace(new, conditions=tuple(
        msgspec.structs.replace(one, last_transition_time=AT) for one in new.conditions
    ))  # fmt: skip

    assert not report.is_worth_telling(said, settled, may_tell=True)
    assert report.is_worth_telling(said, moved, may_tell=True)


def test_a_rotation_in_phase_signing_keeps_its_reason() -> None:
    """It is the reason of Ready alone that is called otherwise now."""
    said = condition("Rotating", "True", "Signing", "x")

    assert (said,) == earlier_words.conditions([said], [said])


def test_what_is_only_reworded_of_orders_is_not_written() -> None:
    """They stand in the status as long as their annotations do, which may be in Git."""
    order = OrderStatus(order="mutualtls.dev/roll-back", value="ab", message="it names no root that is coming")
    now = msgspec.structs.replace(order, message="it names no incoming root")
    said = msgspec.structs.replace(as_formerly(status_of(SIGNS)), orders=(order,))
    new = msgspec.structs.replace(status_of(SIGNS, status=said), orders=(now,))

    assert not report.is_worth_telling(said, new, may_tell=True)
    assert report.is_worth_telling(said, msgspec.structs.replace(new, orders=()), may_tell=True)


def test_nothing_alarms_at_an_upgrade() -> None:
    """What was known before is known."""
    steps: list[Sign | Hold] = [SIGNS, *HOLDS]
    for step in steps:
        said = as_formerly(status_of(step))
        assert {} == report.alarms(said, status_of(step, status=said))
