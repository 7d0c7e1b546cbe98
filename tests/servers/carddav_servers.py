"""Real CardDAV servers on loopback ports, each in a process of its own with a folder of its own.

    server = Radicale(tmp_path)
    url = server.make_addressbook("Customers")
    ...
    server.stop()

Neither asks for TLS: they are for tests on this machine.
"""

import base64
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from dulwich.repo import Repo

READY_WITHIN = 30.0
"""Seconds that a server may take to start."""


class Answer:
    """What a server said: for tests that do as a person's address book would, without the connector."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def etag(self) -> str:
        return self.headers["etag"]


class CardDavServer:
    """A running server. `url` is its root; `home` the path under which address books are made."""

    name = ""
    home = ""
    username = "ann"
    password = "correct horse"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        with (folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        self._wait()

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                self.request("OPTIONS", "/")
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "server.log").read_text(errors="replace")
                    raise RuntimeError(f"{self.name} did not start: {log[-2000:]}") from None
                time.sleep(0.02)  # between two looks at the port, not instead of one
            else:
                return

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request, as another client of this server would make it; `path` may be a full address."""
        login = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method, urlsplit(path).path, body, {"authorization": f"Basic {login}", **(headers or {})}
            )
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def make_addressbook(self, name: str) -> str:
        """Make an empty address book with this display name; its address."""
        path = f"{self.home}{quote(name.lower(), safe='')}/"
        body = (
            '<?xml version="1.0"?><mkcol xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav"><set><prop>'
            f"<resourcetype><collection/><c:addressbook/></resourcetype><displayname>{name}</displayname>"
            "</prop></set></mkcol>"
        )
        answer = self.request("MKCOL", path, body.encode(), {"content-type": "application/xml"})
        if answer.status not in {200, 201}:
            raise RuntimeError(f"{self.name} made no address book: {answer.status} {answer.body[:500]!r}")
        return f"{self.url.rstrip('/')}{path}"

    def put(self, url: str, card: str | bytes) -> Answer:
        """Store a card as a person's app would: whatever was there is replaced."""
        data = card.encode() if isinstance(card, str) else card
        answer = self.request("PUT", url, data, {"content-type": "text/vcard; charset=utf-8"})
        if answer.status not in {200, 201, 204}:
            raise RuntimeError(f"{self.name} took no card: {answer.status} {answer.body[:500]!r}")
        return answer

    def get(self, url: str) -> bytes:
        """A card's bytes as the server has them."""
        answer = self.request("GET", url)
        if answer.status != 200:
            raise RuntimeError(f"{self.name} has no card at {url}: {answer.status}")
        return answer.body

    def delete(self, url: str) -> None:
        answer = self.request("DELETE", url)
        if answer.status not in {200, 204}:
            raise RuntimeError(f"{self.name} deleted no card at {url}: {answer.status}")

    def put_many(self, url: str, cards: Mapping[str, str]) -> None:
        """Make these the cards of an address book, by name, quicker than one by one; a name is `UID.vcf`."""
        raise NotImplementedError

    def expire(self, token: str) -> str:
        """A sync token of this server that it knows no more: this one, where its clean-up can be hastened."""
        raise NotImplementedError


class Radicale(CardDavServer):
    """Radicale, with its own login check."""

    name = "radicale"
    home = "/ann/"

    def _command(self) -> list[str]:
        users = self.folder / "users"
        users.write_text(f"{self.username}:{self.password}\n")
        config = self.folder / "config"
        config.write_text(
            f"[server]\nhosts = 127.0.0.1:{self.port}\n"
            f"[auth]\ntype = htpasswd\nhtpasswd_filename = {users}\nhtpasswd_encryption = plain\ndelay = 0\n"
            f"[storage]\nfilesystem_folder = {self.folder / 'data'}\n"
            "[logging]\nlevel = warning\n"
        )
        return [sys.executable, "-m", "radicale", "--config", str(config)]

    def put_many(self, url: str, cards: Mapping[str, str]) -> None:
        self.put(url, "".join(cards.values()))  # the whole address book; it names the files by their UIDs

    def expire(self, token: str) -> str:
        for file in self.folder.glob("data/**/.Radicale.cache/sync-token/*"):
            file.unlink()
        return token


class Xandikos(CardDavServer):
    """Xandikos, which leaves the login check to a proxy in front of it."""

    name = "xandikos"
    home = "/user/contacts/"

    def _command(self) -> list[str]:
        data = self.folder / "data"
        return [
            *(sys.executable, "-m", "xandikos", "serve", "--directory", str(data)),
            *("--listen-address", "127.0.0.1", "--port", str(self.port), "--metrics-port", "0"),
            *("--current-user-principal", "/user/", "--autocreate", "--no-detect-systemd"),
            *("--state-dir", str(self.folder / "state")),
        ]

    def put_many(self, url: str, cards: Mapping[str, str]) -> None:
        """Into the git repository in which it keeps an address book, in one commit."""
        folder = self.folder / "data" / urlsplit(url).path.strip("/")
        for name, card in cards.items():
            (folder / name).write_bytes(card.encode())
        with Repo(str(folder)) as repository:
            worktree = repository.get_worktree()
            worktree.stage(sorted(cards))
            worktree.commit(message=b"Many cards", author=b"A <a@example.org>", committer=b"A <a@example.org>")

    def expire(self, token: str) -> str:
        """Its tokens are ids of git trees: this is one that its clean-up has taken away."""
        return "0" * len(token)


SERVERS: tuple[type[CardDavServer], ...] = (Radicale, Xandikos)
