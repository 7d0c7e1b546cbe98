"""The sandbox's kit: faults, logs, control routes, the past, limits, and the servers' process."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest

from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.kit import (
    HUMAN,
    Answer,
    By,
    Call,
    Collection,
    Refusal,
    SlidingWindow,
    VendorApp,
    VirtualClock,
    floor_to,
    in_process,
    iso_ms,
    iso_seconds,
    parse_time,
)
from twoway.sandbox.mailchimp import MailchimpApp
from twoway.sandbox.server import Sandbox
from twoway.sandbox.store import WriteLog

Send = Callable[..., httpx.Response]


class Desk(VendorApp):
    """The smallest app."""

    defaults = {"lag": 0.0, "name": "desk"}  # noqa: RUF012 - as the kit's docstring shows it

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.users = self.collection("users")
        self.route("GET", "/users/{id}", self.read)
        self.route("POST", "/users", self.create)

    def read(self, call: Call) -> Answer:
        record = self.users.get(int(call.params["id"]))
        if record is None:
            raise Refusal(404, {})
        return Answer(200, self.show("users", record))

    def create(self, call: Call) -> Answer:
        made = []
        for fields in call.json():
            call.step()
            made.append(self.users.create(fields, call.by).id)
        return Answer(201, made)

    def human(self, **edit: Any) -> Any:
        return self.show("users", self.users.create(edit["fields"], HUMAN))

    def load(self, records: Any, collection: str | None = None) -> int:
        del collection
        count = len([self.users.load(dict(fields)) for fields in records])
        self.users.loaded()
        return count


@pytest.fixture
def desk() -> Desk:
    return Desk(clock=VirtualClock(1000.0))


@pytest.fixture(params=["socket", "in process"])
def send(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Send]:
    """One request to the app, over a real connection and without one."""
    if request.param == "socket":
        with Sandbox(desk=desk) as sandbox, httpx.Client(base_url=sandbox.urls["desk"]) as client:
            yield client.request
        return

    def call(method: str, path: str, **options: Any) -> httpx.Response:
        async def one() -> httpx.Response:
            transport = httpx.ASGITransport(in_process(desk, httpx.ReadError))
            async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
                return await client.request(method, path, **options)

        return asyncio.run(one())

    yield call


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "made"),
        [
            ({"kind": "lost_request"}, 0),
            ({"kind": "lost_answer"}, 3),
            ({"kind": "die_midway", "after_inputs": 2}, 2),
        ],
    )
    def test_a_dropped_connection(self, desk: Desk, send: Send, fault: dict[str, Any], made: int) -> None:
        desk.fault(**fault)
        with pytest.raises(httpx.TransportError):
            send("POST", "/users", json=[{}, {}, {}])
        assert len(desk.users) == made
        assert [entry.status for entry in desk.requests_since()] == [0]
        assert send("POST", "/users", json=[{}]).status_code == 201

    @pytest.mark.parametrize(
        ("fault", "status", "made"),
        [
            ({"kind": "error"}, 500, 0),
            ({"kind": "error", "status": 503, "applied": True}, 503, 1),
            ({"kind": "rate_limited"}, 429, 0),
            ({"kind": "rate_limited", "retry_after": 7}, 429, 0),
            ({"kind": "forbidden_text"}, 403, 0),
            ({"kind": "html"}, 200, 0),
            ({"kind": "html", "applied": True}, 200, 1),
            ({"kind": "truncated"}, 201, 1),
            ({"kind": "wrong_token"}, 401, 0),
            ({"kind": "latency", "seconds": 9}, 201, 1),
            ({"kind": "latency", "seconds": 9, "applied": True}, 201, 1),
        ],
    )
    def test_a_wrong_answer(self, desk: Desk, send: Send, fault: dict[str, Any], status: int, made: int) -> None:
        desk.fault(**fault)
        before = desk.now()
        answer = send("POST", "/users", json=[{}])
        assert (answer.status_code, len(desk.users)) == (status, made)
        assert answer.headers.get("retry-after") == ("7" if "retry_after" in fault else None)
        assert desk.now() - before == fault.get("seconds", 0)
        if fault["kind"] in {"forbidden_text", "html", "truncated"}:
            with pytest.raises(ValueError, match=r"."):
                answer.json()
        assert len(desk.faults) == 0

    def test_which_requests_it_strikes(self, desk: Desk, send: Send) -> None:
        desk.fault("error", method="POST", path="^/users", skip=1, times=2)
        assert [send("POST", "/users", json=[]).status_code for _ in range(4)] == [201, 500, 500, 201]
        desk.fault("error", times=0)
        assert [send("GET", "/users/1").status_code for _ in range(3)] == [500] * 3
        desk.faults.clear()
        assert send("GET", "/users/1").status_code == 404

    def test_an_unknown_kind(self, desk: Desk) -> None:
        with pytest.raises(ValueError, match="no such fault"):
            desk.fault("earthquake")


class TestControl:
    def test_the_routes(self, send: Send) -> None:
        assert send("POST", "/_sandbox/human", json={"kind": "create", "fields": {"a": 1}}).json()["a"] == 1
        assert send("POST", "/_sandbox/load", json={"records": [{"a": 2}]}).json() == {"loaded": 1}
        send("POST", "/users", json=[{"a": 3}])
        log = send("GET", "/_sandbox/log").json()["entries"]
        assert [(entry["seq"], entry["who"], entry["fields"], entry["request"]) for entry in log] == [
            (1, "human", {"a": [None, 1]}, 0),
            (2, "api", {"a": [None, 3]}, 1),
        ]
        assert send("GET", "/_sandbox/log?since=2").json() == {"entries": []}
        (entry,) = send("GET", "/_sandbox/requests").json()["entries"]
        assert entry == {
            "n": 1,
            "at": 1000.0,
            "method": "POST",
            "path": "/users",
            "query": "",
            "status": 201,
            "bytes": 3,
        }
        assert [record["a"] for record in send("GET", "/_sandbox/records").json()["records"]] == [1, 2, 3]
        assert send("POST", "/_sandbox/settings", json={"lag": 4}).json() == {"lag": 4, "name": "desk"}
        assert send("POST", "/_sandbox/settings", json={"bogus": 4}).status_code == 400
        assert send("POST", "/_sandbox/faults", json=[{"kind": "html"}, {"kind": "error"}]).json() == {"queued": 2}
        assert send("POST", "/_sandbox/faults", json={"clear": True}).json() == {"queued": 0}
        assert send("POST", "/_sandbox/advance", json={"seconds": 5}).json() == {"now": 1005.0}
        assert send("GET", "/_sandbox/bogus").status_code == 404

    def test_loopback_only(self, desk: Desk) -> None:
        async def one() -> httpx.Response:
            transport = httpx.ASGITransport(desk, client=("192.0.2.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
                return await client.get("/_sandbox/records")

        assert asyncio.run(one()).status_code == 403


class TestStore:
    def make(self) -> tuple[VirtualClock, WriteLog, Collection]:
        clock, log = VirtualClock(1000.5), WriteLog()
        return clock, log, Collection("things", clock, log, resolution=1.0)

    def test_the_past_is_remembered(self) -> None:
        clock, _, things = self.make()
        record = things.create({"a": 1}, HUMAN)
        clock.advance(10)
        things.update(record, {"a": 2}, By("api", 7))
        clock.advance(10)
        things.delete(record, HUMAN)
        seen = [things.as_of(record, at) for at in (1000.0, 1000.5, 1010.4, 1010.5, 1020.5)]
        assert [version and (version.fields["a"], version.deleted) for version in seen] == [
            None,
            (1, False),
            (1, False),
            (2, False),
            (2, True),
        ]
        assert [version.who for version in record.versions()] == ["human", "api", "human"]
        assert (record.created, record.modified) == (1000.0, 1020.0)

    def test_a_write_that_changes_nothing_is_logged_and_moves_no_stamp(self) -> None:
        clock, log, things = self.make()
        record = things.create({"a": 1}, HUMAN)
        clock.advance(10)
        assert things.update(record, {"a": 1}, HUMAN) is False
        assert record.modified == 1000.0
        assert log.since(1)[0].fields == {}
        things.update(record, {"a": 1}, HUMAN, touch=True)
        assert record.modified == 1010.0

    def test_the_order_of_changes(self) -> None:
        clock, _, things = self.make()
        one, two, three = (things.create({}, HUMAN) for _ in range(3))
        clock.advance(10)
        things.update(one, {"a": 1}, HUMAN)
        assert [record.id for record in things.changed_since(0)] == [two.id, three.id, one.id]
        assert [record.id for record in things.changed_since(1001)] == [one.id]
        assert [record.id for record in things.after(one.id)] == [two.id, three.id]

    def test_a_merged_records_id_leads_to_the_winner(self) -> None:
        _, log, things = self.make()
        a, b, c = (things.create({}, HUMAN) for _ in range(3))
        things.merge(b, a, {}, HUMAN)
        things.merge(c, b, {"x": 1}, HUMAN)
        assert things.get(a.id) is c
        assert things.get(a.id, follow=False) is a
        assert c.merged == (a.id, b.id)
        assert [entry.kind for entry in log.since(3)] == ["merge", "merge"]

    def test_a_record_gone_for_good(self) -> None:
        _, log, things = self.make()
        record = things.create({"a": 1}, HUMAN)
        things.purge(record, HUMAN)
        assert (things.get(record.id), list(things), list(things.changed_since(0))) == (None, [], [])
        assert log.since(1)[0].fields == {"a": (1, None)}

    def test_loaded_records(self) -> None:
        clock, log, things = self.make()
        for n in (5, 3, 4):
            things.load({"n": n}, record_id=n, created=float(n), modified=900.0 - n)
        things.loaded()
        assert log.since() == []
        assert [record.id for record in things] == [3, 4, 5]
        assert [record.id for record in things.changed_since(0)] == [5, 4, 3]
        assert things.create({}, HUMAN).id == 6
        with pytest.raises(ValueError, match="is taken"):
            things.create({}, HUMAN, record_id=3)
        assert clock.now() == 1000.5


class TestTime:
    def test_a_sliding_window(self) -> None:
        window = SlidingWindow(2, 10)
        assert [window.take(at) for at in (0, 1, 2, 10, 10.5, 11)] == [True, True, False, True, False, True]
        assert (window.remaining(11), window.reset_in(11)) == (0, 9)
        assert SlidingWindow(0, 10).take(0) is True

    def test_spellings(self) -> None:
        assert iso_ms(1_750_000_000.1239) == "2025-06-15T15:06:40.124Z"
        assert iso_seconds(1_750_000_000.9, zone="+00:00") == "2025-06-15T15:06:40+00:00"
        for text in ("2025-06-15T15:06:40Z", "2025-06-15T15:06:40+00:00", "2025-06-15T15:06:40 00:00"):
            assert parse_time(text) == 1_750_000_000
        assert parse_time("2025-06-15") % 86_400 == 0
        assert floor_to(1_750_000_000.1239, 0.001) == 1_750_000_000.123
        assert floor_to(1_750_000_000.9, 1.0) == 1_750_000_000.0

    def test_sleepers_wake_in_order(self) -> None:
        async def main() -> list[int]:
            clock = VirtualClock(0, auto=False)
            woken: list[int] = []

            async def sleeper(seconds: int) -> None:
                await clock.sleep(seconds)
                woken.append(seconds)

            tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (3, 1, 2)]
            await asyncio.sleep(0)
            clock.advance(2)
            assert clock.sleeping == 1
            clock.advance(1)
            await asyncio.gather(*tasks)
            return woken

        assert asyncio.run(main()) == [1, 2, 3]


class TestServers:
    def test_several_apps_in_one_process(self) -> None:
        hubspot, mailchimp = HubSpotApp(), MailchimpApp()
        with Sandbox(hubspot=hubspot, mailchimp=mailchimp) as sandbox:
            for name, app in (("hubspot", hubspot), ("mailchimp", mailchimp)):
                assert httpx.get(f"{sandbox.urls[name]}/nowhere").status_code == 401
                assert len(app.requests_since()) == 1

    def test_the_command_line(self) -> None:
        command = [
            sys.executable,
            "-m",
            "twoway.sandbox",
            "--hubspot",
            "0",
            "--mailchimp",
            "0",
            "--demo",
            "--seed",
            "3",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            urls = orjson.loads(process.stdout.readline())
            settings = httpx.post(f"{urls['hubspot']}/_sandbox/settings", json={}).json()
            answers = httpx.get(f"{urls['mailchimp']}/3.0/ping", auth=("any", "sandbox-us1"))
            process.terminate()
        assert settings["index_lag"] == 1.0
        assert answers.status_code == 200
