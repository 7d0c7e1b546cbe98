"""What every command is given, and the options that many of them share. Imports nothing that is slow to import."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

Pair = Annotated[str | None, typer.Argument(metavar="PAIR", help="One pair; all of them where none is named.")]
OnePair = Annotated[str, typer.Argument(metavar="PAIR", help="The pair.")]
Record = Annotated[str, typer.Argument(metavar="ACCOUNT:ID", help="A record, by its account and the app's id.")]
PairOption = Annotated[str | None, typer.Option("--pair", metavar="PAIR", help="Only in this pair.")]
FieldOption = Annotated[str | None, typer.Option("--field", metavar="FIELD", help="Only this field of the mapping.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

LARGEST: Final = 999_999_999_999
"""More cycles, conflicts or lines than a state will ever have. What is longer than 63 bits cannot even be asked for."""

DEFAULTS: Final = (Path("config.yaml"), Path("/etc/twoway/config.yaml"))


class NoSuch(Exception):
    """Something that was named does not exist, or was not named rightly. `remedy` says what would be valid."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}. {remedy}" if remedy else message)


@dataclass(frozen=True, slots=True)
class Globals:
    """The global options."""

    config: Path | None
    verbose: bool

    def config_path(self) -> Path:
        """The configuration's file. Raises `NoSuch` with the places that were looked at."""
        if self.config is not None:
            return self.config
        if named := os.environ.get("TWOWAY_CONFIG"):
            return Path(named)
        for path in DEFAULTS:
            if path.exists():
                return path
        places = " nor ".join(str(path) for path in DEFAULTS)
        raise NoSuch(
            f"there is no configuration: neither {places} exists, and $TWOWAY_CONFIG is not set",
            "Name it with `twoway --config PATH`, or begin with a copy of config.example.yaml",
        )
