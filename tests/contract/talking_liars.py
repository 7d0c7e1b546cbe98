"""Connectors that say what nobody may read: secrets, and customers' values."""

import logging
from collections.abc import Sequence
from typing import Any

from tests.contract.liars import Around
from twoway.sdk import ConnectorError, Outcome, Receipt, Write


class TellsSecrets(Around):
    """Repeats the login in its messages."""

    async def check(self) -> Any:
        try:
            return await self._inner.check()
        except ConnectorError as error:
            error.message += " (stolen-us1)"
            error.args = (error.message,)
            raise


class ShowsItsLogin(Around):
    """Has the login in what it is printed as."""

    def __repr__(self) -> str:
        return "Acme(sandbox-us1)"


class LogsItsLogin(Around):
    """Logs with what it asks."""

    async def check(self) -> Any:
        logging.getLogger("acme").info("asking with %s", "sandbox-us1")
        return await self._inner.check()


class WritesItsLoginDown(Around):
    """Repeats the login in receipts."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        return [
            each._replace(why=f"{each.why} (sandbox-us1)") if each.outcome is Outcome.UNKNOWN else each
            for each in await self._inner.apply(writes)
        ]


class NamesTheCustomer(Around):
    """Says whose the key is that is taken."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        return [
            each._replace(why=f"taken: {write.changed}") if each.outcome is Outcome.DUPLICATE else each
            for each, write in zip(await self._inner.apply(writes), writes, strict=True)
        ]


class RepeatsValues(Around):
    """Repeats what was refused."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        receipts = await self._inner.apply(writes)
        return [
            each._replace(why=f"refused: {write.changed}") if each.outcome is Outcome.REFUSED else each
            for each, write in zip(receipts, writes, strict=True)
        ]
