"""`twoway schema`."""

from enum import StrEnum
from typing import Annotated

import typer

from twoway.cli.output import document
from twoway.config.schema import pair_schema, settings_schema

app = typer.Typer(add_completion=False)


class File(StrEnum):
    """Which of the two files."""

    PAIR = "pair"
    CONFIG = "config"


@app.command()
def schema(
    file: Annotated[File, typer.Argument(help="`pair`: a mapping file; `config`: config.yaml.")],
) -> None:
    """Print the JSON Schema of a configuration file, for editors."""
    document(pair_schema() if file is File.PAIR else settings_schema())
