"""HubSpot's records of one object type: reading properties, validation, unique values, merges. No HTTP here."""

from collections.abc import Iterable, Mapping
from typing import Any

from twoway.sandbox.clock import iso_ms
from twoway.sandbox.hubspot_properties import ALWAYS, DEFAULTS, LIFECYCLE, MODIFIED, Invalid, Property, standard
from twoway.sandbox.store import By, Collection, Record, Version

HISTORY_LENGTH = 20
"""Values of a property that its history shows."""


class Taken(Exception):
    """Another record has that unique value."""

    def __init__(self, name: str, value: str, owner: int) -> None:
        super().__init__(f"{name}={value} is {owner}'s")
        self.name = name
        self.value = value
        self.owner = owner


class Objects:
    """The records of one object type, and who has which unique value."""

    def __init__(self, object_type: str, records: Collection) -> None:
        self.type = object_type
        self.records = records
        self.properties = standard(object_type)
        self.lifecycle_forward_only = True
        self.merges_anew = False
        # property → value → id, of live records only: an archived contact gives its e-mail free.
        self._owners: dict[str, dict[str, int]] = {each.name: {} for each in self.properties.values() if each.unique}

    # Reading

    def value(self, record: Record, version: Version, name: str) -> str | None:
        """A property's value in that version of the record; None if it has none."""
        match name:
            case "hs_object_id":
                return str(record.id)
            case "createdate":
                return iso_ms(record.created)
            case "lastmodifieddate" | "hs_lastmodifieddate" if name == MODIFIED[self.type]:
                return iso_ms(version.modified)
            case "hs_merged_object_ids":
                return ";".join(map(str, record.merged)) or None
            case "hs_full_name_or_email" if self.type == "contacts":
                fields = version.fields
                names = [fields[part] for part in ("firstname", "lastname") if fields.get(part)]
                return " ".join(names) or fields.get("email")
            case _:
                found: str | None = version.fields.get(name)
                return found

    def wire(
        self, record: Record, version: Version, names: Iterable[str] = (), history: Iterable[str] = ()
    ) -> dict[str, Any]:
        """The record's JSON. Names that are no property are left out in silence, as HubSpot does."""
        wanted = [*ALWAYS[self.type], *(name for name in names if name in self.properties)] if names else ()
        shape: dict[str, Any] = {
            "id": str(record.id),
            "properties": {name: self.value(record, version, name) for name in wanted or DEFAULTS[self.type]},
            "createdAt": iso_ms(record.created),
            "updatedAt": iso_ms(version.modified),
            "archived": version.deleted,
        }
        if version.deleted:
            shape["archivedAt"] = iso_ms(version.modified)
        asked = [name for name in history if name in self.properties]
        if asked:
            shape["propertiesWithHistory"] = {name: self.history(record, name) for name in asked}
        return shape

    def history(self, record: Record, name: str) -> list[dict[str, Any]]:
        """A property's values, newest first, with the time of each."""
        entries: list[dict[str, Any]] = []
        for version in record.versions():
            value = self.value(record, version, name)
            if (entries[-1]["value"] if entries else "") != (value or ""):
                entries.append(
                    {
                        "value": value or "",
                        "timestamp": iso_ms(version.modified),
                        "sourceType": "CRM_UI" if version.who == "human" else "INTEGRATION",
                        "sourceId": "userId:1" if version.who == "human" else "1",
                    }
                )
        return entries[: -HISTORY_LENGTH - 1 : -1]

    def owner(self, name: str, value: str) -> Record | None:
        """The live record that has this value of a unique property (an e-mail may be a secondary one)."""
        number = self._owners.get(name, {}).get(value.strip().lower() if name == "email" else value)
        return None if number is None else self.records.get(number)

    def is_unique(self, name: str) -> bool:
        """Can records be found by this property?"""
        return name in self._owners

    # Validation

    def check(self, properties: Mapping[str, Any], record: Record | None) -> dict[str, str]:
        """The values as they would be stored ("" clears). Raises Invalid or Taken; changes nothing."""
        checked: dict[str, str] = {}
        for name, value in properties.items():
            definition = self.properties.get(name)
            if definition is None:
                raise Invalid("PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist', name)
            if value is None:
                continue
            if not isinstance(value, str):
                raise Invalid("INVALID_JSON", f"Cannot deserialize a string from {value!r}", name)
            checked[name] = definition.normal(value)
        self._check_unique(checked, record)
        if record is not None and self._goes_back(record.fields.get("lifecyclestage"), checked.get("lifecyclestage")):
            # No error: the write is accepted and this value of it is not taken.
            del checked["lifecyclestage"]
        return checked

    def _check_unique(self, checked: Mapping[str, str], record: Record | None) -> None:
        for name, owners in self._owners.items():
            for value in _unique_values(name, checked):
                owner = owners.get(value)
                if owner is not None and (record is None or owner != record.id):
                    raise Taken(name, value, owner)

    def _goes_back(self, old: str | None, new: str | None) -> bool:
        return bool(self.lifecycle_forward_only and old and new and LIFECYCLE.index(new) < LIFECYCLE.index(old))

    # Changing

    def create(self, checked: Mapping[str, str], by: By) -> Record:
        """A new record with values that `check` passed."""
        record = self.records.create({name: value for name, value in checked.items() if value}, by)
        self._own(record)
        return record

    def update(self, record: Record, checked: Mapping[str, str], by: By) -> None:
        """Set values that `check` passed."""
        changes: dict[str, str | None] = {name: value or None for name, value in checked.items()}
        self._disown(record)
        if email := changes.get("email"):
            # A secondary address that becomes the primary one is no longer a secondary one.
            others = str(changes.get("hs_additional_emails", record.fields.get("hs_additional_emails")) or "")
            kept = ";".join(part for part in others.split(";") if part and part != email)
            if kept != others:
                changes["hs_additional_emails"] = kept or None
        self.records.update(record, changes, by)
        self._own(record)

    def archive(self, record: Record, by: By) -> None:
        """Soft delete."""
        self._disown(record)
        self.records.delete(record, by)

    def restore(self, record: Record, by: By) -> None:
        """Back from the archive. Raises Taken if another record has its e-mail by now."""
        self._check_unique(record.fields, record)
        self.records.restore(record, by)
        self._own(record)

    def purge(self, record: Record, by: By) -> None:
        """Delete for good, as `gdpr-delete` does."""
        self._disown(record)
        self.records.purge(record, by)

    def merge(self, winner: Record, loser: Record, by: By) -> Record:
        """The winner keeps its values, and takes the loser's where it has none; e-mails become secondary ones.

        What is left of them is the winner, or with `merges_anew` a new record, to which both ids lead.
        """
        changes = {name: value for name, value in loser.fields.items() if value and not winner.fields.get(name)}
        if self.type == "contacts":
            primary = winner.fields.get("email") or changes.get("email")
            emails = [*_unique_values("email", winner.fields), *_unique_values("email", loser.fields)]
            others = [email for email in dict.fromkeys(emails) if email != primary]
            changes["hs_additional_emails"] = ";".join(others) or None
        self._disown(loser)
        self._disown(winner)
        left = winner
        if self.merges_anew:
            fields = {name: value for name, value in {**winner.fields, **changes}.items() if value}
            left = self.records.merge_anew((winner, loser), fields, by)
        else:
            self.records.merge(winner, loser, changes, by)
        self._own(left)
        return left

    def load(self, entry: Mapping[str, Any], created: float | None, modified: float | None) -> None:
        """Seed one record: `{"id"?, "properties": {...}}`, values as they are stored."""
        fields = {name: value for name, value in entry["properties"].items() if value}
        number = int(entry["id"]) if "id" in entry else None
        self._own(self.records.load(fields, record_id=number, created=created, modified=modified))

    def define(self, definition: Property) -> None:
        """Add a custom property."""
        self.properties[definition.name] = definition
        if definition.unique:
            self._owners[definition.name] = {}

    def _own(self, record: Record) -> None:
        for name, owners in self._owners.items():
            for value in _unique_values(name, record.fields):
                owners[value] = record.id

    def _disown(self, record: Record) -> None:
        for name, owners in self._owners.items():
            for value in _unique_values(name, record.fields):
                if owners.get(value) == record.id:
                    del owners[value]


def _unique_values(name: str, fields: Mapping[str, Any]) -> list[str]:
    """The values that a record claims of a unique property; its e-mails include the secondary ones."""
    values = [fields[name]] if fields.get(name) else []
    if name == "email" and fields.get("hs_additional_emails"):
        values += fields["hs_additional_emails"].split(";")
    return values
