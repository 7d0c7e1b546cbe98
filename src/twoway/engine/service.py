"""What the command line and the daemon do to a pair: one object over a configuration, a state and a clock."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

from twoway.config.load import Config, PairConfig
from twoway.config.problems import ConfigError, Problem
from twoway.config.settings import Access
from twoway.core.model import Fetched, Side
from twoway.engine import byhand, remap
from twoway.engine import lease as leases
from twoway.engine.accounts import Accounts
from twoway.engine.app import App
from twoway.engine.cycle import Kind, Report, run_cycle
from twoway.engine.plans import Plan, dry_run
from twoway.engine.run import PairContext, Tuning
from twoway.engine.undo import UndoPlan, plan_undo, run_undo
from twoway.ports import Clock, Connector, FaultPoint, FieldInfo, no_fault
from twoway.sdk.errors import AccountRefused, ConnectorError, QuotaSpent
from twoway.state.pairs import CycleRow, Lease, PairRow, Status
from twoway.state.store import Store


class NotNow(Exception):
    """The pair may not run: `message` says why, `remedy` what a person can do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}. {remedy}")
        self.message = message
        self.remedy = remedy


class Held(NotNow):
    """It waits for a person's approval."""


class Paused(NotNow):
    """A person paused it, or one of its accounts refused us."""


class UnknownPair(NotNow):
    """No mapping file has this name."""


def elsewhere(store: Store, found: PairConfig) -> list[Problem]:
    """What is wrong with a mapping file under which a side is not the collection that the pair's links lead to."""
    return [
        found.document.problem((one.side.value, one.part), one.what)
        for one in remap.elsewhere(store, found.name, found.mapping)
    ]


