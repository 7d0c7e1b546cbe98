from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.config.conftest import PAIR, Told
from twoway.config import load, load_pair
from twoway.core.model import Side
from twoway.core.rules import Blank, OnDelete, OnEditedDelete, OnLeave, Policy, Start

WHOLE = """\
pair: crm-news
left: { account: crm, collection: contacts }
right: { account: news, collection: members, options: { audience: Customers } }
start: newest
match: [email, [full_name, phone]]
scope: { left: 'lifecycle in ["lead", "customer"]', on_leave: archive }
create: { on_right: true, on_left: false }
delete: { on_right: archive, on_left: ignore, if_edited: review }
conflict: newest
blank: fill
tolerance: 5s
on_create:
  right: { status: subscribed }
fields:
  email: { left: email, right: email_address, type: email }
  full_name:
    left: { join: [firstname, lastname], with: " ", split: last }
    right: merge_fields.NAME
  phone: { left: phone, right: 'phones[type=work].value', type: phone, region: US }
  lifecycle:
    left: lifecyclestage
    right: merge_fields.STAGE
    direction: to_right
    drift: revert
    choices: { lead: Lead, customer: Customer, no: Norway, 7: Seven }
    unknown_choice: ignore
  tags: { left: tags, right: tags, type: set }
  owner: { left: owner }
  note: { left: note, right: note, to_right: [trim, { truncate: 255 }] }
  consent:
    type: consent
    left: { path: optout, opted_out: [true] }
    right: { path: status, opted_out: [unsubscribed, cleaned] }
guard: { creates: 20%, deletes: 5%, blanks: 0.1, floor: 20, max_writes: 5000 }
schedule: { every: 1h30m, snapshot: "0 3 * * 1-5", timezone: Europe/Berlin, settle: 10s, jitter: 500ms }
"""


def test_a_whole_file_is_taken_as_it_is_written(folder: Path) -> None:
    (folder / "pairs" / "crm-news.yaml").write_text(WHOLE)
    pair = load(folder / "config.yaml").pairs["crm-news"]
    spec, fields = pair.spec, {one.name: one for one in pair.spec.fields}
    assert (spec.start, spec.conflict, spec.blank, spec.tolerance) == (Start.NEWEST, Policy.NEWEST, Blank.FILL, 5000)
    assert spec.match == (("email",), ("full_name", "phone"))
    assert (spec.left.scope, spec.on_leave) == ('lifecycle in ["lead", "customer"]', OnLeave.ARCHIVE)
    assert (spec.left.create, spec.right.create, spec.right.delete) == (False, True, OnDelete.ARCHIVE)
    assert spec.edited_delete is OnEditedDelete.REVIEW
    assert spec.right.on_create == {"status": "subscribed"}
    assert spec.right.options == {"audience": "Customers"}
    assert fields["lifecycle"].type == "choice"
    assert fields["lifecycle"].choices == {"lead": "Lead", "customer": "Customer", "no": "Norway", "7": "Seven"}
    assert [(step.name, step.argument) for step in fields["note"].to_right] == [("trim", None), ("truncate", 255)]
    assert (spec.guard.creates, spec.guard.deletes, spec.guard.blanks) == (0.2, 0.05, 0.1)
    schedule = pair.schedule
    assert (schedule.every, schedule.cron, schedule.snapshot) == (5_400_000, None, "0 3 * * 1-5")
    assert (schedule.timezone, schedule.settle, schedule.jitter) == ("Europe/Berlin", 10_000, 500)
    decoded = pair.mapping.left.decode({"email": "A@b.de", "firstname": "A", "lastname": "B", "lifecyclestage": "lead"})
    assert decoded.values == {"email": "a@b.de", "lifecycle": "lead", "full_name": "A B"}
    assert pair.mapping.right.encode({"lifecycle": "customer"}, None) == {"merge_fields.STAGE": "Customer"}


def test_what_a_file_leaves_out_has_a_careful_default(folder: Path) -> None:
    pair = load(folder / "config.yaml").pairs["crm-news"]
    assert (pair.spec.conflict, pair.spec.blank, pair.spec.on_leave) == (Policy.REVIEW, Blank.PROPAGATE, OnLeave.KEEP)
    assert {pair.spec.side(side).delete for side in Side} == {OnDelete.IGNORE}
    assert (pair.schedule.every, pair.schedule.snapshot) == (300_000, "0 3 * * *")


def test_a_cron_line_stands_for_the_interval(folder: Path) -> None:
    file = folder / "pairs" / "crm-news.yaml"
    file.write_text(PAIR + 'schedule: { cron: "*/10 8-18 * * mon-fri", snapshot: null }\n')
    assert load_pair(file).schedule.every is None
    assert load_pair(file).schedule.cron == "*/10 8-18 * * mon-fri"
    assert load_pair(file).schedule.snapshot is None


def test_live_field_names_are_taken_up(folder: Path) -> None:
    pair = load_pair(folder / "pairs" / "crm-news.yaml")
    nested = pair.compile({Side.LEFT: {"email", "phone"}, Side.RIGHT: {"email_address", "merge_fields"}})
    assert nested.right.reads == {"email_address", "merge_fields"}
    assert pair.mapping.right.reads == {"email_address", "merge_fields.PHONE"}


