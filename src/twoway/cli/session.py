"""The engine at work for one command: configuration, state, clients and progress, opened and closed together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from twoway.cli.context import Called, SystemClock, config_of, state_of
from twoway.cli.progress import progress
from twoway.config.load import Config
from twoway.daemon import logs
from twoway.engine.service import Service
from twoway.ports import FaultPoint
from twoway.sdk.registry import Connectors
from twoway.state.store import Store

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with."""

    config: Config
    store: Store
    clock: SystemClock
    service: Service


def full_config(ctx: Called) -> Config:
    """The configuration, with the accounts' keys checked against the installed connectors; logging is set up."""
    config = config_of(ctx, Connectors())
    hidden = [secret for account in config.settings.accounts for secret in config.secrets(account).values()]
    logs.configure(level="debug" if ctx.obj.verbose else "warning", form="console", secrets=hidden)
    return config


def _logged(point: FaultPoint) -> FaultPoint:
    """Each remote call and each commit in the log, too. Their names hold accounts and calls, and no values."""

    def heard(name: str) -> None:
        _log.debug("step", at=name)
        point(name)

    return heard


@asynccontextmanager
async def session(ctx: Called, title: str) -> AsyncIterator[Session]:
    """Open everything; release it whatever happens. `title` begins the line of progress."""
    config = full_config(ctx)
    clock = SystemClock()
    with state_of(config) as store, progress(title) as point:
        service = Service(config, store, clock, fault=_logged(point) if ctx.obj.verbose else point)
        try:
            yield Session(config, store, clock, service)
        finally:
            await service.close()
