"""How the operator speaks: logs with a constant message and fields, each cut to what a line can hold.

Neither key material nor data of Secrets is ever handed to it.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from mutualtls.core.model.object_key import ObjectKey

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_OF_KOPF = frozenset({"settings", "k8s_ref", "k8s_skip"})
_LONGEST_VALUE = 1000
"""Of a field, in characters. What a tenant may write is hundreds of times as long."""
_LONGEST_TRACEBACK = 8000


class LogFormat(StrEnum):
    """`json`: one object a line, for log collectors. `text`: for people."""

    JSON = "json"
    TEXT = "text"


class _JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = _cut_middle(self.formatException(record.exc_info))
        return msgspec.json.encode(line, enc_hook=str).decode()


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = " ".join(f"{name}={_quoted(value)}" for name, value in _fields(record).items())
        line = f"{time} {record.levelname:<7} {record.getMessage()}" + (f"  {fields}" if fields else "")
        return f"{line}\n{_cut_middle(self.formatException(record.exc_info))}" if record.exc_info else line


def configure(log_format: LogFormat, *, level: int) -> None:
    """Send logs to standard error. Kopf's own are heard from WARNING on: it logs every event it handles."""
    # No line says who called, nor in which thread: so that is not looked for (Logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - as that page says
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JSONFormatter() if log_format is LogFormat.JSON else _TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("mutualtls").setLevel(level)
    logging.getLogger("kopf").setLevel(logging.WARNING)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given = record.__dict__.items()
    return {name: _cut(value) for name, value in given if name not in _STANDARD and name not in _OF_KOPF}


def _cut(value: Any) -> Any:
    """Cut a long value, and say how much is missing."""
    if isinstance(value, ObjectKey):
        return _cut(str(value))
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_VALUE else _and_more(value[:_LONGEST_VALUE], len(value))
    if isinstance(value, list | tuple):
        return _cut_list(value)
    return value


def _and_more(kept: str, length: int) -> str:
    return f"{kept}… and {length - len(kept)} more characters"


def _cut_list(values: Sequence[Any]) -> list[Any]:
    kept: list[Any] = []
    room = _LONGEST_VALUE
    for value in map(_cut, values):
        room -= len(str(value))
        if room < 0 and kept:
            return [*kept, f"and {len(values) - len(kept)} more"]
        kept.append(value)
    return kept


def _cut_middle(text: str) -> str:
    """Cut a long traceback where it tells least: it begins with where, and ends with what."""
    half = _LONGEST_TRACEBACK // 2
    return text if len(text) <= _LONGEST_TRACEBACK else f"{text[:half]}\n…\n{text[-half:]}"


def _quoted(value: object) -> str:
    """Write a value so that it ends where it seems to: no text that somebody else wrote begins a line of its own."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    is_plain = text.isprintable() and not any(character in text for character in ' "=')
    return text if is_plain else json.dumps(text, ensure_ascii=False)