class Service:
    """Open pairs are kept, with their HTTP clients, until `close`."""

    def __init__(
        self,
        config: Config,
        store: Store,
        clock: Clock,
        *,
        accounts: Accounts | None = None,
        fault: FaultPoint = no_fault,
    ) -> None:
        self.config = config
        self.store = store
        self.clock = clock
        self._accounts = accounts or Accounts(config, clock)
        self._fault = fault
        self._open: dict[str, tuple[PairContext, list[Connector]]] = {}

    # -- pairs

    def pair_config(self, name: str) -> PairConfig:
        """The mapping file of this pair."""
        found = self.config.pairs.get(name)
        if found is None:
            raise UnknownPair(
                f"there is no pair named {name!r} in {self.config.settings.pairs}",
                f"Valid: {', '.join(sorted(self.config.pairs)) or 'none yet: write a mapping file (docs/mapping.md)'}",
            )
        return found

    async def open(self, name: str) -> PairContext:
        """The pair, ready to run: connected, and compiled by the names of the apps' live schemas.

        Raises `ConfigError`, before any request, where a side is not the collection that the pair's links lead to.
        """
        if name in self._open:
            return self._open[name][0]
        found = self.pair_config(name)
        if problems := elsewhere(self.store, found):
            raise ConfigError(problems)
        connectors: dict[Side, Connector] = {}
        try:
            for side in Side:
                connectors[side] = self._accounts.side(found.mapping.side(side), found.spec)
            known = {}
            for side, connector in connectors.items():
                known[side] = [field.name for field in await self._told(found, side, connector)]
            mapping = found.compile(known)
        except BaseException:
            for connector in connectors.values():
                await connector.close()
            raise
        accounts = {side: mapping.side(side).account for side in Side}
        context = PairContext(
            id=self._ensure(name).id,
            name=name,
            mapping=mapping,
            apps={
                side: App(
                    connector,
                    accounts[side],
                    side,
                    self.clock,
                    self._fault,
                    self.config.account(accounts[side]).overrides,
                    read_only=self.config.account(accounts[side]).access is Access.READ,
                )
                for side, connector in connectors.items()
            },
            settle=found.schedule.settle,
            tuning=self._tuning(),
        )
        self._open[name] = (context, list(connectors.values()))
        return context

    async def _told(self, found: PairConfig, side: Side, connector: Connector) -> Sequence[FieldInfo]:
        try:
            return await connector.describe()
        except ConnectorError as error:
            error.account = found.mapping.side(side).account
            raise

    def _ensure(self, name: str) -> PairRow:
        with self.store.commit("pair"):
            return self.store.pairs.ensure(name)

    def _tuning(self) -> Tuning:
        engine = self.config.settings.engine
        return Tuning(
            window=engine.window,
            concurrency=engine.concurrency,
            source_age=engine.source_age,
            rounds=engine.rounds,
            tries=engine.tries,
            retry=engine.retry,
            duplicate_retry=engine.duplicate_retry,
        )

    async def close(self) -> None:
        """Release the HTTP clients."""
        opened, self._open = self._open, {}
        for _, connectors in opened.values():
            for connector in connectors:
                await connector.close()

    def lease(self, pair: PairContext) -> AbstractContextManager[Lease]:
        """The pair for this process alone. Raises `PairBusy`."""
        return leases.held(self.store, pair.id, pair.name, self.clock)

    # -- cycles

    async def cycle(
        self, name: str, kind: Kind = Kind.INCREMENTAL, *, records: Iterable[tuple[Side, str]] = ()
    ) -> Report:
        """Run one cycle. Raises `Held`, `Paused`, `PairBusy`, `ConfigError`, `StateError`.

        What an app refuses is in the report: the pair's other records, and other pairs, go on. With `Kind.RECORD` it is
        for these `records`, by their apps' own ids (`look_up`), and their counterparts.
        """
        pair = await self._ready(name)
        with self.lease(pair) as lease:
            if kind is Kind.RECORD:
                byhand.look_at(self.store, pair.id, records, self.clock.now())
            report = await run_cycle(pair, self.store, self.clock, lease, kind)
        if isinstance(report.error, AccountRefused | QuotaSpent):
            self._pause_account(report.error)
        return report

    async def look_up(self, name: str, side: Side, record_id: str) -> Fetched:
        """What the app shows of a record of a pair that may run; nothing of it is kept. Raises what `cycle` raises, and
        what the app refuses."""
        pair = await self._ready(name)
        try:
            return (await pair.apps[side].fetch([record_id]))[record_id]
        except (AccountRefused, QuotaSpent) as error:
            self._pause_account(error)
            raise

    async def _ready(self, name: str) -> PairContext:
        """The pair, open, if it may run."""
        self._may_run(self.pair_config(name))
        try:
            pair = await self.open(name)
        except AccountRefused as error:
            self._pause_account(error)
            raise
        self._approved(pair)
        return pair

    def _may_run(self, found: PairConfig) -> None:
        row = self._ensure(found.name)
        if row.status is Status.PAUSED:
            raise Paused(f"{found.name} is paused", f"Resume it with `twoway resume {found.name}`")
        if row.status is Status.HALTED:
            raise Held(
                f"{found.name} is halted: {row.reason}",
                f"Look at it with `twoway plan {found.name}`; let it go on with `twoway approve {found.name}`",
            )
        for account, (reason, until) in self.store.pairs.paused_accounts().items():
            if account not in {found.mapping.side(side).account for side in Side}:
                continue
            if until is None or until > self.clock.now():
                raise Paused(
                    f"{found.name} waits, since the account {account} is paused: {reason}",
                    f"It is tried again by itself; `twoway resume {found.name}` tries it at once",
                )
            with self.store.commit("account"):
                self.store.pairs.resume_account(account)

    def _approved(self, pair: PairContext) -> None:
        reason = self._note_approval(pair)
        if reason is None:
            return
        raise Held(
            f"{pair.name} {reason}",
            f"See what it would do with `twoway plan {pair.name}`, then `twoway approve {pair.name}`",
        )

    def _note_approval(self, pair: PairContext) -> str | None:
        """Why the pair writes nothing before it is approved, if so. Of a pair that ran under another mapping it is kept
        as the reason: whether a file changed is known only once the apps have told their fields."""
        row = self._ensure(pair.name)
        what = "is new" if row.approved_hash is None else "has a changed mapping"
        approved = row.approved_hash == pair.mapping.hash
        reason = None if approved else f"{what}, and writes nothing before it is approved"
        if row.status is Status.ACTIVE and row.reason != reason:
            with self.store.commit("approval"):
                self.store.pairs.set_status(pair.id, row.status, reason)
        return reason

    def _pause_account(self, error: AccountRefused | QuotaSpent) -> None:
        """No request until the login is worth another try, or the budget is renewed."""
        if error.account is None:
            return
        told = error.after if isinstance(error, QuotaSpent) else None
        wait = self.config.settings.engine.retry if told is None else round(told * 1000)
        with self.store.commit("account"):
            self.store.pairs.pause_account(error.account, str(error), self.clock.now(), self.clock.now() + wait)

    # -- plans and approvals

    async def plan(self, name: str, *, snapshot: bool = False, limit: int = 200) -> Plan:
        """A dry run, and a note of which plan a person was shown."""
        pair = await self.open(name)
        row = self._ensure(name)
        first = row.approved_hash != pair.mapping.hash or row.snapshot_at is None
        kind = Kind.SNAPSHOT if snapshot or first else Kind.INCREMENTAL
        self._note_approval(pair)
        plan = await dry_run(pair, self.store, self.clock, kind, limit=limit)
        if plan.report.error is None:
            with self.store.commit("plan"):
                self.store.pairs.show_plan(pair.id, pair.mapping.hash, plan.report.totals)
                if row.status is Status.NEW:
                    self.store.pairs.set_status(pair.id, Status.PLANNED)
        return plan

    async def approve(self, name: str) -> PairRow:
        """Let the plan that was last shown pass, and the pair run. Raises `Held` where no plan of it was shown."""
        pair = await self.open(name)
        row = self._ensure(name)
        if row.mapping_hash != pair.mapping.hash:
            raise Held(
                f"no plan of {name}, as its mapping is now, has been shown yet",
                f"Look at it first: `twoway plan {name}`",
            )
        with self.store.commit("approve"):
            self.store.pairs.approve(pair.id)
        return self._ensure(name)

    def pause(self, name: str) -> None:
        """No cycle of this pair until it is resumed."""
        self.pair_config(name)
        with self.store.commit("pause"):
            self.store.pairs.set_status(self.store.pairs.ensure(name).id, Status.PAUSED, "paused by a person")

    def resume(self, name: str) -> PairRow:
        """Let a paused pair run, and try its accounts again. What is halted is to be approved instead."""
        found = self.pair_config(name)
        with self.store.commit("resume"):
            row = self.store.pairs.ensure(name)
            if row.status is Status.PAUSED:
                status = Status.ACTIVE if row.approved_hash else Status.NEW
                self.store.pairs.set_status(row.id, status)
            for side in Side:
                self.store.pairs.resume_account(found.mapping.side(side).account)
        return self._ensure(name)

    # -- undo

    async def plan_undo(self, cycle: int) -> tuple[PairContext, UndoPlan]:
        """What undoing a cycle would write, whether its pair is halted, paused or neither.

        Raises `UnknownPair` for a cycle that there was not, `NotNow` where an account that it would write is
        `access: read`, and `Held` where the mapping is not the one that was approved and last run.
        """
        pair = await self.open(self._cycle(cycle).pair)
        self._decided_under(pair)
        plan = plan_undo(pair, self.store, cycle)
        for app in pair.apps.values():
            writes = sum(one.edit.side is app.side for one in plan.staging)
            if app.read_only and writes:
                raise NotNow(
                    f"undoing cycle {cycle} would write {writes} of the records of {app.account}, which is "
                    "`access: read`",
                    f"Nothing was written. Set `accounts.{app.account}.access: write` in the configuration first",
                )
        return pair, plan

    def _decided_under(self, pair: PairContext) -> None:
        """Raises `Held` where the mapping is not the one that the pair was last decided under: what a cycle wrote by
        the words of that one would be taken back by those of this one."""
        if self._ensure(pair.name).decided_hash != pair.mapping.hash:
            raise Held(
                f"the mapping of {pair.name} has changed since its last cycle, and by this one nothing can be undone",
                "Put the former mapping back and undo under that one, or let a cycle run under the new one first "
                f"(`twoway plan {pair.name}`, `twoway approve {pair.name}`, `twoway sync {pair.name}`)",
            )

    async def undo(self, pair: PairContext, plan: UndoPlan) -> Report:
        """Carry it out."""
        with self.lease(pair) as lease:
            self._decided_under(pair)
            return await run_undo(pair, self.store, self.clock, lease, plan.staging)

    def withdraw_undo(self, cycle: int) -> tuple[str, int]:
        """Give up what the undo of a cycle has not sent yet; the pair's name, and how many writes that were.

        Those that were sent are not taken back: an undo can be undone. Raises `UnknownPair`, `PairBusy`.
        """
        name = self._cycle(cycle).pair
        with leases.held(self.store, self._ensure(name).id, name, self.clock) as lease:
            now = self.clock.now()
            with self.store.commit("withdraw", lease, now):
                return name, self.store.operations.withdraw_undo(cycle, now)

    def _cycle(self, number: int) -> CycleRow:
        row = self.store.pairs.cycle(number)
        if row is None:
            raise UnknownPair(f"there is no cycle {number}", "`twoway cycles` lists those that wrote something")
        return row
