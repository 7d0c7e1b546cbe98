"""The commands, one file each. `twoway.cli.main` lists them, and imports the one that is called."""
