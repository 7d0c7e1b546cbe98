"""Between Zendesk's records and values by field name.

A custom field of a user or an organization is `user_fields.KEY` or `organization_fields.KEY`, one of a ticket
`custom_fields.ID`. Empty texts are `None` here. Dates of custom fields come with a midnight, which is cut off. Ids of
other records are text here and numbers on the wire.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from twoway.sdk import FieldInfo, FieldType, Raw, RawValues, Record
from twoway.sdk.values import instant_from_iso, revision
from twoway_connectors.zendesk.catalog import ID_SUFFIX, Collection

TAGS = "tags"
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)T00:00:00(\.0+)?(Z|[+-]00:00)")
_TYPES = {
    "text": FieldType.STRING,
    "regexp": FieldType.STRING,
    "textarea": FieldType.TEXT,
    "checkbox": FieldType.BOOLEAN,
    "date": FieldType.DATE,
    "integer": FieldType.INTEGER,
    "decimal": FieldType.NUMBER,
    "dropdown": FieldType.CHOICE,
    "tagger": FieldType.CHOICE,
    "multiselect": FieldType.SET,
    "lookup": FieldType.REFERENCE,
}
"""Zendesk's types of custom fields. Others belong to the system fields of tickets, which are described elsewhere."""
_CLEARED = {FieldType.BOOLEAN: "false", FieldType.SET: "[]"}


class Codec:
    """Decodes the part of a collection's records that the mapping reads, and encodes what it writes.

    `fields` are names, or paths into a field; none means all. With `marks` the external id is our marker.
    """

    def __init__(self, collection: Collection, fields: Iterable[str], *, marks: bool = False) -> None:
        self._collection = collection
        self._prefix = f"{collection.custom}."
        self._marks = marks
        wanted = frozenset(fields)
        self._all = not wanted
        self._names = {
            info.name: info.type
            for info in collection.fields
            if self._all
            or any(path == info.name or path.startswith((f"{info.name}.", f"{info.name}[")) for path in wanted)
        }
        self._switches = {info.name for info in collection.fields if info.type is FieldType.BOOLEAN}
        prefix = self._prefix
        self._custom = {path[len(prefix) :].split("[")[0] for path in wanted if path.startswith(prefix)}

    def record(self, shown: Mapping[str, Any]) -> Record:
        """A record as Zendesk shows it, decoded."""
        values: dict[str, Raw] = {name: _decoded(name, shown[name]) for name in self._names if name in shown}
        for key, value in _custom(shown.get(self._collection.custom)):
            if self._all or key in self._custom:
                values[f"{self._prefix}{key}"] = _custom_decoded(value)
        changed = str(shown["updated_at"])
        return Record(
            id=str(shown["id"]),
            values=values,
            version=revision(changed, values),
            modified=instant_from_iso(changed),
            created=instant_from_iso(str(shown["created_at"])),
            marker=shown.get("external_id") if self._marks else None,
        )

    def encode(self, changed: RawValues) -> dict[str, Any]:
        """The body of a request that sets these fields."""
        body: dict[str, Any] = {}
        custom: dict[str, Any] = {}
        for name, value in self.normal(changed).items():
            if name.startswith(self._prefix):
                # As text a decimal keeps every digit.
                custom[name[len(self._prefix) :]] = format(value, "f") if isinstance(value, Decimal) else value
            elif name == "description":
                body["comment"] = {"body": value}
            elif name.endswith(ID_SUFFIX) and name != "external_id" and str(value).isdigit():
                body[name] = int(str(value))
            else:
                body[name] = value
        if custom and self._collection.custom == "custom_fields":
            body["custom_fields"] = [{"id": int(key), "value": value} for key, value in custom.items()]
        elif custom:
            body[self._collection.custom] = custom
        return body

    def normal(self, values: RawValues) -> RawValues:
        """The form that Zendesk stores: texts without blanks around them, tags in its own spelling, domains lower.

        Its switches are on or off, and off where they are emptied.
        """
        return {
            name: False if name in self._switches and (value is None or value == "") else _stored(name, value)
            for name, value in values.items()
        }


def _decoded(name: str, value: Any) -> Raw:
    if value == "":
        return None
    if name.endswith(ID_SUFFIX) and value is not None:
        return str(value)
    return sorted(value) if isinstance(value, list) else value


def _custom(container: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(container, Mapping):
        yield from container.items()
    for entry in container if isinstance(container, list) else ():
        yield str(entry["id"]), entry.get("value")


def _custom_decoded(value: Any) -> Raw:
    if isinstance(value, str):
        found = _MIDNIGHT.fullmatch(value)
        return found[1] if found else value or None
    return sorted(value) if isinstance(value, list) else value


def _stored(name: str, value: Raw) -> Raw:
    if name == TAGS:
        return sorted({"_".join(str(tag).lower().split()) for tag in value or ()} - {""})
    if name == "domain_names":
        return sorted({str(domain).strip().lower() for domain in value or ()} - {""})
    if isinstance(value, str) and "." not in name:
        return value.strip() or None
    return value


def stamp_of(version: str) -> str:
    """The `updated_at` in a version."""
    return version.partition(" ")[0]


def describe_custom(collection: Collection, entry: Mapping[str, Any]) -> FieldInfo | None:
    """The field of one definition; None for a system field, or one that is switched off."""
    kind = _TYPES.get(str(entry["type"]))
    if kind is None or not entry.get("active", True) or entry.get("system"):
        return None
    options = entry.get("custom_field_options")
    return FieldInfo(
        name=f"{collection.custom}.{entry['id'] if collection.custom == 'custom_fields' else entry['key']}",
        type=kind,
        label=str(entry.get("title") or ""),
        choices=tuple(str(option["value"]) for option in options) if options else None,
        required=False,
        cleared_by=_CLEARED.get(kind, "null"),
    )
