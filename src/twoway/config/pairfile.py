"""The mapping file: `pairs/NAME.yaml` as models, and their translation to what the core compiles.

The models check shapes and words; what the options mean together is checked by `twoway.core.spec_check`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from twoway.config.cron import check_cron
from twoway.config.strict import Strict
from twoway.config.units import Duration, Share, parse_duration, span
from twoway.core import spec
from twoway.core.model import Raw
from twoway.core.rules import Blank, Direction, Drift, GuardRules, OnDelete, OnEditedDelete, OnLeave, Policy, Start
from twoway.core.types import TYPES

PAIR_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class SidePart(Strict):
    """`left:` and `right:` of the file."""

    account: str = Field(description="The account, as `config.yaml` names it.")
    collection: str = Field(description="The collection in the account, such as contacts.")
    options: dict[str, Any] = Field(default={}, description="What the collection needs besides, such as an audience.")


class ScopePart(Strict):
    """`scope:`."""

    left: str | None = Field(
        default=None, description="A CEL condition over canonical fields, for records of the left side."
    )
    right: str | None = Field(default=None, description="The same for records of the right side.")
    on_leave: OnLeave = Field(
        default=OnLeave.KEEP, description="What happens to the counterpart of a record that left."
    )


class CreatePart(Strict):
    """`create:`."""

    on_left: bool = Field(default=True, description="Whether a record that is new on the right is created on the left.")
    on_right: bool = Field(
        default=True, description="Whether a record that is new on the left is created on the right."
    )


class DeletePart(Strict):
    """`delete:`."""

    on_left: OnDelete = Field(default=OnDelete.IGNORE, description="What a deletion on the right does on the left.")
    on_right: OnDelete = Field(default=OnDelete.IGNORE, description="What a deletion on the left does on the right.")
    if_edited: OnEditedDelete = Field(
        default=OnEditedDelete.EDIT,
        description="What wins if a record was deleted on one side and edited on the other.",
    )


class OnCreatePart(Strict):
    """`on_create:`: sent once with a new record, never compared."""

    left: dict[str, Any] = Field(default={}, description="The left app's field names and the values to send.")
    right: dict[str, Any] = Field(default={}, description="The right app's field names and the values to send.")


class GuardPart(Strict):
    """`guard:`: limits of one cycle, as shares of the pair's links."""

    creates: Share = Field(default=0.20, description="More creations than this share hold the plan.")
    deletes: Share = Field(default=0.05, description="More deletions than this share hold the plan.")
    blanks: Share = Field(default=0.05, description="More values emptied than this share hold the plan.")
    floor: int = Field(default=20, ge=0, description="Up to so many of a kind nothing is held.")
    max_writes: int = Field(default=5000, ge=1, description="More writes than this hold the plan.")
    short_listing: Share = Field(default=0.20, description="A listing that lacks more than this share is not believed.")


class SchedulePart(Strict):
    """`schedule:`."""

    every: Duration | None = Field(
        default=None,
        description="How often to look for changes; 5m if neither this nor `cron` is given.",
        json_schema_extra={"default": "5m"},
    )
    cron: str | None = Field(default=None, description="When to look for changes instead: five cron fields.")
    snapshot: str | None = Field(
        default="0 3 * * *", description="When to list everything: five cron fields, or null for never."
    )
    timezone: str = Field(default="UTC", description="The time zone of `cron` and `snapshot`.")
    settle: Duration = span("10s", "How long a record must have rested before it is carried over.")
    jitter: Duration = span("0s", "Up to so much is added to each time at random.")

    @field_validator("every")
    @classmethod
    def _not_too_often(cls, every: int | None) -> int | None:
        if every is not None and every < 1_000:
            raise ValueError("too often; valid: 1s and longer")
        return every

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, KeyError, OSError):
            raise ValueError("unknown time zone; valid: names such as Europe/Berlin, or UTC") from None
        return name

    @field_validator("cron", "snapshot")
    @classmethod
    def _cron(cls, line: str | None) -> str | None:
        return None if line is None else check_cron(line)

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if self.every is not None and self.cron is not None:
            raise ValueError("`every` and `cron` exclude each other; leave one out")
        return self


def _place(raw: Any) -> Any:
    if raw is None:
        # A line that was not finished would leave the field on one side, where it is never carried over.
        raise ValueError(
            "is empty; valid: the app's field, or a table; leave the key out of a field with one side only"
        )
    return {"path": raw} if isinstance(raw, str) else raw


