"""Reading `config.yaml`: what the model cannot check by itself, which is mostly secrets and where they come from."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr, ValidationError

from twoway.config.problems import Problem, valid
from twoway.config.settings import AccountSection, Settings, credential_of, read_secret, variable
from twoway.config.strict import complaints
from twoway.config.yamlfile import Document, Where

_FILE = "_file"
_STATE = "twoway.db"


class AppKeys(Protocol):
    """What a connector's factory says of the keys that an account of its app takes, with a line of help each."""

    @property
    def secrets(self) -> Mapping[str, str]: ...

    @property
    def settings(self) -> Mapping[str, str]: ...


def read_settings(
    document: Document, apps: Mapping[str, AppKeys] | None, problems: list[Problem], *, logins: bool = True
) -> Settings | None:
    """The settings of `document`, the environment and the credentials; what is wrong is added to `problems`.

    Without `logins` the files of secrets are not read.
    """
    before = len(problems)
    problems += _written_secrets(document)
    try:
        settings = Settings(**{str(key): value for key, value in document.data.items()})
    except ValidationError as error:
        problems += [_located(document, where, what) for where, what in complaints(Settings, error)]
        return None
    settings = _resolve(settings, document, problems, logins=logins)
    if apps is not None:
        problems += _app_problems(settings, document, apps)
    return settings if len(problems) == before else None


def _located(document: Document, where: Where, what: str) -> Problem:
    """A problem in the place that the setting comes from: the environment goes before credentials, they before the
    file."""
    name = variable(tuple(where))
    credential = None if name in os.environ else credential_of(tuple(where))
    if credential is not None:
        return Problem(f"systemd credential {credential}", 0, 0, ".".join(str(one) for one in where), what)
    if name not in os.environ and (document.holds(where) or what == "is missing"):
        return document.problem(where, f"{what} (or set {name})" if what == "is missing" else what)
    return Problem(f"environment {name}", 0, 0, ".".join(str(one) for one in where), what)


def _written_secrets(document: Document) -> list[Problem]:
    """Secrets that stand in the file itself, where backups and version control would copy them."""
    places: list[tuple[str, ...]] = []
    accounts = document.data.get("accounts")
    for name, account in accounts.items() if isinstance(accounts, dict) else ():
        secrets = account.get("secrets") if isinstance(account, dict) else None
        # What is no table may be the secret itself: no part of it is told as a key.
        keys = map(str, secrets) if isinstance(secrets, dict) else ()
        places += [("accounts", str(name), "secrets", key) for key in keys if not key.endswith(_FILE)]
    if document.data.get("alerts") and document.holds(("alerts", "webhook_url")):
        places.append(("alerts", "webhook_url"))
    return [
        document.problem(
            place,
            f"a secret does not belong in this file; valid: {place[-1]}{_FILE} with the path of a file, "
            f"{variable(place)} in the environment, or the systemd credential "
            f"{'__'.join(one for one in place if one != 'secrets')}",
        )
        for place in places
    ]


def _resolve(settings: Settings, document: Document, problems: list[Problem], *, logins: bool) -> Settings:
    """Paths made absolute, from the file's folder; files of secrets read."""
    folder = document.path.parent
    accounts = {
        name: account.model_copy(update={"secrets": _secrets(name, account, document, problems) if logins else {}})
        for name, account in settings.accounts.items()
    }
    alerts = settings.alerts
    if logins and alerts.webhook_url is None and alerts.webhook_url_file is not None:
        url = _read(folder / alerts.webhook_url_file, ("alerts", "webhook_url_file"), document, problems)
        alerts = alerts.model_copy(update={"webhook_url": url})
    home = Path(os.environ.get("STATE_DIRECTORY", "").partition(":")[0])
    state = settings.state.path or home / _STATE
    return settings.model_copy(
        update={
            "accounts": accounts,
            "pairs": folder / settings.pairs,
            "alerts": alerts,
            "state": settings.state.model_copy(update={"path": folder / state}),
        }
    )


def _secrets(name: str, account: AccountSection, document: Document, problems: list[Problem]) -> dict[str, SecretStr]:
    found = {key: secret for key, secret in account.secrets.items() if not key.endswith(_FILE)}
    for key, file in account.secrets.items():
        if key.endswith(_FILE) and key.removesuffix(_FILE) not in found:
            where = ("accounts", name, "secrets", key)
            secret = _read(document.path.parent / file.get_secret_value(), where, document, problems)
            if secret is not None:
                found[key.removesuffix(_FILE)] = secret
    return found


def _read(path: Path, where: Where, document: Document, problems: list[Problem]) -> SecretStr | None:
    try:
        text = read_secret(path)
    except OSError as error:
        problems.append(_located(document, where, f"the file cannot be read: {error.strerror}"))
        return None
    except UnicodeDecodeError:
        problems.append(_located(document, where, "the file is not UTF-8 text"))
        return None
    if not text:
        problems.append(_located(document, where, "the file is empty"))
        return None
    return SecretStr(text)


def _app_problems(settings: Settings, document: Document, apps: Mapping[str, AppKeys]) -> list[Problem]:
    problems = []
    for name, account in settings.accounts.items():
        here = ("accounts", name)
        if account.app not in apps:
            what = f"no connector for {account.app} is installed; {valid(apps, account.app)}"
            problems.append(_located(document, (*here, "app"), what))
            continue
        app = apps[account.app]
        for section, given, known in (
            ("settings", account.settings, app.settings),
            ("secrets", account.secrets, app.secrets),
        ):
            for key in given:
                if key not in known:
                    where = (*here, section, key)
                    outside = variable(where) in os.environ or credential_of(where) is not None
                    written = f"{key}{_FILE}" if section == "secrets" and not outside else key
                    what = f"{account.app} takes no such key; {valid(known, key)}"
                    problems.append(_located(document, (*here, section, written), what))
    return problems
