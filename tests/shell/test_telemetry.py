"""Log lines are bounded, whatever somebody put into what they tell of."""

from __future__ import annotations

import io
import json
import logging

import pytest

from mutualtls.core.model.object_key import ObjectKey
from mutualtls.process import telemetry
from mutualtls.process.telemetry import LogFormat


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_fields_are_cut(log_format: LogFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long texts and long lists are cut; what is short is as it was."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    telemetry.configure(log_format, level=logging.INFO)
    names = tuple(f"{number:03}-{'x' * 5000}" for number in range(100))
    logging.getLogger("mutualtls.test").info("signed", extra={"names": names, "why": "y" * 100_000, "serial": "1"})
    line = stream.getvalue()

    assert len(line) < 30_000
    if log_format is LogFormat.JSON:
        told = json.loads(line)
        assert (2, "and 99 more", "1") == (len(told["names"]), told["names"][-1], told["serial"])
        assert told["why"].endswith("… and 99000 more characters")


def test_text_lines_are_read_as_logfmt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are joined by commas; what holds a blank, a quote or an equals sign is quoted."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    telemetry.configure(LogFormat.TEXT, level=logging.INFO)
    extra = {"names": ("a", "b"), "why": 'no "a" here', "order": "x=1", "plain": "a/b-1"}
    logging.getLogger("mutualtls.test").info("signed", extra=extra)

    assert r'names=a,b why="no \"a\" here" order="x=1" plain=a/b-1' in stream.getvalue()


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_a_key_is_logged_as_people_write_it(log_format: LogFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is so by itself and in a list."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    telemetry.configure(log_format, level=logging.INFO)
    key = ObjectKey("shop", "orders")
    logging.getLogger("mutualtls.test").info("wrote %s", key, extra={"secret": key, "all": [key]})
    line = stream.getvalue()

    if log_format is LogFormat.JSON:
        told = json.loads(line)
        assert ("wrote shop/orders", "shop/orders", ["shop/orders"]) == (told["message"], told["secret"], told["all"])
    else:
        assert "wrote shop/orders  secret=shop/orders" in line
