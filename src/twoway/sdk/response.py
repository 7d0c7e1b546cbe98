"""An app's answer to one request."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from twoway.sdk.errors import ConnectorError, TellUser, TryLater

_HALF_PAIR: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class Headers(Mapping[str, str]):
    """Headers of an answer; names are found in any case. Repeated ones are joined by a comma (RFC 9110, 5.3)."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            key = name.lower()
            self._values[key] = f"{self._values[key]}, {value}" if key in self._values else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __repr__(self) -> str:
        return f"Headers({', '.join(sorted(self._values))})"  # names only: a value may be a secret


def _loads(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # Half a surrogate pair, which some apps keep, is refused with all that is around it: to be told of its field.
        if _HALF_PAIR.search(body) is None:
            raise
        return json.loads(body)


class Unreadable(TellUser):
    """An answer that cannot be read. A read is tried again before a person is told."""


class AnswerTooLarge(TellUser):
    """The answer to a read is larger than what is held in memory. Less may be asked for at once."""


class Response:
    """Status, headers and the whole body. `where` is how messages name the request, `writes` whether it could write.

    `landed`: an earlier attempt of this write may have taken effect, so that a refusal does not say that it did not.
    """

    __slots__ = ("_parsed", "body", "headers", "landed", "status", "url", "where", "writes")

    def __init__(
        self, status: int, headers: Headers, body: bytes, *, url: str, where: str, writes: bool = False
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.url = url
        self.where = where
        self.writes = writes
        self.landed = False
        self._parsed: list[Any] = []

    def __repr__(self) -> str:
        return f"<Response {self.status} to {self.where}, {len(self.body)} bytes>"

    @property
    def content_type(self) -> str:
        """The media type in lower case, without its parameters; empty where the app tells none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_html(self) -> bool:
        """Whether this is a page for people: a login form, a proxy's or a maintenance page."""
        return self.content_type in {"text/html", "application/xhtml+xml"}

    @property
    def text(self) -> str:
        """The body as text. UTF-8 unless the app names another encoding; what cannot be read becomes U+FFFD."""
        _, _, charset = self.headers.get("content-type", "").partition("charset=")
        try:
            return self.body.decode(charset.split(";")[0].strip(' "') or "utf-8", errors="replace")
        except LookupError:
            return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The body as JSON; raises `TellUser`, or after a write `TryLater` (sent), where it is none."""
        if not self._parsed:
            try:
                self._parsed.append(_loads(self.body))
            except ValueError:
                raise self.unreadable(self._what_instead()) from None
        return self._parsed[0]

    def _what_instead(self) -> str:
        if not self.body.strip():
            return "an empty answer"
        if self.is_html or self.body.lstrip()[:1] == b"<":
            return "a page of HTML"
        if self.body.lstrip()[:1] in b"{[":
            return f"JSON that is cut short or damaged ({len(self.body)} bytes)"
        return f"something that is not JSON ({self.content_type or 'of no stated type'})"

    def unreadable(self, what: str) -> ConnectorError:
        """The error for an answer that cannot be used, fit for whether the request could write."""
        return unreadable(self.where, what, writes=self.writes, status=self.status)


def unreadable(where: str, what: str, *, writes: bool, status: int | None = None) -> ConnectorError:
    """After a write nobody knows what happened; after a read a person must look, if it stays so."""
    if writes:
        return TryLater(f"{where}: got {what} in answer to a write, which may have been made", status=status, sent=True)
    return Unreadable(
        f"{where}: got {what} where JSON was promised",
        remedy="Check that base_url is the address of the API and that no proxy or login page stands in between",
        status=status,
    )
