"""Random histories whose state is in PostgreSQL: what holds of a state in a file holds there."""

import asyncio
from collections import Counter

import pytest

from tests.servers.postgres_server import PostgresServer
from twoway.testing.scenarios import scenario
from twoway.testing.simulator import Simulator

SEEDS = 100
CHUNK = 20


def played(server: PostgresServer, seed: int, tally: Counter[str]) -> list[str]:
    found = asyncio.run(Simulator(scenario(seed), server.state()).play())
    tally.update(found.tally)
    return found.violations


@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
def test_whatever_happens_the_invariants_hold_there_too(postgres: PostgresServer, start: int) -> None:
    tally: Counter[str] = Counter()
    bad = {seed: found for seed in range(start, start + CHUNK) if (found := played(postgres, seed, tally))}
    assert bad == {}
    assert tally["edits"] >= 20 * CHUNK
    assert tally["CRASH"] >= CHUNK
