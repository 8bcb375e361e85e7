"""Each program serves and asks with the files of a Secret, refuses whom it should, and takes the files of a renewal."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.clusters.operators import TimeoutExpiredError, wait_until
from devtools.consumers import handshakes
from interop.program import Program, RefusedError, Run, Service
from interop.shop import Shop

RENEWALS = 2
REQUESTS = 10
"""After each renewal, with the new certificates on both sides."""


def test_program_serves_and_asks(subject: Program, shop: Shop, folder: Path) -> None:
    """Server and client take each other's certificates."""
    with subject.serving(shop.mount(subject.server), folder / "server") as service:
        assert subject.ask(service, shop.mount(subject.client))


def test_server_refuses_a_client_without_a_certificate(subject: Program, shop: Shop, folder: Path) -> None:
    """Who shows none is not let in."""
    client = shop.mount(subject.client)
    with subject.serving(shop.mount(subject.server), folder / "server") as service:
        _refuses(subject, "no certificate", service, lambda: subject.ask(service, client, anonymously=True))


@pytest.mark.parametrize(
    ("variant", "refusal"),
    [
        ("stranger", "client of another CA"),
        pytest.param("somebody", "client of another name", marks=pytest.mark.further),
        pytest.param("server", "server's certificate as a client", marks=pytest.mark.further),
        pytest.param("expired", "expired client", marks=pytest.mark.further),
    ],
)
def test_server_refuses_a_client(subject: Program, shop: Shop, folder: Path, variant: str, refusal: str) -> None:
    """It lets in nobody of another CA, with another name or for another use, or too late."""
    files = shop.variant(subject.client, variant)
    with subject.serving(shop.mount(subject.server), folder / "server") as service:
        _refuses(subject, refusal, service, lambda: subject.ask(service, files))
        assert subject.ask(service, shop.mount(subject.client))


def test_client_refuses_a_server_of_another_name(subject: Program, shop: Shop, folder: Path) -> None:
    """It wanted somebody else."""
    client = shop.mount(subject.client)
    with subject.serving(shop.mount(subject.server), folder / "server") as service:
        refused = functools.partial(subject.ask, service, client, name="somebody.shop.svc")
        _refuses(subject, "server of another name", service, refused)


@pytest.mark.parametrize(
    ("variant", "refusal"),
    [
        ("stranger", "server of another CA"),
        pytest.param("client", "client's certificate as a server", marks=pytest.mark.further),
        pytest.param("expired", "expired server", marks=pytest.mark.further),
    ],
)
def test_client_refuses_a_server(subject: Program, shop: Shop, folder: Path, variant: str, refusal: str) -> None:
    """It talks to nobody of another CA, with a certificate for another use, or one that has expired."""
    with subject.serving(shop.variant(subject.server, variant), folder / "server") as service:
        _refuses(subject, refusal, service, lambda: subject.ask(service, shop.mount(subject.client)))


def test_no_request_fails_while_both_are_renewed(subject: Program, shop: Shop, folder: Path, runs: list[Run]) -> None:
    """New keys and certificates reach both sides, without a restart of the server, under requests."""
    if not subject.reloads:
        pytest.skip(f"{subject.example} takes new files by a restart alone")
    server, client = shop.mount(subject.server), shop.mount(subject.client)
    with subject.serving(server, folder / "server") as service, subject.asking(service, client) as tally:
        for _ in range(RENEWALS):
            for identity in (subject.server, subject.client):
                shop.reissue(identity)
                shop.mount(identity)
            subject.reload(service, client)
            new = handshakes.serial_number(server)
            wait_until(lambda: subject.shown(service, client) == new, "the server shows its new certificate")  # noqa: B023
            enough = len(tally.answers) + REQUESTS
            wait_until(lambda: len(tally.answers) >= enough or tally.failures, "it goes on", deadline_s=60)  # noqa: B023
        mine = f"{handshakes.serial_number(client):x}"
        if subject.tells_serial_number:
            wait_until(lambda: mine in tally.answers[-1].lower(), "the client shows its new certificate")
        assert service.process.is_alive()
    runs.append(
        Run(
            example=subject.example,
            version=subject.version(),
            requests=len(tally.answers) + len(tally.failures),
            failed=len(tally.failures),
        )
    )
    assert [] == tally.failures


def _refuses(subject: Program, refusal: str, service: Service, ask: Callable[[], str]) -> None:
    """Have a request refused, for the reason that is meant; or let in, where the program cannot refuse it."""
    if refusal in subject.lets_in:
        assert ask()
        return
    with pytest.raises(RefusedError) as raised:
        ask()

    def said() -> str:
        return f"{raised.value}\n{service.log.read_text()}"

    # A server may log it a moment after its client knows.
    with contextlib.suppress(TimeoutExpiredError):
        wait_until(lambda: re.search(subject.refusals[refusal], said()), refusal, deadline_s=30)
    assert re.search(subject.refusals[refusal], said()), said()
