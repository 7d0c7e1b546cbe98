"""Connectors are found by entry point, and threads serve blocking drivers."""

import asyncio
import threading
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from twoway.sdk import BlockingDriver, TellUser, find_connector, installed_connectors, registry


class Factory:
    name = "fine"
    secrets: dict[str, str] = {}  # noqa: RUF012 - read only
    settings: dict[str, str] = {}  # noqa: RUF012 - read only

    def __call__(self, context: object) -> object:
        return context


class Connector:
    name = "own"
    secrets: dict[str, str] = {}  # noqa: RUF012 - read only
    settings: dict[str, str] = {}  # noqa: RUF012 - read only

    def __init__(self, context: object) -> None:
        self.context = context


FINE = Factory()
NOT_ONE = object()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    points = [
        EntryPoint("zeta", f"{__name__}:FINE", registry.GROUP),
        EntryPoint("alpha", f"{__name__}:FINE", registry.GROUP),
        EntryPoint("class", f"{__name__}:Factory", registry.GROUP),
        EntryPoint("connector", f"{__name__}:Connector", registry.GROUP),
        EntryPoint("empty", f"{__name__}:NOT_ONE", registry.GROUP),
        EntryPoint("broken", "no_such_module_at_all:X", registry.GROUP),
        EntryPoint("halved", f"{__name__}:NO_SUCH_NAME", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints(points).select(group=group))
    return points


def test_names_are_listed_in_order_without_importing(installed: list[EntryPoint]) -> None:
    assert list(installed_connectors()) == ["alpha", "broken", "class", "connector", "empty", "halved", "zeta"]
    assert len(installed) == 7


@pytest.mark.usefixtures("installed")
def test_a_connector_is_found() -> None:
    assert find_connector("alpha").name == "fine"


@pytest.mark.usefixtures("installed")
def test_a_class_of_factories_and_a_class_of_connectors_both_make_connectors() -> None:
    context: Any = object()
    given: Any = find_connector("class")(context)
    assert given is context
    made: Any = find_connector("connector")(context)
    assert made.context is context


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "alpa",
            [
                "no connector named 'alpa'",
                "Did you mean alpha?",
                "alpha, broken, class, connector, empty, halved, zeta",
            ],
        ),
        ("xxxx", ["Installed are: alpha"]),
        ("broken", ["no_such_module_at_all", "ModuleNotFoundError"]),
        ("halved", ["cannot be loaded", "AttributeError"]),
        ("empty", ["lacks name, secrets, settings"]),
    ],
)
def test_what_is_wrong_is_said(name: str, words: list[str]) -> None:
    with pytest.raises(TellUser) as caught:
        find_connector(name)
    for word in words:
        assert word in str(caught.value)


def test_two_packages_with_one_name_are_told(installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("alpha", "other_package:X", registry.GROUP))
    with pytest.raises(TellUser, match="other_package:X"):
        installed_connectors()


def test_the_built_in_connectors_are_installed() -> None:
    assert {"hubspot", "mailchimp", "zendesk", "carddav"} <= set(installed_connectors())


def test_a_blocking_driver_runs_beside_the_loop_one_call_at_a_time() -> None:
    driver = BlockingDriver("ldap")
    busy = threading.Lock()

    def call(number: int, *, fail: bool = False) -> tuple[int, str]:
        assert busy.acquire(blocking=False), "two calls at once in a driver that is not thread-safe"
        try:
            if fail:
                raise RuntimeError("the driver's own error")
            return number, threading.current_thread().name
        finally:
            busy.release()

    async def go() -> list[tuple[int, str]]:
        with pytest.raises(RuntimeError, match="own error"):
            await driver.run(call, 0, fail=True)
        return await asyncio.gather(*(driver.run(call, number) for number in range(5)))

    results = asyncio.run(go())
    driver.close()
    assert [number for number, _ in results] == [0, 1, 2, 3, 4]
    assert {name.rpartition("_")[0] for _, name in results} == {"twoway-ldap"}
