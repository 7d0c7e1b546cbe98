"""The PostgreSQL server that the store's tests share."""

from collections.abc import Iterator

import pytest

from tests.servers.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One server for all tests."""
    # A socket's path may have no more than some hundred characters.
    with PostgresServer.started(tmp_path_factory.mktemp("pg")) as server:
        yield server
