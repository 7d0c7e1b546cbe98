"""Deliberate faults of creating: answers that were lost, second records, and what is looked up."""

# ruff: noqa: SLF001 - a fault is planted just where the engine keeps things to itself

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from twoway.core.model import Kind, Receipt, Side
from twoway.core.plan import State
from twoway.core.rules import OnEditedDelete
from twoway.engine import apply, cycle, decide, receipts, recover
from twoway.engine.run import Run, Tuning
from twoway.ports import Consistency
from twoway.sdk.errors import ConnectorError
from twoway.state.rows import Observation, StagedOperation
from twoway.testing import simulator
from twoway.testing.planted import Fault
from twoway.testing.planted_ways import (
    LOSING,
    NAMELESS,
    answering,
    answering_later,
    around,
    instead,
    lively,
    narrow,
)

UNEDITED: Final[Mapping[str, Any]] = {"edited_delete": OnEditedDelete.EDIT}
SEARCHED: Final[Mapping[str, Any]] = {"manner_find": Consistency.LAGGING, "manner_find_fields": frozenset({"email"})}
FINDLESS: Final[Mapping[str, Any]] = {**NAMELESS, "fault_share": 2.0, "faults": 8}
"""The same where histories are long."""


def resent(_before: Any, run: Run, _side: Side, creates: Sequence[StagedOperation], **_more: Any) -> None:
    for operation in creates:
        recover._again(run, operation)


def by_address(_before: Any, run: Run, side: Side, creates: Sequence[StagedOperation], **_more: Any) -> None:
    """Whoever has the address by now is taken for what was sent; if nobody has, it is sent again."""
    for operation in creates:
        keys = run.mapping(side).keys(operation.edit.changed)
        found = run.store.links.holders(run.pair.id, [(n, key) for n, key in enumerate(keys) if key is not None])
        same = [one for group in found.values() for one in group if one.side is side and one.standing == "free"]
        if same:
            recover._adopt_own(run, operation, same[0].id)
        else:
            recover._again(run, operation)


async def by_search(run: Run) -> None:
    """Whether an unknown create landed is asked of the app's search, and at once."""
    for operation in run.store.operations.in_state(run.pair.id, State.UNKNOWN):
        if operation.edit.kind is not Kind.CREATE:
            if recover._is_ripe(run, operation):
                await recover._written(run, operation)
            continue
        address = operation.edit.changed["email"]
        ids = (await run.app(operation.side).find("email", [address]))[address]
        with run.commit("looked up"):
            if ids:
                recover._adopt_own(run, operation, ids[0])
            else:
                recover._again(run, operation)


def never_in_doubt(_before: Any, run: Run, operation: StagedOperation, _born: Sequence[Observation]) -> None:
    recover._again(run, operation)


async def nothing_sent(run: Run, side: Side, writes: Sequence[Any]) -> Any:
    try:
        return await run.app(side).apply(writes), None
    except ConnectorError as error:
        return [Receipt.later(error.message)] * len(writes), error


def never_landed(_before: Any, run: Run, operation: StagedOperation) -> None:
    receipts._close_undone(run, operation, State.SUPERSEDED, "no answer")


CREATING: Final = (
    Fault(
        "a record is created anew without a match",
        "rule 5",
        "double",
        answering(decide, "_is_there_already", False),
        lively(
            "name", deletes=True, addresses=6, manner_unique=frozenset(), manner_find=Consistency.NONE, spec=UNEDITED
        ),
    ),
    Fault(
        "what was born since is taken for new",
        "rule 6, complaint 2",
        "two counterparts",
        answering(decide, "_may_be_ours", False),
        lively("name", **{**FINDLESS, "faults": 10}, manner_request_lifetime=30_000, manner_created_times=True),
    ),
    Fault(
        "an unknown create is sent again",
        "rule 7, complaint 1",
        "two counterparts",
        around(recover, "_among_the_born", resent),
        narrow("name", **NAMELESS),
    ),
    Fault(
        "an unknown create is looked up by its address",
        "rule 7, complaint 4",
        "overwritten",
        around(recover, "_among_the_born", by_address),
        lively("name", **FINDLESS, crash_share=0.0),
    ),
    Fault(
        "whether it exists is decided by a search that lags",
        "rule 7, complaint 3",
        "two counterparts",
        instead(recover, "look_up", by_search),
        lively("name", **{**FINDLESS, **SEARCHED}, manner_lag=30_000),
    ),
    Fault(
        "what may be ours is made once more",
        "rule 18, complaint 1",
        "two counterparts",
        around(recover, "_set_all_aside", never_in_doubt),
        narrow("name", **NAMELESS, manner_created_times=False),
    ),
    Fault(
        "it is looked up before it can have landed",
        "rule 8",
        "two counterparts",
        answering(recover, "_is_ripe", True),
        lively("name", **FINDLESS, manner_request_lifetime=60_000, edit_share=0.1),
    ),
    Fault(
        "the clocks are trusted",
        "rule 7, complaint 20",
        "two counterparts",
        instead(simulator, "Tuning", partial(Tuning, skew=0)),
        narrow("name", **NAMELESS, manner_created_times=True, manner_skew=-45_000),
    ),
    Fault(
        "no look for a second record before a create",
        "rule 10, rule 18",
        "double",
        answering_later(cycle, "_before_creating"),
        lively("name", addresses=5, manner_unique=frozenset(), manner_find=Consistency.NONE),
    ),
    Fault(
        "an answer that is lost is a no",
        "complaint 1",
        "two counterparts",
        around(receipts, "lose", never_landed),
        LOSING,
    ),
    Fault(
        "a request that is lost was not sent",
        "complaint 1",
        "two counterparts",
        instead(apply, "_send", nothing_sent),
        lively("name", **FINDLESS),
    ),
)
