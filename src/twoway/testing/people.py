"""What people do in a simulated history: in either app, at any instant, and at twoway itself.

Each act is drawn from its own number, so that leaving one out changes nothing of what the others do.
"""

import random
from collections.abc import Callable

from twoway.core.model import Instant, Raw, RawValues, Side, Value
from twoway.core.plan import State
from twoway.core.raw import Invalid
from twoway.core.rules import Shape
from twoway.engine import byhand
from twoway.engine.undo import plan_undo
from twoway.state.attention import ConflictRow
from twoway.state.operations import Staging
from twoway.testing.memory import DuplicateKey, MemoryApp, RefusedValue
from twoway.testing.samples import Drawn, Odd, settled
from twoway.testing.scenarios import History

Say = Callable[[str], None]
_MERGED = (Shape.SET, Shape.CONSENT)
"""Shapes of which a person changes what is there, rather than enter a new value."""


class People:
    """Those who edit, and those who look after twoway. `say` adds a line to the trace."""

    def __init__(self, found: History, say: Say) -> None:
        self._found = found
        self._scenario = found.scenario
        self._world = found.world
        self._samples = found.samples
        self._sides = {app.name: side for side, app in found.world.apps.items()}
        self._say = say
        self._count = 0
        self.edits = 0
        """How many there were."""
        self.undo: tuple[int, tuple[Staging, ...]] | None = None
        """The cycle that somebody is about to take back, as it was shown to them."""
        self._shown: dict[tuple[int, str], ConflictRow] = {}
        """Conflicts by link and field, as somebody saw them first."""

    # -- in the apps

    def edit(self) -> None:
        """One person does one thing in one of the apps."""
        self.edits += 1
        if f"e{self.edits}" in self._scenario.without:
            return
        # Nobody edits in the very millisecond in which a record was made.
        self._world.clock.advance(0.002)
        rng = random.Random(f"{self._scenario.seed}-e{self.edits}")
        for _ in range(5):
            app = self._world.apps[rng.choice(tuple(Side))]
            before = len(app.log)
            try:
                self._act(rng, app)
            except (DuplicateKey, RefusedValue, Invalid):
                continue
            if len(app.log) > before:
                self._found.tally["edits"] += 1
                return

    def _act(self, rng: random.Random, app: MemoryApp) -> None:
        live = sorted(app.live())
        dice = rng.random()
        if not live or dice < 0.16:
            self._create(rng, app)
        elif dice < 0.7:
            self._change(rng, app, rng.choice(live))
        elif dice < 0.78:
            if self._scenario.deletes:
                app.human_delete(rng.choice(live))
        elif dice < 0.84:
            if self._scenario.merges and app.manner.merges and len(live) > 1:
                self._merge(app, *rng.sample(live, 2))
        elif dice < 0.88:
            self._restore(rng, app)
        else:
            self._cross(rng, app, rng.choice(live))

    def _create(self, rng: random.Random, app: MemoryApp) -> None:
        side, samples = self._sides[app.name], self._samples
        raw: dict[str, Raw] = {}
        known = self._somebody(rng, side.other)
        for name in samples.mapped:
            value = self._value(rng, name)
            raw |= samples.put(side, name, known.get(name, value), raw)
        raw |= samples.strays(rng, side, self._count, raw)
        if samples.moves(side, into=False):
            into = rng.random() < 0.8
            if samples.is_in(side, raw) is not into:
                raw |= self._moved(rng, side, raw, into=into)
        app.create("human", raw)

    def _somebody(self, rng: random.Random, side: Side) -> dict[str, Value]:
        """The keys of somebody whom the other app has: under a mapping that creates nothing only these are linked."""
        live = sorted(self._world.apps[side].live())
        if self._scenario.subject is None or not live or rng.random() < 0.6:
            return {}
        here, chosen = self._world.pair.mapping.side(side), self._world.apps[side].records[rng.choice(live)]
        values = here.decode(chosen.values).values
        return {name: values[name] for name in sorted(self._samples.keys) if values.get(name) is not None}

    def _moved(self, rng: random.Random, side: Side, current: RawValues, *, into: bool) -> dict[str, Raw]:
        """What brings a record that holds `current` into the scope, or out of it."""
        raw: dict[str, Raw] = {}
        if known := self._samples.moves(side, into=into):
            for name, value in rng.choice(known).items():
                raw |= self._samples.put(side, name, value, {**current, **raw})
        return raw

    def _cross(self, rng: random.Random, app: MemoryApp, record_id: str) -> None:
        """Somebody takes a record out of the scope, or back into it; where all are in, something else changes."""
        side, current = self._sides[app.name], app.records[record_id].values
        into = not self._samples.is_in(side, current)
        raw = self._moved(rng, side, current, into=into)
        self._count += 1
        app.update("human", record_id, raw or self._samples.stray(rng, side, self._count, current))

    def _change(self, rng: random.Random, app: MemoryApp, record_id: str) -> None:
        side, samples = self._sides[app.name], self._samples
        current = app.records[record_id].values
        name = rng.choice((*samples.mapped, samples.favourite, None, *samples.aside[side]))
        if name is None:
            self._count += 1
            raw = samples.stray(rng, side, self._count, current)
        elif samples.shape(name) in _MERGED:
            now = self._world.pair.mapping.side(side).decode(current).values.get(name)
            raw = samples.put(side, name, self._value(rng, name, now), current)
        else:
            raw = self._entered(rng, app, record_id, name)
        app.update("human", record_id, raw)

    def _entered(self, rng: random.Random, app: MemoryApp, record_id: str, name: str) -> dict[str, Raw]:
        """A new value, one that the record held before, or none."""
        side, samples = self._sides[app.name], self._samples
        current, apps = app.records[record_id].values, samples.apps[side][name]
        old = self._past(app, record_id, apps)
        if old and rng.random() < 0.2:
            return rng.choice(old)
        if self._scenario.blanks and name not in samples.keys and rng.random() < 0.2:
            return samples.put(side, name, None, current)
        raw = samples.put(side, name, self._value(rng, name), current)
        if len(raw) > 1 and rng.random() < 0.3:
            # Of a name that is kept in two fields people change the one alone, too.
            one = rng.choice(sorted(raw))
            return {one: raw[one]}
        return raw

    def _past(self, app: MemoryApp, record_id: str, apps: tuple[str, ...]) -> list[dict[str, Raw]]:
        """What the record held in these fields before it was changed, each time."""
        found = []
        for change in app.log:
            if change.id == record_id:
                old = {name: change.fields[name][0] for name in apps if name in change.fields}
                if any(old.values()):
                    found.append(old)
        return found

    def _value(self, rng: random.Random, name: str, now: Value = None) -> Drawn:
        self._count += 1
        return self._samples.draw(rng, name, self._count, self._scenario.addresses, now)

    def _merge(self, app: MemoryApp, loser: str, survivor: str) -> None:
        app.human_merge(loser, survivor)
        apps = self._samples.apps[self._sides[app.name]][self._samples.favourite]
        app.update("human", survivor, {name: app.records[loser].values.get(name) for name in apps})

    def _restore(self, rng: random.Random, app: MemoryApp) -> None:
        dead = [record for record in app.records.values() if not record.alive]
        if not dead:
            return
        record = rng.choice(dead)
        if not app.has_key(record.values, besides=record.id):
            app.human_restore(record.id)

    # -- at twoway, while it works

    def at_any_time(self, rng: random.Random) -> None:
        """A verdict on a conflict, or another try for what was set aside: neither waits for a cycle to end."""
        store, pair, now = self._world.store, self._world.pair, self._world.clock.now()
        rows = [row for row in store.attention.conflicts(pair.id) if row.state == "open"]
        for row in rows:
            self._shown.setdefault((row.link, row.field), row)
        if rng.random() < 0.75:
            if not rows:
                return
            row = self._as_shown(rng.choice(rows))
            choices = [row.left, row.right, *self._third(rng, row.field)]
            self._decide(row, rng.choice(choices), now)
        elif parked := store.attention.parked(pair.id):
            one = rng.choice(parked)
            if rng.random() < 0.5:
                byhand.retry(store, pair.id, now)
                self._say("RETRY of all")
            else:
                if one.code in ("in doubt", "merged"):
                    # The process may die as soon as that is asked for.
                    self._found.freed.add(one.record_id)
                byhand.retry(store, pair.id, now, one.side, one.record_id)
                self._say(f"RETRY of {one.record_id}, set aside as {one.code}")
        self._found.tally["by hand"] += 1

    def _as_shown(self, row: ConflictRow) -> ConflictRow:
        """The conflict, half of the time as somebody saw it first: by now it may be another."""
        first = self._shown[row.link, row.field]
        rng = random.Random(f"{self._scenario.seed}-v{len(self._found.verdicts)}")
        return first if rng.random() < 0.5 else row

    def _decide(self, row: ConflictRow, value: Value, now: Instant) -> None:
        del self._shown[row.link, row.field]
        # The process may die as soon as it is decided.
        self._found.verdicts.append((row.field, value))
        try:
            byhand.resolve(self._world.store, row, value, now)
        except byhand.CannotBeDone as error:
            self._found.verdicts.pop()
            self._say(f"cannot decide on {row.left_id} {row.right_id}: {error}")
            return
        self._say(f"VERDICT on {row.left_id} {row.right_id}: {row.field} = {value}")

    def _third(self, rng: random.Random, name: str) -> list[Value]:
        """A value that neither side holds, for a field in conflict, if there is one that both apps take as it is."""
        if self._samples.shape(name) in _MERGED or name in self._samples.keys:
            return []
        value = self._value(rng, name)
        if isinstance(value, Odd):
            return []
        value = value.rstrip("+!") if isinstance(value, str) else value
        return [value] if settled(self._samples, self._world.pair.mapping, name, value) == value else []

    # -- at twoway, between its cycles: what needs the lease

    def between(self, rng: random.Random) -> None:
        """A link made or removed by hand, or a plan to take a cycle back."""
        dice = rng.random()
        if dice < 0.7:
            self._plan_undo(rng)
        elif dice < 0.8:
            self._unlink(rng)
        else:
            self._link(rng)

    def _plan_undo(self, rng: random.Random) -> None:
        world = self._world
        rows = world.store.db.run(
            "SELECT DISTINCT cycle FROM operation WHERE state = ? ORDER BY cycle", (State.DONE.value,)
        ).fetchall()
        if not rows:
            return
        cycle = int(rng.choice(rows[-4:])[0])
        plan = plan_undo(world.pair, world.store, cycle)
        if plan.staging:
            self.undo = (cycle, plan.staging)
            self._say(f"is shown the undo of cycle {cycle}: {len(plan.staging)} writes")

    def _unlink(self, rng: random.Random) -> None:
        world = self._world
        rows = world.store.db.run("SELECT left_id FROM link ORDER BY id").fetchall()
        if rows:
            record = str(rng.choice(rows)[0])
            try:
                link = byhand.unlink(world.store, world.pair.id, Side.LEFT, record, world.clock.now())
            except byhand.CannotBeDone as error:
                self._say(f"cannot unlink {record}: {error}")
                return
            self._found.freed.update(link.ids.values())
            self._say(f"UNLINKS {link.ids}")

    def _link(self, rng: random.Random) -> None:
        """Link two records that twoway set aside: what its reasons tell people to do."""
        world = self._world
        aside = world.store.attention.parked(world.pair.id)
        ids = {side: sorted({row.record_id for row in aside if row.side is side}) for side in Side}
        if not all(ids.values()):
            return
        chosen = {side: rng.choice(ids[side]) for side in Side}
        try:
            byhand.link(world.store, world.pair.id, chosen, world.clock.now())
        except byhand.CannotBeDone as error:
            self._say(f"cannot link {chosen}: {error}")
            return
        self._found.freed.update(chosen.values())
        self._say(f"LINKS {chosen}")
