"""The example pair of address books fits real servers."""

import subprocess
import sys
from pathlib import Path

from benchmarks.stage import write_config

from tests.acceptance.conftest import MakeShelf
from tests.acceptance.pairs import card_account
from tests.acceptance.shelf import Shelf
from tests.servers.carddav_servers import CardDavServer

EXAMPLE = Path(__file__).parents[2] / "pairs" / "addressbooks.yaml"


def test_the_example_of_two_address_books_passes_the_check(
    tmp_path: Path, shelf: MakeShelf, servers: dict[str, CardDavServer]
) -> None:
    home = servers["xandikos"]
    home.make_addressbook("People")
    accounts = {"office": card_account(shelf("radicale")), "home": card_account(Shelf(home, home.url))}
    config = write_config(tmp_path / "config", accounts, [EXAMPLE.read_text(encoding="utf-8")])
    command = [sys.executable, "-m", "twoway", "--config", str(config), "check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
