"""Two apps that are never the bottleneck: `python -m benchmarks.speed.server` prints its port, and serves until killed.

A record is kept as the JSON that it is listed as; a page is these put together. For each of `left` and `right`

    GET  /SIDE/version                  {version}: how many writes there have been
    GET  /SIDE/records?after=&limit=    {records, next}: in the order of their ids; `next` is null on the last page
    GET  /SIDE/changes?since=&limit=    {records, version, more}: in the order of their last write
    POST /SIDE/fetch   {ids}            {records}: those that there are
    POST /SIDE/create  {records}        {results}: {id, version} each, or {error: duplicate, id}
    POST /SIDE/update  {records}        {results}: for each {id, version, fields} its {id, version}, or {error: moved}

and for whoever measures, uncounted: POST /_load {side, first, end}, POST /_edit {side, emails, field, value},
POST /_latency {seconds}, GET /_counts.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from benchmarks.speed import people


class Collection:
    """The records of one side. Ids count from 1, and none is ever deleted."""

    def __init__(self, side: str) -> None:
        self._key = people.FIELDS[side][0]
        self._versions: list[int] = []
        self._listed: list[bytes] = []
        self._writes: list[int] = []
        """The record that each version was a write to; version 1 is at 0."""
        self._holders: dict[str, int] = {}

    @property
    def version(self) -> int:
        return len(self._writes)

    def _wrote(self, at: int, row: people.Row) -> dict[str, Any]:
        self._writes.append(at)
        self._versions[at] = self.version
        receipt = {"id": str(at + 1), "version": self.version}
        # A copy: orjson's own bytes keep hold of all the room that they were written into.
        self._listed[at] = memoryview(orjson.dumps({**receipt, "fields": row})).tobytes()
        return receipt

    def _row(self, at: int) -> people.Row:
        row: people.Row = orjson.loads(self._listed[at])["fields"]
        return row

    def create(self, row: people.Row) -> dict[str, Any]:
        """Add a record, unless another one has its key."""
        holder = self._holders.setdefault(row[self._key], len(self._listed))
        if holder != len(self._listed):
            return {"error": "duplicate", "id": str(holder + 1)}
        self._versions.append(0)
        self._listed.append(b"")
        return self._wrote(holder, row)

    def update(self, record: dict[str, Any]) -> dict[str, Any]:
        """Set fields of a record that is still at the version given, if one is."""
        at = int(record["id"]) - 1
        if record["version"] not in (None, self._versions[at]):
            return {"error": "moved"}
        return self._wrote(at, {**self._row(at), **record["fields"]})

    def edit(self, key: str, field: str, value: str) -> None:
        """A person's edit."""
        at = self._holders[key]
        self._wrote(at, {**self._row(at), field: value})

    def listing(self, after: int, limit: int) -> bytes:
        """A page of the complete listing."""
        end = after + limit
        following = end if end < len(self._listed) else None
        return self._page(range(after, min(end, len(self._listed))), next=following)

    def changes(self, since: int, limit: int) -> bytes:
        """A page of what was written after version `since`, each record once, where its last write is."""
        found: list[int] = []
        at = since
        while at < len(self._writes) and len(found) < limit:
            if self._versions[self._writes[at]] == at + 1:
                found.append(self._writes[at])
            at += 1
        return self._page(found, version=at, more=at < len(self._writes))

    def fetch(self, ids: Iterable[str]) -> bytes:
        """Records by id."""
        return self._page(int(one) - 1 for one in ids if 0 < int(one) <= len(self._listed))

    def _page(self, found: Iterable[int], **rest: Any) -> bytes:
        return b'{"records":[%b],"page":%b}' % (b",".join(self._listed[at] for at in found), orjson.dumps(rest))


class Apps:
    """Both collections, and how often each was asked for what."""

    def __init__(self) -> None:
        self._sides = {side: Collection(side) for side in people.SIDES}
        self._counts: Counter[str] = Counter()
        self.latency = 0.0
        """Seconds that every counted answer takes."""

    def answer(self, target: str, body: bytes) -> bytes:
        """The body of the answer to one request."""
        parts = urlsplit(target)
        given: dict[str, Any] = orjson.loads(body) if body else dict(parse_qsl(parts.query))
        if parts.path.startswith("/_"):
            return orjson.dumps(self._control(parts.path, given))
        _, side, what = parts.path.split("/")
        self._counts[f"{side} {what}"] += 1
        return self._ask(self._sides[side], what, given)

    def _ask(self, side: Collection, what: str, given: dict[str, Any]) -> bytes:
        match what:
            case "records":
                return side.listing(int(given["after"]), int(given["limit"]))
            case "changes":
                return side.changes(int(given["since"]), int(given["limit"]))
            case "fetch":
                return side.fetch(given["ids"])
            case "create":
                return orjson.dumps({"results": [side.create(row) for row in given["records"]]})
            case "update":
                return orjson.dumps({"results": [side.update(record) for record in given["records"]]})
            case "version":
                return orjson.dumps({"version": side.version})
        raise ValueError(what)

    def _control(self, path: str, given: dict[str, Any]) -> Any:
        match path:
            case "/_load":
                for number in range(given["first"], given["end"]):
                    self._sides[given["side"]].create(people.contact(number, given["side"]))
            case "/_edit":
                for key in given["emails"]:
                    self._sides[given["side"]].edit(key, given["field"], given["value"])
            case "/_latency":
                self.latency = given["seconds"]
            case "/_counts":
                return self._counts
            case _:
                raise ValueError(path)
        return {}


class Connection(asyncio.Protocol):
    """One kept connection of HTTP/1.1, as far as our two clients speak it."""

    def __init__(self, apps: Apps) -> None:
        self._apps = apps
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1").split("\r\n")
            size = next((int(line[15:]) for line in head if line[:15].lower() == "content-length:"), 0)
            if len(self._buffer) < end + 4 + size:
                return
            body = bytes(self._buffer[end + 4 : end + 4 + size])
            del self._buffer[: end + 4 + size]
            self._send(head[0].split(" ")[1], body)

    def _send(self, target: str, body: bytes) -> None:
        assert self._transport is not None
        try:
            status, answer = b"200 OK", self._apps.answer(target, body)
        except (KeyError, ValueError, IndexError) as error:
            status, answer = b"400 Bad Request", orjson.dumps({"error": repr(error)})
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(answer))
        if self._apps.latency and not target.startswith("/_"):
            # The client has one request under way on a connection, so that answers keep their order.
            asyncio.get_running_loop().call_later(self._apps.latency, self._transport.write, head + answer)
        else:
            self._transport.write(head + answer)


async def serve() -> None:
    """Listen on a free port of loopback; print it."""
    apps = Apps()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(apps), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
