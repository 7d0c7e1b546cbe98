"""What people do in a simulated history: in either app, at any instant, and at twoway itself.

Each act is drawn from its own number, so that leaving one out changes nothing of what the others do.
"""

import random
from collections.abc import Callable

from twoway.core.model import Raw, Side
from twoway.core.plan import State
from twoway.engine import byhand
from twoway.engine.undo import plan_undo
from twoway.state.operations import Staging
from twoway.testing.memory import Change, DuplicateKey, MemoryApp, RefusedValue
from twoway.testing.scenarios import CONSENT, OUT, SEGMENT, TAGS, UNMAPPED, History

Say = Callable[[str], None]
_LABELS = ("a", "b", "c", "d", "e")


class People:
    """Those who edit, and those who look after twoway. `say` adds a line to the trace."""

    def __init__(self, found: History, say: Say) -> None:
        self._found = found
        self._scenario = found.scenario
        self._world = found.world
        self._say = say
        self._count = 0
        self.edits = 0
        """How many there were."""
        self.undo: tuple[int, tuple[Staging, ...]] | None = None
        """The cycle that somebody is about to take back, as it was shown to them."""

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
            except (DuplicateKey, RefusedValue):
                continue
            if len(app.log) > before:
                self._found.tally["edits"] += 1
                return

    def _act(self, rng: random.Random, app: MemoryApp) -> None:
        live = sorted(app.live())
        dice = rng.random()
        if not live or dice < 0.16:
            app.human_create(**{name: self._value(rng, name) for name in self._scenario.mapped})
        elif dice < 0.7:
            self._change(rng, app, rng.choice(live))
        elif dice < 0.78:
            if self._scenario.deletes:
                app.human_delete(rng.choice(live))
        elif dice < 0.84:
            if self._scenario.merges and len(live) > 1:
                self._merge(app, *rng.sample(live, 2))
        elif dice < 0.88:
            self._restore(rng, app)
        else:
            record = rng.choice(live)
            app.human_update(record, **{SEGMENT: None if app.records[record].values.get(SEGMENT) else OUT})

    def _change(self, rng: random.Random, app: MemoryApp, record_id: str) -> None:
        name = rng.choice((*self._scenario.mapped, "name", UNMAPPED))
        if name in (TAGS, CONSENT):
            value = self._value(rng, name, app.records[record_id].values.get(name))
        else:
            old = [old for change in self._past(app, record_id, name) if (old := change.fields[name][0])]
            if old and rng.random() < 0.2:
                value = rng.choice(old)
            elif self._scenario.blanks and name != "email" and rng.random() < 0.2:
                value = None
            else:
                value = self._value(rng, name)
        app.human_update(record_id, **{name: value})

    def _past(self, app: MemoryApp, record_id: str, name: str) -> list[Change]:
        return [change for change in app.log if change.id == record_id and name in change.fields]

    def _value(self, rng: random.Random, name: str, now: Raw = None) -> Raw:
        if name == TAGS:
            flip = set(rng.sample(_LABELS, rng.choice((1, 1, 2))))
            return sorted(set(now or ()) ^ flip) or None
        if name == CONSENT:
            return rng.choice(("in", "in", "out", None) if now is None else ("in", "out"))
        if name == "email":
            return f"e{rng.randint(1, self._scenario.addresses)}@example.org"
        self._count += 1
        return f"{name}{self._count}{rng.choice(('', '', '', '', '+', '+', '!'))}"

    def _merge(self, app: MemoryApp, loser: str, survivor: str) -> None:
        app.human_merge(loser, survivor)
        app.human_update(survivor, name=app.records[loser].values.get("name"))

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
        if rng.random() < 0.75:
            rows = [row for row in store.attention.conflicts(pair.id) if row.state == "open"]
            if not rows:
                return
            row = rng.choice(rows)
            choices = [row.left, row.right]
            if row.field not in (TAGS, CONSENT, "email"):
                choices.append(self._value(rng, row.field).rstrip("+!"))
            value = rng.choice(choices)
            self._found.verdicts.append((row.field, value))
            byhand.resolve(store, row, value, now)
            self._say(f"VERDICT on {row.left_id} {row.right_id}: {row.field} = {value}")
        elif parked := store.attention.parked(pair.id):
            one = rng.choice(parked)
            if rng.random() < 0.5:
                byhand.retry(store, pair.id, now)
                self._say("RETRY of all")
            else:
                byhand.retry(store, pair.id, now, one.side, one.record_id)
                self._say(f"RETRY of {one.record_id}, set aside as {one.code}")
                if one.code in ("in doubt", "merged"):
                    self._found.freed.add(one.record_id)
        self._found.tally["by hand"] += 1

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
            link = byhand.unlink(world.store, world.pair.id, Side.LEFT, record, world.clock.now())
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
