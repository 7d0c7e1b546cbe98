from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.config.conftest import CONFIG, PAIR, Told
from twoway.config import Access, ConfigError, load
from twoway.config.problems import Problem


@dataclass(frozen=True)
class Keys:
    """A connector's keys."""

    secrets: Mapping[str, str]
    settings: Mapping[str, str]


APPS = {
    "hubspot": Keys({"token": "the token"}, {"base_url": "the address"}),
    "mailchimp": Keys({"api_key": "the key"}, {}),
}


def test_the_file_alone(folder: Path) -> None:
    config = load(folder / "config.yaml", APPS)
    assert config.secrets("crm") == {"token": "s3cr3t"}
    assert config.account("crm").access is Access.WRITE
    assert config.settings.pairs == folder / "pairs"
    assert config.settings.state.path == folder / "twoway.db"
    assert list(config.pairs) == ["crm-news"]
    assert "s3cr3t" not in repr(config)


def test_the_state_is_in_systemds_folder_unless_the_file_says_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/twoway:/var/lib/other")
    assert load(folder / "config.yaml").settings.state.path == Path("/var/lib/twoway/twoway.db")
    (folder / "config.yaml").write_text(CONFIG + "state: { path: mine.db }\n")
    assert load(folder / "config.yaml").settings.state.path == folder / "mine.db"


def test_environment_goes_before_credentials_and_credentials_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = folder / "credentials"
    credentials.mkdir()
    for name, text in {
        "accounts__crm__token": "from a credential\n",
        "accounts__news__secrets__api_key": "also",
        "accounts__nobody__token": "another service's",
        "alerts__webhook_url": "https://alerts.example",
        "logging__level": "error",
        "other": "x",
    }.items():
        (credentials / name).write_text(text)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    (folder / "config.yaml").write_text(CONFIG + "logging: { level: debug, format: json }\n")
    config = load(folder / "config.yaml")
    assert (config.secrets("crm"), config.secrets("news")) == ({"token": "from a credential"}, {"api_key": "also"})
    assert (config.settings.logging.level, config.settings.logging.format) == ("error", "json")
    assert config.settings.alerts.webhook_url is not None
    assert config.settings.alerts.webhook_url.get_secret_value() == "https://alerts.example"
    monkeypatch.setenv("TWOWAY_ACCOUNTS__CRM__SECRETS__TOKEN", "0042")
    monkeypatch.setenv("TWOWAY_LOGGING__LEVEL", "warning")
    monkeypatch.setenv("TWOWAY_ENGINE__WINDOW", "7")
    monkeypatch.setenv("TWOWAY_CONFIG", "elsewhere")
    config = load(folder / "config.yaml")
    assert config.secrets("crm") == {"token": "0042"}, "a secret of digits stays the text that it is"
    assert (config.settings.logging.level, config.settings.engine.window) == ("warning", 7)


@pytest.mark.parametrize("name", ["accounts__crm__token", "alerts__webhook_url"])
def test_a_credential_that_cannot_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    credentials = folder / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    (folder / "config.yaml").write_text(CONFIG)
    (credentials / name).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=f"systemd credential {name}: is not UTF-8 text"):
        load(folder / "config.yaml")
    (credentials / name).unlink()
    (credentials / name).mkdir()
    with pytest.raises(ConfigError, match=f"systemd credential {name}: cannot be read: Is a directory"):
        load(folder / "config.yaml")


def test_an_account_may_come_from_the_environment_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "config.yaml").write_text("accounts: {}\n")
    for name, text in {"CRM__APP": "hubspot", "NEWS__APP": "mailchimp", "NEWS": "overruled by the longer name"}.items():
        monkeypatch.setenv(f"TWOWAY_ACCOUNTS__{name}", text)
    assert set(load(folder / "config.yaml").settings.accounts) == {"crm", "news"}


