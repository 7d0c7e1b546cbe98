"""Reading both sides up to a fixed cut, and keeping what differs from what was last seen.

What differs is stored in the transaction that moves the cursor: from then on nothing can lose it, neither a crash nor
an operation that fails. A listing that may lag only gives hints; hints are fetched by id before they are decided.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from twoway.core.guard import short_listing
from twoway.core.mapping import Decoded
from twoway.core.model import Absence, Fetched, Instant, Page, Presence, Record, Side
from twoway.engine.meanwhile import asked, gather
from twoway.engine.run import Run
from twoway.ports import Consistency
from twoway.sdk.errors import SnapshotNeeded
from twoway.state.observations import Listed
from twoway.state.rows import Observation, receipt_from

Meanwhile = Callable[[Run, Side, Sequence[Observation]], Awaitable[None]]
"""What is done about what a page of a side's feed showed of live records, while the next one is on its way."""


async def _nothing(run: Run, side: Side, seen: Sequence[Observation]) -> None:
    """They wait until all is read."""


async def both_sides(run: Run, *, full: bool, meanwhile: Meanwhile = _nothing) -> None:
    """Pull both sides at the same time. `full` asks for complete listings. Raises the connectors' errors."""
    row = run.store.pairs.get(run.pair.name)
    known = None if full else row
    cursors = {side: None if known is None else known.cursors[side] for side in Side}
    midway = {side: known is not None and known.midway[side] for side in Side}
    await gather(*(_pull(run, side, cursors[side], meanwhile, midway=midway[side]) for side in Side))
    if full and not run.short:
        with run.commit("snapshot done"):
            run.store.pairs.snapshot_done(run.pair.id, run.now)


async def _pull(run: Run, side: Side, cursor: str | None, meanwhile: Meanwhile, *, midway: bool) -> None:
    started = run.now
    if cursor is None or run.app(side).capabilities.feed is Consistency.NONE:
        await _snapshot(run, side)
    else:
        try:
            if midway:
                # What it showed before it was broken off may have changed since, and need not be shown by the rest of
                # it: that is no look at how things are now.
                cursor = await _changes(run, side, cursor, meanwhile, midway=True)
                started = run.now
            await _changes(run, side, cursor, meanwhile, midway=False)
        except SnapshotNeeded:
            await _snapshot(run, side)
    if side not in run.short:
        # What a listing that is not believed does not show may be there all the same.
        run.observed_at[side] = started


async def _changes(run: Run, side: Side, cursor: str, meanwhile: Meanwhile, *, midway: bool) -> str:
    """Read the feed up to its end; where to go on next time. `midway` says that an earlier cycle began this listing.

    From one page to the next an index that lags may go back in time, and a record with it: behind what was read.
    """
    app, settle = run.app(side), run.pair.settle
    lagging = app.capabilities.feed is not Consistency.CONSISTENT
    pages = 1
    page = await app.changes(cursor)
    while not page.last:
        # What is read by id is never older than a page that is stored after it: none is asked for before.
        await _by_version(run, side, page.versions, settle)
        following = page.cursor or cursor
        async with asked(app.changes(following)) as answer:
            seen = _keep_page(run, side, page, (cursor, midway), lagging=lagging)
            # One page is held at a time: from here on it is the next one.
            del page
            await meanwhile(run, side, seen)
            del seen
        cursor, midway, pages = following, True, pages + 1
        page = await answer
    await _by_version(run, side, page.versions, settle)
    _keep_page(run, side, page, (cursor, midway), lagging=lagging)
    _note_complete(run, side, pages, lagging=lagging)
    return page.cursor or cursor


def _keep_page(run: Run, side: Side, page: Page, before: tuple[str, bool], *, lagging: bool) -> Sequence[Observation]:
    """Store a page of the feed and, in the same transaction, where to go on from; `before` is where it was asked for,
    and whether that was in the middle of a listing. Answers what it showed of live records that is known to differ
    from what was last seen.
    """
    seen: Sequence[Observation] = ()
    app = run.app(side)
    news = _news(run, side, page.records, hint=lagging)
    position = page.cursor or before[0], not page.last
    moved = position != before
    if moved or news.changed or news.touched or page.gone or page.merged or page.ids:
        with run.commit(f"observe:{app.account}"):
            seen = _store(run, side, news, hint=lagging, settle=run.pair.settle)
            _absences(run, side, page, lagging=lagging)
            if moved:
                run.store.pairs.set_cursor(run.pair.id, side, position[0], midway=position[1])
    return () if lagging else seen


def _note_complete(run: Run, side: Side, pages: int, *, lagging: bool) -> None:
    """Remember whether this listing can have overlooked nothing."""
    if pages == 1 or not lagging:
        run.complete.add(side)
    else:
        run.complete.discard(side)


