"""The engine once more, with its state in PostgreSQL: each state in a database of its own on one server."""

import os
from contextlib import suppress
from hashlib import blake2s
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Identifier

from benchmarks.speed import worker
from benchmarks.speed.engine import EngineLoop
from twoway.daemon.collector import collect_less

SERVER: Final = "TWOWAY_SPEED_POSTGRES"
"""The environment variable with the address of the server, as somebody who may make databases."""


def database(server: str, state: Path) -> str:
    """The address of the database that stands for a file; made where it is new."""
    name = f"speed_{blake2s(str(state).encode(), digest_size=8).hexdigest()}"
    with psycopg.connect(server, autocommit=True) as connection, suppress(psycopg.errors.DuplicateDatabase):
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return urlsplit(server)._replace(path=f"/{name}").geturl()


async def open_engine(url: str, state: Path) -> EngineLoop:
    """Ready to run, as `twoway` itself starts."""
    collect_less()
    return EngineLoop(url, database(os.environ[SERVER], state))


if __name__ == "__main__":
    worker.main(open_engine)
