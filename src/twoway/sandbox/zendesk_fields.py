"""Custom fields of the Zendesk look-alike: their definitions, and the check of the values given for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from typing import Any, Literal

from twoway.sandbox.kit import iso_seconds
from twoway.sandbox.zendesk_errors import detail, duplicate, not_found, record_invalid

Kind = Literal["user", "organization", "ticket"]

TYPES = frozenset({"text", "textarea", "checkbox", "date", "integer", "decimal", "regexp", "dropdown", "multiselect"})
_TRUE = frozenset({True, "1", "true", "yes"})
_FALSE = frozenset({False, "0", "false", "no", None, ""})


class CustomField:
    """One definition. `type` is in the spelling of user fields: a `tagger` is kept as `dropdown`."""

    __slots__ = ("active", "changed", "created", "description", "id", "key", "options", "regexp", "title", "type")

    def __init__(self, field_id: int, key: str, title: str, field_type: str, now: int) -> None:
        self.id = field_id
        self.key = key
        self.title = title
        self.type = field_type
        self.description = ""
        self.active = True
        self.regexp: str | None = None
        self.options: list[dict[str, Any]] = []
        self.created = self.changed = now

    @property
    def empty(self) -> Any:
        """What a record shows where nobody has set the field."""
        if self.type == "checkbox":
            return False
        return [] if self.type == "multiselect" else None

    def normal(self, value: Any, *, midnight: bool) -> Any:
        """The value as it is stored, or `ValueError` or `TypeError`.

        A number may come as a string, a date with a time. With `midnight` a date is shown with the time of
        midnight, UTC, as users and organisations do.
        """
        if self.type == "checkbox":
            if isinstance(value, (list, dict)) or not (value in _TRUE or value in _FALSE):
                raise ValueError("is not a checkbox value")
            return value in _TRUE
        if self.type == "multiselect":
            return self._choices(value)
        if value is None or value == "":
            return None
        if isinstance(value, (list, dict, bool)):
            raise TypeError("is invalid")
        match self.type:
            case "integer":
                return _integer(value)
            case "decimal":
                return float(value)
            case "date":
                return _date(str(value), midnight=midnight)
            case "dropdown":
                return self._choice(value)
            case "regexp" if re.search(self.regexp or "", str(value)) is None:
                raise ValueError("does not match the field's pattern")
            case _:
                return str(value)

    def _choice(self, value: Any) -> str:
        if any(option["value"] == value for option in self.options):
            return str(value)
        raise ValueError(f"{value} is not one of the field's options")

    def _choices(self, value: Any) -> list[str]:
        if value is None or value == "":
            return []
        if not isinstance(value, list):
            raise TypeError("must be a list")
        return [self._choice(entry) for entry in value]


def _integer(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("is not an integer")
    return int(value)


def _date(value: str, *, midnight: bool) -> str:
    day = date.fromisoformat(value) if len(value) == len("2026-11-22") else datetime.fromisoformat(value).date()
    return f"{day.isoformat()}T00:00:00+00:00" if midnight else day.isoformat()


class FieldCatalog:
    """All custom fields of one kind of record.

    `next_id` gives ids, `now` seconds since the epoch. Values are kept by `key` for users and organisations,
    and by the field's id, as a string, for tickets.
    """

    def __init__(self, kind: Kind, next_id: Callable[[], int], now: Callable[[], int]) -> None:
        self.kind = kind
        self._next_id = next_id
        self._now = now
        self._fields: dict[int, CustomField] = {}
        self._by_name: dict[str, CustomField] = {}
        self.defaults: dict[str, Any] = {}

    def __iter__(self) -> Iterator[CustomField]:
        return iter(self._fields.values())

    def get(self, reference: str) -> CustomField:
        """The field by id, or by key where the kind has keys; otherwise 404."""
        for field in self._fields.values():
            if str(field.id) == reference or (self.kind != "ticket" and field.key == reference):
                return field
        raise not_found()

    def create(self, body: dict[str, Any]) -> CustomField:
        """Adds a field: `title`, `type`, for users and organisations `key`, and what the type needs.

        422 on a missing title, an unknown type, a key in use, a drop-down without options.
        """
        title = str(body.get("title") or "")
        if not title:
            raise record_invalid({"title": [detail("Title: cannot be blank", "BlankValue")]})
        kind = "dropdown" if body.get("type") == "tagger" else str(body.get("type"))
        if kind not in TYPES:
            raise record_invalid({"type": [detail(f"Type: {body.get('type')} is invalid")]})
        key = str(body.get("key") or re.sub(r"\W+", "_", title.lower()))
        if self.kind != "ticket" and any(field.key == key for field in self):
            raise duplicate("key", "Key", key)
        field = CustomField(self._next_id(), key, title, kind, self._now())
        self._apply(field, body)
        self._fields[field.id] = field
        self._index()
        return field

    def update(self, field: CustomField, body: dict[str, Any]) -> None:
        """Changes title, description, pattern, activity or options; the list of options is replaced whole."""
        self._apply(field, body)
        field.changed = self._now()
        self._index()

    def delete(self, field: CustomField) -> None:
        """Removes the definition; records no longer show a value for it."""
        del self._fields[field.id]
        self._index()

    def put_option(self, field: CustomField, body: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Adds an option, or changes the one whose `id` is given. Returns it, and whether it is new."""
        for option in field.options:
            if option["id"] == body.get("id"):
                option.update({name: body[name] for name in ("name", "value") if name in body})
                return option, False
        option = self._option(body)
        field.options.append(option)
        return option, True

    def drop_option(self, field: CustomField, option_id: str) -> None:
        """Removes an option, or 404."""
        kept = [option for option in field.options if str(option["id"]) != option_id]
        if len(kept) == len(field.options):
            raise not_found()
        field.options = kept

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values as they are stored, by name. A field that does not exist is dropped without a word.

        422 with every value that is refused, each with its `field_key`.
        """
        stored: dict[str, Any] = {}
        refused = []
        for name, value in values.items():
            field = self._by_name.get(name)
            if field is None:
                continue
            try:
                stored[name] = field.normal(value, midnight=self.kind != "ticket")
            except (ValueError, TypeError) as error:
                key = field.id if self.kind == "ticket" else field.key
                refused.append(detail(f"{field.title}: {error}", field_key=key))
        if refused:
            raise record_invalid({"base": refused})
        return stored

    def render(self, field: CustomField, base: str) -> dict[str, Any]:
        """The definition as the API shows it; `base` is the URL up to `/api/v2`."""
        plural = f"{self.kind}_fields"
        shown: dict[str, Any] = {
            "url": f"{base}/{plural}/{field.id}.json",
            "id": field.id,
            "type": "tagger" if field.type == "dropdown" and self.kind == "ticket" else field.type,
            "title": field.title,
            "raw_title": field.title,
            "description": field.description,
            "raw_description": field.description,
            "position": list(self._fields).index(field.id),
            "active": field.active,
            "regexp_for_validation": field.regexp,
            "created_at": iso_seconds(field.created),
            "updated_at": iso_seconds(field.changed),
        }
        if self.kind == "ticket":
            shown.update(required=False, removable=True, custom=True)
        else:
            shown.update(key=field.key, system=False)
        if field.type in {"dropdown", "multiselect"}:
            shown["custom_field_options"] = field.options
        return shown

    def _apply(self, field: CustomField, body: dict[str, Any]) -> None:
        field.title = str(body.get("title") or field.title)
        field.description = str(body.get("description", field.description) or "")
        field.active = bool(body.get("active", field.active))
        field.regexp = body.get("regexp_for_validation", field.regexp)
        if "custom_field_options" in body:
            field.options = self._options(body["custom_field_options"] or [])
        if field.type in {"dropdown", "multiselect"} and not field.options:
            text = "Field options: must contain at least one option"
            raise record_invalid({"field_options": [detail(text, "EmptyValue")]})

    def _options(self, given: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        return [self._option(option) for option in given]

    def _option(self, given: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": given.get("id") or self._next_id(),
            "name": given.get("name"),
            "raw_name": given.get("name"),
            "value": given.get("value"),
        }

    def _index(self) -> None:
        if self.kind == "ticket":
            self._by_name = {str(field.id): field for field in self}
        else:
            self._by_name = {field.key: field for field in self}
        self.defaults = {name: field.empty for name, field in self._by_name.items() if field.active}
