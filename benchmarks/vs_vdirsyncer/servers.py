"""The servers that the contenders work with: each in a process of its own, each counting what it is asked."""

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers.carddav_servers import CardDavServer, Radicale

from benchmarks.vs_vdirsyncer import dav


class CountedRadicale(Radicale):
    """Radicale, whose own log tells of every request."""

    _logged = re.compile(rb" \[INFO\] ([A-Z]+) request for ")

    def _command(self) -> list[str]:
        return [*super()._command(), "--logging-level", "info"]

    def requests(self) -> Counter[str]:
        """How many there were, by method."""
        return Counter(found.decode() for found in self._logged.findall((self.folder / "server.log").read_bytes()))


class InMemory(CardDavServer):
    """The server of `dav.py`."""

    name = "memory"
    home = dav.HOME

    def _command(self) -> list[str]:
        return [sys.executable, str(Path(dav.__file__)), "--port", str(self.port)]

    def put_many(self, url: str, cards: Mapping[str, str]) -> None:
        self.request("POST", urlsplit(url).path, json.dumps(cards).encode())

    def requests(self) -> Counter[str]:
        """How many there were, by method."""
        return Counter(json.loads(self.request("GET", "/_counts").body))


Counting = CountedRadicale | InMemory
SERVERS: Mapping[str, type[Counting]] = {"radicale": CountedRadicale, "memory": InMemory}
CARDS: Mapping[str, int] = {"radicale": 2_000, "memory": 10_000}
"""How many cards each is measured with: a new card costs Radicale a look at all that are there."""