async def _snapshot(run: Run, side: Side) -> None:
    """List everything. Only an end that the app itself declares, of a listing that is not short, proves an absence."""
    app, store, pair = run.app(side), run.store, run.pair
    capabilities = app.capabilities
    started = run.now
    ask = capabilities.feed is not Consistency.NONE and not capabilities.snapshot_feed
    feed = (await app.changes(None)).cursor if ask else None
    lagging = capabilities.snapshot is not Consistency.CONSISTENT
    listed = Listed()
    window: list[Record] = []
    cursor: str | None = None
    pages, last = 0, False
    while not last:
        page = await app.snapshot(cursor)
        pages += 1
        feed = page.feed if pages == 1 and capabilities.snapshot_feed else feed
        unread = [*page.versions, *((record_id, "") for record_id in page.ids)]
        listed.add(await _by_version(run, side, unread, 0))
        run.counts[f"listed {side}"] += len(unread)
        window.extend(page.records)
        cursor, last = page.cursor, page.last
        if not window or (len(window) < pair.tuning.window and not last):
            continue
        news = _news(run, side, window, hint=lagging)
        listed.add(news.links)
        if news.changed or news.touched:
            with run.commit(f"observe:{app.account}"):
                _store(run, side, news, hint=lagging, settle=0)
        run.counts[f"listed {side}"] += len(window)
        window = []
    shown, linked = listed.count(), store.links.count(pair.id)
    if short_listing(shown, linked, pair.mapping.rules.guard) and run.allowance is None:
        run.short[side] = (shown, linked)
        with run.commit(f"short:{app.account}"):
            # Whatever kind of cycle comes next, it lists this side anew: an approval is of what that one shows.
            store.pairs.set_cursor(pair.id, side, None)
        return
    _note_complete(run, side, pages, lagging=lagging)
    with run.commit(f"observe:{app.account}"):
        missing = store.observations.not_shown(pair.id, side, started, listed if shown < linked else None)
        if missing:
            store.observations.look_again(pair.id, side, missing, run.now, store.observations.next_rev())
        store.pairs.set_cursor(pair.id, side, feed)


async def _by_version(run: Run, side: Side, versions: Sequence[tuple[str, str]], settle: int) -> list[int]:
    """Read by id what a listing shows at another version than it was last read at, a window at a time: that is what
    it holds now, also where the listing lags. Answers the links of all that it shows.

    What we wrote ourselves is read once: not before that is it known how the app stored it.
    """
    app, store, pair, links = run.app(side), run.store, run.pair, list[int]()
    for start in range(0, len(versions), pair.tuning.window):
        shown = dict(versions[start : start + pair.tuning.window])
        wanted = []
        for record_id, link, _, version, raw, waiting, receipt in store.observations.known(pair.id, side, shown):
            if link is not None:
                links.append(link)
            unread = version != shown[record_id] or (raw is None and _is_ours(version, receipt))
            if link is None or waiting is not None or unread:
                wanted.append(record_id)
        found = await app.fetch(wanted) if wanted else {}
        records = [answer for answer in found.values() if isinstance(answer, Record)]
        absent = [record_id for record_id in wanted if not isinstance(found[record_id], Record)]
        news = _news(run, side, records, hint=False)
        if news.changed or news.touched or absent:
            with run.commit(f"observe:{app.account}"):
                _store(run, side, news, hint=False, settle=settle)
                rev = store.observations.next_rev() if absent else 0
                store.observations.look_again(pair.id, side, absent, run.now, rev)
    return links


def _is_ours(version: str | None, receipt: str | None) -> bool:
    """Whether this version is the one that our own last write made."""
    made = receipt_from(receipt)
    return made is not None and made[0] == version


_Reading = tuple[Record, Decoded, int]
"""A record, its canonical values, and their fingerprint."""


def _read(run: Run, side: Side, record: Record) -> _Reading:
    mapping = run.mapping(side)
    decoded = mapping.decode(record.values)
    return record, decoded, mapping.fingerprint(decoded)


class _News(NamedTuple):
    """What a window of a listing tells that was not known."""

    changed: list[_Reading]
    touched: list[tuple[int, str | None, int | None]]
    """Links whose record is as it was: its new version, if that is believed, and the hash of its raw values."""
    links: list[int]
    """The links of all the records."""


def _news(run: Run, side: Side, records: Iterable[Record], *, hint: bool) -> _News:
    """What differs from what was last seen; of a record that is listed twice, the last.

    What shows the very raw values that were last seen is not even decoded.
    """
    shown = {record.id: record for record in records}
    news, unlinked = _News([], [], []), dict[str, _Reading]()
    observations, raw_hash = run.store.observations, run.mapping(side).raw_hash
    for record_id, link, fp, version, raw, waiting, _ in observations.known(run.pair.id, side, shown) if shown else ():
        record = shown[record_id]
        if link is not None:
            news.links.append(link)
        same_version = hint or version == record.version
        now = None if link is None else raw_hash(record.values)
        same = raw is not None and raw == now and waiting is None
        if same and same_version:
            continue
        if not same:
            reading = _read(run, side, record)
            if waiting is not None or (link is not None and fp != reading[2]):
                news.changed.append(reading)
                continue
            if link is None:
                unlinked[record_id] = reading
                continue
        if not same_version or now is not None:
            news.touched.append((link, None if hint else record.version, now))
    marks = run.store.links.marks(run.pair.id, side, unlinked) if unlinked else {}
    news.changed.extend(one for at, one in unlinked.items() if at not in marks or marks[at].fp != one[2])
    return news


