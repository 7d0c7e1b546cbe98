from pathlib import Path
from typing import Any

import pytest

from twoway.config import ConfigError, load_pair
from twoway.config.preflight import preflight
from twoway.core.model import Kind, Side
from twoway.ports import Capabilities, FieldInfo, FieldType

PAIR = """\
pair: crm-news
left: { account: crm, collection: contacts }
right: { account: news, collection: members }
start: review
match: [email]
on_create: { right: { status: subscribed } }
fields:
  email: { left: email, right: email_address, type: email, blank: ignore }
  name: { left: name, right: merge_fields.NAME }
  stage: { left: stage, right: stage, choices: { lead: Lead, won: Won } }
  tags: { left: tags, right: tags, type: set }
  consent:
    type: consent
    left: { path: optout, opted_out: [true], opted_in: false }
    right: { path: status, opted_out: [unsubscribed, cleaned] }
"""


def info(name: str, type: FieldType = FieldType.STRING, **more: Any) -> FieldInfo:
    return FieldInfo(name=name, type=type, **more)


LEFT = {
    "email": info("email", FieldType.EMAIL, unique=True),
    "name": info("name"),
    "stage": info("stage", FieldType.CHOICE, choices=("lead", "won", "lost")),
    "tags": info("tags", FieldType.SET),
    "optout": info("optout", FieldType.BOOLEAN, choices=("true", "false")),
}
RIGHT = {
    "email_address": info("email_address", FieldType.EMAIL, unique=True, required=True, cleared_by=None),
    "merge_fields.NAME": info("merge_fields.NAME"),
    "stage": info("stage", FieldType.CHOICE, choices=("Lead", "Won")),
    "tags": info("tags", FieldType.SET),
    "status": info("status", FieldType.CHOICE, choices=("subscribed", "unsubscribed"), cleared_by=None),
}
ABLE = Capabilities(field_times=True)


def found(
    folder: Path,
    text: str = PAIR,
    left: dict[str, FieldInfo] | None = None,
    right: dict[str, FieldInfo] | None = None,
    able: tuple[Capabilities, Capabilities] = (ABLE, ABLE),
) -> list[str]:
    file = folder / "pairs" / "crm-news.yaml"
    file.write_text(text)
    schema = {
        Side.LEFT: list((LEFT if left is None else left).values()),
        Side.RIGHT: list((RIGHT if right is None else right).values()),
    }
    return [str(one) for one in preflight(load_pair(file), schema, dict(zip(Side, able, strict=True)))]


def without(fields: dict[str, FieldInfo], name: str) -> dict[str, FieldInfo]:
    return {key: value for key, value in fields.items() if key != name}


def test_a_mapping_that_fits_is_not_complained_of(folder: Path) -> None:
    assert found(folder) == []


HERE = "pairs/crm-news.yaml"
NEWS = {"right": RIGHT}

