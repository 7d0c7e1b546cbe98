"""Records that a person names, held against what the apps show, before anything of them is kept.

Many an app takes other names than its ids in a request for a record (an address, a hash, a number with zeros before),
and answers with the record. Kept under such a name it would be a second record, of which no listing ever tells.
"""

from dataclasses import dataclass, field

from twoway.cli.context import Place, chosen, places
from twoway.cli.options import NoSuch
from twoway.cli.session import Session
from twoway.config.load import PairConfig
from twoway.core.model import Fetched, Presence, Record, Side


def why_not(account: str, record_id: str, answer: Fetched) -> NoSuch | None:
    """Why a record cannot be named so, and what would be valid; `None` where the app shows it under this very id."""
    if isinstance(answer, Record):
        return None
    if answer.into is not None:
        return NoSuch(
            f"{account} knows {record_id} as {answer.into}: that is its id, or what it was merged into",
            f"Name it by that one: {account}:{answer.into}",
        )
    match answer.presence:
        case Presence.ARCHIVED:
            return NoSuch(f"{account} shows {record_id} in its archive only", "Restore it in the app first")
        case Presence.UNKNOWN:
            return NoSuch(f"{account} does not tell whether it has a record {record_id}", "Try again later")
        case _:
            return NoSuch(
                f"{account} shows no record {record_id}", "Name a record by the id that the app itself gave it"
            )


@dataclass(slots=True)
class Asked:
    """A pair that is to run. `error` says why it could not be found out whether the named `records` are its own."""

    pair: PairConfig
    records: list[tuple[Side, str]] = field(default_factory=list)
    error: Exception | None = None


async def asked(work: Session, pair: str | None, records: list[str]) -> list[Asked]:
    """The pairs to run: all of them, or the one named; where records are named, those that have one, with their own.

    Each record is read from its app. Raises `NoSuch`, before any pair runs, for one that is in none of the pairs.
    """
    within = [Asked(one) for one in chosen(work.config, pair)]
    if not records:
        return within
    by_name = {one.pair.name: one for one in within}
    for record in dict.fromkeys(records):
        found = [(by_name[place.pair.name], place) for place in places(work.config, work.store, record, pair)]
        refusals = [refusal for one, place in found if (refusal := await _look_up(work, one, place))]
        if len(refusals) == len(found):
            raise NoSuch("; ".join(refusals))
    return [one for one in within if one.records or one.error]


async def _look_up(work: Session, one: Asked, place: Place) -> str | None:
    """Add the record to its pair, or say why it is none of this pair.

    The app may show a linked record no more: it was deleted or merged, which is what the cycle is to see.
    """
    if one.error is not None:
        return None
    try:
        answer = await work.service.look_up(place.pair.name, place.side, place.record_id)
    except Exception as error:  # noqa: BLE001 - it is told with the pair's outcome, and other pairs go on
        one.error = error
        return None
    refusal = why_not(place.names[place.side], place.record_id, answer)
    linked = work.store.links.of(place.row.id, place.side, place.record_id) is not None
    if refusal is not None and not linked:
        return f"{place.pair.name}: {refusal}"
    one.records.append((place.side, place.record_id))
    return None
