"""The set of metrics: the page that lists it, what is left out unless it is asked for, and labels that are bounded."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from mutualtls.metrics.catalogue import CATALOGUE, ON_REQUEST, PREFIX
from support import builders, measured
from support.measured import Parts, condition

PAGE = Path(__file__).parents[2] / "docs" / "operations" / "metrics.md"
OF = "authority=default"
_ROW = re.compile(r"^\| `mutualtls_(\w+)` \| (\w+) \| (.*) \| (.+) \|$", re.MULTILINE)


def test_the_page_lists_what_is_exposed() -> None:
    """Names, types, labels and meanings of the table are those of the catalogue, of which all metrics are made."""
    page = {row[0]: row[1:] for row in _ROW.findall(PAGE.read_text())}
    known = {
        name: (entry.type, ", ".join(f"`{label}`" for label in entry.labels), entry.meaning)
        for name, entry in CATALOGUE.items()
    }

    assert known == page


def test_every_family_is_exposed_before_anything_has_happened() -> None:
    """An expression over a metric that has no series yet still finds its name and its type."""
    text = asyncio.run(measured.metrics().text()).decode()
    found = set(re.findall(rf"^# TYPE {PREFIX}(\w+) ", text, re.MULTILINE))

    assert CATALOGUE.keys() - ON_REQUEST == found


def test_no_series_is_of_an_identity_unless_that_is_asked_for() -> None:
    """The same holds for namespaces, but for those in which something waits or is refused."""
    parts = Parts()
    names = {name.split()[0] for name in measured.samples(**parts.given)}

    assert not names & ON_REQUEST
    assert names | ON_REQUEST == {name.split()[0] for name in parts.samples()}


def test_the_metrics_of_the_process_are_there() -> None:
    """CPU, memory, open files and garbage collection come from the default collectors of Prometheus' library."""
    text = asyncio.run(measured.metrics().text()).decode()

    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "python_info"):
        assert f"\n{name}" in text, name
    assert "\npython_gc_collections_total{" in text


@pytest.mark.parametrize("reason", ["Whatever", "x" * 60])
def test_a_reason_that_somebody_else_wrote_makes_no_label(reason: str) -> None:
    """Whoever may write a status could make as many series as there are words."""
    parts = Parts()
    parts.identity("False", reason)
    parts.authority(condition("Ready", "False", reason))
    found = parts.samples()

    assert 1 == found[f"identities {OF} ready=False reason=Other"]
    assert 1 == found[f"authority_reason {OF} reason=Other type=Ready"]


def test_an_authority_that_does_not_exist_makes_no_label() -> None:
    """Tenants may name any authority in a spec."""
    parts = Parts()
    parts.store.identities.note(builders.identity_body("billing", authority="nobody"))

    assert 1 == parts.samples()["identities authority= ready=Unknown reason=Pending"]


def test_what_alerts_compare_begins_at_zero() -> None:
    """An increase is seen by Prometheus only where there was a value before."""
    found = Parts().samples()

    for name in (f"rotations_total {OF} result=forced", f"refusals_total {OF} reason=NotPermitted"):
        assert 0 == found[name]
    assert 0 == found["secrets_mended_total reason=KeyMismatch"]
