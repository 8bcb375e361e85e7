"""How the operator speaks: logs with a constant message and fields.

Neither key material nor data of Secrets is ever handed to it.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_OF_KOPF = frozenset({"settings", "k8s_ref", "k8s_skip"})


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
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = " ".join(f"{name}={_quoted(value)}" for name, value in _fields(record).items())
        line = f"{time} {record.levelname:<7} {record.getMessage()}" + (f"  {fields}" if fields else "")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(log_format: LogFormat, *, level: int) -> None:
    """Send logs to standard error. Kopf's own are heard from WARNING on: it logs every event it handles."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JSONFormatter() if log_format is LogFormat.JSON else _TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("mutualtls").setLevel(level)
    logging.getLogger("kopf").setLevel(logging.WARNING)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given = record.__dict__.items()
    return {name: value for name, value in given if name not in _STANDARD and name not in _OF_KOPF}


def _quoted(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text
