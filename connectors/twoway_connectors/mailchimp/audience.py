"""Which audience a pair works on: the option `audience`, a name or an id."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from twoway.sdk import ConnectorContext, TellUser
from twoway.sdk.http import HttpClient

AUDIENCES = 1000
"""Audiences that one request lists; no account has as many."""
_COUNTS = ("member_count", "unsubscribe_count", "cleaned_count")


class Audience:
    """The audience that the pair file names. It is looked up at its first use, and once."""

    def __init__(self, http: HttpClient, context: ConnectorContext) -> None:
        self._http = http
        self._account = context.account
        self._wanted = str(context.options.get("audience") or "").strip()
        self._path: str | None = None

    @property
    def is_named(self) -> bool:
        """Whether the pair file says which audience."""
        return bool(self._wanted)

    async def members(self) -> int:
        """How many members Mailchimp's statistics count: those subscribed, unsubscribed and cleaned."""
        params = {"fields": ",".join(f"stats.{name}" for name in _COUNTS)}
        stats: dict[str, Any] = (await self._http.request("GET", await self.path(), params=params)).json()["stats"]
        return sum(int(stats.get(name) or 0) for name in _COUNTS)

    async def path(self) -> str:
        """`/lists/{id}`. TellUser, with the audiences that there are, where the option names none or several."""
        if self._path is None:
            self._path = f"/lists/{quote(self._choose(await self.all()), safe='')}"
        return self._path

    async def member(self, reference: str, *below: str) -> str:
        """The path of one member, or of what is `below` it, by whatever names one: see `may_be_id`."""
        return "/".join((await self.path(), "members", quote(reference, safe=""), *below))

    async def all(self) -> Mapping[str, str]:
        """The names of the account's audiences by id."""
        params: dict[str, str | int] = {"count": AUDIENCES, "fields": "lists.id,lists.name"}
        answer: dict[str, Any] = (await self._http.request("GET", "/lists", params=params)).json()
        return {str(entry["id"]): str(entry["name"]) for entry in answer["lists"]}

    def _choose(self, names: Mapping[str, str]) -> str:
        if self._wanted in names:
            return self._wanted
        found = [number for number, name in names.items() if name.casefold() == self._wanted.casefold()]
        if len(found) == 1:
            return found[0]
        if not self._wanted:
            what = "the pair file does not say which audience"
        elif found:
            what = f"{len(found)} audiences are named {self._wanted!r}: name one by its id"
        else:
            what = f"there is no audience named {self._wanted!r}"
        offered = ", ".join(f"{name!r} ({number})" for number, name in sorted(names.items(), key=lambda pair: pair[1]))
        raise TellUser(
            f"{self._account}: {what}",
            remedy=f"Write `options: {{ audience: NAME }}` with one of: {offered or '(the account has no audience)'}",
        )


def may_be_id(reference: str) -> bool:
    """Whether a path may end in this: nothing at all, `.` and `..` name another place, however they are encoded.

    See https://url.spec.whatwg.org/#double-dot-path-segment.
    """
    return bool(reference.strip("."))