SCHEMAS: list[tuple[str, dict[str, Any], str]] = [
    (
        "an unknown field",
        {"left": without(LEFT, "name") | {"names": info("names")}},
        f"{HERE}:9:11: fields.name.left: crm has no field name; valid: email, names, optout, stage, tags; did",
    ),
    (
        "a field that nobody may write",
        {"right": RIGHT | {"tags": info("tags", FieldType.SET, on_create=False, on_update=False)}},
        f"{HERE}:11:23: fields.tags.right: news's tags is read-only; valid: `direction: to_left`, or another field",
    ),
    (
        "a field that is written once",
        {"left": LEFT | {"name": info("name", on_update=False)}},
        f"{HERE}:9:11: fields.name.left: crm's name can be written only when a record is created; valid: `direction",
    ),
    (
        "a field that cannot be emptied",
        {"left": LEFT | {"name": info("name", cleared_by=None)}},
        f"{HERE}:9:11: fields.name.left: warning: crm's name cannot be emptied",
    ),
    (
        "a choice that the app does not have",
        {"right": RIGHT | {"stage": info("stage", FieldType.CHOICE, choices=("Lead", "Winner"))}},
        f"{HERE}:10:62: fields.stage.choices.won: news's stage takes no 'Won'; valid: Lead, Winner",
    ),
    (
        "a canonical choice that the left app does not have",
        {"left": LEFT | {"stage": info("stage", FieldType.CHOICE, choices=("lead",))}},
        f"{HERE}:10:62: fields.stage.choices.won: crm's stage takes no 'won'; valid: lead",
    ),
    (
        "a refusal that the app does not have",
        {"right": RIGHT | {"status": info("status", FieldType.CHOICE, choices=("subscribed", "gone"))}},
        f"{HERE}:15:28: fields.consent.right.opted_out: news's status takes no 'unsubscribed'; valid: gone, subscribed",
    ),
    (
        "a yes that the app does not have",
        {"left": LEFT | {"optout": info("optout", FieldType.CHOICE, choices=("true",))}},
        f"{HERE}:14:46: fields.consent.left.opted_in: crm's optout takes no 'false'; valid: true",
    ),
    (
        "a list for one value",
        {"left": LEFT | {"name": info("name", FieldType.SET)}},
        f"{HERE}:9:11: fields.name.left: name holds several values; valid: `type: set`",
    ),
    (
        "one value for a list",
        {"left": LEFT | {"tags": info("tags")}},
        f"{HERE}:11:11: fields.tags.left: tags holds one value (a string); a set kept as one text needs `delimiter`",
    ),
    (
        "objects for a value",
        {"left": LEFT | {"name": info("name", FieldType.JSON)}},
        f"{HERE}:9:11: fields.name.left: name holds objects or lists; valid: a path into it such as name[",
    ),
    (
        "another record's id",
        {"left": LEFT | {"name": info("name", FieldType.REFERENCE)}},
        f"{HERE}:9:11: fields.name.left: warning: name names another record",
    ),
    (
        "a field without which nothing is created",
        {"left": LEFT | {"owner": info("owner", required=True)}},
        f"{HERE}:1:1: create: crm creates no record without owner: map it, give it in `on_create.left`, or set `create",
    ),
    (
        "an unknown field on create",
        {"right": without(RIGHT, "status")},
        f"{HERE}:6:23: on_create.right.status: news has no field status",
    ),
    (
        "a field that may not be given on create",
        {"right": RIGHT | {"status": info("status", on_create=False, cleared_by=None)}},
        f"{HERE}:6:23: on_create.right.status: news's status is read-only",
    ),
    (
        "a choice on create that the app does not have",
        {"right": RIGHT | {"status": info("status", choices=("unsubscribed", "pending"), cleared_by=None)}},
        f"{HERE}:6:23: on_create.right.status: news's status takes no such value; valid: pending, unsubscribed",
    ),
    (
        "a key that is not unique",
        {"left": LEFT | {"email": info("email")}},
        f"{HERE}:5:9: match.0: warning: crm lets several records have the same email; those are set aside",
    ),
    (
        "an app that takes nothing new",
        {"able": (Capabilities(field_times=True, kinds=frozenset({Kind.UPDATE})), ABLE)},
        f"{HERE}:1:1: create: crm takes no new records; valid: `on_left: false`",
    ),
]


@pytest.mark.parametrize(("why", "given", "complaint"), SCHEMAS, ids=[one[0] for one in SCHEMAS])
def test_what_does_not_fit_is_told_with_its_place(
    why: str, given: dict[str, Any], complaint: str, folder: Path
) -> None:
    lines = found(folder, **given)
    assert any(line.startswith(complaint) for line in lines), (why, lines)
    assert len(lines) <= 2, "no more than follows from the one mistake"


UNABLE = Capabilities(kinds=frozenset({Kind.CREATE, Kind.UPDATE, Kind.DELETE}), hides_merges=True)

TEXTS: list[tuple[str, str, tuple[Capabilities, Capabilities], str]] = [
    (
        "an archive that is not there",
        "delete: { on_right: archive }\n",
        (ABLE, UNABLE),
        f"{HERE}:16:11: delete.on_right: news cannot archive; valid: delete, ignore, review",
    ),
    (
        "deletions that may be merges",
        "delete: { on_left: delete }\n",
        (ABLE, UNABLE),
        f"{HERE}:16:11: delete.on_left: news shows a merged record as deleted, so that a merge there would delete",
    ),
    (
        "an archive on the word of deletions that may be merges",
        "delete: { on_left: archive }\n",
        (ABLE, UNABLE),
        f"{HERE}:16:11: delete.on_left: warning: news shows a merged record as deleted, so that nothing is archived by",
    ),
    (
        "a text that is cut, and may be edited where it is short",
        "  note: { left: note, right: memos, to_right: [trim, { truncate: 9 }] }\n",
        (ABLE, ABLE),
        f"{HERE}:16:54: fields.note.to_right.1: warning: an edit in news replaces the whole text in crm, and what",
    ),
    (
        "digits that are taken out on the way to the left",
        "  note: { left: note, right: memos, to_left: [digits] }\n",
        (ABLE, ABLE),
        f"{HERE}:16:47: fields.note.to_left.0: warning: an edit in crm replaces the whole text in news, and what",
    ),
    (
        "an archive for those who leave",
        "scope: { left: 'stage == \"lead\"', on_leave: archive }\n",
        (ABLE, UNABLE),
        f"{HERE}:16:35: scope.on_leave: news cannot archive; valid: keep, unlink",
    ),
    (
        "times that nobody tells",
        "conflict: newest\n",
        (ABLE, UNABLE),
        f"{HERE}:16:1: conflict: warning: `newest` compares",
    ),
    (
        "times of a field that nobody tells",
        "  note: { left: note, right: stage, direction: to_left, conflict: newest }\n",
        (UNABLE, UNABLE),
        f"{HERE}:16:57: fields.note.conflict: warning: `newest` compares times of fields, which crm and news",
    ),
]


