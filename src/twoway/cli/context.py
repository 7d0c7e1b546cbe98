"""The configuration and the state, as a command needs them: without the engine, which is slow to import."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from twoway.cli.options import Globals, NoSuch
from twoway.cli.words import Names
from twoway.config.accounts import AppKeys
from twoway.config.load import Config, PairConfig, load
from twoway.config.problems import valid
from twoway.core.model import Side
from twoway.daemon.clock import SystemClock
from twoway.state.pairs import PairRow
from twoway.state.store import Store

__all__ = ["Place", "SystemClock", "accounts_of", "chosen", "config_of", "names_of", "one_place", "places", "state_of"]


class Called(Protocol):
    """The command line's context, of which only the global options are needed."""

    @property
    def obj(self) -> Globals: ...


def config_of(ctx: Called, apps: Mapping[str, AppKeys] | None = None) -> Config:
    """The configuration. Raises `ConfigError`."""
    return load(ctx.obj.config_path(), apps)


@contextmanager
def state_of(config: Config) -> Iterator[Store]:
    """The state, made where there is none yet. Raises `StateError`."""
    path = config.settings.state.path
    assert path is not None  # noqa: S101 - loading has filled it in
    store = Store(path, secrets.token_hex(4))
    try:
        yield store
    finally:
        store.close()


def chosen(config: Config, name: str | None) -> list[PairConfig]:
    """The pair of this name, or all of them."""
    if name is None:
        if not config.pairs:
            raise NoSuch(
                f"there is no pair in {config.settings.pairs} yet", "Write a mapping file: docs/mapping.md shows how"
            )
        return [config.pairs[each] for each in sorted(config.pairs)]
    if name not in config.pairs:
        raise NoSuch(f"there is no pair named {name!r} in {config.settings.pairs}", f"{valid(config.pairs, name)}")
    return [config.pairs[name]]


def accounts_of(pair: PairConfig) -> dict[Side, str]:
    """What people call the pair's sides: the accounts or, where both are in one account, the collections in it."""
    sides = {side: pair.mapping.side(side) for side in Side}
    names = {side: part.account for side, part in sides.items()}
    if len(set(names.values())) < len(names):
        names = {side: f"{part.account}/{part.collection}" for side, part in sides.items()}
    return names


def names_of(config: Config, pair: str) -> Names:
    """The same for a pair of the state, of which the mapping file may be gone."""
    found = config.pairs.get(pair)
    return {Side.LEFT: "first account", Side.RIGHT: "second account"} if found is None else accounts_of(found)


@dataclass(frozen=True, slots=True)
class Place:
    """A record in one pair."""

    pair: PairConfig
    row: PairRow
    side: Side
    record_id: str

    @property
    def names(self) -> dict[Side, str]:
        return accounts_of(self.pair)

    @property
    def name(self) -> str:
        """`ACCOUNT:ID`."""
        return f"{self.names[self.side]}:{self.record_id}"


def places(config: Config, store: Store, record: str, pair: str | None = None) -> list[Place]:
    """Where a record may be: each of the pairs that its account is in. `record` is `ACCOUNT:ID`."""
    account, _, record_id = record.partition(":")
    if not account or not record_id:
        raise NoSuch(f"{record!r} names no record", "Write ACCOUNT:ID, as in crm:123")
    within = chosen(config, pair)
    known = {name for one in within for name in accounts_of(one).values()}
    if account not in known:
        where = f"the pair {pair}" if pair else "any pair"
        raise NoSuch(f"{account} is not an account of {where}", valid(known, account))
    return [
        Place(one, ensured(store, one.name), side, record_id)
        for one in within
        for side, name in accounts_of(one).items()
        if name == account
    ]


def one_place(config: Config, store: Store, record: str, pair: str | None = None) -> Place:
    """The one pair that this record is in. Raises `NoSuch` where it may be in several."""
    found = places(config, store, record, pair)
    linked = [one for one in found if store.links.of(one.row.id, one.side, one.record_id)]
    if len(linked) == 1:
        return linked[0]
    if len(found) > 1:
        pairs = sorted({one.pair.name for one in found})
        raise NoSuch(f"{record} may be in several pairs", f"Say which, with --pair; {valid(pairs)}")
    return found[0]


def ensured(store: Store, name: str) -> PairRow:
    """The pair's row in the state, made where it never ran."""
    row = store.pairs.get(name)
    if row is not None:
        return row
    with store.commit("pair"):
        return store.pairs.ensure(name)
