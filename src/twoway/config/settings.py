"""`config.yaml`: accounts, where state and pairs live, and how the daemon behaves.

Precedence: environment (`TWOWAY_SECTION__KEY`) over systemd credentials (`$CREDENTIALS_DIRECTORY`) over the file.
A secret is never written into the file itself: it comes from the environment, a credential, or a file named by
`KEY_file`.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from twoway.config.strict import Strict
from twoway.config.units import Duration, span

PREFIX: Final = "TWOWAY_"
RESERVED: Final = frozenset({"TWOWAY_CONFIG"})
"""Variables of the prefix that are not settings: where the configuration itself is."""


class Access(StrEnum):
    """What twoway may do in an account."""

    READ = "read"
    WRITE = "write"


class RateSection(Strict):
    """`accounts.NAME.rate`: a tighter limit than the app's own, to leave room for others."""

    per_second: float | None = Field(default=None, gt=0, description="Requests a second.")
    per_day: int | None = Field(default=None, gt=0, description="Requests a day, in UTC.")
    parallel: int = Field(default=4, ge=1, le=64, description="Requests under way at one time.")


class AccountSection(Strict):
    """`accounts.NAME`: one login to one app."""

    app: str = Field(description="The connector, such as hubspot, mailchimp, zendesk or carddav.")
    access: Access = Field(
        default=Access.WRITE, description="`read` never writes to this account, whatever the pairs say."
    )
    settings: dict[str, Any] = Field(default={}, description="What the connector needs to know, such as a subdomain.")
    secrets: dict[str, SecretStr] = Field(
        default={}, description="The login: `KEY_file` names the file that holds the secret KEY."
    )
    rate: RateSection = Field(default=RateSection(), description="Limits of our own, below the app's.")
    timeout: Duration = span("30s", "How long one request may take.")


class StateSection(Strict):
    """`state`: the database of links, history and plans."""

    path: Path = Field(default=Path("twoway.db"), description="The SQLite file; relative to config.yaml.")
    url: SecretStr | None = Field(default=None, description="PostgreSQL instead: postgresql://…; from the environment.")
    url_file: Path | None = Field(default=None, description="The file that holds `url`.")
    history: Duration = span("90d", "How long overwritten values are kept, for undo.")


class LoggingSection(Strict):
    """`logging`."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is told."
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto", description="`auto`: console on a terminal, else json."
    )


class AlertsSection(Strict):
    """`alerts`: who is told when something needs a person."""

    webhook_url: SecretStr | None = Field(default=None, description="Receives a JSON POST for each alert; a secret.")
    webhook_url_file: Path | None = Field(default=None, description="The file that holds `webhook_url`.")
    ping_url: SecretStr | None = Field(
        default=None, description="Asked for after each good cycle (dead man's switch); a secret."
    )
    ping_url_file: Path | None = Field(default=None, description="The file that holds `ping_url`.")
    stale_after: Duration = span("1h", "A pair without a good cycle for so long raises an alert.")
    repeat: Duration = span("1d", "An alert that lasts is repeated so often.")


class EngineSection(Strict):
    """`engine`: how carefully, and how much at one time."""

    window: int = Field(
        default=1000, ge=1, le=100_000, description="Records that are decided together; memory follows it."
    )
    source_age: Duration = span("60s", "A record read longer ago than this is read again before a write.")
    retry_first: Duration = span("5m", "When a parked record is tried again for the first time.")
    retry_longest: Duration = span("1d", "The longest wait between two tries of a parked record.")
    supersede_limit: int = Field(default=5, ge=1, description="A decision that was overtaken so often is parked.")


class DaemonSection(Strict):
    """`daemon`."""

    parallel: int = Field(default=4, ge=1, le=64, description="Pairs that run at one time.")
    grace: Duration = span("30s", "How long a cycle may go on after the daemon was told to stop.")
    listen: str | None = Field(default=None, description="host:port for webhooks, health and metrics; null for none.")


class Settings(BaseSettings):
    """The whole of `config.yaml`."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    accounts: dict[str, AccountSection] = Field(min_length=1, description="The logins, each under a name of your own.")
    pairs: Path = Field(default=Path("pairs"), description="The folder of mapping files; relative to config.yaml.")
    state: StateSection = Field(default=StateSection(), description="The database.")
    logging: LoggingSection = Field(default=LoggingSection(), description="What is told, and how.")
    alerts: AlertsSection = Field(default=AlertsSection(), description="Who is told when a person is needed.")
    engine: EngineSection = Field(default=EngineSection(), description="How carefully, and how much at one time.")
    daemon: DaemonSection = Field(default=DaemonSection(), description="How the daemon runs.")

    @field_validator("accounts")
    @classmethod
    def _names(cls, accounts: dict[str, AccountSection]) -> dict[str, AccountSection]:
        for name in accounts:
            # Each account must be nameable in an environment variable and in a credential's file name.
            if not name.isascii() or not name.isidentifier() or name != name.lower() or "__" in name:
                raise ValueError(f"{name}: not an account's name; valid: lower-case letters, digits and _")
            if name in cls.model_fields:
                raise ValueError(f"{name}: not an account's name, for it is the name of a section")
        return accounts

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see `EnvironmentSource`
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What `config.yaml` says comes in as arguments, and yields to all else."""
        accounts = init_settings().get("accounts")
        names = accounts if isinstance(accounts, Mapping) else {}
        known = frozenset(map(str, names))
        return EnvironmentSource(settings_cls), CredentialsSource(settings_cls, known), init_settings


class EnvironmentSource(PydanticBaseSettingsSource):
    """`TWOWAY_SECTION__KEY`. Each value is taken as the text that it is.

    The library's own source reads values within tables as JSON, which makes a number of a token of digits, and
    overlooks a section that does not exist.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the library's signature
        """Not used: all is read at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, text in sorted(os.environ.items()):
            if not name.startswith(PREFIX) or name in RESERVED:
                continue
            *sections, key = name.removeprefix(PREFIX).lower().split("__")
            table = found
            for section in sections:
                # `TWOWAY_STATE=x` beside `TWOWAY_STATE__PATH=y`: the longer name is the one that can be meant.
                inner = table.get(section)
                table[section] = table = inner if isinstance(inner, dict) else {}
            table[key] = text
        return found


class CredentialsSource(PydanticBaseSettingsSource):
    """systemd's credentials: `ACCOUNT.KEY` is a secret of an account, `SECTION.KEY` a setting."""

    def __init__(self, settings_cls: type[BaseSettings], accounts: frozenset[str]) -> None:
        super().__init__(settings_cls)
        self._accounts = accounts

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the library's signature
        """Not used: all is read at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        found: dict[str, Any] = {}
        for file in sorted(Path(folder).iterdir()) if folder and Path(folder).is_dir() else ():
            section, dot, key = file.name.partition(".")
            if not dot or not key or not file.is_file():
                continue
            if section in self._accounts:
                account = found.setdefault("accounts", {}).setdefault(section, {})
                account.setdefault("secrets", {})[key] = read_secret(file)
            elif section in self.settings_cls.model_fields:
                found.setdefault(section, {})[key] = read_secret(file)
        return found


def read_secret(path: Path) -> str:
    """The text of a secret's file, without the line end that editors add."""
    return path.read_text(encoding="utf-8").rstrip("\r\n")


def variable(where: tuple[str | int, ...]) -> str:
    """The environment variable of a setting."""
    return PREFIX + "__".join(str(one) for one in where).upper()
