"""The client's ceiling: says the same bytes to whatever it reads, and does nothing else."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import uvloop

from bench.contestants.shape import ANSWER_BYTES

HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
ANSWER = HEAD % ANSWER_BYTES + b" " * ANSWER_BYTES


class Canned(asyncio.Protocol):
    """Answers each read with ANSWER: fine for clients with one request under way."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
