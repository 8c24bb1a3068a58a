"""What a line of the log says, as text or as JSON. Each names the request, or the run of a task, that it belongs to."""

import json
import logging
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from console import tracing
from console.untrusted_text import OneLineFormatter, escape_hidden

_kind = ["command"]


def name_process(kind: str, *, unless_named: bool = False) -> None:
    """``web``, ``mcp``, ``worker`` or ``scheduler``: what the lines of this process say they come from."""
    if not unless_named or _kind[0] == "command":
        _kind[0] = kind


class TextFormatter(OneLineFormatter):
    """The request's id follows where the message does not name it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        line, request_id = super().formatMessage(record), tracing.current_request_id()
        return f"{line} ({request_id})" if request_id and request_id not in line else line


class JsonFormatter(OneLineFormatter):
    """One object a line; what others wrote is escaped in it as it is in text."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": escape_hidden(record.getMessage()),
            "process": _kind[0],
        }
        if request_id := tracing.current_request_id():
            told["request_id"] = request_id
        if trace_id := tracing.current_trace_id():
            told["trace_id"] = trace_id
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            told["stack"] = escape_hidden(self.formatStack(record.stack_info), lines=True)
        return json.dumps(told)


def log_to(file: str) -> None:
    """Instead of the standard error stream, as ``celery --logfile`` asks for; opened again once it was moved away."""
    root = logging.getLogger()
    kept = root.handlers[0].formatter if root.handlers else None
    handler = WatchedFileHandler(Path(file), delay=True)
    handler.setFormatter(kept)
    root.handlers[:] = [handler]
