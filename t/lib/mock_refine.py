#!/usr/bin/python3
"""A mock of the Refine API for tests and the demo.

POST to any path is taken for a batch of events: the key, the envelope and each
event are checked, and what arrived is kept.  Everything under /_mock/ controls
the mock itself:

  GET  /_mock/requests?catalog=ID   what was received, as JSON
  GET  /_mock/summary               counts by catalog and event type
  GET  /                            a page for people to look at, see mock_page
  POST /_mock/set                   how to answer; a JSON object with
       catalog   only for this catalog (default: all)
       status    answer with this status instead of 200
       headers   {name: value} added to the answer
       body      text of the answer
       times     for so many requests, then as usual (default: for ever)
       match     only for requests whose body contains this text
       path      only for requests to this path
       delay     seconds before the answer
       drop      close the connection without an answer
       hang      read the request and never answer
       raw       bytes to send as they are, then close; or a list of such, sent
                 one after the other
       pause     seconds between the parts of raw
       keep      the connection stays open after raw
       early     answer before the body is read, then close (needs path)
       sip       read the body in so many bytes at a time, with a pause after
                 each (needs path, and a body larger than a socket's buffers)
       stale     another request on the same connection gets no answer: it is
                 closed ("close"), reset ("reset"), or closed after a byte of
                 an answer ("byte")
       size      length of the answer's body, as far as it is taken
       rate      a limit: {"limit": N, "window": SECONDS}, announced in the
                 X-RateLimit headers of each answer; beyond it 429.  "others"
                 use so much of it, evenly; "skew" is what the mock's clock is
                 ahead of ours; "seconds" announces the reset in seconds
  POST /_mock/reset?catalog=ID      forgets behaviour and requests
  POST /_mock/dns                   {name: [address...]}: what names resolve to,
                                    "silence": no reply, "failure": SERVFAIL

With --log FILE nothing is kept: for each request a line is appended to FILE,
before the answer: when it came, the seconds until the answer, the status (0:
none), and eventId:digest of each event.

usage: mock_refine.py [--key KEY] [--cert FILE --cert-key FILE [--tls 1.2|1.3]]
                      [--log FILE] (unix:PATH | HOST:PORT | [HOST]:PORT | dns:HOST:PORT)...
A PORT of 0 is chosen freely; each address is printed when it listens.
"""

import argparse
import hashlib
import itertools
import json
import math
import os
import re
import signal
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

LOCK = threading.Lock()
REQUESTS = []
RULES = []
NAMES = {}
CONNECTIONS = itertools.count(1)
SECONDS_TO_HANG = 120

NUMBER = (int, float)
ID = re.compile(r"[\x21\x23-\x25\x28-\x3b\x3d\x3f-\x5b\x5d-\x7e]{1,128}\Z")
TYPES = {
    "items_served": {"surface": str, "source": str, "itemIds": list},
    "click": {"serveId": str, "itemId": str, "position": int},
    "view": {"serveId": str, "itemId": str, "position": int},
    "add_to_cart": {"serveId": str, "itemId": str},
    "purchase": {"orderId": str, "value": NUMBER, "currency": str,
                 "items": list},
}


# what the module adds to an event, or may replace
ADDED = {"eventId", "receivedAt", "visitorId", "sessionId", "userId", "context"}


