"""Reads everything that a person configures: `config.yaml` and the mapping files, checked alone and together.

    config = load(Path("config.yaml"))
    pair = config.pairs["crm-newsletter"]
    mapping = pair.compile(known)             # with the field names of the live schemas

Everything that is wrong is told at once, as `ConfigError`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from twoway.config.access import within_access
from twoway.config.accounts import AppKeys, read_settings
from twoway.config.pairfile import PairFile, Schedule, to_schedule, to_spec
from twoway.config.problems import ConfigError, Problem, shown, valid
from twoway.config.settings import Access, AccountSection, Settings
from twoway.config.strict import validate
from twoway.config.topology import check_topology, unmet
from twoway.config.yamlfile import Document, read_yaml
from twoway.core.mapping import Mapping as CompiledMapping
from twoway.core.mapping import compile_mapping
from twoway.core.model import Side
from twoway.core.spec import MappingError, MappingSpec


@dataclass(frozen=True, slots=True)
class PairConfig:
    """One mapping file, checked. `mapping` is compiled without the apps' live schemas."""

    name: str
    document: Document
    spec: MappingSpec
    mapping: CompiledMapping
    schedule: Schedule

    def compile(self, known: Mapping[Side, Collection[str]]) -> CompiledMapping:
        """The mapping as it is by the apps' own field names. Raises `ConfigError`."""
        try:
            return compile_mapping(self.spec, known)
        except MappingError as error:
            raise ConfigError(self.document.problem(one.where, one.what) for one in error.problems) from None


@dataclass(frozen=True, slots=True)
class Config:
    """All of it. Paths in `settings` are absolute, files of secrets are read."""

    file: Path
    settings: Settings
    pairs: Mapping[str, PairConfig]

    def account(self, name: str) -> AccountSection:
        """The account `name`; `KeyError` if there is none."""
        return self.settings.accounts[name]

    def secrets(self, account: str) -> dict[str, str]:
        """An account's secrets in the clear, for its connector alone."""
        return {key: secret.get_secret_value() for key, secret in self.account(account).secrets.items()}


def load(path: Path, apps: Mapping[str, AppKeys] | None = None, *, logins: bool = True) -> Config:
    """Read `path` (a `config.yaml`) and the mapping files of its pairs folder.

    `apps` are the installed connectors by name: with them, apps and the keys of accounts are checked, too. Settings are
    taken from the environment and from systemd's credentials as well. Without `logins` no file of a secret is read, and
    none need be there. Raises `ConfigError` with all problems.
    """
    path = path.absolute()
    problems: list[Problem] = []
    document = read_yaml(path)
    settings = read_settings(document, apps, problems, logins=logins)
    # With settings that cannot be used the mapping files are checked all the same, as far as the file itself goes.
    accounts, folder = (
        (settings.accounts, settings.pairs)
        if settings
        else (document.data.get("accounts"), path.parent / str(document.data.get("pairs", "pairs")))
    )
    pairs = _pairs(folder, accounts if isinstance(accounts, dict) else None, problems)
    if settings is not None:
        pairs = {name: _within_access(pair, settings, problems) for name, pair in pairs.items()}
    if settings is None or problems:
        raise ConfigError(problems)
    return Config(path, settings, pairs)


def load_pair(path: Path, accounts: Collection[str] | None = None) -> PairConfig:
    """Read one mapping file. With `accounts`, its accounts must be among them. Raises `ConfigError`."""
    document = read_yaml(path)
    file, wrong = validate(PairFile, document.data)
    problems = [document.problem(where, what) for where, what in wrong]
    problems += _account_problems(document, accounts)
    if file is None:
        raise ConfigError(_in_order(problems))
    spec = to_spec(file)
    try:
        mapping = compile_mapping(spec)
    except MappingError as error:
        problems += [document.problem(one.where, one.what) for one in error.problems]
        raise ConfigError(_in_order(problems)) from None
    problems += [document.problem(where, what) for where, what in unmet(spec)]
    if problems:
        raise ConfigError(_in_order(problems))
    return PairConfig(spec.pair, document, spec, mapping, to_schedule(file))


def _within_access(pair: PairConfig, settings: Settings, problems: list[Problem]) -> PairConfig:
    read_only = {name for name, account in settings.accounts.items() if account.access is Access.READ}
    spec, wrong = within_access(pair.spec, pair.document, read_only)
    problems += wrong
    return pair if spec is pair.spec else replace(pair, spec=spec, mapping=compile_mapping(spec))


def _in_order(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda one: (one.file, one.line, one.column))


def _account_problems(document: Document, accounts: Collection[str] | None) -> list[Problem]:
    problems = []
    for side in ("left", "right"):
        part = document.data.get(side)
        name = part.get("account") if isinstance(part, dict) else None
        if accounts is not None and isinstance(name, str) and name not in accounts:
            what = f"unknown account {name}; {valid(accounts, name)}"
            problems.append(document.problem((side, "account"), what))
    return problems


def _pairs(folder: Path, accounts: Collection[str] | None, problems: list[Problem]) -> dict[str, PairConfig]:
    try:
        # Not by `glob`, which takes a folder that may not be read for an empty one.
        files = sorted(one for one in folder.iterdir() if one.suffix in {".yaml", ".yml"})
    except OSError as error:
        lacking = isinstance(error, FileNotFoundError | NotADirectoryError)
        what = "there is no such folder of mapping files (`pairs`)"
        if not lacking:
            what = f"the folder of mapping files (`pairs`) cannot be read: {error.strerror}"
        problems.append(Problem(shown(folder), 0, 0, "", what))
        return {}
    found: dict[str, PairConfig] = {}
    for file in files:
        try:
            pair = load_pair(file, accounts)
        except ConfigError as error:
            problems += error.problems
            continue
        if pair.name in found:
            what = f"the pair {pair.name} is in {found[pair.name].document.name} already"
            problems.append(pair.document.problem(("pair",), what))
            continue
        found[pair.name] = pair
    problems += check_topology(
        {name: pair.spec for name, pair in found.items()},
        lambda name, where, what: found[name].document.problem(where, what),
    )
    return found
