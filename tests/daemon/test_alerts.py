"""A person is told once, by a real command."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.daemon.fakes import run
from twoway.daemon.alerts import Alerts, Condition, Deliver, DeliveryFailed, Trouble, by_command, by_post

_HALTED = Condition(Trouble.HALTED, "crm-newsletter")
_STALLED = Condition(Trouble.STALLED, "crm-newsletter")


class Mailbox:
    """Where alerts arrive; `broken` loses them, as the world does."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.broken = False

    async def __call__(self, alert: bytes) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise DeliveryFailed("the mail server is away")
        self.alerts.append(orjson.loads(alert))


def test_an_alert_says_what_where_why_and_what_to_do() -> None:
    box = Mailbox()
    sent = run(
        Alerts(box).report(
            _HALTED, reason="31 deletes, 5 % are allowed", since=17, remedy="twoway approve crm-newsletter"
        )
    )
    assert sent
    assert box.alerts == [
        {
            "alert": "halted",
            "subject": "crm-newsletter",
            "reason": "31 deletes, 5 % are allowed",
            "remedy": "twoway approve crm-newsletter",
            "since": 17,
        }
    ]


def test_an_alert_goes_out_whatever_is_in_its_reason() -> None:
    arrived: list[bytes] = []

    async def deliver(alert: bytes) -> None:
        arrived.append(alert)

    assert run(Alerts(deliver).report(_HALTED, reason="pairs/M\udcfcnster.yaml: unknown key", since=17))
    assert b'"pairs/M\\udcfcnster.yaml: unknown key"' in arrived[0]


def test_each_condition_is_told_once_until_it_is_over() -> None:
    async def test() -> None:
        box = Mailbox()
        alerts = Alerts(box)
        assert await alerts.report(_HALTED, reason="", since=1)
        assert not await alerts.report(_HALTED, reason="another reason", since=2)
        assert await alerts.report(_STALLED, reason="", since=1)
        assert alerts.told == {_HALTED, _STALLED}
        alerts.clear(_HALTED)
        alerts.clear(_HALTED)
        assert await alerts.report(_HALTED, reason="again", since=3)
        assert not await alerts.report(_STALLED, reason="", since=3)
        assert [alert["alert"] for alert in box.alerts] == ["halted", "stalled", "halted"]

    run(test())


def test_two_reports_at_once_make_one_alert() -> None:
    async def test() -> None:
        box = Mailbox()
        alerts = Alerts(box)
        told = await asyncio.gather(*(alerts.report(_HALTED, reason="", since=1) for _ in range(5)))
        assert sorted(told) == [False, False, False, False, True]
        assert len(box.alerts) == 1

    run(test())


def test_what_was_not_delivered_is_tried_again() -> None:
    async def test() -> None:
        box = Mailbox()
        alerts = Alerts(box)
        box.broken = True
        assert not await alerts.report(_HALTED, reason="", since=1)
        assert alerts.told == set()
        box.broken = False
        assert await alerts.report(_HALTED, reason="", since=1)

    run(test())


def test_a_delivery_that_breaks_otherwise_is_not_taken_for_told() -> None:
    async def broken(_alert: bytes) -> None:
        raise KeyError

    async def test() -> None:
        alerts = Alerts(broken)
        with pytest.raises(KeyError):
            await alerts.report(_HALTED, reason="", since=1)
        assert alerts.told == set()

    run(test())


def test_without_a_destination_nothing_goes_out_and_it_is_remembered_all_the_same() -> None:
    alerts = Alerts(None)
    assert not run(alerts.report(_HALTED, reason="", since=1))
    assert alerts.told == {_HALTED}


def _python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


def test_a_command_gets_the_alert_on_its_standard_input(tmp_path: Path) -> None:
    inbox = tmp_path / "alert"
    program = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())"
    run(by_command(_python(program, str(inbox)))(b'{"alert": "halted"}'))
    assert inbox.read_bytes() == b'{"alert": "halted"}'


