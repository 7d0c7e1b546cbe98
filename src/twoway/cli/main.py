"""The command `twoway`: its global options, and the list of its commands.

A command's module is imported when it is called and not before: `twoway --help` is answered without the database, the
configuration or the network, and `twoway status` without the engine.
"""

import importlib
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from twoway import __version__
from twoway.cli.options import Globals
from twoway.daemon.collector import collect_less

SET_UP, RUN, LOOK, MEND = "Set up", "Run", "Look", "Mend"

COMMANDS: Final = (
    ("check", SET_UP, "Check the configuration, the logins and the apps' live schemas."),
    ("plan", SET_UP, "Show what the next cycle would write, without writing."),
    ("approve", SET_UP, "Let the plan that was last shown pass, and the pair run."),
    ("selftest", SET_UP, "Put your mappings to the test in memory: crashes at each step, and random histories."),
    ("fields", SET_UP, "List the fields of a collection, as the app has them now."),
    ("connectors", SET_UP, "List the installed connectors with their secrets and settings."),
    ("schema", SET_UP, "Print the JSON Schema of a configuration file, for editors."),
    ("demo", SET_UP, "See it work, with look-alike apps on this machine."),
    ("sync", RUN, "Run one cycle now."),
    ("run", RUN, "Run the daemon: every pair by its schedule."),
    ("pause", RUN, "Run no cycle of a pair until it is resumed."),
    ("resume", RUN, "Let a paused pair run again, and try its accounts at once."),
    ("status", LOOK, "Show how every pair is doing."),
    ("cycles", LOOK, "List the cycles that did something, the latest first."),
    ("history", LOOK, "List the values that were replaced, the latest first."),
    ("explain", LOOK, "Say in plain words what is known of a record, why, and what comes next."),
    ("version", LOOK, "Print the version."),
    ("conflicts", MEND, "List, show and resolve the fields that wait for a person."),
    ("parked", MEND, "List and retry the records that were set aside."),
    ("links", MEND, "Show, set and remove links between records."),
    ("undo", MEND, "Take a cycle back."),
)
"""Name, panel in the help, and one line of help; the module is `twoway.cli.commands.NAME`."""


def load_command(name: str) -> Any:
    """The command itself."""
    return typer.main.get_command(importlib.import_module(f"twoway.cli.commands.{name}").app)


class Commands(TyperGroup):
    """Shows every command by its line in `COMMANDS`, loads only the one that is called, and explains what it raises."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, known, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name and known else known, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            # The one place where an error becomes a message and an exit code.
            # What the library raises itself (usage, --help, an exit code) it also handles.
            if type(error).__module__.startswith("typer."):
                raise
            told: int = importlib.import_module("twoway.cli.errors").tell(
                error, verbose=bool(ctx.obj and ctx.obj.verbose)
            )
            raise typer.Exit(told) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"twoway {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="PATH",
            help="The configuration. Default: $TWOWAY_CONFIG, else ./config.yaml, else /etc/twoway/config.yaml.",
        ),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Log every step of a cycle, and show where an unexpected fault arose."),
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keeps the same customer correct in every app: a two-way sync that runs on your own machine."""
    ctx.obj = Globals(config, verbose)


def _shown_in_help() -> None:
    """Stands for a command until it is called."""


for _name, _panel, _line in COMMANDS:
    app.command(_name, help=_line, rich_help_panel=_panel)(_shown_in_help)


def main() -> None:
    """The entry point of the script `twoway`."""
    collect_less()
    app()
