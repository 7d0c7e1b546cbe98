"""The servers, started once for the whole folder, and address books of its own for each test."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.shelf import Shelf
from tests.servers.carddav_servers import CardDavServer, Radicale, Xandikos

_numbers = itertools.count(1)
MakeShelf = Callable[[str], Shelf]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, CardDavServer]]:
    running: dict[str, CardDavServer] = {
        kind.name: kind(tmp_path_factory.mktemp(kind.name)) for kind in (Radicale, Xandikos)
    }
    yield running
    for server in running.values():
        server.stop()


@pytest.fixture
def shelf(servers: dict[str, CardDavServer]) -> MakeShelf:
    """Makes an empty address book on the server of this name."""

    def make(name: str) -> Shelf:
        server = servers[name]
        return Shelf(server, server.make_addressbook(f"Book {next(_numbers)}"))

    return make
