"""Two apps in memory, a clock, a state in memory and the real engine between them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from twoway.core.mapping import Mapping as Compiled
from twoway.core.mapping import compile_mapping
from twoway.core.model import Side, Value
from twoway.core.rules import Start
from twoway.core.spec import FieldSpec, Location, MappingSpec, SideSpec
from twoway.engine.app import App
from twoway.engine.cycle import Kind, Report, run_cycle
from twoway.engine.run import PairContext, Tuning
from twoway.ports import Connector, FaultPoint, no_fault
from twoway.state.pairs import Status
from twoway.state.store import Store
from twoway.testing.clock import VirtualClock
from twoway.testing.memory import Manner, MemoryApp, MemoryConnector

FIELDS = ("email", "name", "phone")


def plain_spec(fields: Sequence[str] = FIELDS, *, start: Start = Start.REVIEW) -> MappingSpec:
    """A mapping of equally named text fields, matched by the first of them, with nothing forbidden but deletes."""
    return MappingSpec(
        pair="here-there",
        left=SideSpec(account="here", collection="records"),
        right=SideSpec(account="there", collection="records"),
        start=start,
        match=((fields[0],),),
        fields=tuple(FieldSpec(name=name, left=Location(path=name), right=Location(path=name)) for name in fields),
    )


class World:
    """A pair at work. `left` and `right` are the apps; `fault` is called at every fault point.

    `fields` are the names that both apps have, or each of them. An app is named after its account; where both sides are
    in one account, by the side as well. `mapping` is `spec`, if it was compiled before.
    """

    def __init__(
        self,
        spec: MappingSpec | None = None,
        *,
        manners: Mapping[Side, Manner] | None = None,
        fields: Sequence[str] | Mapping[Side, Sequence[str]] = FIELDS,
        fault: FaultPoint = no_fault,
        path: str = ":memory:",
        tuning: Tuning | None = None,
        settle: int = 0,
        connect: Callable[[MemoryApp], Connector] = MemoryConnector,
        mapping: Compiled | None = None,
    ) -> None:
        self._connect = connect
        self.clock = VirtualClock()
        by_side = fields if isinstance(fields, Mapping) else dict.fromkeys(Side, fields)
        self.spec = spec or plain_spec(by_side[Side.LEFT])
        self.fault = fault
        self.settle = settle
        self.tuning = tuning or Tuning(retry=60_000, skew=0)
        manners = manners or {}
        self.apps = {
            side: MemoryApp(name, by_side[side], self.clock, manners.get(side)) for side, name in self._names().items()
        }
        self.left, self.right = self.apps[Side.LEFT], self.apps[Side.RIGHT]
        self.store = Store(path, "sim", fault=self._point)
        self._mapping = mapping or compile_mapping(self.spec)
        self.start()

    def _names(self) -> dict[Side, str]:
        names = {side: self.spec.side(side).account for side in Side}
        return {side: f"{name} {side}" for side, name in names.items()} if len(set(names.values())) == 1 else names

    def _point(self, name: str) -> None:
        self.fault(name)

    def start(self, spec: MappingSpec | None = None) -> None:
        """What a process does when it starts; with another mapping, if one is given."""
        if spec is not None:
            self.spec, self._mapping = spec, compile_mapping(spec)
        row = self.store.pairs.ensure(self.spec.pair)
        self.pair = PairContext(
            id=row.id,
            name=row.name,
            mapping=self._mapping,
            apps={
                side: App(self._connect(self.apps[side]), self.apps[side].name, side, self.clock, self._point)
                for side in Side
            },
            settle=self.settle,
            tuning=replace(self.tuning),
        )

    async def cycle(self, kind: Kind = Kind.INCREMENTAL, *, after: float = 5.0) -> Report:
        """Let some seconds pass, then run one cycle."""
        self.clock.advance(after)
        lease = self.store.pairs.take(self.pair.id, "world", self.clock.now())
        return await run_cycle(self.pair, self.store, self.clock, lease, kind)

    def approve(self) -> None:
        """A person lets the held plan pass."""
        self.store.pairs.approve(self.pair.id)
        self.store.pairs.set_status(self.pair.id, Status.ACTIVE)

    def decide(self, conflict: int, value: Value) -> None:
        """A person decides a conflict: both sides are to hold this value."""
        row = self.store.attention.conflicts(conflict=conflict)[0]
        with self.store.commit("decide by hand"):
            assert self.store.attention.decide(row, value, self.clock.now())  # noqa: S101 - it was just read
            records = [(Side.LEFT, row.left_id), (Side.RIGHT, row.right_id)]
            self.store.observations.wait(self.pair.id, records, self.clock.now())
