"""Settings from environment variables, and how the operator speaks."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from mutualtls import settings
from mutualtls.process import telemetry
from mutualtls.process.telemetry import LogFormat
from mutualtls.settings import Events, Settings


def test_nothing_need_be_set() -> None:
    """Every setting has a default."""
    assert Settings() == settings.from_environment({})


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        pytest.param("MUTUALTLS_NAMESPACE", "pki", "namespace", "pki", id="text"),
        pytest.param("MUTUALTLS_WORKERS", "3", "workers", 3, id="number"),
        pytest.param("MUTUALTLS_SWEEP", "1h30m", "sweep", timedelta(hours=1.5), id="duration"),
        pytest.param("MUTUALTLS_HEALTH_PORT", "8080", "health_port", 8080, id="port"),
        pytest.param("MUTUALTLS_MOVE_GRACE", "1m", "move_grace", timedelta(minutes=1), id="grace"),
        pytest.param("MUTUALTLS_EVENTS", "all", "events", Events.ALL, id="choice"),
        pytest.param("MUTUALTLS_METRICS_BY_NAMESPACE", "true", "metrics_by_namespace", True, id="true or false"),
        pytest.param("MUTUALTLS_CONFLICT_RETRY", "5s", "conflict_retry", timedelta(seconds=5), id="two words"),
        pytest.param("MUTUALTLS_AUTHORITIES", "b, a,b,", "authorities", ("b", "a"), id="names"),
        pytest.param("MUTUALTLS_OTHER_AUTHORITIES", "", "other_authorities", (), id="no name"),
    ],
)
def test_each_setting_has_a_variable(name: str, text: str, field: str, value: object) -> None:
    """The other settings keep their defaults."""
    found = settings.from_environment({name: text, "PATH": "/bin", "WORKERS": "7"})
    others = {one.name for one in fields(Settings)} - {field}

    assert value == getattr(found, field)
    assert all(getattr(Settings(), other) == getattr(found, other) for other in others)


def test_every_setting_can_be_set() -> None:
    """Each by its own name, whatever it is."""
    texts: dict[type, str] = {str: "x", int: "7", timedelta: "7h", bool: "true", Events: "all", tuple: "a"}
    given = {field.name: texts[type(field.default)] for field in fields(Settings)}
    given |= {"lease_duration": "9h", "renew_deadline": "8h"}  # which must be longer than others
    given["other_authorities"] = ""  # of which there may be none beside authorities of our own
    found = settings.from_environment({f"MUTUALTLS_{name.upper()}": text for name, text in given.items()})

    expected = {"x", 7, True, Events.ALL, ("a",), (), *(timedelta(hours=hours) for hours in (7, 8, 9))}
    assert expected == {getattr(found, field.name) for field in fields(Settings)}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        pytest.param("MUTUALTLS_WORKERS", "many", "many", id="no number"),
        pytest.param("MUTUALTLS_WORKERS", "1.5", "1.5", id="no whole number"),
        pytest.param("MUTUALTLS_SWEEP", "1d", "not a duration such as 24h", id="no duration"),
        pytest.param("MUTUALTLS_SWEEP", "", "not a duration such as 24h", id="empty"),
        pytest.param("MUTUALTLS_WORKERS", "0", "must be at least one: 0", id="no worker"),
        pytest.param("MUTUALTLS_WORKERS", "-5", "must be at least one: -5", id="fewer than none"),
        pytest.param("MUTUALTLS_BURST", "0", "must be at least one: 0", id="no change"),
        pytest.param("MUTUALTLS_BURST_WINDOW", "0s", "must be at least 1s: 0s", id="no window"),
        pytest.param("MUTUALTLS_EVENTS", "none", "must be changes or all: none", id="no such choice"),
        pytest.param("MUTUALTLS_METRICS_PER_IDENTITY", "yes", "must be true or false: yes", id="no truth value"),
        pytest.param("MUTUALTLS_LARGE_KEYS", "-1", "must be at least 0: -1", id="fewer keys than none"),
        pytest.param("MUTUALTLS_LEASE_DURATION", "11s", "2s longer than MUTUALTLS_RENEW_DEADLINE", id="no time to end"),
        pytest.param("MUTUALTLS_RENEW_DEADLINE", "2s", "longer than MUTUALTLS_RETRY_PERIOD", id="no second try"),
        pytest.param("MUTUALTLS_RETRY_PERIOD", "0s", "must be at least 1s: 0s", id="no pause"),
        pytest.param("MUTUALTLS_AUTHORITIES", "a,B", "separated by commas: B", id="no name of an authority"),
    ],
)
def test_a_value_of_another_form_is_refused(name: str, text: str, said: str) -> None:
    """The message has the variable and what is wrong."""
    with pytest.raises(ValueError, match=f"^{name}: ") as error:
        settings.from_environment({name: text})

    assert said in str(error.value)


def test_an_operator_serves_named_authorities_or_the_rest() -> None:
    """Both at once would say nothing of a third one."""
    with pytest.raises(ValueError, match="MUTUALTLS_AUTHORITIES: cannot be set together with MUTUALTLS_OTHER_AUTH"):
        settings.from_environment({"MUTUALTLS_AUTHORITIES": "a", "MUTUALTLS_OTHER_AUTHORITIES": "b"})


# Logs


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Put logging back as it was."""
    root, ours, kopf = (logging.getLogger(name) for name in (None, "mutualtls", "kopf"))
    before = (root.handlers[:], root.level, ours.level, kopf.level)
    yield
    root.handlers[:] = before[0]
    for logger, level in zip((root, ours, kopf), before[1:], strict=True):
        logger.setLevel(level)


