#!/usr/bin/python3
"""The main job, seen working: a shop behind nginx with the module.

Starts Redis (a unix socket below the build folder), a mock of the Refine API,
the shop and nginx, walks through the shop as a customer does, and shows what
Refine received.  Stays up until interrupted; with DEMO_ONCE=1 it ends after the
walk, with exit status 0 if every event arrived exactly once.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from walk import fail, request, walk  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DIR = os.path.join(ROOT, "objs", "demo")
MODULE = os.path.join(ROOT, "objs", "ngx_http_refine_module.so")
KEY = "demo-key"
PROCESSES = []


def free_port(wanted):
    """The wanted port if it is free, else one that is."""
    for port in (wanted, 0):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return sock.getsockname()[1]
    return fail("no free port")


def start(name, *command, **options):
    log = open(os.path.join(DIR, name + ".log"), "w")
    # a process group of its own: Ctrl-C reaches this program only, which then
    # ends the others in order
    process = subprocess.Popen(command, stdout=log, stderr=log,
                               start_new_session=True, **options)
    process.name = name
    PROCESSES.append(process)
    return process


def stop():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for process in reversed(PROCESSES):
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT if process.name == "nginx"
                                else signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(what, test):
    end = time.time() + 15
    while time.time() < end:
        for process in PROCESSES:
            if process.poll() is not None:
                with open(os.path.join(DIR, process.name + ".log")) as log:
                    fail("%s ended:\n%s" % (process.name, log.read()))
        try:
            result = test()
        except (OSError, http.client.HTTPException):
            result = None
        if result:
            return result
        time.sleep(0.05)
    return fail("%s: nothing after 15 seconds, see %s" % (what, DIR))


def write_config(port, shop, mock):
    with open(os.path.join(DIR, "refine.key"), "w") as out:
        os.fchmod(out.fileno(), 0o600)
        out.write(KEY + "\n")
    with open(os.path.join(HERE, "nginx.conf")) as text:
        config = text.read()
    for name, value in {
            "USER": "user root;" if os.geteuid() == 0 else "",
            "DIR": DIR, "MODULE": MODULE, "PORT": str(port),
            "SHOP": "127.0.0.1:%d" % shop,
            "MOCK": "127.0.0.1:%d" % mock}.items():
        config = config.replace("@%s@" % name, value)
    path = os.path.join(DIR, "nginx.conf")
    with open(path, "w") as out:
        out.write(config)
    return path


def start_all():
    shutil.rmtree(DIR, ignore_errors=True)
    os.makedirs(DIR)
    port = free_port(int(os.environ.get("DEMO_PORT", "8080")))
    mock = free_port(port + 1)
    shop = free_port(0)
    redis = os.path.join(DIR, "redis.sock")
    nginx = os.environ.get("NGX") or shutil.which("nginx") or "/usr/sbin/nginx"

    start("redis", "redis-server", "--port", "0", "--unixsocket", redis,
          "--dir", DIR, "--appendonly", "yes", "--save", "")
    start("mock", "/usr/bin/python3", "-B",
          os.path.join(ROOT, "t", "lib", "mock_refine.py"), "--key", KEY,
          "127.0.0.1:%d" % mock, stdin=subprocess.PIPE)
    start("shop", "/usr/bin/python3", "-B", os.path.join(HERE, "shop.py"),
          "127.0.0.1:%d" % shop, "http://127.0.0.1:%d/" % mock)
    wait_for("redis", lambda: os.path.exists(redis))
    wait_for("mock", lambda: request(mock, "GET", "/_mock/summary"))
    wait_for("shop", lambda: request(shop, "GET", "/"))
    start("nginx", nginx, "-p", DIR, "-e", os.path.join(DIR, "error.log"),
          "-c", write_config(port, shop, mock))
    wait_for("nginx", lambda: request(port, "GET", "/style.css")[0] == 200)
    return port, mock, redis


def show(port, mock, sent):
    """What Refine received; whether it is what was sent, each event once."""
    wait_for("delivery", lambda: sum(json.loads(request(
        mock, "GET", "/_mock/summary")[2]).get("cat_demo", {}).values())
        >= sum(sent.values()))
    requests = json.loads(request(mock, "GET", "/_mock/requests")[2])
    events = [event for one in requests for event in one["body"]["events"]]
    ids = {event["eventId"] for event in events}
    print("\nRefine received %d events in %d requests:"
          % (len(events), len(requests)))
    got = {}
    for event in events:
        got[event["type"]] = got.get(event["type"], 0) + 1
    for kind, count in sorted(got.items()):
        print("  %-12s %3d of %d" % (kind, count, sent.get(kind, 0)))
    print("\nOne of them:\n" + json.dumps(events[-1], indent=2))
    status = json.loads(request(port, "GET", "/refine/status")[2])
    shop = status["catalogs"]["shop"]
    print("\nThe module's own count: " + ", ".join(
        "%s %d" % (name, shop[name]) for name in
        ("accepted", "sent", "failed", "queued", "retrying")))
    return got == sent and len(ids) == len(events)


def main():
    if not os.path.exists(MODULE):
        fail("objs/ngx_http_refine_module.so is missing: run make")
    # also where a shell that put this into the background ignores SIGINT
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *args: sys.exit(1))
    try:
        port, mock, redis = start_all()
        good = show(port, mock, walk(port))
        if os.environ.get("DEMO_ONCE"):
            return 0 if good else 1
        pid = next(one.pid for one in PROCESSES if one.name == "redis")
        print("""
The shop      http://127.0.0.1:%d/
Its status    http://127.0.0.1:%d/refine/status
Refine's side http://127.0.0.1:%d/
The queue     redis-cli -s %s
Logs          %s

Break things, and look at the status and at Refine's side meanwhile:
  kill -STOP %d   Redis hangs: clicks still get 204, "spooled" counts them
  kill -CONT %d   it is back: what waited on the disk is delivered
The buttons on Refine's side make it fail: what the shop collects waits in
Redis, the status says why, and "resume" tries again at once.

Ctrl-C ends it.""" % (port, port, mock, redis, DIR, pid, pid), flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print()
    finally:
        stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
