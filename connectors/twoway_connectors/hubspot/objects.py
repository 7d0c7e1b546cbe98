"""What differs between HubSpot's object types."""

from dataclasses import dataclass

MERGED = "hs_merged_object_ids"
"""The property that lists, `a;b`, the ids that were merged into a record."""
MORE_EMAILS = "hs_additional_emails"


@dataclass(frozen=True, slots=True)
class ObjectType:
    """One object type. `modified` is the property of the record's last change, `key` the one that HubSpot keeps unique.

    `event` is how webhooks call it, `number` its objectTypeId. `rewrites` are properties of which HubSpot may keep
    something else than it is sent.
    """

    name: str
    label: str
    event: str
    number: str
    modified: str
    key: str | None = None
    rewrites: frozenset[str] = frozenset()


# The API moves a lifecycle stage forward only; moving it back is dropped without an error.
_STAGE = frozenset({"lifecyclestage"})

OBJECT_TYPES = {
    each.name: each
    for each in (
        ObjectType("companies", "Companies", "company", "0-2", "hs_lastmodifieddate", rewrites=_STAGE | {"domain"}),
        ObjectType("contacts", "Contacts", "contact", "0-1", "lastmodifieddate", "email", rewrites=_STAGE),
        ObjectType("deals", "Deals", "deal", "0-3", "hs_lastmodifieddate"),
    )
}