class PlacePart(Strict):
    """Where a field lives on one side. A plain text is its `path`."""

    path: str | None = Field(default=None, min_length=1, description="The app's field, or a path into it.")
    join: list[str] | None = Field(default=None, description="Several fields that together are one text.")
    separator: str = Field(default=" ", alias="with", description="What stands between joined fields.")
    split: Literal["last", "first"] = Field(
        default="last", description="Which end of the text the single words come from."
    )
    delimiter: str | None = Field(default=None, description="What separates the elements of a set kept as one text.")
    format: str | None = Field(
        default=None, description="How the app writes a date, such as %d.%m.%Y, epoch or epoch_ms."
    )
    choices: dict[str | int | bool, Any] | None = Field(
        default=None, description="Canonical value: the app's own value."
    )
    opted_out: list[Any] = Field(default=[], description="The app's values that mean no; the first one is written.")
    opted_in: Any = Field(default=None, description="The app's value that means yes, if twoway may write it.")


Place = Annotated[PlacePart | None, BeforeValidator(_place)]


def _step(raw: Any) -> spec.Step:
    if isinstance(raw, str):
        return spec.Step(raw)
    if isinstance(raw, Mapping) and len(raw) == 1:
        ((name, argument),) = raw.items()
        return spec.Step(str(name), argument)
    raise ValueError("a step is a name, or a name with its argument: `- trim`, `- { truncate: 255 }`")


StepItem = Annotated[Any, BeforeValidator(_step), WithJsonSchema({"type": ["string", "object"]})]


class FieldPart(Strict):
    """One entry of `fields:`."""

    left: Place = Field(default=None, description="Where the field lives on the left.")
    right: Place = Field(default=None, description="Where the field lives on the right.")
    type: str | None = Field(
        default=None,
        description="How values are read and compared; string, or choice where there are choices.",
        json_schema_extra={"enum": [*TYPES, None]},
    )
    direction: Literal["both", "to_left", "to_right"] = Field(default="both", description="Which way changes travel.")
    drift: Drift = Field(default=Drift.REVERT, description="What to do with an edit on the side that only receives.")
    conflict: Policy | None = Field(default=None, description="Who wins; the pair's `conflict` if not given.")
    blank: Blank | None = Field(
        default=None, description="What an emptied field does; the pair's `blank` if not given."
    )
    start: Start | None = Field(default=None, description="Who wins on a first link; the pair's `start` if not given.")
    region: str | None = Field(
        default=None, description="The country of phone numbers without a country code, such as DE."
    )
    resolution: Literal["millisecond", "second", "minute"] = Field(
        default="second", description="What a datetime is cut to: the coarser of the two apps'."
    )
    decimals: int | None = Field(default=None, ge=0, le=30, description="The places that a number is rounded to.")
    trim: bool = Field(default=False, description="Whether spaces around a text are overlooked on both sides.")
    case: Literal["lower", "upper", "title"] | None = Field(
        default=None, description="The case that both sides are kept in."
    )
    choices: dict[str | int | bool, Any] | None = Field(default=None, description="Left's value: right's value.")
    unknown_choice: Literal["park", "ignore", "keep"] = Field(
        default="park", description="What to do with a value that `choices` does not name."
    )
    to_left: list[StepItem] = Field(default=[], description="Steps that a value takes on its way to the left.")
    to_right: list[StepItem] = Field(default=[], description="Steps that a value takes on its way to the right.")

    @field_validator("region")
    @classmethod
    def _country(cls, region: str | None) -> str | None:
        from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415 - its tables are loaded only where a region is named

        if region is not None and region not in SUPPORTED_REGIONS:
            raise ValueError("unknown country; valid: two capital letters such as US, DE, GB")
        return region


def _keys(raw: Any) -> Any:
    """`match: [email, [last_name, phone]]`: a name alone is a key of one field."""
    return [[one] if isinstance(one, str) else one for one in raw] if isinstance(raw, list) else raw


