"""Logs: JSON where a machine reads them, lines where a person does; never a secret, never a customer's value.

A log line carries ids, counts and reasons. What should not be there is taken out here, whoever wrote it: this is the
last net, and no licence to log values.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import orjson
import structlog

HIDDEN = "[hidden]"

_CREDENTIALS = re.compile(
    r"(?i)(passw(or)?d|passphrase|secret|token|credential|api_?key|authorization|cookie|(^|_)auth($|_))"
)
_CUSTOMERS = frozenset(
    {"base", "body", "changed", "content", "email", "mail", "name", "phone", "payload", "previous", "record", "records"}
    | {"value", "values", "raw", "address", "first_name", "last_name", "firstname", "lastname", "full_name", "headers"}
)
_MAIL = re.compile(r"[\w.!#$&'*+/=?^`{|}~%-]+@[\w-]+(?:\.[\w-]+)+")
_URL_CREDENTIALS = re.compile(r"(?i)(?<=://)[^/@\s:]*:[^/@\s]+(?=@)")
_URL_QUERY = re.compile(r"(?i)(https?://[^\s?#'\"]+)\?[^\s'\"]*")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}")

_QUIET = {
    # Each request, at INFO: one line a batch is ours to write.
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    # It warns whenever a cycle outlasts its interval, which is harmless; a stall is told by `freshness`.
    "apscheduler": logging.ERROR,
    "asyncio": logging.WARNING,
    # Each of its own plug-ins, at the first start.
    "alembic.runtime.plugins": logging.WARNING,
}


class Redactor:
    """A structlog processor that hides secrets and customers' values.

    Hidden are: any string that holds one of `secrets` (however it got there), the values of keys that are named for
    credentials or for a customer's data, e-mail addresses, logins and query strings in URLs, and mappings, whose
    content nobody vouches for (their size is kept). Secrets of fewer than 6 characters are not looked for.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: a secret may be a part of another.
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 6}, key=len, reverse=True)

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key, value in event.items():
            event[key] = self._value(key, value)
        return event

    def text(self, text: str) -> str:
        """The text without secrets and personal data."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _URL_CREDENTIALS.sub(HIDDEN, text)
        text = _URL_QUERY.sub(rf"\1?{HIDDEN}", text)
        text = _BEARER.sub(rf"\1 {HIDDEN}", text)
        return _MAIL.sub("[e-mail]", text)

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, bool | int | float | None):
            return value
        if _CREDENTIALS.search(key) or key.lower() in _CUSTOMERS:
            return HIDDEN
        if isinstance(value, Mapping):
            return f"[{len(value)} values hidden]"
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(key, element) for element in value]
        return self.text(str(value))


def configure(
    *,
    level: str = "info",
    form: Literal["auto", "console", "json"] = "auto",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Send all logs, those of libraries too, to `stream` (standard error by default).

    `auto` writes text to a terminal, and a JSON object a line to anything else. Raises `ValueError` for another level
    than debug, info, warning, error.
    """
    levels = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
    if level.lower() not in levels:
        raise ValueError(f"There is no log level {level!r}; valid are {', '.join(levels)}")
    stream = sys.stderr if stream is None else stream
    text = form == "console" or (form == "auto" and stream.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Plain tracebacks: the pretty ones show local variables, and in those are customers.
                structlog.processors.format_exc_info,
                Redactor(secrets),
                _text_renderer(stream) if text else structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(levels[level.lower()])
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, levels[level.lower()]))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


@contextmanager
def pair_context(pair: str) -> Iterator[None]:
    """Every line that is logged within, by whomever, names the pair."""
    with structlog.contextvars.bound_contextvars(pair=pair):
        yield


def _text_renderer(stream: TextIO) -> structlog.types.Processor:
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )


def as_json(value: Any) -> bytes:
    """The value as JSON, whatever texts and numbers are in it."""
    try:
        return orjson.dumps(value, default=str)
    except TypeError:
        # Half a character, as in a file's name that is no UTF-8, or a number of more than 64 bits.
        return json.dumps(value, default=str).encode()


def _dumps(event: Any, **_options: Any) -> str:
    return as_json(event).decode()
