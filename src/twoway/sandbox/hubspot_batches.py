"""HubSpot's batch endpoints: up to 100 inputs, all or nothing, or with partial failures (207)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twoway.sandbox.clock import iso_ms
from twoway.sandbox.hubspot_errors import body as error_body
from twoway.sandbox.hubspot_errors import describe, error, refusal_of
from twoway.sandbox.hubspot_objects import Objects, Taken
from twoway.sandbox.hubspot_properties import Invalid
from twoway.sandbox.store import Record
from twoway.sandbox.wire import Answer, Call

if TYPE_CHECKING:
    from twoway.sandbox.hubspot import HubSpotApp

MAX_INPUTS = 100
_SINGULAR = {"contacts": "CONTACT", "companies": "COMPANY", "deals": "DEAL"}

Input = Mapping[str, Any]


class Batches:
    """The five batch actions on any object type."""

    def __init__(self, app: "HubSpotApp") -> None:
        self._app = app

    def handle(self, call: Call) -> Answer:
        """`POST .../batch/{create | read | update | upsert | archive}`."""
        objects = self._app.objects_of(call)
        request = call.json()
        inputs = request.get("inputs") if isinstance(request, dict) else None
        if not isinstance(inputs, list) or not all(isinstance(each, dict) for each in inputs):
            raise error(call, 400, "VALIDATION_ERROR", "Invalid input JSON: inputs must be a list of objects")
        if len(inputs) > MAX_INPUTS:
            raise error(
                call, 400, "VALIDATION_ERROR", f"The maximum number of inputs supported in a batch is {MAX_INPUTS}"
            )
        match call.params["action"]:
            case "read":
                return self._read(call, objects, request, inputs)
            case "archive":
                return self._archive(call, objects, inputs)
            case "create" | "update" | "upsert" as action:
                return self._write(call, objects, inputs, action)
            case _:
                raise self._app.not_found(call)

    def _read(self, call: Call, objects: Objects, request: Mapping[str, Any], inputs: list[Input]) -> Answer:
        names = [str(name) for name in request.get("properties") or ()]
        history = [str(name) for name in request.get("propertiesWithHistory") or ()]
        id_property = request.get("idProperty")
        _refuse_non_unique(call, objects, id_property, "read")
        archived = call.truth("archived")
        seen_at = self._app.now() - self._app.number("read_lag")
        found: dict[int, dict[str, Any]] = {}
        missing: list[str] = []
        for each in inputs:
            wanted = str(each.get("id"))
            record = self._app.lookup(objects, wanted, id_property)
            version = objects.records.as_of(record, seen_at) if record is not None else None
            if record is None or version is None or version.deleted is not archived:
                missing.append(wanted)
            else:
                found[record.id] = objects.wire(record, version, names, history)
        return self._answer(200, list(found.values()), _missing(call, objects, missing))

    def _archive(self, call: Call, objects: Objects, inputs: list[Input]) -> Answer:
        for each in inputs:
            call.step()
            record = self._app.lookup(objects, str(each.get("id")))
            if record is not None and not record.deleted:
                objects.archive(record, call.by)
        return Answer(204)

    def _write(self, call: Call, objects: Objects, inputs: list[Input], action: str) -> Answer:
        _refuse_repeats(call, inputs, action)
        targets: list[tuple[Input, Record | None]] = []
        missing: list[str] = []
        for each in inputs:
            record = self._target(call, objects, each, action)
            if action == "update" and (record is None or record.deleted):
                missing.append(str(each.get("id")))
            else:
                targets.append((each, record))
        traced = all(each.get("objectWriteTraceId") for each in inputs)
        if not traced:
            self._refuse_whole(call, objects, targets)
        results: list[dict[str, Any]] = []
        errors = _missing(call, objects, missing)
        for each, record in targets:
            call.step()
            properties = _properties(each, action)
            try:
                checked = objects.check(properties, record)
            except (Invalid, Taken) as reason:
                _, content = describe(call, reason, objects, record)
                # Without a trace id it got here only by clashing with an input before it.
                trace = each.get("objectWriteTraceId")
                errors.append({**content, "context": {"objectWriteTraceId": [str(trace)]} if trace else {}})
                continue
            if record is None:
                written = objects.create(checked, call.by)
            else:
                written = record
                objects.update(record, checked, call.by)
            shape = objects.wire(written, written.version(), list(properties))
            if action == "upsert":
                shape["new"] = record is None
            if each.get("objectWriteTraceId") and self._app.flag("trace_ids"):
                shape["objectWriteTraceId"] = str(each["objectWriteTraceId"])
            results.append(shape)
        return self._answer(201 if action == "create" else 200, results, errors)

    def _target(self, call: Call, objects: Objects, each: Input, action: str) -> Record | None:
        if action == "create":
            return None
        id_property = each.get("idProperty")
        if action == "upsert" and not id_property:
            raise error(call, 400, "VALIDATION_ERROR", "idProperty is required to upsert")
        _refuse_non_unique(call, objects, id_property, action)
        return self._app.lookup(objects, str(each.get("id")), id_property)

    def _refuse_whole(self, call: Call, objects: Objects, targets: list[tuple[Input, Record | None]]) -> None:
        for each, record in targets:
            try:
                objects.check(_properties(each, "upsert" if each.get("idProperty") else ""), record)
            except (Invalid, Taken) as reason:
                raise refusal_of(call, reason, objects, record) from None

    def _answer(self, status: int, results: list[dict[str, Any]], errors: list[dict[str, Any]]) -> Answer:
        if self._app.flag("shuffle_batches"):
            self._app.random.shuffle(results)
        now = iso_ms(self._app.now())
        shape: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
        if errors:
            shape |= {"numErrors": len(errors), "errors": errors}
        return Answer(207 if errors else status, shape)


def _properties(each: Input, action: str) -> dict[str, Any]:
    """What an input sets; an upsert by a property sets that one too."""
    properties = dict(each.get("properties") or {})
    if action == "upsert":
        properties.setdefault(str(each["idProperty"]), str(each.get("id")))
    return properties


def _refuse_non_unique(call: Call, objects: Objects, name: str | None, action: str) -> None:
    if name and name != "hs_object_id" and not objects.is_unique(str(name)):
        raise error(call, 400, "VALIDATION_ERROR", f"Unable to perform {action} by non-unique property {name}")


def _refuse_repeats(call: Call, inputs: list[Input], action: str) -> None:
    seen: set[str] = set()
    for each in inputs:
        key = (each.get("properties") or {}).get("email") if action == "create" else each.get("id")
        if key is None:
            continue
        if str(key).lower() in seen:
            raise error(call, 400, "VALIDATION_ERROR", f"Duplicate IDs found in batch input: [{key}]")
        seen.add(str(key).lower())


def _missing(call: Call, objects: Objects, ids: list[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    message = f"Could not get some {_SINGULAR[objects.type]} objects, they may be deleted or not exist."
    return [error_body(call, "OBJECT_NOT_FOUND", message, context={"ids": ids})]
