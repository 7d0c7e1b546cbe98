"""The last look at a whole plan before anything leaves: does it look like what people do, or like an accident?

The guard knows nothing of single records. It compares totals with the size of the pair; what looks wrong is held
until a person approves just these totals.
"""

from collections.abc import Mapping

from twoway.core.model import Side
from twoway.core.plan import Totals
from twoway.core.rules import GuardRules


def judge(
    totals: Totals, rules: GuardRules, names: Mapping[Side, str], allowance: Totals | None = None
) -> tuple[str, ...]:
    """The reasons to hold this plan, for people to read; none means that it may go.

    `names` are the accounts' names. `allowance` are the totals that a person approved: up to these, and a tenth or
    `floor` more (records go on changing while a person reads), nothing is held. A create that passed before and was
    refused by the app is no news: else what an app will not take would stop the pair at each new try.
    """
    reasons = []
    news = {side: totals.creates[side] - totals.retried[side] for side in Side}
    kinds = (
        ("create", news, rules.creates, allowance.creates if allowance else None),
        ("delete", totals.deletes, rules.deletes, allowance.deletes if allowance else None),
        ("empty fields of", totals.blanks, rules.blanks, allowance.blanks if allowance else None),
    )
    for verb, counts, share, approved in kinds:
        for side in Side:
            limit = max(rules.floor, _part(share, totals.links), _widened(approved[side], rules) if approved else 0)
            if counts[side] > limit:
                reasons.append(
                    f"it would {verb} {counts[side]} records in {names[side]}, more than the {limit} that the guard "
                    f"lets pass ({share:.0%} of {totals.links} linked, at least {rules.floor})"
                )
    limit = max(rules.max_writes, _widened(allowance.writes, rules) if allowance else 0)
    if totals.writes > limit:
        reasons.append(f"it would make {totals.writes} writes, more than max_writes ({limit})")
    return tuple(reasons)


def _part(share: float, links: int) -> int:
    """A share of the links, whole; 29 % of 100 is 29, which the product of two floats is not."""
    return int(round(share * links, 6))


def _widened(approved: int, rules: GuardRules) -> int:
    return approved + max(rules.floor, approved // 10)


def short_listing(listed: int, linked: int, rules: GuardRules) -> bool:
    """Whether a snapshot lacks so many of the linked records that it proves nothing."""
    missing = linked - listed
    return listed == 0 < linked or missing > max(rules.floor, _part(rules.short_listing, linked))
