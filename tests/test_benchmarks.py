"""The benchmarks measure work that was done: at the smallest size, without a look at the time that it took."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from benchmarks.speed import __main__ as speed
from benchmarks.speed import bare, people, plot, postgres
from benchmarks.speed.cases import CONTENDERS, STORES, Stage, cases, fewest_requests

RECORDS = 300
SVG = {"svg": "http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("start", ["left", "overlap", "linked"])
def test_engine_and_bare_loop_do_the_same_work(tmp_path: Path, start: str) -> None:
    held = {}
    chosen = [case for case in cases(RECORDS) if case.start == start]
    for contender in CONTENDERS:
        with Stage(contender, tmp_path, RECORDS) as stage:
            stage.set_up(start)
            for case in chosen:
                told = stage.run(case)
                assert told["requests"] == fewest_requests(case, RECORDS), f"{contender}: {case.name}"
            held[contender] = stage.holds()
    rows = held["engine"]["left"]
    assert held == dict.fromkeys(CONTENDERS, dict.fromkeys(people.SIDES, rows))
    assert len({row[0] for row in rows}) == RECORDS
    if start == "linked":
        # By hand: people last edited every other of the 300, in turn on the left and on the right. These edits won
        # over those before them, and nobody else was touched.
        phones = [row[3] for row in rows]
        assert phones.count("latency, left") == phones.count("latency, right") == 75
        assert sum(phone.startswith("+1") for phone in phones) == 150


def test_where_both_sides_were_edited_the_left_one_wins(tmp_path: Path) -> None:
    (case,) = (case for case in cases(RECORDS) if case.conflicting)
    with Stage("engine", tmp_path, RECORDS) as stage:
        stage.set_up("linked")
        stage.run(case)
        held = stage.holds()
    assert held["left"] == held["right"]
    assert [row[3] for row in held["left"]].count("conflicts, left") == case.edits == 150


def test_a_ratio_is_the_median_of_the_runs_own_ratios() -> None:
    def told(cpu: float) -> dict[str, float]:
        return {"cpu": cpu, "wall": cpu, "peak_kb": 1024, "requests": 2}

    runs = [
        {"engine": told(engine), "bare": told(bare)} for engine, bare in ((0.008, 0.002), (0.09, 0.03), (0.02, 0.01))
    ]
    idle = next(case for case in cases(RECORDS) if case.name == "idle")
    row = speed.table([speed.Row(idle, RECORDS, runs)]).splitlines()[-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    # By hand: medians 20 ms and 10 ms; the runs' ratios are 4, 3 and 2.
    assert cells == ["idle cycle", "300", "20.0", "10.0", "3.0", "20.0", "10.0", "3.0", "1", "1", "2", "2", "2"]


def test_a_state_in_postgresql_does_the_same_work_as_one_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv(postgres.SERVER, "")
    with speed.server(tmp_path, None):
        told = speed.measure(tmp_path / "run", RECORDS, ["create", "few"], STORES)
    for turn in told.values():
        assert turn["postgres"]["requests"] == turn["engine"]["requests"]
    row = speed.table([speed.Row(cases(RECORDS)[0], RECORDS, [told["create"]])], STORES).splitlines()[0]
    assert "CPU ms: PostgreSQL | SQLite | ratio" in row


def test_the_pictures_show_every_figure() -> None:
    def told(cpu: float) -> dict[str, float]:
        return {"cpu": cpu, "wall": cpu, "peak_kb": 1024, "requests": 2}

    rows = [
        {"case": name, "records": records, "engine": told(0.02), "bare": told(0.01), "ratio": 2.0}
        for name in ("create", "unchanged", "few")
        for records in (1_000, 10_000)
    ]
    growth = ET.fromstring(plot.growth(rows))
    # Two cases that are drawn by size, at two sizes, for two contenders.
    assert len(growth.findall("svg:circle", SVG)) == 8
    assert len(growth.findall("svg:polyline", SVG)) == 4
    ratios = ET.fromstring(plot.ratios(rows))
    assert [text.text for text in ratios.findall("svg:text", SVG)].count("2.0") == 3


@pytest.mark.parametrize(
    ("left", "right", "merged", "to_left", "to_right"),
    [
        pytest.param("ab", "ab", "ab", [], [], id="nothing changed"),
        pytest.param("xb", "ab", "xb", [], [0], id="changed on the left"),
        pytest.param("ab", "ay", "ay", [1], [], id="changed on the right"),
        pytest.param("xb", "ay", "xy", [1], [0], id="different fields"),
        pytest.param("xb", "xb", "xb", [], [], id="the same change twice"),
        pytest.param("xb", "yb", "xb", [], [0], id="a conflict, which the left side wins"),
    ],
)
def test_the_bare_loop_merges_field_by_field(
    left: str, right: str, merged: str, to_left: list[int], to_right: list[int]
) -> None:
    assert bare.merge("ab", left, right) == (list(merged), to_left, to_right)
