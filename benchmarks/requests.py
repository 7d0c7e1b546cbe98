"""How many requests a first sync and an idle cycle cost, by the apps' own logs: `python -m benchmarks.requests`.

HubSpot's contacts go into an empty Mailchimp audience. The fewest requests that this can take are

    schema    2 lists of definitions: HubSpot's properties, Mailchimp's merge fields
    audience  1 look-up of its id
    cursors   2: where each app's change feed stands before the listing begins
    listing   one a page: contacts / 100 in HubSpot, at least one; 1 of the audience, which is empty
    creates   contacts / 500, the most that one batch takes; tags go with their member

Beyond these twoway asks once who is archived in Mailchimp: nobody whom a person archived is to be mailed again. None is
re-read: what was read is younger than `engine.source_age`, and Mailchimp itself refuses a second member with the same
address. A first sync that lasts longer reads contacts again by
id, 100 a request, before it writes what it read too long ago.
"""

import argparse
import tempfile
from math import ceil
from pathlib import Path
from typing import NamedTuple

from benchmarks import contacts
from benchmarks.stage import Apps, Product, app_accounts, write_config

LIST_PAGE = 100
"""Contacts on a page of HubSpot's list endpoint (developers.hubspot.com/docs/api/crm/contacts, `limit`)."""
CREATE_BATCH = 500
"""Members in one batch (mailchimp.com/developer/marketing/api/lists/batch-subscribe-or-unsubscribe)."""


class Fewest(NamedTuple):
    """The fewest requests of a first sync, by what they are for."""

    schema: int
    audience: int
    cursors: int
    listing: int
    creates: int

    @classmethod
    def of(cls, count: int) -> "Fewest":
        """For so many contacts and an empty audience."""
        return cls(2, 1, 2, max(1, ceil(count / LIST_PAGE)) + 1, ceil(count / CREATE_BATCH))


class Counted(NamedTuple):
    """Requests by the apps' logs: of the first sync, and of a cycle in which nothing had changed (a number an app)."""

    fewest: Fewest
    first: int
    idle: tuple[int, int]
    paths: dict[str, int]


def measure(folder: Path, count: int) -> Counted:
    """Carry out a first sync of so many contacts, and then a cycle with nothing to do."""
    with Apps("hubspot", "mailchimp") as apps:
        apps.add_properties(contacts.INTERESTS_PROPERTY)
        apps.load("hubspot", list(contacts.contacts(count)))
        config = write_config(folder, app_accounts(apps.urls), [contacts.MAPPING])
        with Product(config) as product:
            product.plan(contacts.PAIR)
            product.approve(contacts.PAIR)
        with Product(config) as product:
            before = {app: len(apps.requests(app)) for app in apps.urls}
            report = product.sync(contacts.PAIR)
            if report.counts.get("created right") != count:
                raise RuntimeError(f"not everybody was carried over: {dict(report.counts)}")
            made = {app: apps.requests(app, since) for app, since in before.items()}
            paths: dict[str, int] = {}
            for app, entries in made.items():
                for entry in entries:
                    what = f"{app} {entry['method']} {entry['path']}"
                    paths[what] = paths.get(what, 0) + 1
            idle = idle_cycle(apps, product)
        return Counted(Fewest.of(count), sum(map(len, made.values())), idle, paths)


def idle_cycle(apps: Apps, product: Product) -> tuple[int, int]:
    """The requests of a cycle in which nothing changed, once our own writes have been seen again."""
    product.sync(contacts.PAIR)
    before = {app: len(apps.requests(app)) for app in apps.urls}
    product.sync(contacts.PAIR)
    hubspot, mailchimp = (len(apps.requests(app, before[app])) for app in ("hubspot", "mailchimp"))
    return hubspot, mailchimp


def main() -> None:
    """Print the formula and the count."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.requests", description=__doc__)
    parser.add_argument("--contacts", type=int, default=1000)
    count: int = parser.parse_args().contacts
    with tempfile.TemporaryDirectory(prefix="twoway-requests-") as folder:
        found = measure(Path(folder) / "config", count)
    fewest = found.fewest
    print(f"first sync of {count} contacts: HubSpot -> Mailchimp")
    print("  fewest  " + " + ".join(f"{name} {number}" for name, number in fewest._asdict().items()), "=", sum(fewest))
    print(f"  counted {found.first} ({found.first / sum(fewest):.2f} times the fewest)")
    for what, number in sorted(found.paths.items()):
        print(f"    {number:5}  {what}")
    print(f"idle cycle: HubSpot {found.idle[0]}, Mailchimp {found.idle[1]}")


if __name__ == "__main__":
    main()
