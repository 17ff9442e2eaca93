"""What the machine can do: post every file below a folder the cheapest way, and do nothing else: limit.py URL FOLDER

Two connections that are kept, the head with the first bytes, the file by sendfile: the bytes never pass this process.
No look at what they are, no record of what was sent.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 2
CLOSING = b"\r\n--limit--\r\n"


def post(conn: socket.socket, target: str, path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        part = (
            f'--limit\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode()
        length = len(part) + size + len(CLOSING)
        head = (
            f"POST {target} HTTP/1.1\r\nHost: limit\r\nContent-Type: multipart/form-data; boundary=limit\r\n"
            f"Content-Length: {length}\r\n\r\n"
        )
        conn.sendall(head.encode() + part)
        sent = 0
        while sent < size:
            sent += os.sendfile(conn.fileno(), fd, sent, size - sent)
        conn.sendall(CLOSING)
    finally:
        os.close(fd)
    if b" 200 " not in conn.recv(65536).split(b"\r\n", 1)[0]:
        sys.exit(f"{path} was not taken")


def main(url: str, folder: str) -> None:
    parsed = urlsplit(url)
    files = sorted(Path(folder).rglob("*.jpg"))
    numbers = itertools.count()

    def work() -> None:
        with socket.create_connection((parsed.hostname, parsed.port)) as conn:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (number := next(numbers)) < len(files):
                post(conn, f"{parsed.path}/upload_img", files[number])

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:3])