@pytest.mark.parametrize(("why", "more", "able", "complaint"), TEXTS, ids=[one[0] for one in TEXTS])
def test_what_an_app_cannot_do_is_told(
    why: str, more: str, able: tuple[Capabilities, Capabilities], complaint: str, folder: Path
) -> None:
    lines = found(folder, PAIR + more, able=able)
    assert any(line.startswith(complaint) for line in lines), (why, lines)


def test_newest_on_the_first_day_needs_times_too(folder: Path) -> None:
    lines = found(folder, PAIR.replace("start: review", "start: newest"), able=(UNABLE, ABLE))
    assert [line.partition(" `newest`")[0] for line in lines] == [f"{HERE}:4:1: start: warning:"]


def test_of_hundreds_of_fields_only_the_likeliest_are_named(folder: Path) -> None:
    many = {f"property_{number}": info(f"property_{number}") for number in range(300)}
    (line,) = found(folder, left=without(LEFT, "name") | many | {"nam": info("nam")})
    assert line.endswith("crm has no field name; `twoway fields` lists the 305 that it has; did you mean nam?")
    (line,) = found(folder, left=without(LEFT, "name") | many)
    assert line.endswith("lists the 304 that it has")


def test_each_side_may_have_choices_of_its_own_and_paths_into_objects(folder: Path) -> None:
    text = PAIR.replace(
        "stage: { left: stage, right: stage, choices: { lead: Lead, won: Won } }",
        "stage:\n    left: { path: stage, choices: { a: lead, b: gone } }\n"
        "    right: { path: stage, choices: { a: Lead, b: Won } }",
    ).replace("left: name", "left: 'name[type=work].value'")
    lines = found(folder, text, left=LEFT | {"name": info("name", FieldType.JSON)})
    assert lines == [f"{HERE}:11:46: fields.stage.left.choices.b: crm's stage takes no 'gone'; valid: lead, lost, won"]


def test_where_nothing_is_created_nothing_is_required(folder: Path) -> None:
    left = LEFT | {"owner": info("owner", required=True)}
    assert found(folder, PAIR + "create: { on_left: false }\n", left=left) == []


def test_a_path_that_the_schema_turns_into_nonsense_is_refused_like_any_other(folder: Path) -> None:
    text = PAIR.replace("right: merge_fields.NAME }", "right: 'merge_fields[a=b].c' }")
    with pytest.raises(ConfigError):
        found(folder, text.replace("].c", "]"))


def test_nothing_to_send_with_a_new_record_is_no_choice_that_is_missing(folder: Path) -> None:
    assert found(folder, PAIR.replace("status: subscribed", "status: null")) == found(folder)


def test_a_text_that_travels_one_way_may_be_cut(folder: Path) -> None:
    more = "  note: { left: note, right: memos, direction: to_right, to_right: [{ truncate: 9 }] }\n"
    more += "  memo: { right: memos, to_left: [digits] }\n"
    assert not [line for line in found(folder, PAIR + more) if "replaces" in line]


def test_a_mapping_by_which_nobody_is_recognised_is_warned_of(folder: Path) -> None:
    text = PAIR.replace("match: [email]\n", "")
    (line,) = found(folder, text)
    assert "match: warning: without `match` nobody who is in both apps is recognised: each is made anew in crm" in line
    assert found(folder, text + "create: { on_left: false, on_right: false }\n") == []
