"""All the tags of a member: with the member itself Mailchimp shows no more than fifty, and how many there are.

So neither a listing nor the answer to a write tells the tags of a member with more; a path of their own does, in pages:
https://mailchimp.com/developer/marketing/api/list-member-tags/
"""

from collections.abc import Mapping
from typing import Any

from twoway.sdk.http import HttpClient
from twoway_connectors.mailchimp.audience import Audience

PAGE = 1000
"""Tags of a page; Mailchimp gives no more."""


async def all_tags(http: HttpClient, audience: Audience, hash: str) -> list[Mapping[str, Any]] | None:
    """Every tag, as `{"id", "name"}`, of the member whose address has this hash.

    None where that cannot be told now: nobody has that address any more, or the pages do not add up to the one number
    that Mailchimp tells with each of them, as where tags came or went between two pages.
    """
    path = await audience.member(hash, "tags")
    found: dict[int, Mapping[str, Any]] = {}
    totals: set[int] = set()
    offset, more = 0, True
    while more:
        params: dict[str, str | int] = {"count": PAGE, "offset": offset, "fields": "tags.id,tags.name,total_items"}
        answer = await http.request("GET", path, params=params, expect=(200, 404))
        if answer.status == 404:
            return None
        body = answer.json()
        found.update((int(tag["id"]), tag) for tag in body["tags"])
        totals.add(int(body["total_items"]))
        offset += len(body["tags"])
        more = bool(body["tags"]) and offset < int(body["total_items"])
    return list(found.values()) if totals == {len(found)} else None
