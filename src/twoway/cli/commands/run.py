"""`twoway run`."""

import typer

from twoway.daemon.app import run as run_daemon

app = typer.Typer(add_completion=False)


@app.command()
def run(ctx: typer.Context) -> None:
    """Run the daemon: every pair by its schedule.

    It ends with SIGTERM or Ctrl-C, and reads its configuration again with SIGHUP.
    """
    raise typer.Exit(run_daemon(ctx.obj.config_path()))
