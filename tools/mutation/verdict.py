"""What became of the mutants, and whether it is what `tests/core/survivors.toml` says."""

import json
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

LISTED: Final = Path("tests/core/survivors.toml")
LEAST_SHARE: Final = 0.95
"""The least part of the mutants that must be killed."""


class Mutant(NamedTuple):
    """One mutant, by what it changes: a number would move with every line that is added before it."""

    function: str
    """Where, within `twoway.core`: `resolve._newest`, `match.Proposal.new`."""
    was: str
    now: str
    """The lines before and after, without their indentation, joined by ` / ` where there are several."""

    def line(self) -> str:
        """As it is to be listed."""
        return f"    [{', '.join(json.dumps(part, ensure_ascii=False) for part in self)}],"


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant, in mutmut's words: `killed`, `survived`, `no tests`, `timeout`…"""

    mutant: Mutant
    status: str

    @property
    def killed(self) -> bool:
        # A timeout is not counted: a busy machine is one reason for it.
        return self.status == "killed"


@dataclass(frozen=True)
class Listed:
    """The list: what may live, why, and the figures of the run that it was made from."""

    mutants: int
    killed: int
    reasons: dict[Mutant, str]

    @classmethod
    def load(cls, path: Path) -> Self:
        """`ValueError` for a mutant that is listed twice, or without a reason."""
        told = tomllib.loads(path.read_text())
        reasons: dict[Mutant, str] = {}
        for group in told["survivors"]:
            if not group["why"].strip():
                raise ValueError(f"{path}: a group of survivors without a reason: {group['mutants']}")
            for row in group["mutants"]:
                mutant = Mutant(*row)
                if mutant in reasons:
                    raise ValueError(f"{path}: listed twice: {mutant.line()}")
                reasons[mutant] = group["why"]
        return cls(told["mutants"], told["killed"], reasons)


def outcomes(folder: Path) -> list[Outcome]:
    """What mutmut left in `folder`, which must be that of the working directory: it finds its files by itself."""
    # Its own names are mangled and its codes are numbers; both are read by what wrote them.
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # noqa: PLC0415 - not needed to judge
    from mutmut.stats import status_by_exit_code  # noqa: PLC0415 - likewise

    found = []
    for meta in sorted(folder.glob("src/twoway/core/*.meta")):
        for name, code in json.loads(meta.read_text())["exit_code_by_key"].items():
            status = status_by_exit_code[code]
            # Diffs take time, and only those of survivors are shown.
            diff = "" if status == "killed" else get_diff_for_mutant(name)
            found.append(Outcome(mutant_of(name, diff), status))
    return found


def mutant_of(name: str, diff: str) -> Mutant:
    """A mutant by mutmut's name for it (`twoway.core.match.xǁProposalǁnew__mutmut_3`) and its unified diff."""
    module, _, mangled = name.removeprefix("twoway.core.").rpartition(".")
    function = mangled.partition("__mutmut_")[0]
    plain = function.removeprefix("xǁ").replace("ǁ", ".") if "ǁ" in function else function.removeprefix("x_")
    body = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    was, now = (" / ".join(line[1:].strip() for line in body if line.startswith(sign)) for sign in "-+")
    return Mutant(f"{module}.{plain}", was, now)


def judge(found: Iterable[Outcome], listed: Listed) -> tuple[list[str], bool]:
    """What to tell, and whether it is good: enough were killed, and only listed ones survived."""
    counted = list(found)
    killed = sum(one.killed for one in counted)
    share = killed / len(counted) if counted else 0.0
    living = {one.mutant: one.status for one in counted if not one.killed}
    new = {mutant: status for mutant, status in living.items() if mutant not in listed.reasons}
    gone = [mutant for mutant in listed.reasons if mutant not in living]
    lines = []
    if new:
        lines += ["Not listed: kill them by a test, or add them with a reason:", ""]
        lines += [f"{mutant.line()}  # {status}" for mutant, status in sorted(new.items())] + [""]
    if gone:
        lines += ["Listed, and killed by now or not there any more: take them out:", ""]
        lines += [mutant.line() for mutant in sorted(gone)] + [""]
    if (listed.mutants, listed.killed) != (len(counted), killed):
        lines.append(f"On record are {listed.killed} killed of {listed.mutants}.")
    statuses = ", ".join(
        f"{count} {status}" for status, count in sorted(Counter(one.status for one in counted).items())
    )
    lines.append(f"{share:.1%} of {len(counted)} mutants were killed ({statuses}); at least {LEAST_SHARE:.0%} must be.")
    return lines, share >= LEAST_SHARE and not new
