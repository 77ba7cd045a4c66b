"""What the browser tests stand on: nginx with the module, a real Redis, the mock
of Refine, and a server of pages that a test writes itself.
"""

import http.server
import json
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "chaos"))

import servers  # noqa: E402
from servers import ROOT, Redis, UnixConnection, free_port, wait_for  # noqa

SOURCES = os.path.join(ROOT, "ngx_http_refine_module")


class Pages(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """The shop: {path: str, (str, headers), or a function of the request that
    returns (status, headers, body)}.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        self.pages = {}
        super().__init__(("127.0.0.1", 0), PageHandler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A browser that goes away in the middle is nothing to tell."""


class PageHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        page = self.server.pages.get(self.path.split("?")[0])
        if page is None:
            page = 404, {}, "not here"
        elif callable(page):
            page = page(self)
        elif isinstance(page, str):
            page = 200, {}, page
        elif len(page) == 2:
            page = 200, page[1], page[0]
        status, headers, body = page
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        names = {name.lower() for name in headers}
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-type" not in names:
            self.send_header("Content-Type", "text/html; charset=utf-8")
        if "cache-control" not in names:
            self.send_header("Cache-Control", "no-store")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if status != 204:
            self.wfile.write(data)

    do_POST = do_GET


class Refine:
    """The mock of the Refine API."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "mock.sock")
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(ROOT, "t/lib/mock_refine.py"),
             "unix:" + self.path], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        if not self.process.stdout.readline():
            raise OSError("the mock has ended")

    def call(self, method, path, body=None):
        connection = UnixConnection(self.path)
        try:
            connection.request(method, path, body and json.dumps(body))
            return json.loads(connection.getresponse().read() or "null")
        finally:
            connection.close()

    def events(self):
        """What has arrived, as it was sent on, each event once."""
        found = {}
        for request in self.call("GET", "/_mock/requests"):
            if request["status"] == 200:
                for event in request["body"]["events"]:
                    found.setdefault(event["eventId"], event)
        return sorted(found.values(), key=lambda event: event["timestamp"])

    def set(self, **rule):
        self.call("POST", "/_mock/set", rule)

    def reset(self):
        self.call("POST", "/_mock/reset", {})

    def stop(self):
        self.process.kill()
        self.process.wait()


class Nginx:
    def __init__(self, directory, values):
        self.dir = directory
        self.port = free_port()
        self.origin = "http://127.0.0.1:%d" % self.port
        self.process = None
        with open(os.path.join(HERE, "nginx.conf")) as text:
            conf = text.read()
        for name, value in dict(
                values, PORT=self.port, DIR=directory, MODULE=servers.MODULE,
                USER="user root;" if os.geteuid() == 0 else "").items():
            conf = conf.replace("@%s@" % name, str(value))
        with open(os.path.join(directory, "nginx.conf"), "w") as out:
            out.write(conf)

    def start(self):
        self.process = subprocess.Popen(
            [servers.NGINX, "-p", self.dir, "-c", "nginx.conf",
             "-e", os.path.join(self.dir, "error.log")],
            start_new_session=True)
        wait_for("nginx", self.status)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def request(self, method, path, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=40)
        try:
            connection.request(method, path, None, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def status(self):
        return json.loads(self.request("GET", "/refine/status")[1])[
            "catalogs"]["shop"]

    def collected(self, path):
        """How many requests of a page have come to the collect endpoint."""
        with open(os.path.join(self.dir, "collected.log")) as log:
            return log.read().splitlines().count(self.origin + path)

    def flush(self):
        """All that was collected so far has been sent to Refine."""
        status = self.request("POST", "/refine/control?action=flush",
                              {"X-Refine-Control": "1"})[0]
        if status != 200:
            raise OSError("a flush was answered %d" % status)

    def errors(self):
        with open(os.path.join(self.dir, "error.log")) as log:
            return [line for line in log if "[alert]" in line
                    or "[crit]" in line or "[emerg]" in line]


class World:
    def __init__(self, name):
        self.dir = os.path.join(servers.OBJS, "browser", name)
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.running = []
        try:
            self.shop = Pages()
            self.pages = self.shop.pages
            self.redis = Redis(self.dir, 0)
            self.redis.start()
            self.running.append(self.redis.kill)
            self.refine = Refine(self.dir)
            self.running.append(self.refine.stop)
            self.nginx = Nginx(self.dir, {
                "SHOP": self.shop.port, "REDIS": self.redis.path,
                "MOCK": self.refine.path})
            self.running.append(self.nginx.stop)
            self.nginx.start()
        except BaseException:
            self.stop()
            raise
        self.origin = self.nginx.origin

    def stop(self):
        for stop in reversed(self.running):
            stop()
        self.running = []

    def events(self):
        """What Refine has, once all that was collected is there."""
        self.nginx.flush()
        return self.refine.events()
