"""Both servers, started once for the whole folder, and an address book of its own for each test."""

import itertools
from collections.abc import Iterator

import pytest

from tests.connectors.carddav.books import Book
from tests.servers.carddav_servers import SERVERS, CardDavServer

_numbers = itertools.count(1)


@pytest.fixture(scope="session", params=SERVERS, ids=lambda server: server.name)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CardDavServer]:
    running: CardDavServer = request.param(tmp_path_factory.mktemp(request.param.name))
    yield running
    running.stop()


@pytest.fixture
def book(server: CardDavServer) -> Book:
    name = f"Book {next(_numbers)}"
    return Book(server, name, server.make_addressbook(name))
