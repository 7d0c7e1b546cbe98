"""What a connector says when something goes wrong on the way: nothing is concluded that the app did not say."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from twoway.core.model import Absence, Kind, Outcome, Presence, Record, Write
from twoway.ports import Consistency
from twoway.sdk.errors import AccountRefused, ConnectorError, TellUser, TryLater
from twoway.testing.contract.bench import RETRY_AFTER, Bench, Setup, Trouble
from twoway.testing.contract.trial import Trial, check, expect

_NOT_DONE = frozenset(
    {Trouble.LOST_REQUEST, Trouble.BUSY, Trouble.BUSY_UNTOLD, Trouble.BROKEN, Trouble.PAGE, Trouble.LOGIN_REVOKED}
)
_EXPECTED: dict[Trouble, tuple[type[ConnectorError], ...]] = {
    Trouble.LOST_REQUEST: (TryLater,),
    Trouble.LOST_ANSWER: (TryLater,),
    Trouble.BUSY: (TryLater,),
    Trouble.BUSY_UNTOLD: (TryLater,),
    Trouble.BROKEN: (TryLater,),
    Trouble.BROKEN_AFTER: (TryLater,),
    Trouble.PAGE: (TellUser,),
    Trouble.TRUNCATED: (TellUser,),
    Trouble.LOGIN_REVOKED: (AccountRefused,),
}
"""What a read that meets nothing but this trouble must raise."""


class FaultContract:
    """Faults between the connector and its app."""

    @check
    async def test_a_wrong_login_is_the_accounts_matter(self, trial: Trial) -> None:
        if Setup.WRONG_LOGIN in trial.bench.setups:
            for name, call in (await _calls(trial, Setup.WRONG_LOGIN)).items():
                await _expect_error(trial, name, call, (AccountRefused,), "a login that the app does not know")

    @check
    async def test_a_wrong_address_is_told_to_the_user(self, trial: Trial) -> None:
        if Setup.WRONG_ADDRESS in trial.bench.setups:
            for name, call in (await _calls(trial, Setup.WRONG_ADDRESS)).items():
                await _expect_error(trial, name, call, (TellUser,), "an address where another program answers")

    @pytest.mark.parametrize("trouble", list(Trouble))
    def test_a_read_that_meets_trouble_says_which(self, bench: Bench, trouble: Trouble) -> None:
        """A trouble that does not end is named for what to do next, and never taken for an empty answer."""
        _reads_in_trouble(trouble)(self, bench)

    @pytest.mark.parametrize("trouble", list(Trouble))
    def test_a_write_that_meets_trouble_says_what_became_of_it(self, bench: Bench, trouble: Trouble) -> None:
        """Whatever happens to the request or its answer, receipts and errors agree with what the app stores."""
        _writes_in_trouble(trouble)(self, bench)

    @pytest.mark.parametrize("trouble", list(Trouble))
    def test_trouble_in_the_middle_of_a_batch_is_told_for_each_write(self, bench: Bench, trouble: Trouble) -> None:
        """Where a batch takes several requests, and one of them fails, the others keep their outcomes."""
        _batches_in_trouble(trouble)(self, bench)

    @check
    async def test_a_rate_limit_is_waited_for(self, trial: Trial) -> None:
        bench = trial.bench
        record_id = trial.person()
        await trial.read(record_id)
        for trouble in sorted({Trouble.BUSY, Trouble.BUSY_UNTOLD} & bench.troubles):
            before = bench.now()
            bench.trouble(trouble)
            try:
                await trial.read(record_id)
            except TryLater as error:
                waited = error.after or 0.0
            else:
                waited = (bench.now() - before) / 1000
            bench.calm()
            least = RETRY_AFTER if trouble is Trouble.BUSY else 0
            expect(
                waited >= least,
                "After a 429 with Retry-After the connector must wait as long by its clock, or raise `TryLater` with"
                " `after`: who comes back too early is locked out.",
                f"{waited} s",
            )

    @check
    async def test_a_call_that_is_cancelled_leaves_the_connector_usable(self, trial: Trial) -> None:
        field = await trial.plain_field()
        ids = trial.people(3)
        connector = trial.connector

        def calls(text: str) -> list[Callable[[], Awaitable[object]]]:
            return [
                lambda: connector.snapshot(None),
                lambda: connector.fetch(ids[:1]),
                lambda: connector.apply([trial.edit(ids[1], {field: text})]),
            ]

        for moments in range(0, 24, 2):
            for call in calls(f"cancelled after {moments}"):
                task = asyncio.ensure_future(call())
                for _ in range(moments):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        found = await trial.fetch(ids)
        expect(
            all(isinstance(answer, Record) for answer in found.values()),
            "A call that is cancelled must give back what it held (turns, locks, connections): the daemon stops calls"
            " that take too long, and goes on.",
        )
        trial.bench.advance(90)
        (receipt,) = await trial.apply(trial.edit(ids[2], {field: "afterwards"}))
        expect(receipt.outcome is Outcome.DONE, "After a cancelled write the next one must be carried out.", receipt)

    @check
    async def test_calls_at_the_same_time_do_not_disturb_each_other(self, trial: Trial) -> None:
        field = await trial.plain_field()
        ids = trial.people(6)
        reads = asyncio.gather(*(trial.connector.fetch([record_id]) for record_id in ids))
        pages = asyncio.gather(trial.connector.snapshot(None), trial.connector.snapshot(None))
        writes = asyncio.gather(
            *(trial.connector.apply([trial.edit(one, {field: f"text {at}"})]) for at, one in enumerate(ids))
        )
        found, _, _ = await asyncio.gather(reads, pages, writes)
        told = [answer.id for answers in found for answer in answers.values()]
        expect(told == ids, "Calls at the same time must each have their own answers.", told)
        stored = await trial.fetch(ids)
        expect(
            [getattr(stored[one], "values", {}).get(field) for one in ids] == [f"text {at}" for at in range(len(ids))],
            "Writes at the same time must each have their own effect.",
        )


async def _calls(trial: Trial, setup: Setup) -> dict[str, Callable[[], Awaitable[object]]]:
    """One call of each method that asks the app, each by a connector of its own."""
    cursor = None if trial.caps.feed is Consistency.NONE else await trial.now()
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "check": lambda: trial.open(setup=setup).check(),
        "snapshot": lambda: trial.open(setup=setup).snapshot(None),
        "fetch": lambda: trial.open(setup=setup).fetch([trial.bench.missing_id()]),
        "apply": lambda: trial.open(setup=setup).apply([trial.creation()]),
    }
    if cursor is not None:
        calls["changes"] = lambda: trial.open(setup=setup).changes(cursor)
    return calls


async def _expect_error(
    trial: Trial,
    name: str,
    call: Callable[[], Awaitable[object]],
    wanted: tuple[type[ConnectorError], ...],
    what: str,
    trouble: Trouble | None = None,
) -> None:
    names = " or ".join(error.__name__ for error in wanted)
    try:
        answer = await call()
    except ConnectorError as error:
        expect(
            isinstance(error, wanted),
            f"`{name}` that meets {what} must raise {names}: errors are named for what the engine does next.",
            error,
        )
        _expect_discreet(trial, error)
        expect(
            trouble is not Trouble.BUSY or (isinstance(error, TryLater) and bool(error.after)),
            "A 429 with Retry-After that does not end must be a `TryLater` that tells the time, as `after`.",
            error,
        )
        return
    expect(
        _says_nothing(answer), f"`{name}` that meets {what} must raise {names}, and never give an answer of it.", answer
    )


def _says_nothing(answer: object) -> bool:
    """Whether this is a fetch that answers of each record that nothing can be told."""
    found = list(answer.values()) if isinstance(answer, dict) else [answer]
    return all(isinstance(each, Absence) and each.presence is Presence.UNKNOWN for each in found)


def _expect_discreet(trial: Trial, error: ConnectorError) -> None:
    trial.keep_secrets("The message of an error", f"{error} {error.remedy}")


def _reads_in_trouble(trouble: Trouble) -> Callable[[object, Bench], None]:
    async def body(_self: object, trial: Trial) -> None:
        if trouble not in trial.bench.troubles:
            return
        record_id = trial.person()
        trial.settle()
        cursor = await trial.now() if trial.caps.feed is not Consistency.NONE else None
        await trial.snapshot()
        await trial.fetch([record_id])
        reads: dict[str, Callable[[], Awaitable[object]]] = {
            "check": trial.connector.check,
            "snapshot": lambda: trial.connector.snapshot(None),
            "fetch": lambda: trial.connector.fetch([record_id]),
        }
        if cursor is not None:
            reads["changes"] = lambda: trial.connector.changes(cursor)
        for name, read in reads.items():
            trial.bench.trouble(trouble, times=0)
            what = f"nothing but the trouble `{trouble.value}`"
            await _expect_error(trial, name, read, _EXPECTED[trouble], what, trouble)
            trial.bench.calm()
            trial.bench.advance(120)
        await trial.read(record_id)

    return check(body)


async def _prepared(trial: Trial, kind: Kind, count: int) -> list[Write]:
    """Writes of one kind, after one of the same kind that went well: caches are warm."""
    field = await trial.plain_field()
    warm, *ids = [trial.person() for _ in range(count + 1)]
    trial.bench.advance(90)

    def write(record_id: str, text: str) -> Write:
        if kind is Kind.CREATE:
            return trial.creation()
        return trial.edit(record_id, {field: text}) if kind is Kind.UPDATE else trial.removal(record_id, kind)

    await trial.done(write(warm, "warm"))
    return [write(record_id, f"written {at}") for at, record_id in enumerate(ids)]


def _writes_in_trouble(trouble: Trouble) -> Callable[[object, Bench], None]:
    async def body(_self: object, trial: Trial) -> None:
        if trouble not in trial.bench.troubles:
            return
        for kind in sorted(trial.caps.kinds):
            for times in (1, 0):
                writes = await _prepared(trial, kind, 1)
                trial.bench.trouble(trouble, writes=True, times=times)
                verdict = await trial.tried(*writes)
                trial.bench.advance(120)
                if verdict.error is not None:
                    _expect_discreet(trial, verdict.error)
                if times == 0 and trouble in _NOT_DONE:
                    expect(verdict.landed == 0, "The bench's trouble must keep a write from being done.")
                if times == 0 and trouble is Trouble.LOGIN_REVOKED:
                    told = verdict.error is None and verdict.receipts[0].outcome is Outcome.LATER
                    expect(
                        isinstance(verdict.error, AccountRefused) or told,
                        "A write that is refused for the login must raise `AccountRefused`: a person must renew it.",
                        (verdict.error, verdict.receipts),
                    )

    return check(body)


def _batches_in_trouble(trouble: Trouble) -> Callable[[object, Bench], None]:
    async def body(_self: object, trial: Trial) -> None:
        if trouble not in trial.bench.troubles:
            return
        for kind in sorted(trial.caps.kinds):
            if trial.batch(kind) < 4:
                continue
            for skip in (0, 1):
                writes = await _prepared(trial, kind, min(12, trial.batch(kind)))
                trial.bench.trouble(trouble, writes=True, times=0, skip=skip)
                await trial.tried(*writes)
                trial.bench.advance(120)

    return check(body)
