"""Print events as they come while the program does something else, with pyzmq's asyncio.

python examples/subscriber_asyncio.py [ADDRESS]
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import zmq
import zmq.asyncio


async def events(address: str) -> AsyncIterator[dict[str, Any]]:
    """What is published at an address, from now on."""
    with zmq.asyncio.Context() as context, context.socket(zmq.SUB) as socket:
        socket.connect(address)
        socket.subscribe("event.")
        while True:
            _, payload = await socket.recv_multipart()
            yield json.loads(payload)


async def listen(address: str) -> None:
    """Print one line per event."""
    async for event in events(address):
        noise = "" if event["model"]["trained"] else "(untrained: noise)"
        print(event["stream"], event["person"], event["label"], noise, flush=True)


async def tick() -> None:
    """Stands for the rest of the program, which goes on meanwhile."""
    for second in range(10**9):
        print(f"{second} s", flush=True)
        await asyncio.sleep(1)


async def main() -> None:
    """Both at once, until Ctrl-C."""
    await asyncio.gather(listen(sys.argv[1] if sys.argv[1:] else "tcp://127.0.0.1:5577"), tick())


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
