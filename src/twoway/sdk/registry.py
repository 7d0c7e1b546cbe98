"""Connectors are found by the entry-point group `twoway.connectors`: the built-in ones and those of other packages."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from twoway.ports import ConnectorFactory
from twoway.sdk.errors import TellUser

GROUP = "twoway.connectors"


def installed_connectors() -> Mapping[str, EntryPoint]:
    """What is installed, by the connector's name, sorted. Nothing is imported. Two packages of one name: `TellUser`."""
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise TellUser(
                f"two installed packages offer a connector named {point.name}: {other.value} and {point.value}",
                remedy="Uninstall one of them",
            )
    return found


def find_connector(name: str) -> ConnectorFactory:
    """The factory of a connector; `TellUser`, with the names that would be valid, where there is none.

    An entry point may name the factory, a class of factories, or the class of the connectors themselves.
    """
    found = installed_connectors()
    point = found.get(name)
    if point is None:
        close = get_close_matches(name, found, n=1)
        guess = f"Did you mean {close[0]}? " if close else ""
        raise TellUser(
            f"there is no connector named {name!r}",
            remedy=f"{guess}Installed are: {', '.join(found) or 'none'}; others come with a package of their own",
        )
    try:
        factory = point.load()
    except (ImportError, AttributeError) as error:
        raise TellUser(
            f"the connector {name} ({point.value}) cannot be loaded: {type(error).__name__}",
            remedy="Install its package again, for this version of twoway",
        ) from error
    lacking = [part for part in ("name", "secrets", "settings") if not hasattr(factory, part)]
    if lacking or not callable(factory):
        raise TellUser(
            f"the connector {name} ({point.value}) is not one: it lacks {', '.join(lacking) or 'a way to be called'}",
            remedy="It was written for another version of twoway: ask its author",
        )
    if isinstance(factory, type) and any("__call__" in vars(each) for each in factory.__mro__):
        factory = factory()
    return cast(ConnectorFactory, factory)


class Connectors(Mapping[str, ConnectorFactory]):
    """The installed connectors by name. Each is loaded when it is asked for: a broken one that no account uses is no
    reason for the others to stand still."""

    def __init__(self) -> None:
        self._installed = installed_connectors()

    def __getitem__(self, name: str) -> ConnectorFactory:
        if name not in self._installed:
            raise KeyError(name)
        return find_connector(name)

    def __contains__(self, name: object) -> bool:
        return name in self._installed

    def __iter__(self) -> Iterator[str]:
        return iter(self._installed)

    def __len__(self) -> int:
        return len(self._installed)
