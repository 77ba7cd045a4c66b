#!/usr/bin/env python3
"""An upstream that answers with whatever bytes a test has put into a file.

upstream.py SOCKET FOLDER

GET /NAME?step=N&delay=MS&cut=N sends FOLDER/NAME as it is: status line,
headers and body, N bytes at a time with MS milliseconds in between, and only
the first N bytes with cut; with count, FOLDER/NAME.sent has how many bytes
could be sent so far.  GET /big?mb=N sends a JSON text of N megabytes.
The last request for NAME is left in FOLDER/NAME.request, with its body.  /echo
answers with the request itself, head and body, as JSON.
"""

import json
import os
import re
import socket
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit


def read_request(conn):
    data = b""
    length = None

    while (not data.endswith(b"\r\n0\r\n\r\n") if length == -1
           else length is None or len(data) < length):
        more = conn.recv(65536)
        if not more:
            break
        data += more

        head = data.find(b"\r\n\r\n")
        if length is None and head >= 0:
            found = re.search(rb"\r\ncontent-length: *(\d+)", data[:head],
                              re.IGNORECASE)
            length = head + 4 + (int(found.group(1)) if found else 0)

            if re.search(rb"\r\ntransfer-encoding:", data[:head],
                         re.IGNORECASE):
                length = -1

    return data


def echo(conn, data):
    head, _, body = data.partition(b"\r\n\r\n")

    if b"\r\ntransfer-encoding:" in head.lower():
        parts, rest = b"", body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            parts += rest[:int(size, 16)]
            rest = rest[int(size, 16) + 2:]
        body = parts

    text = json.dumps({"results": [{"productId": "echo"}],
                       "head": head.decode("latin-1"),
                       "body": body.decode("latin-1")}).encode()
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                 b"Connection: close\r\nContent-Length: %d\r\n\r\n"
                 % len(text) + text)


def big(conn, megabytes):
    item = b'{"productId":"sku-%09d","title":"' + b"x" * 980 + b'"},\n'
    size = megabytes * 1024 * 1024
    head = b'{"results":['
    tail = b'{"productId":"last"}]}'
    piece = b"".join(item % i for i in range(100))
    body = len(head) + len(tail)
    pieces = (size - body) // len(piece)
    body += pieces * len(piece)

    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                 b"Connection: close\r\n\r\n" + head)

    for _ in range(pieces):
        conn.sendall(piece)

    conn.sendall(tail)


def serve(conn, folder):
    with conn:
        head = read_request(conn)
        if not head:
            return

        url = urlsplit(head.split(b" ", 2)[1].decode("latin-1"))
        args = {k: int(v[0]) for k, v in parse_qs(url.query).items()
                if v[0].isdigit()}
        name = os.path.join(folder, os.path.basename(url.path))

        with open(name + ".request", "wb") as out:
            out.write(head)

        if url.path.endswith("/big"):
            big(conn, args.get("mb", 1))
            return

        if url.path.endswith("/echo"):
            echo(conn, head)
            return

        with open(name, "rb") as file:
            data = file.read()

        data = data[:args.get("cut", len(data))]
        step = args.get("step", len(data)) or 1

        for i in range(0, len(data), step):
            conn.sendall(data[i:i + step])
            if "count" in args:
                with open(name + ".sent", "w") as out:
                    out.write(str(i + step))
            if "delay" in args:
                time.sleep(args["delay"] / 1000)


def guarded(conn, folder):
    try:
        serve(conn, folder)
    except OSError:
        pass


def main():
    path, folder = sys.argv[1:3]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(64)

    while True:
        conn, _ = listener.accept()
        threading.Thread(target=guarded, args=(conn, folder),
                         daemon=True).start()


if __name__ == "__main__":
    main()
