"""The kit that the look-alike vendor apps are built on. Import everything from here.

An app is one subclass of `VendorApp`, which is itself the ASGI application::

    class Desk(VendorApp):
        vendor = "desk"
        defaults = {"token": "desk-token", "index_lag": 30.0, "rate_limit": 100}   # settings; see below

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.users = self.collection("users", resolution=1.0, first_id=1000)
            self.route("GET", "/api/users/{id}", self.read_user)
            self.route("POST", "/api/users", self.create_user)

        def read_user(self, call: Call) -> Answer:
            record = self.users.get(int(call.params["id"]))
            if record is None or record.deleted:
                raise Refusal(404, {"error": "RecordNotFound"})
            return Answer(200, {"user": self.show("users", record)})

        def create_user(self, call: Call) -> Answer:
            record = self.users.create(dict(call.json()["user"]), call.by)
            return Answer(201, {"user": self.show("users", record)})

What a subclass gives (each has a docstring below): `authorise`, `limit`, `show`, `human`, `load`, and the vendor's
shapes of common refusals `unauthorised`, `not_found`, `too_many`, `bad_json`. Handlers are plain functions
`Call -> Answer`: a request is one atomic step, as nothing awaits inside it. A batch handler calls `call.step()`
before each of its inputs, which is where the `die_midway` fault strikes.

What a request goes through: number it → faults that come before the change → `authorise` → `limit` → the route's
handler → faults that come after it → the request log. Faults are described in `faults`.

**Settings** are `self.settings`: `defaults` (of every class in the inheritance chain), then the constructor's
`settings`, then `POST /_sandbox/settings`. Read them as `self.number("index_lag")`, `self.flag("x")`,
`self.text("token")`, at the time of use, never once in `__init__`. An unknown name is refused.
`settings_changed()` is called after a change. `demo` names the settings that make delays short enough to watch.

**Time** is `self.now()`, the app's clock, never the machine's. **Chance** is `self.random`, of the constructor's seed.

**Dropped connections.** The app raises `ConnectionDropped`. On a real socket (`server.Sandbox`, or uvicorn with
`http=server.DroppingProtocol`) the connection is then closed without an answer. In-process, give the transport
`in_process(app, error)`, which raises the client's own transport error instead::

    httpx.AsyncClient(transport=httpx.ASGITransport(in_process(app, httpx.ReadError)), base_url="http://desk")

(The sandbox itself may not import httpx, hence the argument.) So a client sees an `httpx.TransportError` both ways.

**Control routes**, under `/_sandbox/`, without auth, for loopback clients only; each has a Python method:

- `POST human` {"kind", "collection"?, "id"?, "fields"?, ...} → the record in the vendor's shape (`human`)
- `GET log?since=SEQ` → {"entries": [{seq, at, who, kind, collection, id, fields: {name: [old, new]}, request}]}
  (`log.since`)
- `GET requests?since=N` → {"entries": [{n, at, method, path, query, status, bytes}]} (`requests_since`); `status` 0
  is a dropped connection
- `GET records?collection=NAME` → {"records": [...]}, the deleted ones too (`records`)
- `POST faults` one fault, a list of them, or {"clear": true} → {"queued": how many wait} (`fault`)
- `POST settings` {name: value} → all settings (`configure`)
- `POST load` {"collection"?, "records": [...]} → {"loaded": n} (`load`)
- `POST advance` {"seconds"} → {"now"}: with a `VirtualClock` only (`advance`)
"""

import base64
import binascii
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from twoway.sandbox.clock import Clock, RealClock, VirtualClock, floor_to, iso_ms, iso_seconds, parse_time
from twoway.sandbox.faults import ConnectionDropped, Fault, FaultQueue
from twoway.sandbox.ratelimit import SlidingWindow
from twoway.sandbox.store import HUMAN, By, Collection, Record, Version, Write, WriteLog
from twoway.sandbox.wire import Answer, Call, Refusal, RequestEntry, RequestLog