FILE = "pairs/crm-news.yaml"

UNKNOWN_KEY = (
    f"{FILE}:12:5: fields.phone.regoin: unknown key; valid: blank, case, choices, conflict, decimals, direction, "
    "drift, left, region, resolution, right, start, to_left, to_right, trim, type, unknown_choice; did you mean region?"
)
UNKNOWN_PLACE_KEY = (
    f"{FILE}:7:55: fields.email.right.formt: unknown key; valid: choices, delimiter, format, join, opted_in, "
    "opted_out, path, split, with; did you mean format?"
)
BROKEN = [
    ("no YAML", ("start: review", "start: [review"), f"{FILE}:5:6: not YAML: expected ',' or ']', but got ':'"),
    ("a tab", ("    left: phone", "\tleft: phone"), "(YAML takes no tabs for indenting)"),
    ("a key twice", ("start: review", "start: review\nstart: left"), f"{FILE}:5:1: the same key twice; leave one out"),
    (
        "an unknown key",
        ("    region: US", "    regoin: US"),
        UNKNOWN_KEY,
    ),
    (
        "an unknown key in a place",
        ("right: email_address", "right: { path: email_address, formt: x }"),
        UNKNOWN_PLACE_KEY,
    ),
    (
        "an unknown key at the top",
        ("match: [email]", "mtach: [email]"),
        f"{FILE}:5:1: mtach: unknown key; valid: blank,",
    ),
    ("no start", ("start: review\n", ""), f"{FILE}:1:1: start: is missing"),
    ("no collection", (", collection: contacts", ""), f"{FILE}:2:1: left.collection: is missing"),
    (
        "a word that is none",
        ("start: review", "start: reviw"),
        f"{FILE}:4:1: start: not a valid value; valid: left, right, newest, review",
    ),
    (
        "an unknown account",
        ("account: news", "account: nwes"),
        f"{FILE}:3:10: right.account: unknown account nwes; valid: crm, news; did you mean news?",
    ),
    ("a list for a table", ("left: { account: crm, collection: contacts }", "left: [crm]"), "left: needs a table of"),
    (
        "an unknown field",
        ("match: [email]", "match: [emial]"),
        f"{FILE}:5:9: match.0: unknown field emial; valid: email, phone",
    ),
    (
        "an unknown type",
        ("type: email", "type: e-mail"),
        f"{FILE}:7:47: fields.email.type: unknown type; valid: string,",
    ),
    (
        "an unknown country",
        ("region: US", "region: USA"),
        f"{FILE}:12:5: fields.phone.region: unknown country; valid: two",
    ),
    ("a name that is none", ("pair: crm-news", "pair: CRM News"), f"{FILE}:1:1: pair: not a name; valid: lower-case"),
    ("no fields", (PAIR[PAIR.index("fields:") :], "fields: {}\n"), f"{FILE}:6:1: fields: "),
    (
        "a text for a number",
        ("start: review", "start: review\nguard: { floor: many }"),
        f"{FILE}:5:10: guard.floor: must be",
    ),
    (
        "a place that is empty",
        ("    right: merge_fields.PHONE", "    right:"),
        f"{FILE}:10:5: fields.phone.right: is empty; valid: the app's field,",
    ),
    (
        "a share that is none",
        ("start: review", "start: review\nguard: { creates: 120% }"),
        "guard.creates: not a share",
    ),
    (
        "a share that may be one in a hundred",
        ("start: review", "start: review\nguard: { deletes: 1 }"),
        f"{FILE}:5:10: guard.deletes: not a share; valid: 0% to 100%, with the sign",
    ),
    ("a share in words", ("start: review", "start: review\nguard: { creates: some }"), "guard.creates: not a share"),
    (
        "a duration that is none",
        ("start: review", "start: review\ntolerance: soon"),
        "tolerance: not a duration; valid: 500ms,",
    ),
    (
        "a duration of ages",
        ("start: review", "start: review\nschedule: { every: 99999999999d }"),
        f"{FILE}:5:13: schedule.every: too long; valid: up to 3650d",
    ),
    (
        "too often",
        ("start: review", "start: review\nschedule: { every: 10ms }"),
        f"{FILE}:5:13: schedule.every: too often; valid: 1s and longer",
    ),
    (
        "a zone that is none",
        ("start: review", "start: review\nschedule: { timezone: Berlin }"),
        "timezone: unknown time zone",
    ),
    (
        "four cron fields",
        ("start: review", 'start: review\nschedule: { cron: "0 3 * *" }'),
        "cron: not five cron fields",
    ),
    (
        "an hour that is none",
        ("start: review", 'start: review\nschedule: { snapshot: "0 24 * * *" }'),
        "schedule.snapshot: the hour cannot be read; valid: *, 0 to 23",
    ),
    (
        "a month that is none",
        ("start: review", 'start: review\nschedule: { cron: "0 3 * foo *" }'),
        "the month cannot be read",
    ),
    (
        "a step of nothing",
        ("start: review", 'start: review\nschedule: { cron: "*/0 3 * * *" }'),
        "the minute cannot be read",
    ),
    (
        "days that run backwards",
        ("start: review", 'start: review\nschedule: { cron: "0 3 * * 5-2" }'),
        "schedule.cron: the day of week 5-2 runs backwards; valid: ",
    ),
    (
        "a day that never comes",
        ("start: review", 'start: review\nschedule: { snapshot: "0 3 31 2 *" }'),
        "schedule.snapshot: names a day that never comes; valid: ",
    ),
    (
        "no cron at all",
        ("start: review", 'start: review\nschedule: { cron: "0 3 ? * *" }'),
        "the day of month cannot be read",
    ),
    (
        "an interval and a cron line",
        ("start: review", 'start: review\nschedule: { every: 5m, cron: "0 3 * * *" }'),
        f"{FILE}:5:1: schedule: `every` and `cron` exclude each other; leave one out",
    ),
    (
        "a step that is none",
        ("    region: US", "    region: US\n    to_left: [trim, 5]"),
        f"{FILE}:13:21: fields.phone.to_left.1: a step is a name, or a name with its argument",
    ),
    (
        "what does not go together",
        ("type: phone", "type: string"),
        f"{FILE}:12:5: fields.phone.region: `region` is for the types phone, and this field is a `string`",
    ),
    (
        "a condition that is none",
        ("start: review", "start: review\nscope: { left: 'a in [' }"),
        f"{FILE}:5:10: scope.left: not a CEL",
    ),
]


