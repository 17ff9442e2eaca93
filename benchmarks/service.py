"""A service that takes everything and keeps nothing: service.py [--port 8099] [--latency 0.3]

It reads bodies by their Content-Length and counts the `files` parts; enough to measure with, and no more.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json

_ids = itertools.count(568102998803353601)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency: float) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        files = left = 0
        tail = b""
        while left < length:
            piece = await reader.read(min(1 << 18, length - left))
            if not piece:
                return
            left += len(piece)
            files += (tail + piece).count(b'name="files"') - tail.count(b'name="files"')
            tail = piece[-16:]
        await asyncio.sleep(latency)
        images = [{"id": next(_ids)} for _ in range(files)]
        body = json.dumps({"code": "0000", "msg": "success", "data": images, "success": True, "failed": False}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
    writer.close()


async def serve(port: int, latency: float) -> None:
    server = await asyncio.start_server(lambda r, w: answer(r, w, latency), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--latency", type=float, default=0.0)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(given.port, given.latency))
