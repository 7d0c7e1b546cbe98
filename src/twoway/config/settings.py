"""`config.yaml`: accounts, where state and pairs live, and how the daemon behaves.

Precedence: environment (`TWOWAY_SECTION__KEY`) over systemd credentials (`$CREDENTIALS_DIRECTORY`) over the file.
A secret is never written into the file itself: it comes from the environment, a credential, or a file named by
`KEY_file`.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from twoway.config.problems import ConfigError, Problem
from twoway.config.strict import Strict
from twoway.config.units import Duration, span

PREFIX: Final = "TWOWAY_"
RESERVED: Final = frozenset({"TWOWAY_CONFIG"})
"""Variables of the prefix that are not settings: where the configuration itself is."""


class Access(StrEnum):
    """What twoway may do in an account."""

    READ = "read"
    WRITE = "write"


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
    lag: Duration | None = Field(
        default=None, description="How late the app's listings may be, where you know better than the connector."
    )
    request_lifetime: Duration | None = Field(
        default=None,
        description="How long a request may still land after we gave it up, where you know better than the connector.",
    )

    @property
    def overrides(self) -> dict[str, int]:
        """What is said here in place of the connector's own `Capabilities`, in milliseconds."""
        told = {"lag": self.lag, "request_lifetime": self.request_lifetime}
        return {name: length for name, length in told.items() if length is not None}


class StateSection(Strict):
    """`state`: the database of links, history and plans."""

    path: Path | None = Field(
        default=None,
        description="The SQLite file, relative to config.yaml; twoway.db in systemd's state directory, else beside it.",
    )


class LoggingSection(Strict):
    """`logging`."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is told."
    )
    format: Literal["auto", "text", "json"] = Field(
        default="auto", description="`auto`: text on a terminal, else JSON."
    )


class AlertsSection(Strict):
    """`alerts`: who is told when something needs a person."""

    command: list[str] | None = Field(
        default=None, min_length=1, description="A program and its arguments; it gets each alert as JSON on its input."
    )
    webhook_url: SecretStr | None = Field(default=None, description="Receives each alert as JSON by POST; a secret.")
    webhook_url_file: Path | None = Field(default=None, description="The file that holds `webhook_url`.")
    missed_cycles: int = Field(
        default=3, ge=1, description="A pair is stalled after so many cycles in a row without success."
    )


class EngineSection(Strict):
    """`engine`: how carefully, and how much at one time."""

    window: int = Field(default=500, ge=1, le=100_000, description="Records held in memory at one time, each side.")
    concurrency: int = Field(default=4, ge=1, le=64, description="Batches of writes under way at one time, each side.")
    http: Literal["httpx", "aiohttp"] = Field(
        default="httpx",
        description="What makes the connections: aiohttp takes less of the processor; `pip install 'twoway[aiohttp]'`.",
    )
    source_age: Duration = span("60s", "A record read longer ago than this is read again before it is carried over.")
    rounds: int = Field(default=4, ge=1, description="Times that a cycle decides anew what its own writes moved.")
    tries: int = Field(default=5, ge=1, description="Vain decisions about the same content before it is parked.")
    retry: Duration = span("10m", "When a parked record, or an account that refused us, is tried again.")
    duplicate_retry: Duration = span("1h", "When records with the same key are looked at again.")

    @field_validator("http")
    @classmethod
    def _installed(cls, library: str) -> str:
        if find_spec(library) is None:
            raise ValueError(
                f"{library} is not installed here; valid: `pip install 'twoway[{library}]'`, or leave it out"
            )
        return library


class DaemonSection(Strict):
    """`daemon`."""

    grace: Duration = span("30s", "How long a cycle may go on after the daemon was told to stop.")


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
            # Each account must be nameable in an environment variable.
            if not name.isascii() or not name.isidentifier() or name != name.lower() or "__" in name:
                raise ValueError(f"{name}: not an account's name; valid: lower-case letters, digits and _")
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
    """systemd's credentials: `accounts__ACCOUNT__KEY` is a secret of an account, `SECTION__KEY` any other setting.

    Others may share the folder: what names no account of ours and no section is left alone.
    """

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
            match file.name.split("__"):
                case ["accounts", account, key] | ["accounts", account, "secrets", key] if account in self._accounts:
                    accounts = found.setdefault("accounts", {})
                    accounts.setdefault(account, {}).setdefault("secrets", {})[key] = _read_credential(file)
                case [section, key] if section in self.settings_cls.model_fields and section != "accounts":
                    found.setdefault(section, {})[key] = _read_credential(file)
                case _:
                    pass
        return found


def _read_credential(file: Path) -> str:
    """The text of a credential. Raises `ConfigError`."""
    try:
        return read_secret(file)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        what = "is not UTF-8 text; valid: the secret as text, as LoadCredential= takes it from a file"
    raise ConfigError([Problem(f"systemd credential {file.name}", 0, 0, "", what)])


def credential_of(where: tuple[str | int, ...]) -> str | None:
    """The credential that gives this setting, if one does."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    parts = [str(one) for one in where]
    names = ["__".join(parts), "__".join(one for one in parts if one != "secrets")]
    return next((name for name in names if folder and (Path(folder) / name).exists()), None)


def read_secret(path: Path) -> str:
    """The text of a secret's file, without the line end that editors add, and without the mark that some put before
    UTF-8 text."""
    return path.read_text(encoding="utf-8-sig").rstrip("\r\n")


def variable(where: tuple[str | int, ...]) -> str:
    """The environment variable of a setting."""
    return PREFIX + "__".join(str(one) for one in where).upper()