def spoken(log_format: LogFormat, capsys: pytest.CaptureFixture[str], **extra: Any) -> str:
    """Log one line and return what stands on standard error."""
    telemetry.configure(log_format, level=logging.INFO)
    logging.getLogger("mutualtls.reconcile").info("signed a certificate", extra=extra)
    return capsys.readouterr().err


def test_a_line_for_collectors_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """It has a constant message, and values as fields."""
    line = json.loads(spoken(LogFormat.JSON, capsys, identity="shop/orders", names=["a", "b"], left=timedelta(hours=1)))
    time = line.pop("time")

    assert {
        "level": "info",
        "message": "signed a certificate",
        "identity": "shop/orders",
        "names": ["a", "b"],
    }.items() <= line.items()
    assert {"level", "message", "identity", "names", "left"} == set(line)
    assert time.endswith("+00:00")


def test_a_line_for_people_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    """Values with blanks are quoted."""
    line = spoken(LogFormat.TEXT, capsys, identity="shop/orders", why="it was due")

    assert line.endswith('INFO    signed a certificate  identity=shop/orders why="it was due"\n')


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_a_line_is_not_as_long_as_a_tenant_likes(log_format: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    """Names are cut, and how many there are is said; so is every text, whoever wrote it."""
    names = [f"{number}.{'a' * 200}.shop.svc" for number in range(400)]
    line = spoken(log_format, capsys, names=names, why="é" * 100_000, one=["b" * 5000], few=["c", "d"])

    assert len(line) < 5000
    assert "0.aaa" in line
    assert "and 396 more" in line
    assert "and 99000 more characters" in line
    assert "and 4000 more characters" in line


def test_a_text_that_somebody_wrote_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """It makes no field of its own, either."""
    line = spoken(LogFormat.TEXT, capsys, why="a\n12:00:00 INFO    signed", other='b" level=x')

    assert line.endswith('why="a\\n12:00:00 INFO    signed" other="b\\" level=x"\n')


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_a_long_traceback_is_cut_in_its_middle(log_format: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    """It says where it began and what it was."""
    telemetry.configure(log_format, level=logging.INFO)
    nothing: dict[str, int] = {}
    try:
        assert nothing["x" * 1_000_000 + " at the end"]
    except KeyError:
        logging.getLogger("mutualtls").exception("will be tried again")
    said = capsys.readouterr().err

    assert len(said) < 10_000
    assert "Traceback" in said
    assert "at the end" in said


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_a_traceback_is_told(log_format: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    """A programming error is of no use without it."""
    telemetry.configure(log_format, level=logging.INFO)
    try:
        json.loads("programming error")
    except ValueError:
        logging.getLogger("mutualtls").exception("will be tried again")
    said = capsys.readouterr().err

    assert "Traceback" in said
    assert "JSONDecodeError: Expecting value" in said


@pytest.mark.parametrize(
    ("logger", "level", "is_heard"),
    [
        pytest.param("mutualtls", logging.INFO, True, id="ours"),
        pytest.param("mutualtls", logging.DEBUG, False, id="ours, too fine"),
        pytest.param("kopf.objects", logging.INFO, False, id="Kopf's chatter"),
        pytest.param("kopf.objects", logging.WARNING, True, id="Kopf's warning"),
        pytest.param("aiohttp", logging.INFO, False, id="a library's chatter"),
    ],
)
def test_who_is_heard(logger: str, level: int, capsys: pytest.CaptureFixture[str], *, is_heard: bool) -> None:
    """Kopf logs every event that it handles."""
    telemetry.configure(LogFormat.TEXT, level=logging.INFO)
    logging.getLogger(logger).log(level, "something")

    assert is_heard is ("something" in capsys.readouterr().err)


def test_fields_of_kopf_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """They hold whole objects."""
    line = json.loads(spoken(LogFormat.JSON, capsys, k8s_ref={"uid": "u"}, settings="x", k8s_skip=True, identity="i"))

    assert {"time", "level", "message", "identity"} == set(line)