def test_a_command_does_not_see_the_daemons_secrets(tmp_path: Path) -> None:
    inbox = tmp_path / "environment"
    environ = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "TWOWAY_ACCOUNTS__CRM__TOKEN": "hush",
        "NOTIFY_SOCKET": "/run/notify",
        "CREDENTIALS_DIRECTORY": "/run/credentials",
    }
    program = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(' '.join(os.environ))"
    run(by_command(_python(program, str(inbox)), environ=environ)(b"{}"))
    seen = set(inbox.read_text().split())
    assert {"PATH", "LC_ALL"} <= seen
    assert not seen & {"TWOWAY_ACCOUNTS__CRM__TOKEN", "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY"}


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        pytest.param(["/no/such/command"], "/no/such/command cannot be run: No such file", id="not there"),
        pytest.param(_python("raise SystemExit(3)"), "ended with exit code 3", id="it fails"),
    ],
)
def test_a_command_that_fails_is_told_of(command: list[str], complaint: str) -> None:
    with pytest.raises(DeliveryFailed, match=complaint):
        run(by_command(command)(b"{}"))


def test_a_command_that_reads_nothing_is_fine() -> None:
    run(by_command(_python("pass"))(b"x" * 1_000_000))


def test_a_command_that_hangs_is_killed() -> None:
    with pytest.raises(DeliveryFailed, match=r"sleep was killed after 0\.05 s"):
        run(by_command(["sleep", "1000"], timeout=0.05)(b"{}"))


def test_a_command_is_killed_with_its_children(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = '(echo up; exec sleep 1000) > "$0" & sleep 1000'

    async def test() -> bytes:
        delivery = asyncio.ensure_future(by_command(["/bin/sh", "-c", program, str(pipe)])(b"{}"))
        with await asyncio.to_thread(pipe.open, "rb", buffering=0) as held_by_the_child:
            assert await asyncio.to_thread(held_by_the_child.read, 3) == b"up\n"
            delivery.cancel()
            with pytest.raises(asyncio.CancelledError):
                await delivery
            # The end of the pipe comes when nobody is left who could write to it.
            return bytes(await asyncio.to_thread(held_by_the_child.read, 1))

    assert run(test()) == b""


def test_an_empty_command_is_refused_with_a_valid_one() -> None:
    with pytest.raises(ValueError, match=r"valid is a list such as"):
        by_command([])


def _post(status: int | BaseException, calls: list[tuple[str, bytes]]) -> Deliver:
    async def post(url: str, body: bytes) -> int:
        calls.append((url, body))
        if isinstance(status, BaseException):
            raise status
        return status

    return by_post("https://chat.example/hooks/T0P5ECRET", post)


def test_a_url_is_posted_to() -> None:
    calls: list[tuple[str, bytes]] = []
    run(_post(204, calls)(b"{}"))
    assert calls == [("https://chat.example/hooks/T0P5ECRET", b"{}")]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        pytest.param(404, "answered with status 404", id="not there"),
        pytest.param(302, "answered with status 302", id="elsewhere"),
        pytest.param(ConnectionRefusedError("T0P5ECRET"), r"cannot be reached \(ConnectionRefusedError\)", id="away"),
    ],
)
def test_a_url_that_does_not_take_it_is_told_of_without_its_secret(answer: int | OSError, complaint: str) -> None:
    with pytest.raises(DeliveryFailed, match=complaint) as failed:
        run(_post(answer, [])(b"{}"))
    assert "T0P5ECRET" not in str(failed.value)


def test_a_url_that_never_answers_is_given_up() -> None:
    async def post(_url: str, _body: bytes) -> int:
        await asyncio.Event().wait()
        return 200

    with pytest.raises(DeliveryFailed, match=r"no answer within 0\.01 s"):
        run(by_post("https://chat.example/", post, timeout=0.01)(b"{}"))
