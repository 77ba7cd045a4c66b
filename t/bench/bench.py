"""What the benches share: an nginx with one worker, its servers, wrk runs in
alternation, and the worker's CPU time a request.

These machines drift: a figure is the median of ratios, each of two runs that
followed one another.  CPU time is the worker's own (utime + stime), for wrk,
Redis and nginx compete for the same cores.
"""

import glob
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
DIR = os.path.join(ROOT, "objs", "bench")
NGINX = os.environ.get("NGX") or shutil.which("nginx") or "/usr/sbin/nginx"
SECONDS = int(os.environ.get("BENCH_SECONDS", "2"))
PAIRS = int(os.environ.get("BENCH_PAIRS", "7"))
MODULES = [os.path.join(ROOT, "objs", "ngx_http_refine_module.so")] + [
    "/usr/lib/nginx/modules/" + name
    for name in ("ndk_http_module.so", "ngx_http_lua_module.so")]
PROCESSES = []

MAIN = """
%(user)s
daemon off;
worker_processes 1;
pid %(dir)s/%(name)s.pid;
error_log %(dir)s/%(name)s.log warn;
%(modules)s
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path %(dir)s/body;
    proxy_temp_path %(dir)s/proxy;
    fastcgi_temp_path %(dir)s/fastcgi;
    uwsgi_temp_path %(dir)s/uwsgi;
    scgi_temp_path %(dir)s/scgi;
%(http)s
}
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def start(*command, **options):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    PROCESSES.append(process)
    return process


def stop():
    for process in reversed(PROCESSES):
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_port(port):
    end = time.time() + 10
    while time.time() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("nothing listens on port %d, see %s" % (port, DIR))


def begin():
    shutil.rmtree(DIR, ignore_errors=True)
    os.makedirs(DIR)


def redis():
    path = os.path.join(DIR, "redis.sock")
    start("redis-server", "--port", "0", "--unixsocket", path, "--dir", DIR,
          "--save", "", "--appendonly", "no")
    return path


def nginx(name, http, port, modules=()):
    """Starts an nginx; returns a function that tells its worker's CPU time."""
    path = os.path.join(DIR, name + ".conf")
    with open(path, "w") as out:
        out.write(MAIN % {
            "user": "user root;" if os.geteuid() == 0 else "", "dir": DIR,
            "name": name, "http": http,
            "modules": "\n".join("load_module %s;" % m for m in modules)})
    process = start(NGINX, "-p", DIR, "-c", path,
                    "-e", os.path.join(DIR, name + ".log"))
    wait_port(port)
    worker = None
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat) as text:
                fields = text.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == process.pid:
            worker = stat
    if worker is None:
        sys.exit("the worker of %s is not there, see %s" % (name, DIR))

    def cpu():
        with open(worker) as text:
            fields = text.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    return cpu


def wrk(cpu, url, script=None, connections=64, headers=()):
    """One run: (CPU seconds a request, requests a second)."""
    command = ["wrk", "-t1", "-c%d" % connections, "-d%ds" % SECONDS, url]
    if script:
        command[1:1] = ["-s", script]
    for header in headers:
        command[1:1] = ["-H", header]
    before = cpu()
    out = subprocess.run(command, check=True, capture_output=True,
                         text=True).stdout
    used = cpu() - before
    count = int(re.search(r"(\d+) requests in", out).group(1))
    rate = float(re.search(r"Requests/sec: *([\d.]+)", out).group(1))
    if "Non-2xx" in out or not count:
        sys.exit("%s: not all answers were 2xx:\n%s" % (url, out))
    return used / count, rate


def compare(rows, base):
    """rows: {name: function that makes one run}, in the order to print.

    Prints each row's CPU a request, its rate, and both as ratios of the base's
    run of the same round (above 1: better than the base).
    """
    runs = {name: [] for name in rows}
    for name, run in rows.items():
        run()
    for _ in range(PAIRS):
        for name, run in rows.items():
            runs[name].append(run())
    print("| %-34s | CPU us/req |   req/s | CPU ratio | rate ratio |" % "")
    print("| %s | ---: | ---: | ---: | ---: |" % ("-" * 34))
    ratios = {}
    for name, values in runs.items():
        ratios[name] = statistics.median(
            b[0] / v[0] for v, b in zip(values, runs[base]))
        print("| %-34s | %10.1f | %7.0f | %9.2f | %10.2f |" % (
            name, statistics.median(v[0] for v in values) * 1e6,
            statistics.median(v[1] for v in values), ratios[name],
            statistics.median(v[1] / b[1]
                              for v, b in zip(values, runs[base]))))
    return ratios, runs


def run(main):
    signal.signal(signal.SIGTERM, lambda *args: sys.exit(1))
    try:
        begin()
        main()
    finally:
        stop()
