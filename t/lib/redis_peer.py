#!/usr/bin/python3
"""A Redis that answers as it is told: replies of other versions, broken ones.

It speaks RESP on a unix socket.  A command is known by its name in lower case;
a script by the place at which it was loaded first (SCRIPTS).  What is not told
otherwise is answered as an empty, healthy Redis would.

  PEER SET JSON    {name: [reply...]}: each is used once, the last for ever; a
                   reply is a text, or {"raw": text, "close": true}, or
                   {"raw": text, "step": true}, byte by byte, or {"raw": text,
                   "endless": true}, again and again until the client closes,
                   or {"hang": true}; {} forgets them all.  "name@TEXT" is
                   for a first key with that text only
  PEER SEEN        a JSON list of [connection, name, argument...]
  PEER FORGET      empties that list

usage: redis_peer.py PATH
"""

import hashlib
import json
import os
import pathlib
import re
import signal
import socketserver
import sys
import threading
import time

LOCK = threading.Lock()
HEADER = pathlib.Path(__file__).parents[2].joinpath(
    "ngx_http_refine_module/ngx_http_refine_scripts.h")
SCRIPTS = [name.lower() for name in
           re.findall(r"^    NGX_HTTP_REFINE_SCRIPT_([A-Z]+)", HEADER.read_text(),
                      re.MULTILINE)]
KNOWN = {}
RULES = {}
SEEN = []
CONNECTIONS = [0]


def bulk(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


def array(*rows):
    return b"*%d\r\n" % len(rows) + b"".join(rows)


def number(n):
    return b":%d\r\n" % n


def usual(name, args):
    """What a Redis without any event would answer."""
    if name == "script":
        return bulk(hashlib.sha1(args[2]).hexdigest())
    if name == "store":
        groups = args[9].split(b",")[:-1]
        stored = sum(len(types) for types in groups)
        return array(bulk("1" * len(groups)), number(stored), number(0),
                     number(0))
    if name == "xreadgroup":
        return b"*-1\r\n"
    if name == "xautoclaim":
        return array(bulk("0-0"), array(), array())
    if name == "attempts":
        return array(*[number(1)] * (len(args) - 5))
    if name == "ack":
        return number((len(args) - 5) // 2)
    if name == "metrics":
        return array(bulk(""), number(0), number(0), number(0), bulk(""),
                     bulk(""), number(1700000000000))
    if name == "hget":
        return b"$-1\r\n"
    if name in ("auth", "select"):
        return b"+OK\r\n"
    return number(0)


def script_name(sha):
    return SCRIPTS[KNOWN[sha]] if sha in KNOWN else "unknown"


def answer(connection, args):
    """Bytes to send, and the rule that says how, {} for none."""
    name = args[0].decode("latin-1").lower()
    with LOCK:
        if name == "script":
            sha = hashlib.sha1(args[2]).hexdigest().encode()
            KNOWN.setdefault(sha, len(KNOWN))
        elif name == "evalsha":
            name = script_name(args[1])
        SEEN.append([connection, name]
                    + [a.decode("utf-8", "replace") for a in args[1:]])
        key = args[3].decode("latin-1") if len(args) > 3 else ""
        rows = RULES.get(next((rule for rule in RULES if "@" in rule
                               and rule.split("@")[0] == name
                               and rule.split("@")[1] in key), name))
        rule = rows.pop(0) if rows and len(rows) > 1 else rows and rows[0]
    if rule is None:
        return usual(name, args), {}
    if isinstance(rule, str):
        return rule.encode("latin-1"), {}
    if rule.get("hang"):
        return b"", {}
    return rule.get("raw", "").encode("latin-1"), rule


def control(args):
    with LOCK:
        if args[1] == b"SET":
            RULES.clear()
            RULES.update(json.loads(args[2]))
        elif args[1] == b"SEEN":
            return bulk(json.dumps(SEEN))
        elif args[1] == b"FORGET":
            SEEN.clear()
        return b"+OK\r\n"


class Handler(socketserver.StreamRequestHandler):
    def read(self):
        line = self.rfile.readline()
        if not line:
            return None
        args = []
        for _ in range(int(line[1:])):
            size = int(self.rfile.readline()[1:])
            args.append(self.rfile.read(size + 2)[:-2])
        return args

    def handle(self):
        with LOCK:
            CONNECTIONS[0] += 1
            number_here = CONNECTIONS[0]
        while True:
            args = self.read()
            if not args:
                return
            if args[0] == b"PEER":
                self.wfile.write(control(args))
                continue
            data, rule = answer(number_here, args)
            if rule.get("step"):
                for byte in data:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.002)
                continue
            self.wfile.write(data)
            while rule.get("endless"):
                self.wfile.write(data)
            if rule.get("close"):
                return


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    SERVER = Server(sys.argv[1], Handler)
    os.chmod(sys.argv[1], 0o777)
    threading.Thread(target=SERVER.serve_forever, daemon=True).start()
    # whoever started it writes nothing: the end of its pipe ends the peer
    signal.signal(signal.SIGTERM, lambda *args: sys.exit(0))
    try:
        while sys.stdin.buffer.read(4096):
            pass
    except KeyboardInterrupt:
        pass
