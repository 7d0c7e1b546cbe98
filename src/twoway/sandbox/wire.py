"""A request and an answer as handlers see them, and the log of requests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.types import Scope, Send

from twoway.sandbox.faults import ConnectionDropped
from twoway.sandbox.store import By


class Answer:
    """A response: a status, a body (JSON of anything but bytes; None is an empty body) and headers (lower-case)."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.headers = dict(headers or {})
        if body is None:
            self.body = b""
        elif isinstance(body, bytes):
            self.body = body
        else:
            self.body = orjson.dumps(body)
            self.headers.setdefault("content-type", "application/json;charset=utf-8")

    async def send(self, send: Send) -> None:
        """Answer the ASGI request."""
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        if self.status != 204:
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class Refusal(Exception):
    """Raise it anywhere in a handler to answer an error."""

    def __init__(self, status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body!r}")
        self.answer = Answer(status, body, headers)


class Call:
    """One request."""

    __slots__ = (
        "_bad_json",
        "_pairs",
        "body",
        "by",
        "client",
        "dies_after",
        "headers_out",
        "method",
        "params",
        "path",
        "query",
        "query_text",
        "scope",
    )

    def __init__(self, scope: Scope, body: bytes, bad_json: "Callable[[Call], Refusal]") -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.body = body
        self.query_text: str = scope["query_string"].decode("latin-1")
        self._pairs = parse_qsl(self.query_text, keep_blank_values=True)
        self.query: dict[str, str] = dict(self._pairs)
        """The query's arguments; of a repeated one the last (see `values`)."""
        self.params: dict[str, str] = {}
        """The path's parameters."""
        self.by = By("api")
        """Hand this to the collection's methods."""
        self.headers_out: dict[str, str] = {}
        """Headers to add to whatever answer this request gets (rate limits)."""
        self.dies_after: int | None = None
        client = scope.get("client")
        self.client: str = client[0] if client else "127.0.0.1"
        self._bad_json = bad_json

    def header(self, name: str) -> str | None:
        """A request header, by its lower-case name."""
        wanted = name.encode()
        return next((value.decode("latin-1") for key, value in self.scope["headers"] if key == wanted), None)

    @property
    def base_url(self) -> str:
        """`http://host:port`, as the client called it: the start of links to further pages."""
        return f"{self.scope.get('scheme', 'http')}://{self.header('host') or 'localhost'}"

    def values(self, name: str) -> list[str]:
        """All values of a query argument: repeated (`a=1&a=2`) and comma-separated (`a=1,2`) ones."""
        return [part for key, value in self._pairs if key == name for part in value.split(",") if part]

    def truth(self, name: str) -> bool:
        """A yes-or-no query argument: `true`, in whatever case a client's language spells it; no by default."""
        return self.query.get(name, "").lower() == "true"

    def json(self) -> Any:
        """The body. Raises the vendor's refusal if it is no JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise self._bad_json(self) from None

    def trace(self) -> str:
        """A correlation id: a UUID in shape, the request's number in fact."""
        return f"{self.by.request:08x}-0000-4000-8000-000000000000"

    def since(self) -> int:
        """The query's `since`, 0 by default."""
        return int(self.query.get("since", "0"))

    def step(self) -> None:
        """Call it before each input of a batch: a queued `die_midway` strikes here, with the inputs before it done."""
        if self.dies_after is None:
            return
        if self.dies_after <= 0:
            raise ConnectionDropped("die_midway")
        self.dies_after -= 1


@dataclass(slots=True)
class RequestEntry:
    """One request: `status` 0 while it is in progress, and for good if its connection was dropped.
    `bytes` is the size of the answer's body."""

    n: int
    at: float
    method: str
    path: str
    query: str
    status: int = 0
    bytes: int = 0


class RequestLog:
    """Every request but the control routes', in order; `n` counts from 1."""

    def __init__(self) -> None:
        self.entries: list[RequestEntry] = []

    def open(self, at: float, call: Call) -> RequestEntry:
        """Number a request that has just come in."""
        entry = RequestEntry(len(self.entries) + 1, at, call.method, call.path, call.query_text)
        self.entries.append(entry)
        return entry

    def since(self, n: int = 0) -> list[RequestEntry]:
        """The entries after number `n`."""
        return self.entries[n:]
