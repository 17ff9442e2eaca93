"""A service that takes everything and keeps nothing: service.py [--port 8099] [--latency 0.3]

It reads bodies by their Content-Length and counts the `files` parts; enough to measure with, and no more. A thread for
each connection, and the same memory for all of its bytes, so that it costs little beside what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import socket
import threading
import time

PART = b'name="files"'
_ids = itertools.count(568102998803353601)


def serve(conn: socket.socket, latency: float) -> None:
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    memory = bytearray(1 << 20)
    with conn, contextlib.suppress(ConnectionError):
        while answer(conn, memory, latency):
            pass


def answer(conn: socket.socket, memory: bytearray, latency: float) -> bool:
    """Answer one request. False: there is none any more, or it was the last."""
    view = memoryview(memory)
    have = 0
    while (end := memory.find(b"\r\n\r\n", 0, have)) < 0:
        got = conn.recv_into(view[have:])
        if not got:
            return False
        have += got
    head = bytes(view[:end]).lower()
    body = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    files = memory.count(PART, end, have)
    left = body - (have - end - 4)
    kept = min(have, len(PART) - 1)  # a part may begin in one piece and go on in the next
    memory[:kept] = memory[have - kept : have]
    while left > 0:
        got = conn.recv_into(view[kept:], min(left, len(memory) - kept))
        if not got:
            return False
        left -= got
        files += memory.count(PART, 0, kept + got)
        memory[:kept] = memory[got : got + kept]
    time.sleep(latency)
    images = [{"id": next(_ids)} for _ in range(files)]
    said = json.dumps({"code": "0000", "msg": "success", "data": images, "success": True, "failed": False}).encode()
    last = b"\r\nconnection: close" in head
    how = b"close" if last else b"keep-alive"
    conn.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (how, len(said), said)
    )
    return not last


def main(port: int, latency: float) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=serve, args=(conn, latency), daemon=True).start()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--latency", type=float, default=0.0)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        main(given.port, given.latency)
