"""`twoway demo`: the main job on look-alike apps of this machine, from first plan to a killed and recovered cycle."""

from twoway.cli.demo.script import run

__all__ = ["run"]
