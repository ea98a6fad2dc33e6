"""aiohttp's ceiling: the same route, the body parsed, an answer of the same size, nothing else."""

from __future__ import annotations

import argparse

import orjson
import uvloop
from aiohttp import web

from bench.contestants.shape import EXAMPLE, HEADERS, ROUTE, serve


async def accumulate(request: web.Request) -> web.Response:
    """Parse the body and encode an answer."""
    body = orjson.loads(await request.read())
    answer = EXAMPLE | {
        "customer_id": request.match_info["customer_id"],
        "store_id": body["store_id"],
    }
    return web.Response(body=orjson.dumps(answer), status=201, headers=HEADERS)


async def main(port: int) -> None:
    app = web.Application()
    app.router.add_post(ROUTE, accumulate)
    await serve(app, port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(main(parser.parse_args().port))
