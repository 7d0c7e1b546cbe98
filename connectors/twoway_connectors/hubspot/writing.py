"""Writes: batches, and each input's own outcome.

With `objectWriteTraceId` on every input HubSpot writes what it can and answers 207; some mistakes still refuse a whole
batch (400, 409) and write nothing: then it is halved until the one that is wrong stands alone.

HubSpot's reference lists the trace id among what a result holds, and its examples lack it. Where it is missing, a
result is told by its id, or else by what no two inputs of a batch have in common: our marker, or the unique property.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from twoway.sdk import ConnectorError, Kind, RawValues, Receipt, Response, TellUser, TryLater, Write
from twoway_connectors.hubspot.schema import Schema, Unwritable, encode
from twoway_connectors.hubspot.wire import Wire

BATCH = 100
_EXISTS = re.compile(r"already exists\. Existing ID: (\d+)")
_TAKEN = re.compile(r"\. (\d+) already has that value")
_TAKEN_FIELD = re.compile(r"propertyName=([A-Za-z0-9_]+)")
_INVALID = "Property values were not valid: "
_REASONS = {
    "INVALID_EMAIL": "HubSpot does not take it for an e-mail address",
    "INVALID_OPTION": "it is not one of the property's options",
    "INVALID_INTEGER": "HubSpot wants a number",
    "INVALID_LONG": "HubSpot wants a number or a date",
    "INVALID_DATE": "HubSpot wants a date without a time of day",
    "READ_ONLY_VALUE": "the property is read only",
    "PROPERTY_DOESNT_EXIST": "there is no such property",
}
_DEFINITE = frozenset({"VALIDATION_ERROR", "CONFLICT", "OBJECT_ALREADY_EXISTS", "INVALID_PARAMETER"})


class Writer:
    """Writes to one object type."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """See `Connector.apply`."""
        receipts: dict[int, Receipt] = {}
        if writes[0].kind in {Kind.DELETE, Kind.ARCHIVE}:
            return await self._archive(writes)
        schema = await self._wire.schema()
        inputs: dict[int, dict[str, Any]] = {}
        taken: set[str] = set()
        for number, write in enumerate(writes):
            prepared = self._prepare(number, write, taken)
            if isinstance(prepared, Receipt):
                receipts[number] = prepared
            else:
                inputs[number] = prepared
        if inputs:
            receipts |= await self._send(writes, inputs, schema, first=True)
        return [receipts[number] for number in range(len(writes))]

    def _prepare(self, number: int, write: Write, taken: set[str]) -> dict[str, Any] | Receipt:
        properties: dict[str, str] = {}
        key_value = {write.key[0]: write.key[1]} if write.kind is Kind.CREATE and write.key is not None else {}
        for name, value in {**key_value, **write.changed}.items():
            try:
                properties[name] = encode(value)
            except Unwritable as error:
                return Receipt.refused(str(error), name)
        if write.kind is Kind.CREATE:
            if self._wire.marker:
                properties[self._wire.marker] = write.operation
            own = properties.get(self._wire.type.key or "", "").strip().lower()
            request: dict[str, Any] = {"properties": properties}
        else:
            own = write.id or ""
            request = {"id": own, "properties": properties}
        if own and own in taken:
            # HubSpot refuses a whole batch in which a key comes twice.
            return Receipt.later("another write of this batch is for the same record")
        taken.add(own)
        return {**request, "objectWriteTraceId": str(number)}

    async def _archive(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """HubSpot answers 204 whatever became of each: archived now, before, or never there."""
        try:
            await self._wire.http.request(
                "POST",
                f"{self._wire.path}/batch/archive",
                json={"inputs": [{"id": write.id} for write in writes]},
                retry_safe=True,
            )
        except TryLater as error:
            if not error.sent:
                raise
            return [Receipt.unknown(error.message) for _ in writes]
        return [Receipt.done(write.id) for write in writes]

    async def _send(
        self, writes: Sequence[Write], inputs: Mapping[int, dict[str, Any]], schema: Schema, *, first: bool
    ) -> dict[int, Receipt]:
        """The receipts of these inputs. Raises only while nothing was sent before (`first`)."""
        action = "create" if writes[0].kind is Kind.CREATE else "update"
        try:
            response = await self._wire.http.request(
                "POST",
                f"{self._wire.path}/batch/{action}",
                json={"inputs": list(inputs.values())},
                expect=(200, 201, 207, 400, 409),
            )
            if response.status < 300:
                return self._receipts(writes, inputs, response, schema)
            told = _told(response)
        except ConnectorError as error:
            if isinstance(error, TryLater) and error.sent:
                return {number: Receipt.unknown(error.message) for number in inputs}
            if first:
                raise
            return {number: Receipt.later(error.message) for number in inputs}
        if len(inputs) == 1:
            return {number: refusal(told, whole=True) for number in inputs}
        numbers = list(inputs)
        middle = len(numbers) // 2
        receipts: dict[int, Receipt] = {}
        for half in (numbers[:middle], numbers[middle:]):
            part = {number: inputs[number] for number in half}
            receipts |= await self._send(writes, part, schema, first=first and not receipts)
        return receipts

    def _receipts(
        self, writes: Sequence[Write], inputs: Mapping[int, dict[str, Any]], response: Response, schema: Schema
    ) -> dict[int, Receipt]:
        body = response.json()
        results = body.get("results") if isinstance(body, dict) else None
        if not isinstance(results, list):
            raise response.unreadable("something that is not a batch's answer")
        by_id = {str(each["id"]): number for number, each in inputs.items() if "id" in each}
        by_value = self._by_value(inputs)
        receipts: dict[int, Receipt] = {}
        for result in results:
            number = _number(result.get("objectWriteTraceId"), inputs)
            number = by_id.get(str(result.get("id"))) if number is None else number
            number = self._created(result, inputs, by_value) if number is None else number
            if number is not None:
                # The answer holds more than was written, and what it holds besides is no part of this write's outcome.
                only = frozenset(inputs[number]["properties"]) & frozenset(writes[number].changed)
                receipts[number] = self._done(result, schema, only)
        for error in body.get("errors") or ():
            context = error.get("context") or {}
            for trace in context.get("objectWriteTraceId") or ():
                number = _number(trace, inputs)
                if number is not None:
                    receipts.setdefault(number, refusal(error))
            for missing in context.get("ids") or ():
                if str(missing) in by_id:
                    receipts.setdefault(by_id[str(missing)], refusal(error))
        lost = Receipt.unknown("HubSpot's answer to the batch does not mention this record")
        return {number: receipts.get(number, lost) for number in inputs}

    def _by_value(self, inputs: Mapping[int, dict[str, Any]]) -> dict[tuple[str, str], int]:
        """New records by their marker, and by their value of the unique property."""
        names = [name for name in (self._wire.marker, self._wire.type.key) if name]
        return {
            (name, value): number
            for number, each in inputs.items()
            if "id" not in each
            for name in names
            if (value := _plain(each["properties"].get(name)))
        }

    def _created(
        self, result: Mapping[str, Any], inputs: Mapping[int, Any], by_value: Mapping[tuple[str, str], int]
    ) -> int | None:
        """The new record that this result without a trace id is of: one that stands alone is the only one."""
        properties = result.get("properties") or {}
        for name, value in properties.items():
            if (name, _plain(value)) in by_value:
                return by_value[name, _plain(value)]
        alone = [number for number, each in inputs.items() if "id" not in each]
        return alone[0] if len(inputs) == 1 and alone else None

    def _done(self, result: Mapping[str, Any], schema: Schema, written: frozenset[str]) -> Receipt:
        try:
            record = self._wire.record(result, schema, written)
        except TellUser as error:
            return Receipt.unknown(error.message)
        return Receipt.done(record.id, record)


def _number(trace: object, inputs: Mapping[int, Any]) -> int | None:
    text = str(trace)
    return int(text) if text.isdecimal() and int(text) in inputs else None


def _plain(value: object) -> str:
    """A text as HubSpot compares it where it has to be unique."""
    return str(value or "").strip().lower()


def _told(response: Response) -> Mapping[str, Any]:
    """An error's body; whatever it is, a 4xx wrote nothing."""
    try:
        found = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {}


