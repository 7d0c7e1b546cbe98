"""What carries requests: the little of an HTTP library that an account needs, and the words in which it fails.

Which word a failure gets decides whether a write may be sent again. So nothing is told as `NotConnected` that the
library does not plainly call so: of everything else the request may have arrived, and that is `Lost`.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Literal, NamedTuple, Protocol

Library = Literal["httpx", "aiohttp"]
"""Which one carries them."""


class Answer(NamedTuple):
    """Status, headers in their order, and the whole body, unpacked."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Wire(Protocol):
    """Connections to one place: a few, kept for the next request.

    It keeps no cookies, follows no redirect, adds no login, and sends nothing twice.
    """

    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, most: int) -> Answer:
        """Send one request, and read its answer of up to `most` bytes.

        `url` is as it goes over the wire. Raises `NotConnected`, `Lost`, `Damaged`, `TooLong` or `NoAddress`, each
        from the library's own error.
        """

    async def close(self) -> None:
        """Close the connections."""


class NotConnected(Exception):
    """There was no connection: the request was certainly not sent."""


class Lost(Exception):
    """The request may have arrived; its answer did not, or not all of it."""


class Damaged(Exception):
    """The answer came, and cannot be unpacked."""


class TooLong(Exception):
    """The answer is longer than was to be read."""


class NoAddress(Exception):
    """Nothing can be sent to such an address."""


async def gathered(chunks: AsyncIterator[bytes], most: int) -> bytes:
    """All of a body; raises `TooLong`."""
    found: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise TooLong
        found.append(chunk)
    return b"".join(found)
