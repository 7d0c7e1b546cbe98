"""What a small request costs by httpx and by aiohttp: `python -m benchmarks.wires [--requests N] [--runs R]`.

A PUT of 400 octets, with one or four under way, to a server in a process of its own that only ever says 201. CPU is the
client's, user and system; medians of the runs, which take turns.
"""

import argparse
import asyncio
import time
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from statistics import median

from twoway.daemon.clock import SystemClock
from twoway.sdk import make_open_http
from twoway.sdk.wire import Library

LIBRARIES: tuple[Library, ...] = ("httpx", "aiohttp")
BODY = b"x" * 400


def serve(told: Connection) -> None:
    """Answer for ever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(BODY))
                writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def go() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(go())


async def cost(library: Library, port: int, requests: int, under_way: int) -> float:
    """Microseconds of CPU a request."""
    http = make_open_http(SystemClock(), library=library)(f"http://127.0.0.1:{port}", rate=1e6, burst=under_way)

    async def ask(times: int) -> None:
        for _ in range(times):
            await http.request("PUT", "/cards/1", content=BODY, expect={201}, retry_safe=True)

    await asyncio.gather(*(ask(20) for _ in range(under_way)))
    began = time.process_time()
    await asyncio.gather(*(ask(requests // under_way) for _ in range(under_way)))
    took = time.process_time() - began
    await http.close()
    return took / (requests // under_way * under_way) * 1e6


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wires", description=__doc__)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    ours, theirs = Pipe()
    server = Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    print("| under way | CPU µs a request: httpx | aiohttp | ratio |\n|---:|---:|---:|---:|")
    for under_way in (1, 4):
        runs = [
            {library: asyncio.run(cost(library, port, options.requests, under_way)) for library in LIBRARIES}
            for _ in range(options.runs)
        ]
        httpx, aiohttp = (median(run[library] for run in runs) for library in LIBRARIES)
        ratio = median(run["aiohttp"] / run["httpx"] for run in runs)
        print(f"| {under_way} | {httpx:,.0f} | {aiohttp:,.0f} | {ratio:.2f} |")
    server.terminate()


if __name__ == "__main__":
    main()
