"""Memory does not grow with the records."""

from pathlib import Path

from benchmarks import memory

FEW, MANY = 2_000, 10_000
GROWTH_MB = 60
"""Five times the records may cost so much: the first windows, which both have, and the database's own caches."""


def test_five_times_the_contacts_take_about_the_same_memory(tmp_path: Path) -> None:
    few, many = (memory.measure(tmp_path / str(count), count) for count in (FEW, MANY))
    for step in ("plan", "sync"):
        grown = (many[step]["peak_kb"] - few[step]["peak_kb"]) / 1024
        assert grown < GROWTH_MB, f"{step}: {grown:.0f} MB more for {MANY - FEW} contacts more"
        assert many[step]["peak_kb"] / 1024 < memory.LIMIT_MB
