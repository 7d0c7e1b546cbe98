"""Several questions to the apps at once, and work of our own while their answers are on the way.

A cycle is one thread of work: while it decides or stores something, no request leaves and no answer is taken. So it
stops now and then for a few turns of the event loop, which is all that a request needs to leave.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

T = TypeVar("T")

_TURNS: Final = 4
"""Of the event loop: after so many a request on a kept connection has been written, by httpx as by aiohttp."""


async def gather(*jobs: Awaitable[object]) -> None:
    """Run coroutines at the same time; when one fails, let the others end first, then raise what the first raised."""
    if len(jobs) == 1:
        await jobs[0]
        return
    results = await asyncio.gather(*jobs, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def let_leave() -> None:
    """Let requests leave that are about to, and answers be taken that are here."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


@asynccontextmanager
async def asked(question: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Ask an app, and go through the block while the answer is on its way: it is there to be awaited afterwards. Where
    the block fails nobody waits for the answer."""
    answer = asyncio.create_task(question)
    try:
        await let_leave()
        yield answer
    except BaseException:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
        raise
