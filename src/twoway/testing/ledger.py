"""What a history left behind, as its judges read it: the apps' own logs, beside what people are shown of the state."""

from collections import defaultdict
from collections.abc import Iterator

from twoway.core.model import Instant, Raw, Side
from twoway.core.rules import FieldRule
from twoway.state.rows import OPERATION_COLUMNS, Link, StagedOperation, operation_row
from twoway.testing.memory import Change, MemoryApp
from twoway.testing.scenarios import OUT, SEGMENT, TAGS, History, trimmed


class Ledger:
    """Read once, after the end."""

    def __init__(self, found: History) -> None:
        self.found = found
        world = found.world
        self.mapped = found.scenario.mapped
        self.rules = world.pair.mapping.rules
        self.apps = world.apps
        rows = world.store.db.run(f"SELECT {OPERATION_COLUMNS} FROM operation p")  # noqa: S608 - a constant
        self.operations: dict[int, StagedOperation] = {row[0]: operation_row(row) for row in rows}
        ids = [row[0] for row in world.store.db.run("SELECT id FROM link")]
        self.links: list[Link] = list(world.store.links.many(ids).values())
        self.kept: set[tuple[Side, str, str, Raw]] = {
            (row.side, row.record_id, row.field, str(row.old))
            for row in world.store.operations.history(pair=world.pair.id, limit=100_000)
        }
        self._of: dict[str, list[Change]] = defaultdict(list)
        for app in world.apps.values():
            for change in app.log:
                self._of[change.id].append(change)

    def rule(self, name: str) -> FieldRule:
        """The rules of a field."""
        return self.rules.fields[name]

    def log(self, record_id: str) -> list[Change]:
        """Everything that ever happened to one record: their ids are unique over both apps."""
        return self._of[record_id]

    def operation(self, change: Change) -> StagedOperation:
        """The row of the plan that one of our writes came from."""
        return self.operations[int((change.operation or "").rsplit("-", 1)[1])]

    def ours(self, side: Side, *kinds: str) -> Iterator[tuple[Change, StagedOperation]]:
        """What we wrote to one app, with its rows of the plan."""
        for change in self.apps[side].log:
            if change.who == "engine" and (not kinds or change.kind in kinds):
                yield change, self.operation(change)

    def began(self, operation: StagedOperation) -> Instant:
        """When the cycle of a write that was sent began to read: what people did later it had not seen."""
        sent = self.found.sent.get(self.found.world.store.marker(operation.id))
        late = max(app.manner.lag + app.manner.resolution for app in self.apps.values()) + self.found.scenario.settle
        return 0 if sent is None else sent.began - late - 1_000

    def edits(self, record_id: str, name: str) -> list[Change]:
        """What people did to one field of one record."""
        return [change for change in self.log(record_id) if change.who == "human" and name in change.fields]

    def ever_held(self, app: MemoryApp, name: str, value: Raw) -> bool:
        """Whether the app ever stored this value in this field."""
        return any(name in change.fields and same(name, change.fields[name][1], value) for change in app.log)

    def unseen(self, app: MemoryApp, change: Change, edit: Change) -> bool:
        """The limit that is documented: an app without conditions, an edit between our last read and our write."""
        return not app.manner.conditional and edit.seq > self.found.sent[change.operation or ""].read

    def in_scope(self, side: Side, record_id: str) -> bool:
        """Whether the record, as it is now, belongs to the pair."""
        mapping = self.found.world.pair.mapping.side(side)
        return mapping.in_scope(mapping.decode(self.apps[side].records[record_id].values).values)

    def was_out(self, record_id: str, until: int) -> bool:
        """Whether the record was ever out of scope, before this instant."""
        return any(c.at <= until and c.fields.get(SEGMENT, (None, None))[1] == OUT for c in self.log(record_id))

    def mark(self, side: Side, record_id: str) -> str | None:
        """Why an unlinked record is not taken for new."""
        world = self.found.world
        found = world.store.links.marks(world.pair.id, side, [record_id]).get(record_id)
        return None if found is None else found.kind


def same(name: str, one: Raw, two: Raw) -> bool:
    """Whether two raw values are one, but for what an app may make of them."""
    return bool(trimmed(name, one) == trimmed(name, two))


def elements(value: Raw) -> set[str]:
    """Those of a set."""
    return set(value) if isinstance(value, list) else set()


def keeps(name: str, old: Raw, new: Raw) -> bool:
    """Whether nothing of an old value is lost in a new one."""
    return elements(old) <= elements(new) if name == TAGS else same(name, old, new)
