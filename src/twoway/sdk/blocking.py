"""Drivers that block: run in threads of their own, so that the daemon's loop never waits for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class BlockingDriver:
    """Runs the calls of one blocking driver. With one thread (the default) the driver need not be thread-safe.

    A call that is cancelled runs on in its thread to its end: its outcome is unknown, as that of a lost answer.
    """

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=f"twoway-{name}")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `call(*args, **kwargs)`, or its exception."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args, **kwargs))

    def close(self) -> None:
        """Take no further calls. Does not wait for one that hangs."""
        self._pool.shutdown(wait=False, cancel_futures=True)
