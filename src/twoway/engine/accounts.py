"""The configured accounts, and the connectors to their collections."""

from collections.abc import Callable, Mapping
from typing import Any

from twoway.config.load import Config
from twoway.core.mapping import SideMapping
from twoway.core.rules import Policy, Start
from twoway.core.spec import MappingSpec
from twoway.ports import Clock, Connector, ConnectorContext
from twoway.sdk.errors import AccountRefused
from twoway.sdk.http import make_open_http
from twoway.sdk.limits import RateLimiter
from twoway.sdk.registry import find_connector

OpenHttp = Callable[..., Any]


class Accounts:
    """Makes connectors. All those of one account share its rate limit.

    `open_http` is given, by account, in tests that stay in one process; else each account gets the real thing.
    """

    def __init__(self, config: Config, clock: Clock, open_http: Callable[[str], OpenHttp] | None = None) -> None:
        self._config = config
        self._clock = clock
        self._limiters: dict[tuple[str, str], RateLimiter] = {}
        self._open_http = open_http or self._real

    def _real(self, account: str) -> OpenHttp:
        library = self._config.settings.engine.http
        return make_open_http(self._clock, account=account, library=library, limiters=self._limiters)

    def connect(
        self,
        account: str,
        collection: str,
        *,
        options: Mapping[str, Any] | None = None,
        fields: frozenset[str] = frozenset(),
        times: bool = False,
    ) -> Connector:
        """A connector to one collection.

        Raises `TellUser` for an app or a collection that there is not, `AccountRefused` for a login that lacks a part.
        """
        section = self._config.account(account)
        context = ConnectorContext(
            account=account,
            settings=section.settings,
            secrets=self._config.secrets(account),
            collection=collection,
            options=options or {},
            fields=fields,
            times=times,
            clock=self._clock,
            open_http=self._open_http(account),
        )
        try:
            return find_connector(section.app)(context)
        except AccountRefused as error:
            # A login that lacks a part is refused before any request.
            error.account = account
            raise

    def side(self, mapping: SideMapping, spec: MappingSpec) -> Connector:
        """The connector to one side of a pair, which reads just the fields that the mapping names."""
        return self.connect(
            mapping.account, mapping.collection, options=mapping.options, fields=mapping.reads, times=needs_times(spec)
        )


def needs_times(spec: MappingSpec) -> bool:
    """Whether a policy of the pair asks when a field was last changed."""
    policies = {spec.conflict, *(field.conflict for field in spec.fields)}
    starts = {spec.start, *(field.start for field in spec.fields)}
    return Policy.NEWEST in policies or Start.NEWEST in starts
