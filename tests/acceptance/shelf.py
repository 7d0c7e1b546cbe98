"""An address book of a real server, as another program sees it: plain HTTP, and nothing of the connector's."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import NamedTuple

from tests.servers.carddav_servers import CardDavServer

_DAV, _CARD = "{DAV:}", "{urn:ietf:params:xml:ns:carddav}"


class Stored(NamedTuple):
    """A card as its server has it."""

    etag: str
    text: str


@dataclass(frozen=True)
class Shelf:
    """One address book."""

    server: CardDavServer
    url: str

    def put(self, name: str, card: str | bytes) -> None:
        """Store a card as a person's app would."""
        self.server.put(self.url + name, card)

    def get(self, name: str) -> bytes:
        """A card's bytes."""
        return self.server.get(self.url + name)

    def delete(self, name: str) -> None:
        """Delete a card as a person's app would."""
        self.server.delete(self.url + name)

    def cards(self) -> dict[str, Stored]:
        """All cards by name, in one request."""
        body = (
            '<?xml version="1.0"?><c:addressbook-query xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav"><prop>'
            '<getetag/><c:address-data/></prop><c:filter test="anyof"/></c:addressbook-query>'
        )
        headers = {"content-type": "application/xml", "depth": "1"}
        answer = self.server.request("REPORT", self.url, body.encode(), headers)
        assert answer.status == 207, answer.body[:500]
        found = {}
        for part in ET.fromstring(answer.body).iter(f"{_DAV}response"):
            name = (part.findtext(f"{_DAV}href") or "").rpartition("/")[2]
            etag, text = part.findtext(f".//{_DAV}getetag"), part.findtext(f".//{_CARD}address-data")
            if name and etag and text:
                found[name] = Stored(etag, text)
        return found

    def position(self) -> tuple[str | None, ...]:
        """What the server itself says of its state: it moves with every write, whatever that changed."""
        body = (
            '<?xml version="1.0"?><propfind xmlns="DAV:" xmlns:s="http://calendarserver.org/ns/"><prop>'
            "<sync-token/><s:getctag/></prop></propfind>"
        )
        headers = {"content-type": "application/xml", "depth": "0"}
        answer = self.server.request("PROPFIND", self.url, body.encode(), headers)
        root = ET.fromstring(answer.body)
        return (root.findtext(f".//{_DAV}sync-token"), root.findtext(".//{http://calendarserver.org/ns/}getctag"))
