"""The errors of a connector, grouped by what the engine does next.

    ConnectorError
    ├── TryLater          the app is busy or out of reach: this side waits, nothing is concluded
    │   └── QuotaSpent    the daily budget is used up: wait until it is renewed
    ├── SnapshotNeeded    the cursor has expired: read everything again
    ├── RecordRefused     the app refuses this one record: park it, go on with the others
    ├── AccountRefused    the login is refused or may not do this: pause the account, tell a person
    └── TellUser          set up wrongly, or an answer that makes no sense: nothing is concluded, tell a person

A message says what happened and what to do, for a person who is woken by it. It never holds a secret, nor a
customer's value.
"""


class ConnectorError(Exception):
    """The root of them all. `message` is for people; `remedy` says what would mend it.

    `account` is filled in by the engine: the account that the call was for.
    """

    account: str | None = None

    def __init__(self, message: str, *, remedy: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.status = status

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message


class TryLater(ConnectorError):
    """`after` is the number of seconds that the app asked us to wait, where it said so.

    `sent` is false when the request certainly never took effect. It decides whether a write's outcome is unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        status: int | None = None,
        after: float | None = None,
        sent: bool = False,
    ) -> None:
        super().__init__(message, remedy=remedy, status=status)
        self.after = after
        self.sent = sent


class QuotaSpent(TryLater):
    """The account's daily budget is used up."""


class SnapshotNeeded(ConnectorError):
    """The app no longer knows the cursor."""


class RecordRefused(ConnectorError):
    """`id` is the record that the app refuses."""

    def __init__(self, message: str, *, id: str, remedy: str = "", status: int | None = None) -> None:
        super().__init__(message, remedy=remedy, status=status)
        self.id = id


class AccountRefused(ConnectorError):
    """Wrong or expired credentials, or a missing permission."""


class TellUser(ConnectorError):
    """Wrong host, wrong collection, or an answer that is not what the app's documents promise."""


class HookRefused(ConnectorError):
    """A webhook call that is not proved to come from the app."""