def event_digest(event):
    """Short, and the same for whatever a client and Refine see the same in."""
    text = json.dumps({name: value for name, value in event.items()
                       if name not in ADDED and
                       (name, event["type"]) != ("timestamp", "items_served")},
                      sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def event_error(event):
    """What is wrong with an event, or None."""
    if not isinstance(event, dict):
        return "an event is not an object"
    fields = TYPES.get(event.get("type"))
    if fields is None:
        return "unknown type %r" % event.get("type")
    if not ID.match(str(event.get("eventId", ""))):
        return "bad eventId %r" % event.get("eventId")
    for name in ("timestamp", "receivedAt"):
        if type(event.get(name)) is not int or event[name] < 1_600_000_000_000:
            return "bad %s %r" % (name, event.get(name))
    for name, kind in fields.items():
        value = event.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            return "bad %s %r" % (name, value)
    for item in event.get("itemIds", []):
        if not isinstance(item, str) or not item:
            return "bad itemIds"
    for item in event.get("items", []):
        if not isinstance(item.get("itemId"), str) \
           or type(item.get("quantity")) is not int \
           or not isinstance(item.get("unitPrice"), NUMBER):
            return "bad items"
    return None


def envelope_error(headers, data):
    """What is wrong with a request, as (status, text), or None."""
    if OPTIONS.key is not None and headers.get("REFINE_API_KEY") != OPTIONS.key:
        return 401, "invalid API key"
    if headers.get("Content-Type") != "application/json":
        return 400, "Content-Type is not application/json"
    if not headers.get("Idempotency-Key"):
        return 400, "no Idempotency-Key"
    if not isinstance(data, dict):
        return 400, "the body is not a JSON object"
    for name in ("organizationId", "catalogId"):
        if not isinstance(data.get(name), str) or not data[name]:
            return 400, "bad " + name
    if type(data.get("sentAt")) is not int:
        return 400, "bad sentAt"
    events = data.get("events")
    if not isinstance(events, list) or not events:
        return 400, "no events"
    for event in events:
        error = event_error(event)
        if error:
            return 422, error
    return None


def remember(request, delay=0):
    if OPTIONS.log is None:
        with LOCK:
            REQUESTS.append(request)
        return
    try:
        events = ["%s:%s" % (event["eventId"], event_digest(event))
                  for event in request["body"]["events"]]
    except (KeyError, TypeError, AttributeError):
        events = ["?:?"]
    line = "%.3f %s %d %s\n" % (request["time"], delay, request["status"],
                               " ".join(events))
    os.write(OPTIONS.log, line.encode())


def rule_for(path, catalog, text):
    with LOCK:
        for rule in reversed(RULES):
            if rule.get("path") not in (None, path):
                continue
            if bool(rule.get("early") or rule.get("sip")) != (text is None):
                continue
            if text is not None and rule.get("catalog") not in (None, catalog):
                continue
            if "match" in rule and rule["match"] not in text:
                continue
            if "times" in rule:
                if rule["times"] <= 0:
                    continue
                rule["times"] -= 1
            return dict(rule)
    return {}


def limited(rate):
    """Counts a request: whether it is over the limit, the headers, the window.
    """
    with LOCK:
        now = time.time() + rate.get("skew", 0)
        number, gone = divmod(now, rate["window"])
        if rate.get("number") != number:
            rate.update(number=number, used=0)
        others = int(rate.get("others", 0) * gone / rate["window"])
        over = rate["used"] + others >= rate["limit"]
        rate["used"] += not over
        left = max(rate["limit"] - rate["used"] - others, 0)
    reset = math.ceil((number + 1) * rate["window"])
    if rate.get("seconds"):
        reset = math.ceil(reset - now)
    return over, {"X-RateLimit-Limit": rate["limit"],
                  "X-RateLimit-Remaining": left,
                  "X-RateLimit-Reset": reset}, int(number)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 300
    skew = 0

    def date_time_string(self, timestamp=None):
        return super().date_time_string(timestamp or time.time() + self.skew)

    def setup(self):
        super().setup()
        self.number = next(CONNECTIONS)
        self.stale = None

    def log_message(self, *args):
        pass

    def address_string(self):
        return "client"

    def answer(self, status, body=b"", headers=()):
        headers = dict(headers)
        if isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        headers.setdefault("Content-Type", "application/json")
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if status not in (204, 304):
            self.wfile.write(body)

    def error(self, status, message, headers=()):
        self.answer(status, json.dumps({
            "status": status, "message": message, "method": self.command,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "url": self.path}), headers)

    def control(self, body):
        url = urlsplit(self.path)
        catalog = parse_qs(url.query).get("catalog", [None])[0]
        with LOCK:
            if url.path == "/_mock/requests":
                out = [r for r in REQUESTS
                       if catalog in (None, r["catalog"])]
            elif url.path == "/_mock/set":
                RULES.append(json.loads(body))
                out = {}
            elif url.path == "/_mock/reset":
                for rows in (RULES, REQUESTS):
                    rows[:] = [r for r in rows
                               if catalog not in (None, r.get("catalog"))]
                out = {}
            elif url.path == "/_mock/dns":
                NAMES.update(json.loads(body))
                out = {}
            elif url.path == "/_mock/summary":
                out = {}
                for request in REQUESTS:
                    if request["status"] != 200:
                        continue
                    counts = out.setdefault(request["catalog"], {})
                    for event in request["body"]["events"]:
                        kind = event["type"]
                        counts[kind] = counts.get(kind, 0) + 1
            else:
                return self.error(404, "no such control")
        return self.answer(200, json.dumps(out))

    def page(self, path, query):
        """The page, its files, and what is new on it."""
        import mock_page
        kind = "text/html; charset=utf-8"
        with LOCK:
            requests = list(REQUESTS)
        version = str(len(requests))
        headers = {"Cache-Control": "no-store", "X-Version": version,
                   "Content-Security-Policy": "default-src 'self'"}
        if path in ("/_mock/page.css", "/_mock/page.js"):
            name = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "mock_" + path[7:])
            with open(name, encoding="utf-8") as file:
                body = file.read()
            kind = "text/css" if path.endswith("css") else "text/javascript"
        elif path == "/":
            body = mock_page.page(requests)
        elif query.get("version") == [version]:
            return self.answer(204, headers=headers)
        else:
            body = mock_page.content(requests)
        return self.answer(200, body, {"Content-Type": kind, **headers})

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path in ("/", "/_mock/page", "/_mock/page.css",
                        "/_mock/page.js"):
            return self.page(url.path, parse_qs(url.query))
        if self.path.startswith("/_mock/"):
            return self.control(b"")
        return self.error(404, "nothing here")

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def parts(self, rule):
        parts = rule["raw"]
        for part in [parts] if isinstance(parts, str) else parts:
            try:
                self.wfile.write(part.encode("latin-1"))
            except OSError:
                return
            time.sleep(rule.get("pause", 0))

    def large(self, status, size):
        self.answer(status, headers={"Content-Length": str(size)})
        try:
            for _ in range(size // 65536):
                self.wfile.write(b"x" * 65536)
            self.wfile.write(b"x" * (size % 65536))
        except OSError:
            self.close_connection = True

    def early(self):
        rule = rule_for(self.path, None, None)
        if not rule:
            return False
        if "sip" in rule:
            while self.rfile.read(rule["sip"]):
                time.sleep(rule["pause"])
            self.close_connection = True
            return True
        self.close_connection = True
        remember({
            "catalog": rule.get("catalog"), "status": rule["status"],
            "path": self.path, "time": time.time(), "body": None})
        self.error(rule["status"], "early")
        time.sleep(rule.get("delay", 0))
        return True

    def do_POST(self):
        self.close_connection |= self.stale is not None
        if self.stale == "reset":
            self.reset()
        if self.stale == "byte":
            self.wfile.write(b"H")
        if self.stale or self.early():
            return None
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return None
        if self.path.startswith("/_mock/"):
            return self.control(body)
        text = body.decode("utf-8", "replace")
        try:
            data = json.loads(body)
        except ValueError:
            data = None
        catalog = data.get("catalogId") if isinstance(data, dict) else None
        rule = rule_for(self.path, catalog, text)
        error = envelope_error(self.headers, data)
        status = rule.get("status", error[0] if error else 200)
        headers, window = rule.get("headers", {}), None
        if "rate" in rule:
            over, limits, window = limited(rule["rate"])
            headers = {**limits, **headers}
            self.skew = rule["rate"].get("skew", 0)
            status = 429 if over else status
        if rule.get("drop") or rule.get("hang") or "raw" in rule:
            status = 0
        remember({
            "catalog": catalog, "status": status, "path": self.path,
            "time": time.time(), "connection": self.number,
            "server": str(self.server.server_address[0]),
            "window": window,
            "resumed": getattr(self.connection, "session_reused", None),
            "headers": dict(self.headers.items()), "raw": text,
            "body": data, "error": error[1] if error else None},
            rule.get("delay", 0))
        if rule.get("delay"):
            time.sleep(rule["delay"])
        if rule.get("hang"):
            time.sleep(SECONDS_TO_HANG)
        self.stale = rule.get("stale")
        if "raw" in rule:
            self.parts(rule)
        if not status:
            self.close_connection = not rule.get("keep")
            return None
        if "size" in rule:
            return self.large(status, rule["size"])
        if status >= 300 or "body" in rule:
            if "body" in rule:
                return self.answer(status, rule["body"], headers)
            message = error[1] if error and "status" not in rule else \
                "as told: %d" % status
            return self.error(status, message, headers)
        return self.answer(status, json.dumps({
            "status": status, "accepted": len(data["events"])}), headers)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Server6(Server):
    address_family = socket.AF_INET6


class TLSServer(Server):
    context = None

    def finish_request(self, request, client_address):
        request.settimeout(10)
        try:
            request = self.context.wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError):
            return
        super().finish_request(request, client_address)


