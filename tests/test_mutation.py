"""What becomes of mutants is judged rightly, and the list of those that may live is about the code as it is."""

import ast
from pathlib import Path

import pytest
from tools.mutation.verdict import LEAST_SHARE, LISTED, Listed, Mutant, Outcome, judge, mutant_of

ROOT = Path(__file__).parents[1]
LIST = Listed.load(ROOT / LISTED)

OURS = Mutant("guard.judge", "a < b", "a <= b")
OTHER = Mutant("guard.judge", "a < b", "a > b")


def found(killed: int, *survivors: Mutant, status: str = "survived") -> list[Outcome]:
    return [
        *(Outcome(Mutant(f"f{number}", "", ""), "killed") for number in range(killed)),
        *(Outcome(one, status) for one in survivors),
    ]


VERDICTS: list[tuple[str, list[Outcome], Listed, bool, str]] = [
    ("all are killed", found(100), Listed(100, 100, {}), True, "100.0% of 100 mutants were killed (100 killed)"),
    ("one lives, and is listed", found(99, OURS), Listed(100, 99, {OURS: "why"}), True, "99.0% of 100 mutants"),
    ("one lives that is not listed", found(99, OTHER), Listed(100, 99, {OURS: "why"}), False, OTHER.line()),
    ("one is listed and does not live", found(100), Listed(100, 100, {OURS: "why"}), True, OURS.line()),
    ("a timeout is no death", found(99, OURS, status="timeout"), Listed(100, 99, {}), False, "# timeout"),
    ("nor is a lack of tests", found(99, OURS, status="no tests"), Listed(100, 99, {}), False, "# no tests"),
    ("just enough are killed", found(19, OURS), Listed(20, 19, {OURS: "why"}), True, "95.0% of 20 mutants"),
    (
        "too few, though they are listed",
        found(18, OURS, OTHER),
        Listed(20, 18, {OURS: "y", OTHER: "y"}),
        False,
        "90.0%",
    ),
    ("other figures than those on record", found(100), Listed(90, 80, {}), True, "On record are 80 killed of 90."),
    ("nothing was mutated at all", [], Listed(0, 0, {}), False, "0.0% of 0 mutants"),
]


@pytest.mark.parametrize(("why", "outcomes", "listed", "good", "told"), VERDICTS, ids=[one[0] for one in VERDICTS])
def test_the_verdict(why: str, outcomes: list[Outcome], listed: Listed, good: bool, told: str) -> None:
    lines, verdict = judge(outcomes, listed)

    assert verdict is good, why
    assert told in "\n".join(lines)


DIFF = """\
--- src/twoway/core/match.py
+++ src/twoway/core/match.py
@@ -1,4 +1,4 @@
 def new(self) -> bool:
-    return self.match is None
+    return self.match is not None
"""


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("twoway.core.match.xǁProposalǁnew__mutmut_3", "match.Proposal.new"),
        ("twoway.core.match.x_new__mutmut_12", "match.new"),
        ("twoway.core.match.x__new__mutmut_1", "match._new"),
    ],
)
def test_a_mutant_is_known_by_what_it_changes(name: str, function: str) -> None:
    assert mutant_of(name, DIFF) == Mutant(function, "return self.match is None", "return self.match is not None")


def test_a_list_without_reasons_or_with_a_mutant_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "survivors.toml"
    for text, words in (
        ('why = " "\nmutants = [["f", "a", "b"]]', "without a reason"),
        ('why = "so"\nmutants = [["f", "a", "b"], ["f", "a", "b"]]', "listed twice"),
    ):
        path.write_text(f"mutants = 2\nkilled = 1\n[[survivors]]\n{text}\n")
        with pytest.raises(ValueError, match=words):
            Listed.load(path)


def test_enough_were_killed_in_the_run_on_record() -> None:
    assert LIST.killed >= LEAST_SHARE * LIST.mutants
    # Two that change a function in the same way, on two lines that are alike, are listed once.
    assert len(LIST.reasons) <= LIST.mutants - LIST.killed


@pytest.mark.parametrize("function", sorted({one.function for one in LIST.reasons}))
def test_what_is_listed_is_in_the_code(function: str) -> None:
    """A line that was changed since is found here, without a run of all the mutants."""
    module, *names = function.split(".")
    text = (ROOT / "src" / "twoway" / "core" / f"{module}.py").read_text()
    node: ast.AST = ast.parse(text)
    for name in names:
        node = next(one for one in ast.iter_child_nodes(node) if getattr(one, "name", None) == name)
    body = {line.strip() for line in (ast.get_source_segment(text, node) or "").splitlines()}
    wanted = {part for one in LIST.reasons if one.function == function for part in one.was.split(" / ")}
    assert wanted - body == set()
