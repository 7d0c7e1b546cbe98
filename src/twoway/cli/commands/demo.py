"""`twoway demo`."""

import importlib

import typer

app = typer.Typer(add_completion=False)


@app.command()
def demo() -> None:
    """See it work, with look-alike apps on this machine."""
    code: int = importlib.import_module("twoway.cli.demo").run()
    raise typer.Exit(code)