def refusal(error: Mapping[str, Any], *, whole: bool = False) -> Receipt:
    """The receipt for HubSpot's error of one input. HubSpot's sentences repeat values, so they are not handed on.

    `whole`: it is the answer to a request for this input alone, which by its status wrote nothing.
    """
    category, message = str(error.get("category")), str(error.get("message"))
    if category == "OBJECT_NOT_FOUND":
        return Receipt.gone()
    if category == "RATE_LIMITS":
        return Receipt.later("HubSpot took no more writes for the moment")
    existing = _EXISTS.search(message) or _TAKEN.search(message)
    if existing:
        # Of "on A. B already has that value" A never came to be, or is the record that was written to.
        field = _TAKEN_FIELD.search(message)
        name = field[1] if field else "e-mail address"
        return Receipt.duplicate(existing[1], f"another record has this {name}")
    if category not in _DEFINITE and not whole:
        return Receipt.unknown(f"HubSpot answered with an error that says nothing of the write ({category})")
    code, field_name = _what_is_wrong(error, message)
    told = code or error.get("category")
    why = f"HubSpot refuses the value ({told})" if told else "HubSpot refuses it and names no reason"
    return Receipt.refused(_REASONS.get(code, why), field_name)


def _what_is_wrong(error: Mapping[str, Any], message: str) -> tuple[str, str | None]:
    """Code and property of the first mistake, from the list of them, or else from the JSON within the message."""
    for each in error.get("errors") or ():
        names = (each.get("context") or {}).get("propertyName") or ()
        return str(each.get("code") or ""), str(names[0]) if names else None
    if message.startswith(_INVALID):
        try:
            listed = orjson.loads(message.removeprefix(_INVALID))
            return str(listed[0].get("error") or ""), str(listed[0]["name"])
        except (orjson.JSONDecodeError, KeyError, IndexError, AttributeError, TypeError):
            return "", None
    return "", None


def normal(values: RawValues) -> RawValues:
    """The form that HubSpot is known to store: an e-mail address in lower case, without blanks around it."""
    email = values.get("email")
    return {**values, "email": email.strip().lower()} if isinstance(email, str) else values
