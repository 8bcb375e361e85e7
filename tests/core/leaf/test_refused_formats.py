"""Trust stores of identities that get no new leaf."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from mutualtls.core.errors import Fault, SpecError
from mutualtls.core.leaf import facts, plan, render, secret
from mutualtls.core.leaf.observed import Action, Known, Seen
from mutualtls.core.leaf.passwords import PasswordState
from mutualtls.core.model import labels
from mutualtls.core.reasons import Reason
from support.builders import acted, an_identity, decide, decoded, known, merged, observed, secret_of, with_formats
from support.formats import ALL, FURTHER, Change, of_body, unchanged, with_bundle, with_password

REFUSED = SpecError(Reason.NOT_PERMITTED, [Fault(field="spec", message="why")])


@pytest.mark.parametrize(
    ("change", "action"),
    [
        pytest.param(unchanged, Action.NOTHING, id="all is current"),
        pytest.param(with_bundle, Action.WRITE_FORMATS, id="another bundle"),
        pytest.param(
            lambda o: with_bundle(with_password(fault="why")(o)), Action.WRITE_BUNDLE, id="another bundle, no password"
        ),
        pytest.param(with_password(version="other"), Action.NOTHING, id="another password"),
    ],
)
def test_the_trust_store_of_a_refused_identity_is_kept_current(change: Change, action: Action) -> None:
    """The file ca.crt is current too, and is written alone if the store cannot be."""
    o = observed(an_identity(formats=ALL))
    o = change(of_body(o, secret_of(o)))

    assert action is plan.refused(o, REFUSED).action


def test_the_trust_store_of_a_refused_identity_is_written_with_nothing_else() -> None:
    """What its labels are to be is not known while it is refused."""
    o = observed(an_identity(formats=ALL, secret={"labels": {"team": "a"}}))
    body = secret_of(o)
    o = with_bundle(of_body(o, body))
    seen = Seen(identity=o.identity, trust=o.trust, found=o.found, now=o.now, password=o.password)
    new, further = with_formats(o, o.facts, *facts.key_and_chain(body))
    patch = render.formats_patch(seen, new, further, found=secret.parse(body["metadata"]))

    assert {"uid", "resourceVersion", "annotations"} == set(patch["metadata"])
    assert {labels.FACTS, labels.OWNED} == set(patch["metadata"]["annotations"])
    assert {"ca.crt", *FURTHER} == set(patch["data"])
    assert "team" in secret.parse(merged(body, patch)["metadata"]).owned.labels


def test_a_trust_store_that_fell_behind_is_written_when_there_is_a_password_again() -> None:
    """It is written even though ca.crt is current."""
    o = observed(an_identity(formats=ALL))
    body = secret_of(o)
    o = with_bundle(of_body(o, body))
    without = replace(o, password=PasswordState(version="", fault="why"))
    body = acted(without, body, plan.refused(without, REFUSED))
    assert o.trust.bundle == decoded(body)["ca.crt"]
    without, o = of_body(without, body), of_body(o, body)

    assert Action.NOTHING is plan.refused(without, REFUSED).action
    assert Action.WRITE_FORMATS is plan.refused(o, REFUSED).action
    assert Action.WRITE_FORMATS is decide(o).action


def test_suspended_identities_get_formats_and_bundles() -> None:
    """Neither needs a leaf."""
    o = observed(an_identity(formats=ALL))
    body = secret_of(o)
    o = of_body(o, body)
    suspended = replace(
        o, identity=msgspec.structs.replace(o.identity, spec=msgspec.structs.replace(o.identity.spec, suspend=True))
    )
    due = replace(suspended, now=o.renewal_time)

    assert Action.WRITE_FORMATS is decide(with_password(version="other")(suspended)).action
    assert (Action.WRITE_FORMATS, Reason.BUNDLE_OUTDATED) == (
        decide(with_bundle(due)).action,
        decide(with_bundle(due)).reason,
    )
    assert Reason.SUSPENDED is decide(due).reason


def test_known_is_what_was_found() -> None:
    """A reading takes over what is recorded, and nothing else of the annotation."""
    o = observed(an_identity(formats=ALL))
    body = secret_of(o)
    noted = json.loads(body["metadata"]["annotations"][labels.FACTS])
    lie = merged(body, {"metadata": {"annotations": {labels.FACTS: json.dumps(noted | {"serialNumber": "1"})}}})
    found = known(lie)

    assert isinstance(found, Known)
    assert known(body).files == found.files
