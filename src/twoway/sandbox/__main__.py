"""`python -m twoway.sandbox`: the look-alike apps on loopback, in one process, until interrupted.

Each app runs if its port is given; 0 is a free one. When all of them answer, one line of JSON on standard output says
where: `{"hubspot": "http://127.0.0.1:8401", ...}`.
"""

import argparse
import asyncio
import contextlib
import importlib
import sys

import orjson

from twoway.sandbox.kit import VendorApp
from twoway.sandbox.server import Server

APPS = {
    "hubspot": ("twoway.sandbox.hubspot", "HubSpotApp"),
    "mailchimp": ("twoway.sandbox.mailchimp", "MailchimpApp"),
    "zendesk": ("twoway.sandbox.zendesk", "ZendeskApp"),
}


def build(name: str, *, demo: bool, seed: int) -> VendorApp:
    """One app of `APPS`, on the real clock."""
    module, class_name = APPS[name]
    app_class: type[VendorApp] = getattr(importlib.import_module(module), class_name)
    return app_class(settings=app_class.demo if demo else None, seed=seed)


async def run(server: Server) -> None:
    """Serve, and announce it."""
    serving = asyncio.create_task(server.serve())
    await asyncio.to_thread(server.ready.wait)
    sys.stdout.write(orjson.dumps(server.urls).decode() + "\n")
    sys.stdout.flush()
    await serving


def main(arguments: list[str] | None = None) -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m twoway.sandbox", description="Look-alike apps on loopback.")
    for name in APPS:
        parser.add_argument(f"--{name}", type=int, metavar="PORT", help=f"serve {name} on this port (0: a free one)")
    parser.add_argument("--demo", action="store_true", help="short delays, to watch")
    parser.add_argument("--seed", type=int, default=0, help="of what the vendors promise nothing about (order)")
    options = parser.parse_args(arguments)
    ports = {name: getattr(options, name) for name in APPS if getattr(options, name) is not None}
    if not ports:
        parser.error("give at least one app its port")
    apps = {name: (build(name, demo=options.demo, seed=options.seed), port) for name, port in ports.items()}
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(Server(apps)))


if __name__ == "__main__":
    main()
