"""What the end of a cycle means for people: a line in the log, and an alert where one is needed."""

import traceback
from pathlib import Path

import structlog

from twoway.config.problems import ConfigError
from twoway.core.mapping import Mapping
from twoway.core.model import Instant, Side
from twoway.daemon.alerts import Alerts, Condition, Trouble
from twoway.engine.cycle import Report
from twoway.engine.lease import PairBusy
from twoway.engine.service import Held, NotNow
from twoway.ports import Clock
from twoway.sdk.errors import AccountRefused, ConnectorError, TryLater
from twoway.state.errors import LeaseLost, StateError

_log = structlog.get_logger(__name__)

_FRAMES = 8
_SNAPSHOT = "snapshot"


class Outcomes:
    """Tells what cycles came to. Each trouble is told once until it is over.

    A cycle that did nothing is told at debug only, and a pair that waits only when it begins to.
    """

    def __init__(self, alerts: Alerts, clock: Clock) -> None:
        self.alerts = alerts
        self._clock = clock
        self._waiting: dict[str, str] = {}

    def told(self, pair: str, mapping: Mapping) -> bool:
        """Whether a person has been told already why the pair gets nowhere."""
        why = {Condition(Trouble.HALTED, pair), Condition(Trouble.FAILING, pair)}
        why |= {Condition(Trouble.ACCOUNT_REFUSED, mapping.side(side).account) for side in Side}
        return not why.isdisjoint(self.alerts.told)

    def forget(self, pair: str) -> None:
        """The pair is no longer there."""
        self._waiting.pop(pair, None)
        for trouble in (Trouble.HALTED, Trouble.FAILING, Trouble.STALLED):
            for part in ("", _SNAPSHOT):
                self.alerts.clear(Condition(trouble, pair, part))

    async def ran(self, report: Report, mapping: Mapping, *, snapshot: bool = False) -> None:
        """A cycle came to its end, whichever it was."""
        pair = report.pair
        self._waiting.pop(pair, None)
        # A pair that is halted runs no cycle: if this one is held, that is news.
        self.alerts.clear(Condition(Trouble.HALTED, pair))
        if report.error is not None:
            await self.raised(pair, report.error, report.cycle, snapshot=snapshot)
            return
        if report.reasons:
            remedy = f"Look with `twoway plan {pair}`, let it pass with `twoway approve {pair}`"
            await self._trouble(Trouble.HALTED, pair, "; ".join(report.reasons), remedy, cycle=report.cycle)
            return
        if snapshot:
            self.alerts.clear(Condition(Trouble.FAILING, pair, _SNAPSHOT))
        for trouble in (Trouble.FAILING, Trouble.STALLED):
            self.alerts.clear(Condition(trouble, pair))
        for side in Side:
            self.alerts.clear(Condition(Trouble.ACCOUNT_REFUSED, mapping.side(side).account))
        did = {_named(name, mapping): number for name, number in sorted(report.counts.items()) if number}
        if did:
            _log.info("cycle", pair=pair, cycle=report.cycle, **did)
        else:
            _log.debug("nothing_changed", pair=pair)

    async def raised(self, pair: str, error: Exception, cycle: int | None = None, *, snapshot: bool = False) -> None:
        """A cycle could not begin, or failed. Of snapshots that fail while the changes do not, a person is told once,
        and not again with each try."""
        if not isinstance(error, NotNow):
            # It is held no longer: else nobody would be told that it gets nowhere since.
            self.alerts.clear(Condition(Trouble.HALTED, pair))
        if not snapshot or isinstance(error, NotNow | PairBusy | LeaseLost):
            await self._tell(pair, error, cycle)
            return
        # Changes that succeed end the pair's trouble, and not this one.
        failing = Condition(Trouble.FAILING, pair, _SNAPSHOT)
        if failing in self.alerts.told:
            _log.warning("snapshot_failed_again", pair=pair, cycle=cycle, kind=type(error).__name__)
            return
        before = self.alerts.told
        await self._tell(pair, error, cycle)
        subjects = {pair, error.account if isinstance(error, ConnectorError) else None}
        if any(one.subject in subjects for one in self.alerts.told - before):
            self.alerts.note(failing)

    async def _tell(self, pair: str, error: Exception, cycle: int | None) -> None:
        match error:
            case Held():
                await self._trouble(Trouble.HALTED, pair, error.message, error.remedy)
            case NotNow() | PairBusy():
                self._wait(pair, str(error))
            case ConfigError():
                problems = "; ".join(str(one) for one in error.problems)
                await self._trouble(Trouble.FAILING, pair, problems, "Mend the mapping file, then reload")
            case ConnectorError():
                await self._app_failed(pair, error, cycle)
            case LeaseLost():
                self._wait(pair, str(error))
            case StateError():
                await self._trouble(Trouble.FAILING, pair, error.message, error.remedy)
            case _:
                await self._unexpected(pair, error)

    async def stalled(self, pair: str, since: Instant) -> None:
        """The pair has had no successful cycle since then."""
        reason = f"{pair} has had no successful cycle for {(self._clock.now() - since) // 1000} s"
        remedy = f"`twoway status` and `twoway cycles {pair}` say why"
        await self._trouble(Trouble.STALLED, pair, reason, remedy, since=since)

    async def snapshot_stalled(self, pair: str, since: Instant) -> None:
        """The pair's snapshot came due again and again since then, and none has succeeded."""
        reason = f"the snapshot of {pair} has not succeeded for {(self._clock.now() - since) // 1000} s"
        remedy = f"`twoway cycles {pair}` says why; until one succeeds, deletions may go unseen"
        await self._trouble(Trouble.STALLED, pair, reason, remedy, since=since, part=_SNAPSHOT)

    def snapshot_is_fresh(self, pair: str) -> None:
        """The pair's snapshot is no longer stalled."""
        self.alerts.clear(Condition(Trouble.STALLED, pair, _SNAPSHOT))

    def _wait(self, pair: str, reason: str) -> None:
        if self._waiting.get(pair) != reason:
            self._waiting[pair] = reason
            _log.info("waiting", pair=pair, reason=reason)

    async def _app_failed(self, pair: str, error: ConnectorError, cycle: int | None) -> None:
        account, reason, remedy = error.account, error.message, error.remedy
        if isinstance(error, AccountRefused) and account is not None:
            _log.warning("failed", pair=pair, cycle=cycle, account=account, reason=reason, remedy=remedy)
            await self._alert(Condition(Trouble.ACCOUNT_REFUSED, account), reason, remedy)
        elif isinstance(error, TryLater):
            # It passes by itself; where it does not, the pair is stalled before long.
            _log.warning("failed", pair=pair, cycle=cycle, account=account, reason=reason, remedy=remedy)
        else:
            await self._trouble(Trouble.FAILING, pair, reason, remedy, cycle=cycle, account=account)

    async def _unexpected(self, pair: str, error: Exception) -> None:
        """A fault of ours. Its message is left out: it may quote a customer's value."""
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        places = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        _log.error("unexpected", pair=pair, kind=type(error).__name__, places=places)
        reason = f"unexpected: {type(error).__name__} in {places[-1] if places else 'an unknown place'}"
        await self._alert(
            Condition(Trouble.FAILING, pair), reason, "This is a fault of twoway: report it with the log's line"
        )

    async def _trouble(
        self,
        trouble: Trouble,
        pair: str,
        reason: str,
        remedy: str,
        *,
        since: Instant | None = None,
        part: str = "",
        **more: int | str | None,
    ) -> None:
        condition = Condition(trouble, pair, part)
        if condition not in self.alerts.told:
            told = {name: value for name, value in more.items() if value is not None}
            _log.warning(trouble.value, pair=pair, reason=reason, remedy=remedy, **told)
        await self._alert(condition, reason, remedy, since)

    async def _alert(self, condition: Condition, reason: str, remedy: str, since: Instant | None = None) -> None:
        began = self._clock.now() if since is None else since
        await self.alerts.report(condition, reason=reason, since=began, remedy=remedy)


def _named(count: str, mapping: Mapping) -> str:
    """`created right` as `created_newsletter`, or as `created_newsletter_right` where both sides are in one account."""
    verb, _, side = count.rpartition(" ")
    if side not in set(Side):
        return count
    account = mapping.side(Side(side)).account
    return f"{verb}_{account}" if account != mapping.side(Side(side).other).account else f"{verb}_{account}_{side}"
