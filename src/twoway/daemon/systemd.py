"""The few words that a service says to systemd: a datagram to the socket that it names in the environment.

The protocol is that of sd_notify(3) and sd_watchdog_enabled(3). Outside systemd there is no socket, and nothing is
said. https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

import os
import socket
from collections.abc import Awaitable, Callable, Mapping

from twoway.daemon.clock import monotonic_usec
from twoway.ports import Clock


class Notifier:
    """Speaks to the service manager. Each method tells whether the message went out.

    A message that cannot be sent is not an error: while systemd itself is restarted, a daemon must go on.

    `address` is `/a/path`, or `@name` for a socket in Linux's abstract namespace; `None` says nothing.
    `watchdog` is the number of seconds within which systemd wants a sign of life, `None` where it wants none.
    """

    def __init__(self, address: str | None = None, *, watchdog: float | None = None) -> None:
        if address is not None and not address.startswith(("/", "@")):
            raise ValueError(
                f"NOTIFY_SOCKET is {address!r}, of a kind that twoway does not speak. "
                "Valid are a path (/run/…) and an abstract name (@…)"
            )
        self._address = address
        self.watchdog = watchdog

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Notifier":
        """Read `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.

        A watchdog that is meant for another process (`WATCHDOG_PID`) is not ours to feed.
        """
        usec = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog = int(usec) / 1_000_000 if ours and usec.isdecimal() and int(usec) > 0 else None
        return cls(environ.get("NOTIFY_SOCKET") or None, watchdog=watchdog)

    def ready(self, status: str = "") -> bool:
        """The daemon is up, or has finished reloading."""
        return self._send(READY=1, STATUS=status)

    def reloading(self) -> bool:
        """The configuration is being read anew; say `ready` afterwards."""
        return self._send(RELOADING=1, MONOTONIC_USEC=monotonic_usec())

    def stopping(self, status: str = "", *, within: float | None = None) -> bool:
        """The daemon winds down. `within` is the number of seconds that it may take, if TimeoutStopSec= is less."""
        more = {} if within is None else {"EXTEND_TIMEOUT_USEC": round(within * 1_000_000)}
        return self._send(STOPPING=1, STATUS=status, **more)

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._send(STATUS=text)

    def alive(self) -> bool:
        """Feed the watchdog once."""
        return self._send(WATCHDOG=1)

    async def feed_watchdog(self, healthy: Callable[[], Awaitable[bool]], clock: Clock) -> None:
        """Feed the watchdog for as long as `healthy` says so; runs until it is cancelled.

        Twice as often as systemd asks for. Returns at once where systemd asks for nothing. An unhealthy daemon is not
        fed: systemd then restarts it, which is what the watchdog is for.
        """
        if self.watchdog is None:
            return
        while True:
            if await healthy():
                self.alive()
            await clock.sleep(self.watchdog / 2)

    def _send(self, **assignments: str | int) -> bool:
        if self._address is None:
            return False
        # A line break would end the assignment, and begin another.
        lines = [f"{key}={' '.join(str(value).split())}" for key, value in assignments.items() if value != ""]
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                # The loop must not hang on a reader that does not read.
                channel.setblocking(False)
                channel.sendto("\n".join(lines).encode(), address)
        except OSError:
            return False
        return True