class UnixServer(Server):
    address_family = socket.AF_UNIX

    def server_bind(self):
        if os.path.exists(self.server_address):
            os.unlink(self.server_address)
        super().server_bind()
        os.chmod(self.server_address, 0o777)


def resolve(sock):
    """Answers questions for A and AAAA records by NAMES."""
    while True:
        query, client = sock.recvfrom(600)
        end, labels = 12, []
        while query[end]:
            labels.append(query[end + 1:end + 1 + query[end]].decode())
            end += 1 + query[end]
        kind = struct.unpack(">H", query[end + 1:end + 3])[0]
        with LOCK:
            known = NAMES.get(".".join(labels))
        if known == "silence":
            continue
        flags = 0x8182 if known == "failure" else 0x8180 if known else 0x8183
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        found = [] if known == "failure" else [
            socket.inet_pton(family, address) for address in known or []
            if family == (socket.AF_INET6 if ":" in address
                          else socket.AF_INET)]
        reply = query[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0)
        reply += query[12:end + 5]
        for address in found:
            reply += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1,
                                               len(address)) + address
        sock.sendto(reply, client)


def listen(address):
    if address.startswith("dns:"):
        host, port = address[4:].rsplit(":", 1)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, int(port)))
        threading.Thread(target=resolve, args=(sock,), daemon=True).start()
        print("dns:%s:%d" % sock.getsockname(), flush=True)
        return
    if address.startswith("unix:"):
        server = UnixServer(address[5:], Handler)
        shown = address
    else:
        host, port = address.rsplit(":", 1)
        kind = TLSServer if OPTIONS.cert else \
            Server6 if host[0] == "[" else Server
        server = kind((host.strip("[]"), int(port)), Handler)
        shown = "%s:%d" % server.server_address[:2]
    if OPTIONS.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(OPTIONS.cert, OPTIONS.cert_key)
        if OPTIONS.tls:
            version = {"1.2": ssl.TLSVersion.TLSv1_2,
                       "1.3": ssl.TLSVersion.TLSv1_3}[OPTIONS.tls]
            context.minimum_version = context.maximum_version = version
        TLSServer.context = context
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(shown, flush=True)


if __name__ == "__main__":
    PARSER = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    PARSER.add_argument("--key")
    PARSER.add_argument("--cert")
    PARSER.add_argument("--cert-key")
    PARSER.add_argument("--tls", choices=("1.2", "1.3"))
    PARSER.add_argument("--log", type=lambda path: os.open(
        path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644))
    PARSER.add_argument("addresses", nargs="+")
    OPTIONS = PARSER.parse_args()
    # whoever started it writes nothing: the end of its pipe ends the mock
    for one in OPTIONS.addresses:
        listen(one)
    signal.signal(signal.SIGTERM, lambda *args: sys.exit(0))
    try:
        while sys.stdin.buffer.read(4096):
            pass
    except KeyboardInterrupt:
        pass