def test_alerts_may_go_to_an_address_from_a_file(folder: Path) -> None:
    (folder / "url").write_text("https://alerts.example\n")
    (folder / "config.yaml").write_text(CONFIG + "alerts: { webhook_url_file: url }\n")
    url = load(folder / "config.yaml").settings.alerts.webhook_url
    assert url is not None
    assert url.get_secret_value() == "https://alerts.example"


SECRET_WRITTEN = (
    "config.yaml:4:16: accounts.crm.secrets.token: a secret does not belong in this file; valid: token_file with the "
    "path of a file, TWOWAY_ACCOUNTS__CRM__SECRETS__TOKEN in the environment, or the systemd credential "
    "accounts__crm__token"
)

WRONG = [
    ("no YAML", (CONFIG, "accounts: [\n"), "config.yaml:2:1: not YAML: expected the node content"),
    (
        "an unknown section",
        ("accounts:", "acounts:\n  a: b\naccounts:"),
        "config.yaml:1:1: acounts: unknown key; valid: accounts,",
    ),
    (
        "an unknown key of an account",
        ("    app: hubspot", "    app: hubspot\n    acces: read"),
        "config.yaml:4:5: accounts.crm.acces: unknown key; valid: access, app, ",
    ),
    (
        "no app",
        ("    app: mailchimp", "    access: read"),
        "config.yaml:5:3: accounts.news.app: is missing (or set TWOWAY_ACCOUNTS__NEWS__APP)",
    ),
    ("no accounts", (CONFIG, "accounts: {}\n"), "config.yaml:1:1: accounts: "),
    (
        "a name no variable could have",
        ("  news:", "  News-1:"),
        "accounts: News-1: not an account's name; valid: lower-case",
    ),
    (
        "a secret in the file",
        ("token_file: crm.token", "token: s3cr3t"),
        SECRET_WRITTEN,
    ),
    (
        "a secret in place of the table",
        ("{ token_file: crm.token }", "s3cr3t"),
        "config.yaml:4:5: accounts.crm.secrets: needs a table of `key: value`",
    ),
    (
        "a secret in a list",
        ("{ token_file: crm.token }", "[s3cr3t]"),
        "config.yaml:4:5: accounts.crm.secrets: needs a table of `key: value`",
    ),
    (
        "a secret of digits in place of the table",
        ("{ token_file: crm.token }", "5317"),
        "config.yaml:4:5: accounts.crm.secrets: needs a table of `key: value`",
    ),
    (
        "a secret address in the file",
        ("accounts:", "alerts: { webhook_url: s3cr3t }\naccounts:"),
        "config.yaml:1:11: alerts.webhook_url: a secret does not belong in this file",
    ),
    (
        "a secret's file that is not there",
        ("crm.token", "no.token"),
        "config.yaml:4:16: accounts.crm.secrets.token_file: the file cannot be read: No such file or directory",
    ),
    ("a secret's file that is empty", ("crm.token", "empty"), "accounts.crm.secrets.token_file: the file is empty"),
    (
        "a secret's file that is no text",
        ("crm.token", "binary"),
        "accounts.crm.secrets.token_file: the file is not UTF-8",
    ),
    (
        "an app that is not installed",
        ("app: hubspot", "app: hubspott"),
        "config.yaml:3:5: accounts.crm.app: no connector for hubspott is installed; valid: hubspot, mailchimp; did you",
    ),
    (
        "a setting that the app does not take",
        ("    app: mailchimp", "    app: mailchimp\n    settings: { dc: us6 }"),
        "config.yaml:7:17: accounts.news.settings.dc: mailchimp takes no such key; valid: none",
    ),
    (
        "a secret that the app does not take",
        ("token_file: crm.token", "tokn_file: crm.token"),
        "config.yaml:4:16: accounts.crm.secrets.tokn_file: hubspot takes no such key; valid: token; did you",
    ),
    ("a folder that is not there", ("accounts:", "pairs: peers\naccounts:"), "peers: there is no such folder"),
    (
        "a number out of bounds",
        ("accounts:", "engine: { window: 0 }\naccounts:"),
        "engine.window: must be greater than",
    ),
]


