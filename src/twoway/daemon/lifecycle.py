"""How the daemon ends, and how it is told to read its configuration again.

SIGTERM, SIGINT    stop: finish what is under way, within the deadline
… a second one     stop now
… a third one      the kernel ends the process
SIGHUP             reload, unless it was asked to stop
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from enum import StrEnum
from types import TracebackType
from typing import Self

import structlog

_log = structlog.get_logger(__name__)

Main = Callable[[asyncio.Event], Awaitable[None]]
"""The daemon proper. The event that it is given is set when it must stop: it then returns as soon as it can."""


class Ended(StrEnum):
    """Why the daemon came to its end."""

    FINISHED = "finished"
    """It returned by itself."""
    STOPPED = "stopped"
    """It was asked to stop, and finished what was under way."""
    CUT_SHORT = "cut short"
    """It was asked to stop, and cancelled: the deadline passed, or a second signal came."""


async def run_until_stopped(
    main: Main,
    *,
    deadline: float,
    reload: Callable[[], Awaitable[None]] | None = None,
    on_stopping: Callable[[], object] | None = None,
) -> Ended:
    """Run `main` until it returns or a signal ends it; what it raises is raised.

    `deadline` is the number of seconds between the request to stop and cancellation. `reload` is called for SIGHUP:
    one call at a time, and any number of signals that come during one make one more. What it raises is logged, and
    the old configuration stays in force. `on_stopping` is called once, when the request to stop comes.
    """
    async with _Signals(on_stopping) as signals:
        tasks = [
            asyncio.ensure_future(main(signals.stop)),
            asyncio.create_task(signals.out_of_patience(deadline)),
            asyncio.create_task(_reloads(signals.hangup, reload)),
        ]
        work, patience, _ = tasks
        try:
            await asyncio.wait({work, patience}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await _cancel(work)
                if not work.cancelled():
                    await work
                return Ended.CUT_SHORT
            await work
            return Ended.STOPPED if signals.stop.is_set() else Ended.FINISHED
        finally:
            for task in tasks:
                await _cancel(task)


class _Signals:
    """The signals of the process, as events, for as long as the context lasts."""

    def __init__(self, on_stopping: Callable[[], object] | None) -> None:
        self.stop = asyncio.Event()
        self.hangup = asyncio.Event()
        self._now = asyncio.Event()
        self._on_stopping = on_stopping
        self._handlers = {
            signal.SIGTERM: self._ask_to_stop,
            signal.SIGINT: self._ask_to_stop,
            signal.SIGHUP: self._ask_to_reload,
        }

    async def __aenter__(self) -> Self:
        for number, handler in self._handlers.items():
            asyncio.get_running_loop().add_signal_handler(number, handler)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._let_go()

    async def out_of_patience(self, deadline: float) -> None:
        """Return when the daemon has had its time to stop."""
        await self.stop.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                await self._now.wait()

    def _ask_to_stop(self) -> None:
        if not self.stop.is_set():
            self.stop.set()
            if self._on_stopping is not None:
                self._on_stopping()
        else:
            self._now.set()
            # If even cancelling hangs, the next signal must end the process.
            self._let_go(signal.SIGTERM, signal.SIGINT)

    def _ask_to_reload(self) -> None:
        # A daemon that winds down has no use for it, and would be told to be ready again.
        if not self.stop.is_set():
            self.hangup.set()

    def _let_go(self, *numbers: signal.Signals) -> None:
        for number in numbers or self._handlers:
            asyncio.get_running_loop().remove_signal_handler(number)


async def _reloads(hangup: asyncio.Event, reload: Callable[[], Awaitable[None]] | None) -> None:
    while True:
        await hangup.wait()
        hangup.clear()
        if reload is None:
            continue
        try:
            await reload()
        except Exception:  # noqa: BLE001 - a broken configuration file must not end a daemon that runs on a good one
            _log.exception(
                "reload_failed", remedy="the old configuration is in force: mend the new one, then reload again"
            )


async def _cancel(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait({task})
