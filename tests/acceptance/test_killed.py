"""The process is killed with signal 9 at one fault point after another: before and after its requests and its commits.

The product is the real one, in a process of its own, over a real state file and look-alike apps on sockets; after each
kill a fresh process carries on with what the dead one left. The apps' own logs and contents are the judge.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.killing import Outcome, Person, Point, Scene, Stage
from tests.acceptance.victim import STATEMENT, Answer

Task = tuple[Any, ...]
WRITING = (".apply:", "commit:begin", "commit:sent", "commit:receipts", "commit:end")
"""What the fault points beside a write are called: the process dies at each of these, and at a part of the others."""
SPREAD = 4
"""Of the other fault points every fourth."""
STATEMENTS = 20
"""Statements of one cycle at which the process dies in the middle of a transaction."""
SNAPSHOT: Task = ("cycle", "snapshot")
CYCLE: Task = ("cycle",)
SETTLE: Task = ("settle",)


@dataclass(frozen=True)
class Scenario:
    """`linked` are the people whom both apps have before; `edit` is what people do then, and `tasks` what dies."""

    outcome: Outcome
    linked: Sequence[str] = ()
    edit: Callable[[Stage], object] = lambda _: None
    tasks: Sequence[Task] = (CYCLE,)
    after: Sequence[Task] = ()
    """What came between the edit and what dies."""
    first: bool = False
    """What dies is the very first cycle of the pair."""
    asked: bool = False
    """A person asked for it, and asks again where it died before it began."""
    deaths: int = 0
    """How often the process dies, at least."""


def email(name: str) -> str:
    return f"{name.lower()}@example.com"


def plain(name: str) -> Person:
    return Person(email(name), f"First {name}", "+14155550100", ("news",))


def hubspot_id(stage: Stage, name: str) -> str:
    return stage.people("hubspot")[name][0][0]


def in_hubspot(stage: Stage, name: str, **fields: str) -> None:
    stage.hubspot.human(kind="update", id=hubspot_id(stage, name), fields=fields)


def in_mailchimp(stage: Stage, name: str, **fields: Any) -> None:
    stage.mailchimp.human(kind="update", id=stage.people("mailchimp")[name][0][0], fields=fields)


def new_contact(stage: Stage, name: str, given: str = "New") -> None:
    fields = {"email": email(name), "firstname": given, "lastname": name, "interests": "news;vip"}
    stage.hubspot.human(kind="create", fields=fields)


def new_member(stage: Stage, name: str, given: str = "New") -> None:
    fields = {"email_address": email(name), "merge_fields": {"FNAME": given, "LNAME": name}, "tags": ["events"]}
    stage.mailchimp.human(kind="create", fields=fields)


CONTACT = Person("", "New", None, ("news", "vip"))
MEMBER = Person("", "New", None, ("events",))


def made(name: str, kind: Person) -> Person:
    return kind._replace(email=email(name))


def create(stage: Stage) -> None:
    new_contact(stage, "Ann")
    new_contact(stage, "Bob")
    new_member(stage, "Cid")


def update(stage: Stage) -> None:
    in_hubspot(stage, "Ann", firstname="Anna", interests="news;vip")
    in_mailchimp(stage, "Ann", merge_fields={"PHONE": "+14155550199"}, tags=["events", "news"])
    in_hubspot(stage, "Bob", email="bobby@example.com")
    in_mailchimp(stage, "Cid", tags=[])


def delete(stage: Stage) -> None:
    stage.hubspot.human(kind="delete", id=hubspot_id(stage, "Ann"))
    stage.mailchimp.human(kind="delete", id=email("Bob"))


def delete_and_edit(stage: Stage) -> None:
    stage.hubspot.human(kind="delete", id=hubspot_id(stage, "Ann"))
    in_mailchimp(stage, "Ann", merge_fields={"FNAME": "Anna"})


def merge(stage: Stage) -> None:
    """One into a contact that is linked, and one into a contact that is new."""
    stage.hubspot.human(kind="merge", id=hubspot_id(stage, "Ann"), into=hubspot_id(stage, "Bob"))
    in_hubspot(stage, "Bob", firstname="Bob and Ann")
    new_contact(stage, "Eve")
    stage.hubspot.human(kind="merge", id=hubspot_id(stage, "Dan"), into=hubspot_id(stage, "Eve"))


def conflict(stage: Stage) -> None:
    in_hubspot(stage, "Ann", firstname="Anna", phone="+14155550111", interests="news;vip")
    in_mailchimp(stage, "Ann", merge_fields={"FNAME": "Annie", "PHONE": "+14155550122"})


def batch(stage: Stage) -> None:
    for number in range(3):
        new_contact(stage, f"Both{number}")
        new_member(stage, f"Both{number}", "Other")
    new_contact(stage, "Left0")
    new_contact(stage, "Left1")
    new_member(stage, "Right0")


def edit_and_create(stage: Stage) -> None:
    in_hubspot(stage, "Ann", firstname="Anna")
    new_contact(stage, "Bob")


BOTH_MERGED = Person("", "New", None, ("events", "news", "vip"))
ANN_IN_CONFLICT = plain("Ann")._replace(phone="+14155550111", interests=("news", "vip"))
SCENARIOS = {
    "create": Scenario(
        Outcome(
            {"Ann": made("Ann", CONTACT), "Bob": made("Bob", CONTACT), "Cid": made("Cid", MEMBER)},
            created={"mailchimp": [email("Ann"), email("Bob")], "hubspot": [email("Cid")]},
        ),
        edit=create,
        deaths=20,
    ),
    "update on both sides": Scenario(
        Outcome(
            {
                "Ann": Person(email("Ann"), "Anna", "+14155550199", ("events", "news", "vip")),
                "Bob": plain("Bob")._replace(email="bobby@example.com"),
                "Cid": plain("Cid")._replace(interests=()),
            }
        ),
        linked=("Ann", "Bob", "Cid"),
        edit=update,
        deaths=26,
    ),
    "delete": Scenario(
        Outcome({"Cid": plain("Cid")}, removed={"mailchimp": ["Ann"], "hubspot": ["Bob"]}),
        linked=("Ann", "Bob", "Cid"),
        edit=delete,
        tasks=[SNAPSHOT],
        deaths=26,
    ),
    "delete against edit": Scenario(
        Outcome(
            {"Ann": plain("Ann")._replace(given="Anna"), **{name: plain(name) for name in ("Bob", "Cid")}},
            created={"hubspot": [email("Ann")]},
        ),
        linked=("Ann", "Bob", "Cid"),
        edit=delete_and_edit,
        tasks=[SNAPSHOT],
        deaths=16,
    ),
    "merge": Scenario(
        Outcome(
            {
                "Bob": plain("Bob")._replace(given="Bob and Ann"),
                "Eve": made("Eve", CONTACT)._replace(phone="+14155550100"),
            },
            right={"Ann": plain("Ann")},
            parked=frozenset({"merged"}),
        ),
        linked=("Ann", "Bob", "Dan"),
        edit=merge,
        deaths=24,
    ),
    "conflict": Scenario(
        Outcome(
            {},
            left={"Ann": ANN_IN_CONFLICT._replace(given="Anna")},
            right={"Ann": ANN_IN_CONFLICT._replace(given="Annie")},
            conflicts=frozenset({"given"}),
        ),
        linked=("Ann",),
        edit=conflict,
        deaths=16,
    ),
    "conflict that a person decided": Scenario(
        Outcome({"Ann": ANN_IN_CONFLICT._replace(given="Annie")}),
        linked=("Ann",),
        edit=conflict,
        after=[CYCLE, ("decide", "right")],
        deaths=15,
    ),
    "undo": Scenario(
        Outcome(
            {},
            left={"Ann": plain("Ann")._replace(given="Anna"), "Bob": made("Bob", CONTACT)},
            right={"Ann": plain("Ann")},
            created={"mailchimp": [email("Bob")]},
            removed={"mailchimp": ["Bob"]},
        ),
        linked=("Ann",),
        edit=edit_and_create,
        after=[CYCLE],
        tasks=[("undo",)],
        asked=True,
        deaths=18,
    ),
    "first link of a batch": Scenario(
        Outcome(
            {
                **{f"Both{number}": made(f"Both{number}", BOTH_MERGED) for number in range(3)},
                **{name: made(name, CONTACT) for name in ("Left0", "Left1")},
                "Right0": made("Right0", MEMBER),
            },
            created={"mailchimp": [email("Left0"), email("Left1")], "hubspot": [email("Right0")]},
        ),
        edit=batch,
        first=True,
        deaths=39,
    ),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("killed") / "stage") as made_stage:
        yield made_stage


@pytest.fixture(scope="module")
def beginning(stage: Stage) -> Scene:
    """Two empty apps, and no state."""
    return stage.scene()


def prepared(stage: Stage, beginning: Scene, scenario: Scenario) -> tuple[Scene, list[Task]]:
    """How everything is right before the process that dies, and its tasks."""
    stage.back_to(beginning)
    stage.load([(name, plain(name)) for name in scenario.linked])
    if scenario.first:
        scenario.edit(stage)
        stage.later()
        stage.run(("approve",))
    else:
        stage.run(("approve",), CYCLE, SETTLE)
        scenario.edit(stage)
        stage.later()
    if scenario.after:
        stage.run(*scenario.after)
        stage.later()
    cycle = max(stage.run(("look",))["cycles"], default=0)
    return stage.scene(), [(name, cycle) if name == "undo" else (name, *rest) for name, *rest in scenario.tasks]


def recovered(stage: Stage, *outcomes: Outcome) -> list[str]:
    """What is wrong after a fresh process has carried on to the end; one of the outcomes must have come to be."""
    told = stage.run(("whole",), SETTLE, ("look",), CYCLE)
    if not told["settled"]:
        return [f"it does not come to rest: {told['counts']} {told['why']}"]
    more = stage.writes - told["written"]
    wrong = min((stage.judge(outcome, told) for outcome in outcomes), key=len)
    return wrong + ([f"the next cycle sends {more} writes"] if more else [])


def is_beside_a_write(point: Point) -> bool:
    return any(part in point[0] for part in WRITING)


def chosen(points: Sequence[Point]) -> list[Point]:
    """Where the process is to die, of the fault points that it passes if it lives."""
    near = [point for point in points if is_beside_a_write(point)]
    others = [point for point in points if point not in near]
    return near + others[::SPREAD]


def points_of(told: Answer) -> list[Point]:
    return [(name, number) for name, number in told["points"]]


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_killed_at_any_fault_point_it_carries_on_as_if_nothing_had_been(
    stage: Stage, beginning: Scene, scenario: Scenario
) -> None:
    scene, tasks = prepared(stage, beginning, scenario)
    points, requests = points_of(stage.run(*tasks)), stage.writes
    assert recovered(stage, scenario.outcome) == [], "it is so without any kill"
    places: list[Point | int] = [*chosen(points), *range(1, requests + 1)]
    # Before its first commit nobody but the person knows of an undo.
    unheard = points[: next(n for n, (name, _) in enumerate(points) if name == "after commit:begin")]
    bad: dict[Point | int, list[str]] = {}
    for place in places:
        stage.back_to(scene)
        assert stage.kill(place, *tasks), f"{place} was not reached"
        wrong = recovered(stage, scenario.outcome)
        if wrong and scenario.asked and place in unheard:
            stage.run(*tasks)
            wrong = recovered(stage, scenario.outcome)
        if wrong:
            bad[place] = wrong
    assert bad == {}
    assert len(places) >= scenario.deaths


def address_of_ann(stage: Stage) -> bool:
    if "Ann" not in stage.people("mailchimp"):
        return False
    in_mailchimp(stage, "Ann", email_address="ann.new@example.com")
    return True


def name_of_ann(stage: Stage) -> bool:
    in_mailchimp(stage, "Ann", merge_fields={"FNAME": "Annie"})
    return True


ANN = made("Ann", CONTACT)
NEW_ADDRESS = ANN._replace(email="ann.new@example.com")
MADE = {"mailchimp": [email("Ann")]}
ANNIE = plain("Ann")._replace(given="Annie")
MEANWHILE = {
    "what was just made gets another address": (
        Scenario(Outcome({"Ann": ANN}, created=MADE), edit=lambda stage: new_contact(stage, "Ann")),
        address_of_ann,
        [
            Outcome({"Ann": NEW_ADDRESS}, created=MADE),
            # It cannot be told from a member of somebody else's: both wait for a person, and no second one is made.
            Outcome(
                {},
                left={"Ann": ANN},
                right={"Ann": NEW_ADDRESS},
                linked=[],
                created=MADE,
                parked=frozenset({"in doubt"}),
            ),
        ],
    ),
    "what was just written gets another value": (
        Scenario(
            Outcome({"Ann": plain("Ann")._replace(given="Anna")}),
            linked=["Ann"],
            edit=lambda stage: in_hubspot(stage, "Ann", firstname="Anna"),
        ),
        name_of_ann,
        [
            Outcome({"Ann": ANNIE}),
            Outcome(
                {},
                left={"Ann": plain("Ann")._replace(given="Anna")},
                right={"Ann": ANNIE},
                conflicts=frozenset({"given"}),
            ),
        ],
    ),
}


@pytest.mark.parametrize(("scenario", "edit", "outcomes"), MEANWHILE.values(), ids=MEANWHILE.keys())
def test_while_it_is_dead_a_person_edits_what_it_was_writing(
    stage: Stage, beginning: Scene, scenario: Scenario, edit: Callable[[Stage], bool], outcomes: Sequence[Outcome]
) -> None:
    scene, tasks = prepared(stage, beginning, scenario)
    points, requests = points_of(stage.run(*tasks)), stage.writes
    bad: dict[Point | int, list[str]] = {}
    edits = 0
    for place in [*(point for point in points if is_beside_a_write(point)), *range(1, requests + 1)]:
        stage.back_to(scene)
        assert stage.kill(place, *tasks), f"{place} was not reached"
        edited = edit(stage)
        edits += edited
        if wrong := recovered(stage, *(outcomes if edited else [scenario.outcome])):
            bad[place] = wrong
    assert bad == {}
    assert edits >= 5


@pytest.mark.parametrize("scenario", [one[0] for one in MEANWHILE.values()], ids=["create", "update"])
def test_what_the_dead_process_sent_is_not_sent_again_while_it_may_land(
    stage: Stage, beginning: Scene, scenario: Scenario
) -> None:
    _, tasks = prepared(stage, beginning, scenario)
    assert stage.kill_while_on_its_way(1, *tasks)
    for _ in range(3):
        stage.run(CYCLE)
        assert stage.writes == 0
        stage.later(30)
    stage.land()
    assert recovered(stage, scenario.outcome) == []


@pytest.mark.parametrize("name", ["create", "update on both sides", "delete"])
def test_killed_again_while_it_finds_out_what_became_of_a_write(stage: Stage, beginning: Scene, name: str) -> None:
    scenario = SCENARIOS[name]
    _, tasks = prepared(stage, beginning, scenario)
    assert stage.kill(1, *tasks)
    in_doubt = stage.scene()
    points = [point for point in points_of(stage.run(SETTLE)) if is_beside_a_write(point) or "looked up" in point[0]]
    assert [name for name, _ in points if "looked up" in name], "there was something to find out"
    bad = {}
    for point in points:
        stage.back_to(in_doubt)
        assert stage.kill(point, SETTLE), f"{point} was not reached"
        if wrong := recovered(stage, scenario.outcome):
            bad[point] = wrong
    assert bad == {}


def test_killed_in_the_middle_of_a_transaction_the_state_file_is_sound(stage: Stage, beginning: Scene) -> None:
    """Between any two statements. `recovered` begins with SQLite's own look at the whole file."""
    scenario = SCENARIOS["first link of a batch"]
    scene, tasks = prepared(stage, beginning, scenario)
    last = max(number for name, number in points_of(stage.run(*tasks, statements=True)) if name == STATEMENT)
    assert last > 5 * STATEMENTS
    bad = {}
    for number in range(last // STATEMENTS, last, last // STATEMENTS):
        stage.back_to(scene)
        assert stage.kill((STATEMENT, number), *tasks)
        if wrong := recovered(stage, scenario.outcome):
            bad[number] = wrong
    assert bad == {}


def test_what_was_not_committed_is_gone_although_it_was_on_the_disk(stage: Stage, beginning: Scene) -> None:
    stage.back_to(beginning)
    stage.run(("approve",))
    assert stage.kill(("before commit:fill", 1), ("fill",))
    on_disk = sum(path.stat().st_size for path in stage.state.parent.glob("twoway.db*"))
    assert on_disk > 10_000_000, "SQLite's cache held all of it: the transaction was too small"
    assert stage.run(("whole",), ("count",))["observation"] == 0


def test_killed_between_two_statements_all_or_nothing_is_there(stage: Stage, beginning: Scene) -> None:
    stage.back_to(beginning)
    stage.run(("approve",))
    scene = stage.scene()
    opening = sum(name == STATEMENT for name, _ in points_of(stage.run(("count",), statements=True)))
    found = {}
    for number in range(opening, opening + 24):
        stage.back_to(scene)
        assert stage.kill((STATEMENT, number), ("commit",))
        counts = stage.run(("whole",), ("count",))
        found[number] = (counts["mark"], counts["parked"])
    assert [number for number, (marks, parked) in found.items() if marks != parked] == []
    assert max(marks for marks, _ in found.values()) >= 2, "it died in several transactions"


@pytest.mark.parametrize("number", range(1, 12, 3))
def test_killed_while_it_commits_all_or_nothing_is_there(stage: Stage, beginning: Scene, number: int) -> None:
    """Wherever it stands: this time it is another process that kills it."""
    stage.back_to(beginning)
    stage.run(("approve",))
    assert stage.kill_after_commits(number, ("commit",))
    found = stage.run(("whole",), ("count",))
    assert found["mark"] == found["parked"] >= number


def test_killed_in_its_very_first_start_it_starts_again(stage: Stage, beginning: Scene) -> None:
    """Between any two of the statements that make the state file."""
    stage.back_to(beginning)
    last = max(number for name, number in points_of(stage.run(("whole",), statements=True)) if name == STATEMENT)
    bad = {}
    for number in range(2, last, 3):
        stage.back_to(beginning)
        assert stage.kill((STATEMENT, number), ("whole",))
        try:
            stage.run(("whole",), ("approve",), CYCLE)
        except AssertionError as error:
            bad[number] = str(error)[:200]
    assert bad == {}