__all__ = [
    "HUMAN",
    "Answer",
    "By",
    "Call",
    "Clock",
    "Collection",
    "ConnectionDropped",
    "Fault",
    "RealClock",
    "Record",
    "Refusal",
    "RequestEntry",
    "Setting",
    "SlidingWindow",
    "VendorApp",
    "Version",
    "VirtualClock",
    "Write",
    "basic_credentials",
    "floor_to",
    "in_process",
    "iso_ms",
    "iso_seconds",
    "parse_time",
]

Setting = str | int | float | bool | None
Handler = Callable[[Call], Answer]

_LOOPBACK = frozenset({"127.0.0.1", "::1", "testclient"})


class VendorApp:
    """A look-alike of one vendor's API: an ASGI application with its records, logs, faults and settings."""

    vendor: ClassVar[str] = ""
    defaults: ClassVar[Mapping[str, Setting]] = {}
    demo: ClassVar[Mapping[str, Setting]] = {}
    """What `python -m twoway.sandbox --demo` sets: delays short enough to watch."""

    def __init__(
        self, *, clock: Clock | None = None, settings: Mapping[str, Setting] | None = None, seed: int = 0
    ) -> None:
        self.clock: Clock = clock or RealClock()
        self.random = random.Random(seed)
        """For whatever a vendor promises nothing about; the same seed gives the same run."""
        self.settings: dict[str, Setting] = {}
        for cls in reversed(type(self).__mro__):
            self.settings.update(getattr(cls, "defaults", {}))
        self.log = WriteLog()
        self.requests = RequestLog()
        self.faults = FaultQueue()
        self.collections: dict[str, Collection] = {}
        self.open_requests = 0
        """The requests in progress, this one included: what a limit of simultaneous connections looks at."""
        self._routes: dict[str, list[tuple[Any, Handler]]] = {}
        self._control: dict[tuple[str, str], Callable[[Call], Any]] = {
            ("POST", "human"): lambda call: self.human(**call.json()),
            ("GET", "log"): lambda call: {"entries": [asdict(e) for e in self.log.since(call.since())]},
            ("GET", "requests"): lambda call: {"entries": [asdict(e) for e in self.requests_since(call.since())]},
            ("GET", "records"): lambda call: {"records": self.records(call.query.get("collection"))},
            ("POST", "faults"): self._queue_faults,
            ("POST", "settings"): lambda call: self.configure(**call.json()),
            ("POST", "load"): lambda call: {"loaded": self.load(**call.json())},
            ("POST", "advance"): lambda call: {"now": self.advance(float(call.json()["seconds"]))},
        }
        if settings:
            self.configure(**settings)

    # For a subclass to give

    def authorise(self, call: Call) -> None:
        """Raise `self.unauthorised(call)` if the request may not pass. By default every request passes."""

    def limit(self, call: Call) -> None:
        """Raise `self.too_many(call, ...)` if the request is one too many; may set `call.headers_out`."""

    def show(self, collection: str, record: Record) -> Any:  # noqa: ARG002 - a subclass needs it
        """The record in the vendor's JSON shape, for `/_sandbox/records` and `/_sandbox/human`."""
        return {"id": record.id, "deleted": record.deleted, **record.fields}

    def human(self, **edit: Any) -> Any:
        """What a person does in the vendor's own pages; the record as `show` gives it.

        `kind` (create | update | delete | restore | merge), `collection`, `id`, `fields` by the vendor's names, and
        for a merge `into`, the winner's id. No rate limit, no fault and no API-only rule applies.
        """
        raise NotImplementedError

    def load(self, records: Iterable[Mapping[str, Any]], collection: str | None = None) -> int:
        """Seed records in bulk, quickly: no validation to speak of, no log entries. How many were loaded."""
        raise NotImplementedError

    def settings_changed(self) -> None:
        """Called after settings changed (to set up rate limits anew, for example)."""

    def normalise(self, path: str) -> str:
        """The path to route by, of the path asked for (to drop a `.json` suffix, for example)."""
        return path

    def unauthorised(self, call: Call) -> Refusal:
        """The vendor's answer to a wrong token."""
        return Refusal(401, {"error": "unauthorised", "path": call.path})

    def not_found(self, call: Call) -> Refusal:
        """The vendor's answer to a path that it does not have."""
        return Refusal(404, {"error": "not found", "path": call.path})

    def too_many(self, call: Call, retry_after: float | None = None) -> Refusal:
        """The vendor's 429."""
        headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
        return Refusal(429, {"error": "too many requests", "path": call.path}, headers)

    def bad_json(self, call: Call) -> Refusal:
        """The vendor's answer to a body that is no JSON."""
        return Refusal(400, {"error": "invalid JSON", "path": call.path})

    # For a subclass, and tests, to use

    def now(self) -> float:
        """Epoch seconds on the app's clock."""
        return self.clock.now()

    def number(self, name: str) -> float:
        """A numeric setting."""
        value = self.settings[name]
        if not isinstance(value, int | float):
            raise TypeError(f"the setting {name} is no number: {value!r}")
        return value

    def flag(self, name: str) -> bool:
        """A yes-or-no setting."""
        return bool(self.settings[name])

    def text(self, name: str) -> str:
        """A text setting."""
        return str(self.settings[name])

    def configure(self, **settings: Setting) -> dict[str, Setting]:
        """Change settings; all of them are answered. ValueError for an unknown name."""
        if unknown := settings.keys() - self.settings.keys():
            raise ValueError(f"no such setting: {', '.join(sorted(unknown))}")
        self.settings.update(settings)
        self.settings_changed()
        return self.settings

    def collection(
        self,
        name: str,
        *,
        resolution: float = 0.001,
        first_id: int = 1,
        show_id: Callable[[Record], str] | None = None,
    ) -> Collection:
        """A new, empty collection that writes to this app's log."""
        made = Collection(name, self.clock, self.log, resolution=resolution, first_id=first_id, show_id=show_id)
        self.collections[name] = made
        return made

    def route(self, method: str, path: str, handler: Handler) -> None:
        """Serve `path`, with parameters as Starlette writes them (`/users/{id}`). Routes are tried in order."""
        pattern, _, _ = compile_path(path)
        self._routes.setdefault(method, []).append((pattern, handler))

    def fault(self, kind: str, **arguments: Any) -> Fault:
        """Queue a fault; see `faults`."""
        return self.faults.add({"kind": kind, **arguments})

    def records(self, collection: str | None = None) -> list[Any]:
        """All records (of one collection, or of all) in the vendor's shape, the deleted ones too."""
        names = [collection] if collection else list(self.collections)
        return [self.show(name, record) for name in names for record in self.collections[name]]

    def advance(self, seconds: float) -> float:
        """Move a `VirtualClock` forward, and say what time it is then. TypeError on any other clock."""
        if not isinstance(self.clock, VirtualClock):
            raise TypeError("this app runs on the real clock")
        self.clock.advance(seconds)
        return self.now()

    def requests_since(self, n: int = 0) -> list[RequestEntry]:
        """The request log after number `n`."""
        return self.requests.since(n)

    # The request's way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the sandbox serves HTTP only, not {scope['type']}")
        call = Call(scope, await _body(receive), self.bad_json)
        if call.path.startswith("/_sandbox/"):
            await self._control_answer(call).send(send)
            return
        self.open_requests += 1
        entry = self.requests.open(self.now(), call)
        call.by = By("api", entry.n)
        try:
            answer = await self._answer(call)
            entry.status, entry.bytes = answer.status, len(answer.body)
        finally:
            self.open_requests -= 1
        await answer.send(send)

    async def _answer(self, call: Call) -> Answer:
        faults = self.faults.take(call.method, call.path)
        slow = [fault for fault in faults if fault.kind == "latency"]
        await self._lag([fault for fault in slow if not fault.applied])
        other = [fault for fault in faults if fault.kind != "latency"]
        answer = self._struck(other[0], call) if other else self._handle(call)
        await self._lag([fault for fault in slow if fault.applied])
        return answer

    async def _lag(self, faults: Sequence[Fault]) -> None:
        if faults:
            await self.clock.sleep(sum(fault.seconds for fault in faults))

    def _struck(self, fault: Fault, call: Call) -> Answer:
        """What becomes of a request that a fault strikes."""
        before = None if fault.applied else self._before(fault, call)
        if before is not None:
            return before
        if fault.kind == "die_midway":
            call.dies_after = fault.after_inputs
        answer = self._handle(call)
        match fault.kind:
            case "lost_answer" | "die_midway":
                raise ConnectionDropped(fault.kind)
            case "truncated":
                return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers)
            case "error":
                return _broken(fault.status)
            case _:
                return _PAGE

    def _before(self, fault: Fault, call: Call) -> Answer | None:
        """The answer of a fault that keeps the request from the handler; None if it lets it through."""
        match fault.kind:
            case "lost_request":
                raise ConnectionDropped(fault.kind)
            case "error":
                return _broken(fault.status)
            case "rate_limited":
                return self.too_many(call, fault.retry_after).answer
            case "forbidden_text":
                return Answer(403, b"Forbidden", {"content-type": "text/plain"})
            case "html":
                return _PAGE
            case "wrong_token":
                return self.unauthorised(call).answer
            case _:
                return None

    def _handle(self, call: Call) -> Answer:
        try:
            self.authorise(call)
            self.limit(call)
            answer = self._find(call)(call)
        except Refusal as refusal:
            answer = refusal.answer
        if call.headers_out:
            answer = Answer(answer.status, answer.body, {**answer.headers, **call.headers_out})
        return answer

    def _find(self, call: Call) -> Handler:
        path = self.normalise(call.path)
        for pattern, handler in self._routes.get(call.method, ()):
            found = pattern.match(path)
            if found:
                call.params = found.groupdict()
                return handler
        raise self.not_found(call)

    # Control

    def _control_answer(self, call: Call) -> Answer:
        if call.client not in _LOOPBACK:
            return Answer(403, {"error": "the control routes answer loopback clients only"})
        action = self._control.get((call.method, call.path.removeprefix("/_sandbox/")))
        if action is None:
            return Answer(404, {"error": "no such control route"})
        try:
            return Answer(200, action(call))
        except Refusal as refusal:
            return refusal.answer
        except (ValueError, TypeError, KeyError) as error:
            return Answer(400, {"error": f"{type(error).__name__}: {error}"})

    def _queue_faults(self, call: Call) -> dict[str, int]:
        body = call.json()
        if isinstance(body, dict) and body.pop("clear", False):
            self.faults.clear()
        for fault in body if isinstance(body, list) else [body] if body else []:
            self.faults.add(fault)
        return {"queued": len(self.faults)}


def in_process(app: ASGIApp, error: Callable[[str], Exception]) -> ASGIApp:
    """The app for an in-process transport: a dropped connection raises `error(message)`, the client's own error."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except ConnectionDropped as dropped:
            raise error(f"the connection was dropped ({dropped})") from dropped

    return served


def basic_credentials(header: str | None) -> tuple[str, str] | None:
    """User and password of an `Authorization: Basic` header; None if it is none."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user, password


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionDropped("the client went away")
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def _broken(status: int) -> Answer:
    return Answer(status, {"error": "the sandbox was asked to fail"})


_PAGE = Answer(200, b"<!doctype html><title>Maintenance</title><h1>Back soon</h1>", {"content-type": "text/html"})