class PairFile(Strict):
    """A mapping file."""

    pair: str = Field(description="The pair's name: in commands, in messages and in the state.")
    left: SidePart = Field(description="One of the two collections.")
    right: SidePart = Field(description="The other one. Neither is privileged.")
    start: Start = Field(description="Who wins on a first link, where both sides are filled and differ.")
    match: Annotated[
        list[Annotated[list[str], Field(min_length=1)]],
        BeforeValidator(_keys),
        WithJsonSchema({"type": "array", "items": {"type": ["string", "array"], "items": {"type": "string"}}}),
    ] = Field(default=[], description="The keys by which two records are taken to be one, in order.")
    scope: ScopePart = Field(default=ScopePart(), description="Which records the pair covers.")
    create: CreatePart = Field(default=CreatePart(), description="Where new records are created.")
    delete: DeletePart = Field(default=DeletePart(), description="What a deletion does on the other side.")
    conflict: Policy = Field(default=Policy.REVIEW, description="Who wins if both sides changed one field differently.")
    blank: Blank = Field(default=Blank.PROPAGATE, description="What a field that was emptied does to the other side.")
    tolerance: Duration = span("2s", "Within this two clocks are taken to be equal.")
    on_create: OnCreatePart = Field(default=OnCreatePart(), description="Sent once with a new record.")
    fields: dict[str, FieldPart] = Field(min_length=1, description="Canonical name: where it lives on each side.")
    guard: GuardPart = Field(default=GuardPart(), description="What holds a plan until someone approves it.")
    schedule: SchedulePart = Field(default=SchedulePart(), description="When the pair runs.")

    @field_validator("pair")
    @classmethod
    def _name(cls, name: str) -> str:
        if not PAIR_NAME.fullmatch(name):
            raise ValueError("not a name; valid: lower-case letters, digits, - and _, at most 63")
        return name


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a pair runs: `every` so many milliseconds or by the `cron` line; one of them is `None`.

    `snapshot` is a cron line, `None` for never. `settle` and `jitter` are milliseconds.
    """

    every: int | None
    cron: str | None
    snapshot: str | None
    timezone: str
    settle: int
    jitter: int


def to_schedule(file: PairFile) -> Schedule:
    """The file's schedule, which decides nothing about values and so is no part of the mapping."""
    part = file.schedule
    every = parse_duration("5m") if part.every is None and part.cron is None else part.every
    return Schedule(every, part.cron, part.snapshot, part.timezone, part.settle, part.jitter)


def to_spec(file: PairFile) -> spec.MappingSpec:
    """The file as the core takes it."""

    def side(part: SidePart, scope: str | None, on_create: Mapping[str, Raw], create: bool, delete: OnDelete) -> Any:
        return spec.SideSpec(
            account=part.account,
            collection=part.collection,
            options=part.options,
            scope=scope,
            on_create=on_create,
            create=create,
            delete=delete,
        )

    return spec.MappingSpec(
        pair=file.pair,
        left=side(file.left, file.scope.left, file.on_create.left, file.create.on_left, file.delete.on_left),
        right=side(file.right, file.scope.right, file.on_create.right, file.create.on_right, file.delete.on_right),
        start=file.start,
        match=tuple(tuple(key) for key in file.match),
        fields=tuple(_field(name, part) for name, part in file.fields.items()),
        conflict=file.conflict,
        blank=file.blank,
        edited_delete=file.delete.if_edited,
        on_leave=file.scope.on_leave,
        guard=GuardRules(**file.guard.model_dump()),
        tolerance=file.tolerance,
    )


def _field(name: str, part: FieldPart) -> spec.FieldSpec:
    places = [one for one in (part.left, part.right) if one is not None]
    closed = part.choices is not None or any(one.choices is not None for one in places)
    return spec.FieldSpec(
        name=name,
        type=part.type or ("choice" if closed else "string"),
        left=_location(part.left),
        right=_location(part.right),
        direction=Direction(part.direction),
        drift=part.drift,
        conflict=part.conflict,
        blank=part.blank,
        start=part.start,
        region=part.region,
        resolution=part.resolution,
        decimals=part.decimals,
        trim=part.trim,
        case=part.case,
        choices=_choices(part.choices),
        unknown_choice=part.unknown_choice,
        to_left=tuple(part.to_left),
        to_right=tuple(part.to_right),
    )


def _location(part: PlacePart | None) -> spec.Location | None:
    if part is None:
        return None
    return spec.Location(
        path=part.path,
        join=tuple(part.join or ()),
        separator=part.separator,
        split=part.split,
        delimiter=part.delimiter,
        format=part.format,
        choices=_choices(part.choices),
        opted_out=tuple(part.opted_out),
        opted_in=part.opted_in,
    )


def _choices(choices: Mapping[Any, Raw] | None) -> dict[str, Raw] | None:
    if choices is None:
        return None
    return {str(key).lower() if isinstance(key, bool) else str(key): value for key, value in choices.items()}