@pytest.mark.parametrize(("why", "change", "complaint"), BROKEN, ids=[one[0] for one in BROKEN])
def test_what_is_wrong_is_told_with_its_place(
    why: str, change: tuple[str, str], complaint: str, folder: Path, told: Told
) -> None:
    assert change[0] in PAIR, why
    (folder / FILE).write_text(PAIR.replace(*change))
    lines = told()
    assert len(lines) == 1, lines
    assert complaint in lines[0]


def test_everything_that_is_wrong_is_told_at_once_in_the_files_order(folder: Path, told: Told) -> None:
    text = PAIR.replace("account: crm", "account: cmr").replace("start: review", "start: no").replace("region", "regio")
    (folder / FILE).write_text(text)
    (folder / "pairs" / "b.yml").write_text("pair: [")
    assert [line.split(" ")[0] for line in told()] == [
        "pairs/b.yml:1:8:",
        f"{FILE}:2:9:",
        f"{FILE}:4:1:",
        f"{FILE}:12:5:",
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", f"{FILE}:1:1: is empty, or not a table"),
        (b"- a\n- b\n", f"{FILE}:1:1: is empty, or not a table"),
        (b"pair: \xff", f"{FILE}: is not UTF-8 text"),
        (b"a: 1\n---\nb: 2\n", "not YAML"),
        (b"a: \x07", "not YAML"),
    ],
)
def test_what_is_no_mapping_file_at_all(content: bytes, complaint: str, folder: Path, told: Told) -> None:
    (folder / FILE).write_bytes(content)
    assert [complaint in line for line in told()] == [True]


def test_a_merged_part_is_complained_of_where_it_is_used(folder: Path, told: Told) -> None:
    text = PAIR.replace("  email: {", "  email: &e {") + "  other: { <<: *e, left: other, typ: email }\n"
    (folder / FILE).write_text(text)
    assert [line.split(": unknown")[0] for line in told()] == [f"{FILE}:13:33: fields.other.typ"]


def test_words_that_are_truth_values_in_old_yaml_are_words(folder: Path) -> None:
    (folder / FILE).write_text(
        PAIR + "  country: { left: c, right: c, choices: { no: NO, on: ON, yes: 2024-01-02 } }\n"
    )
    country = load_pair(folder / FILE).spec.fields[-1]
    assert country.choices == {"no": "NO", "on": "ON", "yes": "2024-01-02"}


def _choices_of_lifecycle(file: Path) -> Mapping[str, object]:
    return next(one.choices for one in load_pair(file).spec.fields if one.name == "lifecycle") or {}


def test_a_number_that_is_too_long_for_one_is_an_id(folder: Path) -> None:
    file = folder / "pairs" / "crm-news.yaml"
    long = "99999999999999999999"
    file.write_text(WHOLE.replace("Seven", long).replace("status: subscribed", f"list: -{long}, count: {2**63 - 1}"))
    spec = load_pair(file).spec
    assert _choices_of_lifecycle(file)["7"] == long
    assert spec.right.on_create == {"list": f"-{long}", "count": 2**63 - 1}


def test_a_character_in_two_escapes_is_one(folder: Path) -> None:
    file = folder / "pairs" / "crm-news.yaml"
    file.write_text(WHOLE.replace("7: Seven", '7: "\\uD83D\\uDE00"'))
    assert _choices_of_lifecycle(file)["7"] == "\N{GRINNING FACE}"
