"""Several requests at once, for an app that takes one record a request."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from twoway.core.model import Receipt, Write
from twoway.sdk.errors import ConnectorError, TryLater

Given = TypeVar("Given")
Got = TypeVar("Got")


async def together(ask: Callable[[Given], Awaitable[Got]], given: Sequence[Given]) -> list[Got]:
    """What `ask` gives for each, in order. All have ended when this returns; the first error, if any, is raised.

    How many are under way at once is the HTTP client's business.
    """
    results = await asyncio.gather(*(ask(one) for one in given), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def written_together(write_one: Callable[[Write], Awaitable[Receipt]], writes: Sequence[Write]) -> list[Receipt]:
    """A receipt for each write. An error is raised only where no write can have landed."""
    results = await asyncio.gather(*(write_one(write) for write in writes), return_exceptions=True)
    receipts: list[Receipt] = []
    errors: list[ConnectorError] = []
    for result in results:
        if isinstance(result, TryLater) and result.sent:
            receipts.append(Receipt.unknown(str(result)))
        elif isinstance(result, ConnectorError):
            errors.append(result)
            receipts.append(Receipt.later(str(result)))
        elif isinstance(result, BaseException):
            raise result
        else:
            receipts.append(result)
    if errors and len(errors) == len(writes):
        raise errors[0]
    return receipts
