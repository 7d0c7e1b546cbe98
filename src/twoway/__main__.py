"""`python -m twoway` is `twoway`."""

from twoway.cli.main import main

if __name__ == "__main__":
    main()
