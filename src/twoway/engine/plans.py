"""A dry run: what the next cycle would write, told from a copy of the state that is thrown away.

It reads both apps for real, moves no cursor, and leaves nothing that a later cycle would trust.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twoway.core.model import Side, Value
from twoway.engine.cycle import Kind, Report, run_cycle
from twoway.engine.run import PairContext
from twoway.ports import Clock
from twoway.state.attention import ConflictRow, ParkedRow
from twoway.state.rows import StagedOperation
from twoway.state.store import Store


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One write. `changes` holds (stored now, to be stored), by field; `rules` why, by field or for the whole (`*`)."""

    side: Side
    kind: str
    record_id: str | None
    counterpart_id: str | None
    changes: Mapping[str, tuple[Value, Value]]
    rules: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cycle would do. `lines` are the first of its writes, `more` says how many are not listed."""

    report: Report
    lines: tuple[PlanLine, ...]
    more: int
    conflicts: tuple[ConflictRow, ...]
    parked: tuple[ParkedRow, ...]
    matched: int = 0
    links_before: int = 0
    ending: int = 0
    """The links that would end while a record of theirs lives on."""
    names: Mapping[Side, str] = field(default_factory=dict)

    @property
    def pending(self) -> bool:
        """Whether there is anything to do."""
        return self.report.totals.writes > 0 or self.ending > 0


async def dry_run(pair: PairContext, store: Store, clock: Clock, kind: Kind, *, limit: int = 200) -> Plan:
    """Plan a cycle on a copy of the state."""
    with tempfile.TemporaryDirectory(prefix="twoway-plan-") as folder:
        path = Path(folder) / "plan.db"
        store.db.copy_to(path)
        copy = Store(path, store.uid)
        try:
            before = copy.links.count(pair.id)
            report = await run_cycle(pair, copy, clock, None, kind, write=False)
            first, found = copy.operations.waiting(report.cycle, limit)
            return Plan(
                report,
                tuple(map(line, first)),
                found - len(first),
                tuple(copy.attention.conflicts(pair.id)),
                tuple(copy.attention.parked(pair.id)),
                report.counts.get("linked", 0),
                before,
                report.counts.get("to_end", 0),
                pair.names(),
            )
        finally:
            copy.close()


def line(operation: StagedOperation) -> PlanLine:
    """An operation as people read it."""
    edit = operation.edit
    names = sorted({*edit.changed, *edit.expect})
    changes = {name: (edit.expect.get(name), edit.changed.get(name)) for name in names}
    return PlanLine(operation.side, edit.kind.value, operation.record_id, operation.counterpart_id, changes, edit.rules)
