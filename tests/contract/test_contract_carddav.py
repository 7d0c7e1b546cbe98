"""CardDAV address books, on Radicale and Xandikos themselves."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from tests.connectors.carddav.books import HastyClock
from tests.contract.sandboxes import SKEWS
from tests.servers.carddav_servers import SERVERS, CardDavServer, Radicale, Xandikos
from twoway.sdk import Connector, ConnectorContext, Instant, Raw, RawValues
from twoway.sdk.http import make_open_http
from twoway.testing.contract import RETRY_AFTER, Bench, ConnectorContract, Setup, Trouble
from twoway.testing.contract.writing import WritingContract
from twoway_connectors.carddav import CardDav

_books = itertools.count(1)
_WRITES = {"PUT", "DELETE", "POST"}
_FOLD = re.compile(r"\r?\n[ \t]")
_HREF = re.compile(rb"<(?:\w+:)?href>([^<]*)</(?:\w+:)?href>")
_NAME_PARTS = ("family", "given", "additional", "prefix", "suffix")
_PROPERTY = {"phone": "TEL", "phones": "TEL", "emails": "EMAIL", "addresses": "ADR"}
_SINGLE = frozenset(
    {
        *("additional", "bday", "categories", "email", "family", "fn", "given", "kind", "nickname", "note", "org"),
        *("phone", "prefix", "role", "suffix", "title", "uid", "url"),
    }
)
_ARRAYS = frozenset({"fn", "emails", "phones", "addresses", "note"})


class TroubledWire(httpx.AsyncBaseTransport):
    """The network, with one kind of trouble at a time. `elsewhere` leads every request to another program."""

    def __init__(self) -> None:
        self._network = httpx.AsyncHTTPTransport(verify=False)  # plain HTTP on this machine: no certificates to read
        self.trouble: Trouble | None = None
        self.writes = False
        self.left = self.skip = 0
        self.elsewhere = False

    def _strikes(self, request: httpx.Request) -> Trouble | None:
        if self.trouble is None or (self.writes and request.method not in _WRITES):
            return None
        if self.skip:
            self.skip -= 1
            return None
        struck = self.trouble
        self.left -= 1
        if not self.left:
            self.trouble = None
        return struck

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.elsewhere:
            return httpx.Response(404, html="<h1>Nothing here</h1>")
        match self._strikes(request):
            case None:
                return await self._network.handle_async_request(request)
            case Trouble.LOST_REQUEST:
                raise httpx.ReadError("the connection was dropped")
            case Trouble.BUSY:
                return httpx.Response(429, headers={"retry-after": str(RETRY_AFTER)})
            case Trouble.BUSY_UNTOLD:
                return httpx.Response(429)
            case Trouble.BROKEN:
                return httpx.Response(500)
            case Trouble.PAGE:
                return httpx.Response(200, html="<h1>Back soon</h1>")
            case Trouble.LOGIN_REVOKED:
                return httpx.Response(401, headers={"www-authenticate": "Basic"})
            case struck:
                return await self._after(struck, await self._network.handle_async_request(request))

    @staticmethod
    async def _after(struck: Trouble, answer: httpx.Response) -> httpx.Response:
        body = await answer.aread()
        await answer.aclose()
        if struck is Trouble.LOST_ANSWER:
            raise httpx.ReadError("the connection was dropped")
        if struck is Trouble.BROKEN_AFTER:
            return httpx.Response(500)
        headers = {name: answer.headers[name] for name in ("content-type", "etag") if name in answer.headers}
        return httpx.Response(answer.status_code, headers=headers, content=body[: len(body) // 2])

    async def aclose(self) -> None:
        await self._network.aclose()


class CardBench(Bench):
    """An empty address book of a running server; people's edits go there with a client of their own."""

    collection = "contacts"
    # The UID is fixed once a card is created, and must not come twice.
    values: ClassVar[Mapping[str, Sequence[Raw]]] = {
        "uid": (),
        "emails": (
            [{"type": "home", "value": "zoe@mail.test"}, {"type": "work", "pref": True, "value": "z@work.test"}],
            [{"value": "alone@mail.test"}],
        ),
        "phones": ([{"type": "cell", "value": "+442079460000"}], [{"type": "work fax", "value": "+16502530000"}]),
        "addresses": (
            [{"type": "home", "street": "1 High St; back, door", "city": "Köln", "country": "DE"}],
            [{"city": "Bonn"}],
        ),
    }
    refused = ("bday", "the day before yesterday")
    many = 210
    secrets = (CardDavServer.password, "stolen horse")

    def __init__(self, server: CardDavServer, fields: frozenset[str]) -> None:
        self.server = server
        self.fields = fields  # type: ignore[misc]  # a bench's own choice
        if isinstance(server, Xandikos):
            self.setups = frozenset(Setup) - {Setup.WRONG_LOGIN}  # type: ignore[misc]  # it checks no login
        self.name = f"contract-{next(_books)}"
        self.url = server.make_addressbook(self.name)
        self.clock = HastyClock()
        self.wires: list[TroubledWire] = []

    def open(self, setup: Setup = Setup.RIGHT, *, times: bool = False) -> Connector:
        wire, clock = TroubledWire(), self.clock
        if setup in SKEWS:
            clock = HastyClock()
            clock.skip(SKEWS[setup])
        wire.elsewhere = setup is Setup.WRONG_ADDRESS
        self.wires.append(wire)
        password = "stolen horse" if setup is Setup.WRONG_LOGIN else self.server.password
        return CardDav()(
            ConnectorContext(
                account="book",
                settings={"base_url": self.url, "username": self.server.username, "rate": 1_000_000},
                secrets={"password": password},
                collection="contacts",
                fields=self.fields,
                times=times,
                clock=clock,
                open_http=make_open_http(clock, wire, account="book"),
            )
        )

    def now(self) -> Instant:
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        """Nothing here is behind, and what marks a card's version is its content."""

    def sample(self, number: int) -> dict[str, Raw]:
        key = "emails" if "emails" in self.fields else "email"
        address = f"person{number}@mail.test"
        return {"fn": f"Person {number}", key: [{"value": address}] if key == "emails" else address}

    def create(self, values: RawValues) -> str:
        name, card = _new_card(next(_books), values)
        self.server.put(self.url + name, card)
        return name

    def create_many(self, many: Sequence[RawValues]) -> list[str]:
        if len(many) < 20:
            return super().create_many(many)
        cards = dict(_new_card(next(_books), values) for values in many)
        if isinstance(self.server, Radicale):
            # What it takes at once replaces the whole address book; it keeps each card in a file.
            folder = self.server.folder / "data/collection-root" / urlsplit(self.url).path.strip("/")
            for name, card in cards.items():
                (folder / name).write_bytes(card.encode())
        else:
            self.server.put_many(self.url, cards)
        return list(cards)

    def update(self, id: str, values: RawValues) -> None:
        lines = _lines(self._card(id))
        for name, value in values.items():
            lines = _set(lines, name, str(value))
        self.server.put(self.url + id, "\r\n".join([*lines, ""]))

    def delete(self, id: str) -> None:
        self.server.delete(self.url + id)

    def live(self) -> set[str]:
        answer = self.server.request("PROPFIND", self.url, headers={"depth": "1"})
        names = (unquote(urlsplit(href.decode()).path).rpartition("/")[2] for href in _HREF.findall(answer.body))
        return {name for name in names if name.endswith(".vcf")}

    def stored(self, id: str) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for line in _lines(self._card(id)):
            head, _, value = line.partition(":")
            name = head.partition(";")[0].rpartition(".")[2].upper()
            if name == "N":
                found |= dict(zip(_NAME_PARTS, re.split(r"(?<!\\);", value), strict=False))
            elif name != "REV":
                found.setdefault(name, []).append(line)
        return found

    def parts(self, field: str) -> set[str]:
        if field in _NAME_PARTS:
            return {field}
        more = {"X-ABLABEL", "X-ADDRESSBOOKSERVER-KIND"}
        return {
            _PROPERTY.get(field, field.upper()),
            *(more if field in {"emails", "phones", "addresses", "kind"} else ()),
        }

    def missing_id(self) -> str:
        return "nobody.vcf"

    def expire(self, cursor: str) -> str | None:
        kind, _, token = cursor.partition(":")
        return f"{kind}:{self.server.expire(token)}"

    def trouble(self, trouble: Trouble, *, writes: bool = False, times: int = 1, skip: int = 0) -> None:
        for wire in self.wires:
            wire.trouble, wire.writes, wire.left, wire.skip = trouble, writes, times, skip

    def calm(self) -> None:
        for wire in self.wires:
            wire.trouble = None

    def _card(self, id: str) -> str:
        return self.server.get(self.url + id).decode()


