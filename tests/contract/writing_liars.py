"""Connectors that do not write what they say they do, each in one thing."""

from collections.abc import Sequence
from dataclasses import replace

from tests.contract.liars import Around
from twoway.sdk import FieldInfo, Outcome, Raw, RawValues, Receipt, Record, Write
from twoway.testing.memory import MemoryConnector


def as_stored(name: str, value: Raw) -> Raw:
    """How an app stores what it is given, that trims texts and lowers e-mail addresses."""
    if not isinstance(value, str):
        return value
    return (value.strip().lower() if name == "email" else value.strip()) or None


class TellsWhatItSent(MemoryConnector):
    """Gives as the app's answer what the app was sent."""

    def _write(self, write: Write) -> Receipt:
        receipt = super()._write(write)
        if receipt.outcome is not Outcome.DONE or receipt.id is None:
            return receipt
        return Receipt.done(receipt.id, Record(receipt.id, dict(write.changed)))


class ForetellsNothing(MemoryConnector):
    """Does not know that its app stores keys in another form."""

    def normal(self, values: RawValues) -> RawValues:
        known = super().normal(values)
        return {name: each if name == "email" else known[name] for name, each in values.items()}


class CutsAtTwoHundred(MemoryConnector):
    """Sends of a long text what fits."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        cut = [{name: each[:200] if each else each for name, each in write.changed.items()} for write in writes]
        return await super().apply([write._replace(changed=each) for write, each in zip(writes, cut, strict=True)])


class PassesOverTheFixed(MemoryConnector):
    """Says of a field that it cannot be written, and leaves it out of what is sent."""

    async def describe(self) -> Sequence[FieldInfo]:
        fields = await super().describe()
        return [replace(each, on_create=each.name != "phone", on_update=each.name != "phone") for each in fields]

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        kept = [{name: each for name, each in write.changed.items() if name != "phone"} for write in writes]
        return await super().apply([write._replace(changed=each) for write, each in zip(writes, kept, strict=True)])


class KeepsTheKey(MemoryConnector):
    """Says of the key that it cannot be cleared, and that it has done so."""

    async def describe(self) -> Sequence[FieldInfo]:
        return [replace(info, cleared_by=None if info.unique else "null") for info in await super().describe()]

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        kept = [
            {name: each for name, each in write.changed.items() if (name, each) != ("email", None)} for write in writes
        ]
        return await super().apply([write._replace(changed=each) for write, each in zip(writes, kept, strict=True)])


class SplitsLists(Around):
    """Joins the values of a list by a comma, which is in one of them."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        sent = [{name: _split(each) for name, each in write.changed.items()} for write in writes]
        return list(
            await self._inner.apply([write._replace(changed=each) for write, each in zip(writes, sent, strict=True)])
        )


def _split(value: Raw) -> Raw:
    return ",".join(value).split(",") if isinstance(value, list) and value else value
