"""twoway's engine on the same work: its own cycle, state and HTTP client, and a connector written with the SDK."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from benchmarks.speed import people, worker
from benchmarks.speed.connector import Directory
from twoway.core.mapping import compile_mapping
from twoway.core.model import Instant, Side
from twoway.core.rules import GuardRules, Policy, Start
from twoway.core.spec import FieldSpec, Location, MappingSpec, SideSpec
from twoway.daemon.clock import SystemClock
from twoway.daemon.collector import collect_less
from twoway.engine import lease, remap
from twoway.engine.app import App
from twoway.engine.cycle import Ending, Kind, run_cycle
from twoway.engine.run import PairContext, Run
from twoway.ports import ConnectorContext, no_fault
from twoway.sdk.http import make_open_http
from twoway.sdk.wire import Library
from twoway.state.links import NewLink
from twoway.state.store import Store

WINDOW = 1_000
SPEC = MappingSpec(
    pair="left-right",
    left=SideSpec(account="left", collection="left"),
    right=SideSpec(account="right", collection="right"),
    start=Start.LEFT,
    conflict=Policy.LEFT,
    match=((people.NAMES[0][0],),),
    # Plain text throughout, as in the bare loop: types that read phone numbers or dates would be work that it spares.
    fields=tuple(
        FieldSpec(name=left, left=Location(path=left), right=Location(path=right)) for left, right in people.NAMES
    ),
    # A first sync of everything is what a guard is there to stop; that it is judged is part of the cost.
    guard=GuardRules(floor=10**9, max_writes=10**9),
)


class EngineLoop:
    """One pair, ready to run, with its state in one file or, by its address, in one database."""

    def __init__(self, url: str, state: Path | str) -> None:
        self._clock = SystemClock()
        self._store = Store(state, "speed")
        # As the setting `engine.http` would say it.
        library: Library = "aiohttp" if os.environ.get("TWOWAY_ENGINE__HTTP") == "aiohttp" else "httpx"
        open_http = {side: make_open_http(self._clock, account=side.value, library=library) for side in Side}
        self._connectors = {
            side: Directory(
                ConnectorContext(
                    account=side.value,
                    settings={"base_url": url},
                    secrets={},
                    collection=side.value,
                    fields=frozenset(people.FIELDS[side]),
                    clock=self._clock,
                    open_http=open_http[side],
                )
            )
            for side in Side
        }
        with self._store.commit("pair"):
            row = self._store.pairs.ensure(SPEC.pair)
        self._pair = PairContext(
            id=row.id,
            name=row.name,
            mapping=compile_mapping(SPEC),
            apps={
                side: App(connector, side.value, side, self._clock, no_fault)
                for side, connector in self._connectors.items()
            },
        )

    @classmethod
    async def open(cls, url: str, state: Path) -> Self:
        """Ready to run, as `twoway` itself starts."""
        collect_less()
        return cls(url, state)

    async def close(self) -> None:
        """Release the clients and the state."""
        for connector in self._connectors.values():
            await connector.close()
        self._store.close()

    async def preload(self, count: int) -> None:
        """The state as it is when all contacts are in both apps, linked, and were seen: by the store's own words."""
        store, pair, now = self._store, self._pair, self._clock.now()
        for first in range(0, count, WINDOW):
            with store.commit("preload"):
                self._link(range(first, min(first + WINDOW, count)), now)
        run = Run(pair=pair, store=store, clock=self._clock, lease=None, cycle=0, began=now)
        with store.commit("preload"):
            remap.take_over(run, store.pairs.ensure(pair.name))
            for side, connector in self._connectors.items():
                store.pairs.set_cursor(pair.id, side, (await connector.changes(None)).cursor)
            store.pairs.snapshot_done(pair.id, now)

    def _link(self, numbers: Sequence[int], now: Instant) -> None:
        links, pair = self._store.links, self._pair
        news, hashes = [], {side: list[int | None]() for side in Side}
        for number in numbers:
            version = str(number + 1)
            raw = {side: people.contact(number, side.value) for side in Side}
            decoded = {side: pair.mapping.side(side).decode(values) for side, values in raw.items()}
            for side, values in raw.items():
                hashes[side].append(pair.mapping.side(side).raw_hash(values))
            news.append(
                NewLink(
                    ids=dict.fromkeys(Side, version),
                    bases={side: one.values for side, one in decoded.items()},
                    fps={side: pair.mapping.side(side).fingerprint(one) for side, one in decoded.items()},
                    versions=dict.fromkeys(Side, version),
                    receipts=dict.fromkeys(Side),
                )
            )
        links.add_all(pair.id, news, now)
        for side in Side:
            keys = [(one.ids[side], pair.mapping.side(side).keys(one.bases[side])) for one in news]
            links.set_keys(pair.id, side, keys)
            # Links are numbered from 1 in a new state, as the records are.
            links.touched(side, [(at + 1, None, raw) for at, raw in zip(numbers, hashes[side], strict=True)])

    async def cycle(self, *, full: bool) -> None:
        """One cycle under the pair's lease, which must end well."""
        kind = Kind.SNAPSHOT if full else Kind.INCREMENTAL
        with lease.held(self._store, self._pair.id, self._pair.name, self._clock) as held:
            report = await run_cycle(self._pair, self._store, self._clock, held, kind)
        if report.error is not None:
            raise report.error
        if report.ending is not Ending.DONE:
            raise RuntimeError(f"the cycle was held: {'; '.join(report.reasons)}")


if __name__ == "__main__":
    worker.main(EngineLoop.open)