def _new_card(number: int, values: RawValues) -> tuple[str, str]:
    uid = f"person-{number}"
    emails = [each["value"] for each in values.get("emails", ())] or [values["email"]]
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", f"FN:{values['fn']}", "N:;;;;", "X-SHOE-SIZE:42"]
    lines += [f"EMAIL;TYPE=INTERNET:{email}" for email in emails]
    for name in values.keys() - {"fn", "email", "emails"}:
        lines = _set(lines, name, str(values[name]))
    return f"{uid}.vcf", "\r\n".join([*lines, "END:VCARD", ""])


def _lines(card: str) -> list[str]:
    return [line for line in _FOLD.sub("", card).splitlines() if line]


def _set(lines: list[str], name: str, value: str) -> list[str]:
    """The lines with one field set; texts without anything to escape will do."""
    if name not in _NAME_PARTS:
        kept = [line for line in lines if re.split("[:;]", line)[0].upper() != name.upper()]
        return [*kept[:2], f"{name.upper()}:{value}", *kept[2:]]
    found = next((line for line in lines if line.startswith("N:")), "N:;;;;")
    parts = found.removeprefix("N:").split(";")
    parts[_NAME_PARTS.index(name)] = value
    return [*lines[:2], f"N:{';'.join(parts)}", *(line for line in lines[2:] if not line.startswith("N:"))]


@pytest.fixture(scope="module", params=SERVERS, ids=lambda server: server.name)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CardDavServer]:
    running: CardDavServer = request.param(tmp_path_factory.mktemp(request.param.name))
    yield running
    running.stop()


class TestCardDav(ConnectorContract):
    @pytest.fixture
    def bench(self, server: CardDavServer) -> Bench:
        return CardBench(server, _SINGLE)


class TestCardDavArrays(WritingContract):
    """The lists of addresses, which would contradict the single ones if both were written at once."""

    @pytest.fixture
    def bench(self, server: CardDavServer) -> Bench:
        return CardBench(server, _ARRAYS)