def _store(run: Run, side: Side, news: _News, *, hint: bool, settle: int) -> Sequence[Observation]:
    """Keep the news, within the caller's transaction."""
    run.store.links.touched(side, news.touched)
    return _put(run, side, news.changed, hint=hint, settle=settle)


def _put(run: Run, side: Side, readings: Sequence[_Reading], *, hint: bool, settle: int) -> Sequence[Observation]:
    if not readings:
        return ()
    store, pair = run.store, run.pair
    rev, now = store.observations.next_rev(), run.now
    seen = [_observation(run, side, one, rev, now, hint=hint, settle=settle) for one in readings]
    store.observations.put(pair.id, seen)
    keys = run.mapping(side).keys
    store.links.set_keys(pair.id, side, [(record.id, keys(decoded.values)) for record, decoded, _ in readings])
    run.counts[f"seen {side}"] += len(readings)
    return seen


def _observation(
    run: Run, side: Side, reading: _Reading, rev: int, now: Instant, *, hint: bool, settle: int
) -> Observation:
    record, decoded, fp = reading
    edited = now if record.modified is None else record.modified
    return Observation(
        side,
        record.id,
        fp,
        "live",
        None,
        decoded.values,
        decoded.problems,
        record.version,
        record.modified,
        record.created,
        run.mapping(side).field_times(record),
        record.marker,
        hint,
        now,
        # An app whose clock is ahead must not make its records wait for it.
        min(max(now, edited + settle), now + settle),
        rev,
        overlooked=decoded.overlooked,
    )


def _absences(run: Run, side: Side, page: Page, *, lagging: bool) -> None:
    """What the feed says of records that are no more. From a feed that lags it is a hint like any other."""
    now = run.now
    gone = [(record_id, None) for record_id in page.gone] + list(page.merged)
    rev = run.store.observations.next_rev() if gone or page.ids else 0
    run.store.observations.put(
        run.pair.id, [_absence(side, record_id, into, now, rev, hint=lagging) for record_id, into in gone]
    )
    run.store.observations.look_again(run.pair.id, side, page.ids, now + run.pair.settle, rev)


def _absence(side: Side, record_id: str, into: str | None, now: Instant, rev: int, *, hint: bool) -> Observation:
    return Observation(
        side, record_id, None, "merged" if into else "gone", into, hint=hint, seen_at=now, due_at=now, rev=rev
    )


async def fetch_hints(run: Run) -> None:
    """Read by id whatever was only heard of, on both sides at once."""
    hints = {side: _hints(run, side) for side in Side}
    await gather(*(_fetch_hints(run, side, known) for side, known in hints.items() if known))


async def _fetch_hints(run: Run, side: Side, hints: list[str]) -> None:
    untold: set[str] = set()
    # What the app cannot tell now is not asked for again at once.
    while new := [record_id for record_id in hints if record_id not in untold]:
        found = await refresh(run, side, new)
        untold.update(record_id for record_id, answer in found.items() if not _known(answer))
        hints = _hints(run, side, len(untold))


def _hints(run: Run, side: Side, untold: int = 0) -> list[str]:
    limit = run.pair.tuning.window + untold
    return run.store.observations.hints(run.pair.id, side, run.now, limit, run.pair.settle)


async def refresh(run: Run, side: Side, record_ids: Iterable[str]) -> dict[str, Fetched]:
    """Read these records by id and store what they are now; they are due at once. Answers what was read."""
    app = run.app(side)
    found = await app.fetch(record_ids)
    with run.commit(f"refresh:{app.account}"):
        keep(run, side, found)
    return found


def keep(run: Run, side: Side, found: dict[str, Fetched]) -> None:
    """Store what a read by id showed, within the caller's transaction: this, unlike a listing, is proof."""
    now, observations = run.now, run.store.observations
    records = [answer for answer in found.values() if isinstance(answer, Record)]
    _put(run, side, [_read(run, side, record) for record in records], hint=False, settle=0)
    absent = [answer for answer in found.values() if isinstance(answer, Absence)]
    rev = observations.next_rev() if absent else 0
    observations.put(
        run.pair.id,
        [
            _absence(side, answer.id, answer.into if answer.presence is Presence.MERGED else None, now, rev, hint=False)
            for answer in absent
            if answer.presence is not Presence.UNKNOWN
        ],
    )
    observations.wait(
        run.pair.id,
        [(side, answer.id) for answer in absent if answer.presence is Presence.UNKNOWN],
        now + run.pair.tuning.retry,
    )
    observations.wait(run.pair.id, [(side, answer.id) for answer in found.values() if _known(answer)], now)


def _known(answer: Fetched) -> bool:
    return isinstance(answer, Record) or answer.presence is not Presence.UNKNOWN