@pytest.mark.parametrize(("why", "change", "complaint"), WRONG, ids=[one[0] for one in WRONG])
def test_what_is_wrong_is_told_with_its_place(why: str, change: tuple[str, str], complaint: str, folder: Path) -> None:
    assert change[0] in CONFIG, why
    (folder / "empty").write_text("\n")
    (folder / "binary").write_bytes(b"\xff")
    (folder / "config.yaml").write_text(CONFIG.replace(*change))
    with pytest.raises(ConfigError) as caught:
        load(folder / "config.yaml", APPS)
    lines = [str(one) for one in caught.value.problems if "unknown account" not in one.what]
    assert len(lines) == 1, lines
    assert complaint in lines[0]
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_http_library_that_is_not_installed(folder: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    config = folder / "config.yaml"
    config.write_text(CONFIG + "engine:\n  http: aiohttp\n")
    assert load(config).settings.engine.http == "aiohttp"
    monkeypatch.setattr("twoway.config.settings.find_spec", lambda _name: None)
    (complaint,) = told()
    assert complaint.endswith(
        "engine.http: aiohttp is not installed here; valid: `pip install 'twoway[aiohttp]'`, or leave it out"
    )


def test_a_file_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"^nowhere\.yaml: cannot be read: No such file or directory$"):
        load(folder / "nowhere.yaml")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (
            "TWOWAY_STAET__PATH",
            "environment TWOWAY_STAET: staet: unknown key; valid: accounts, alerts, daemon, engine,",
        ),
        (
            "TWOWAY_STATE__PAHT",
            "environment TWOWAY_STATE__PAHT: state.paht: unknown key; valid: path; did you mean path?",
        ),
        ("TWOWAY_ENGINE__WINDOW", "environment TWOWAY_ENGINE__WINDOW: engine.window: must be a valid integer"),
        ("TWOWAY_STATE", "environment TWOWAY_STATE: state: needs a table"),
    ],
)
def test_a_variable_that_is_wrong_is_told_by_its_name(
    name: str, complaint: str, folder: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.is_dir()
    monkeypatch.setenv(name, "s3cr3t")
    lines = told()
    assert len(lines) == 1, lines
    assert complaint in lines[0]
    assert "s3cr3t" not in lines[0]


def test_a_secrets_file_named_by_a_variable(folder: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOWAY_ACCOUNTS__NEWS__SECRETS__API_KEY_FILE", str(folder / "no.key"))
    (line,) = told()
    assert line.startswith(
        "environment TWOWAY_ACCOUNTS__NEWS__SECRETS__API_KEY_FILE: accounts.news.secrets.api_key_file:"
    )
    assert line.endswith("the file cannot be read: No such file or directory")


def test_a_broken_config_does_not_hide_broken_pairs(folder: Path, told: Told) -> None:
    (folder / "config.yaml").write_text(CONFIG.replace("app: mailchimp", "ap: mailchimp"))
    (folder / "pairs" / "crm-news.yaml").write_text(PAIR.replace("account: crm", "account: cmr"))
    assert [line.split(" ")[0] for line in told()] == [
        "config.yaml:5:3:",
        "config.yaml:6:5:",
        "pairs/crm-news.yaml:2:9:",
    ]


def test_a_pairs_name_is_its_own(folder: Path, told: Told) -> None:
    (folder / "pairs" / "other.yaml").write_text(PAIR)
    assert told() == ["pairs/other.yaml:1:1: pair: the pair crm-news is in pairs/crm-news.yaml already"]


def test_a_warning_is_marked() -> None:
    assert str(Problem("a.yaml", 1, 2, "match", "not unique", warning=True)) == "a.yaml:1:2: match: warning: not unique"
