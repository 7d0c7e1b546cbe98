"""What a connector's author gives to the contract suite: the app to try the connector on, and what people do there.

Everything here is said in the connector's own words: record ids as it gives them, raw values by its field names.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from twoway.core.model import Instant, Raw, RawValues
from twoway.ports import Connector

RETRY_AFTER = 7
"""The seconds that `Trouble.BUSY` asks to wait."""


class Setup(StrEnum):
    """How a connector is set up."""

    RIGHT = "right"
    WRONG_LOGIN = "wrong login"
    """With a token or password that the app does not know."""
    WRONG_ADDRESS = "wrong address"
    """With an address at which something answers that is not this app (404, or a page)."""
    CLOCK_AHEAD = "clock ahead"
    """On a machine whose clock is an hour ahead of the app's."""
    CLOCK_BEHIND = "clock behind"
    """On a machine whose clock is an hour behind the app's."""


class Trouble(StrEnum):
    """What can go wrong between a connector and its app."""

    LOST_REQUEST = "lost request"
    """The connection breaks before the app has read the request."""
    LOST_ANSWER = "lost answer"
    """The app does what it is asked; then the connection breaks."""
    BUSY = "busy"
    """429, with `Retry-After: 7`; nothing is done."""
    BUSY_UNTOLD = "busy, untold"
    """429 without a time; nothing is done."""
    BROKEN = "broken"
    """500; nothing is done."""
    BROKEN_AFTER = "broken after"
    """500; it was done nevertheless."""
    PAGE = "page"
    """200 with a page of HTML, of a proxy for example; nothing is done."""
    TRUNCATED = "truncated"
    """The right answer, cut in half; it was done."""
    LOGIN_REVOKED = "login revoked"
    """401; nothing is done."""


class Bench(ABC):
    """An app, empty at first, and connectors to it. Each test has its own; nothing of it is asynchronous.

    It must not go through the connector under test: what it says is held against what the connector says.
    """

    collection: ClassVar[str]
    """The connector's name of the collection."""
    fields: ClassVar[frozenset[str]] = frozenset()
    """The fields to try, as a mapping would read them; all that `describe` tells where this is empty.

    Choose at least one of each type that the app has."""
    values: ClassVar[Mapping[str, Sequence[Raw]]] = {}
    """Values to try for a field, where the suite cannot know them (references, JSON) or may not choose them.

    None at all, `()`, leaves the field out of what is written."""
    refused: ClassVar[tuple[str, Raw] | None] = None
    """A field and a value that the app will not take, now or later; None if it takes everything."""
    many: ClassVar[int] = 250
    """More records than two pages of any of its listings hold."""
    merges: ClassVar[bool] = False
    """Whether people can merge two records."""
    restores: ClassVar[bool] = False
    """Whether people can take a deleted record back."""
    troubles: ClassVar[frozenset[Trouble]] = frozenset(Trouble)
    """What `trouble` can do: everything, for an app behind a network."""
    setups: ClassVar[frozenset[Setup]] = frozenset(Setup)
    """How `open` can set a connector up."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """What must never be read in a message: the password, the token."""

    # -- the connector

    @abstractmethod
    def open(self, setup: Setup = Setup.RIGHT, *, times: bool = False) -> Connector:
        """A new connector to this app, with `fields` as what the mapping reads. The suite closes it."""

    # -- time

    @abstractmethod
    def now(self) -> Instant:
        """The app's own time."""

    @abstractmethod
    def advance(self, seconds: float) -> None:
        """Let time pass in the app and in its connectors. A real server without lag needs not do anything."""

    # -- what people do in the app

    @abstractmethod
    def sample(self, number: int) -> dict[str, Raw]:
        """The values of a record that the app takes: what it requires, and what must be unique.

        Another number gives other values in each field. No value may be one that the app stores in another form.
        """

    @abstractmethod
    def create(self, values: RawValues) -> str:
        """A person adds a record; its id."""

    def create_many(self, many: Sequence[RawValues]) -> list[str]:
        """A person imports records, all at the same instant; their ids, in order."""
        return [self.create(values) for values in many]

    @abstractmethod
    def update(self, id: str, values: RawValues) -> None:
        """A person edits these fields of a record."""

    @abstractmethod
    def delete(self, id: str) -> None:
        """A person deletes a record."""

    def restore(self, id: str) -> None:
        """A person takes a deleted record back."""
        raise NotImplementedError(f"{type(self).__name__} sets `restores`, and has no `restore`: {id}")

    def merge(self, loser: str, survivor: str) -> None:
        """A person merges one record into another."""
        raise NotImplementedError(f"{type(self).__name__} sets `merges`, and has no `merge`: {loser}, {survivor}")

    # -- the app's own view

    @abstractmethod
    def live(self) -> set[str]:
        """The ids of all records that live."""

    @abstractmethod
    def stored(self, id: str) -> Mapping[str, Any]:
        """All that the app holds of a live record, in whatever form, also in fields that the connector has not.

        Without what moves by itself: revisions and times of changes. Only ever compared with itself.
        """

    def parts(self, field: str) -> set[str]:
        """The names in `stored` that may change when this field is written."""
        return {field}

    def missing_id(self) -> str:
        """An id as the app gives them, of a record that never was."""
        return "999999999"

    # -- what goes wrong

    def expire(self, cursor: str) -> str | None:
        """A cursor of `changes` that the app knows no more, such as this one by now; None where none expires."""
        del cursor
        return None

    def trouble(self, trouble: Trouble, *, writes: bool = False, times: int = 1, skip: int = 0) -> None:
        """Let the next `times` requests (0: all) meet this trouble, after `skip` that do not.

        With `writes` only those that ask for a change: a search that is a POST is none.
        """
        raise NotImplementedError(f"{type(self).__name__} lists {trouble}, and has no `trouble`: {writes}{times}{skip}")

    def calm(self) -> None:  # noqa: B027 - an app without trouble is calm by itself
        """No more trouble."""
