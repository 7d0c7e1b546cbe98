"""`twoway demo`: the main job, on look-alike apps of this machine, from an empty folder to a killed and recovered sync."""

from twoway.cli.demo.script import run

__all__ = ["run"]
