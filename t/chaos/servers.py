"""The servers of the chaos test: Redis with a relay before it, Refine, nginx."""

import contextlib
import ctypes
import glob
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NGINX = os.environ.get("NGX") or shutil.which("nginx") or "/usr/sbin/nginx"
ASAN = os.environ.get("CHAOS_ASAN") == "1"
VALGRIND = os.environ.get("CHAOS_VALGRIND") == "1"
PATIENCE = 4 if VALGRIND else 2 if ASAN else 1  # so much slower is nginx
OBJS = os.path.join(ROOT, os.environ.get("OBJS", "objs"))
MODULE = os.environ.get("CHAOS_MODULE") or os.path.join(
    OBJS, "asan" if ASAN else "", "ngx_http_refine_module.so")
CATALOG = "cat_chaos"
LOCAL = "cat_local"         # has no Redis: the spool is its queue
KEY = "refine:{%s}:" % CATALOG
MB_OF_SPOOL = int(os.environ.get("CHAOS_SPOOL", "64"))
NAME = "refine.test"
WORKERS = 4
SECONDS_TO_WAIT = 30


def own_mounts():
    """What is mounted from now on is seen by us and our children alone, and
    gone with them; whether that may be done here.
    """
    libc = ctypes.CDLL(None)
    return not libc.unshare(0x20000) \
        and not libc.mount(b"none", b"/", None, 0x44000, None)


def adopt_orphans():
    """What nginx leaves behind becomes our child, not init's."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(what, condition, seconds=SECONDS_TO_WAIT):
    end = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < end:
        try:
            value = condition()
        except (OSError, http.client.HTTPException, ValueError, RedisError):
            value = None
        if value:
            return value
        time.sleep(0.02)
    raise TimeoutError("waited %d s in vain for %s" % (seconds, what))


def send_signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def state(path):
    with open(path) as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


def alive(pid):
    """Whether a process runs; one of ours that has ended is reaped."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    try:
        return state("/proc/%d/stat" % pid) != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(parent):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == parent and fields[0] != "Z":
                found.append(int(name))
    return found


class Disk:
    """Where the spool is: a file system of its own that can be made full, or,
    where nothing can be mounted, a limit on the files that nginx may write.
    """

    MB = 4 * MB_OF_SPOOL
    SIGNS = re.compile(rb"\xff\x52\xf5\x0a")     # where a record begins
    HEADER = 160

    def __init__(self, directory):
        self.path = os.path.join(directory, "disk")
        os.makedirs(self.path)
        os.chmod(self.path, 0o755)
        self.mounted = os.environ.get("CHAOS_MOUNT") != "0" \
            and own_mounts() and self.mount("rw") == 0

    def mount(self, how, size=None):
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "%s,size=%s" % (
                how, size or "%dm" % self.MB), "none", self.path],
            capture_output=True).returncode

    def fill(self):
        """No more room than what is there takes, at this moment."""
        if not self.mounted:
            return self.limit(1)
        for _ in range(50):
            stat = os.statvfs(self.path)
            used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
            if self.mount("remount", used or stat.f_frsize) == 0:
                break
        return None

    def remove(self):
        if self.mounted:
            subprocess.run(["umount", self.path], check=True)

    def free(self):
        if self.mounted:
            self.mount("remount")
        else:
            self.limit(resource.RLIM_INFINITY)

    @staticmethod
    def limit(size):
        """Of the workers: the master has to write its pid."""
        found = [os.getpid()]
        for parent in found:
            found += children(parent)
        for pid in found:
            try:
                with open("/proc/%d/cmdline" % pid) as title:
                    if title.read().startswith("nginx: worker"):
                        resource.prlimit(pid, resource.RLIMIT_FSIZE,
                                         (size, resource.RLIM_INFINITY))
            except (FileNotFoundError, ProcessLookupError):
                continue

    def files(self, catalog, pattern):
        return sorted(glob.glob(os.path.join(self.path, "spool", "*" + catalog,
                                             pattern)))

    def letters(self, catalog):
        """The events of the dead letters that are kept without Redis."""
        found = []
        for path in self.files(catalog, "dead*.ndjson"):
            with open(path) as text:
                found += [json.dumps(json.loads(line)["event"])
                          for line in text]
        return found

    @classmethod
    def damage(cls, path, chance):
        """Overwrites some of a segment; the sets of ids that this may cost."""
        with open(path, "r+b", buffering=0) as segment:
            data = segment.read()
            signs = [sign.start() for sign in cls.SIGNS.finditer(data)]
            if not signs:
                return []
            places = []
            for _ in range(chance.randrange(1, 4)):
                length = chance.choice((1, 20, 500, 5000))
                begin = chance.randrange(cls.HEADER if chance.random() < 0.2
                                         else len(data))
                bad = bytearray(data[begin:begin + length])
                for n, byte in enumerate(bad):
                    bad[n] = byte ^ chance.randrange(1, 256)
                segment.seek(begin)
                segment.write(bad)
                places.append((max([sign for sign in signs if sign <= begin],
                                   default=0),
                               min([sign for sign in signs
                                    if sign >= begin + len(bad)],
                                   default=len(data))))
            if chance.random() < 0.3:
                begin = chance.choice(signs)
                segment.truncate(begin + 10)
                places.append((begin, len(data)))
        merged = []
        for begin, end in sorted(places):
            if merged and begin <= merged[-1][1]:
                merged[-1][1] = max(end, merged[-1][1])
            else:
                merged.append([begin, end])
        return [set(re.findall(r'"eventId":"([^"]*)"',
                               data[begin:end].decode(errors="replace")))
                for begin, end in merged]


class Clock:
    """The clock that nginx sees, by libfaketime; not under ASan, for both want
    to be first.
    """

    LIBRARY = None if ASAN else next(iter(sorted(glob.glob(
        "/usr/lib/*/faketime/libfaketimeMT.so.1"))), None)

    def __init__(self, directory):
        self.file = os.path.join(directory, "clock")
        self.jump(0)

    def jump(self, seconds):
        """So much before the true time, within a second."""
        with open(self.file + ".new", "w") as out:
            out.write("%+d\n" % seconds)
        os.rename(self.file + ".new", self.file)

    def environment(self):
        return {} if self.LIBRARY is None else {
            "LD_PRELOAD": self.LIBRARY, "FAKETIME_TIMESTAMP_FILE": self.file,
            "FAKETIME_CACHE_DURATION": "1", "NO_FAKE_STAT": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    @classmethod
    def yesterday(cls):
        """An environment for what has to be valid when it is set back."""
        return dict(os.environ) if cls.LIBRARY is None else {
            **os.environ, "LD_PRELOAD": cls.LIBRARY, "FAKETIME": "-1d"}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class RedisError(Exception):
    pass


class Redis:
    """A redis-server, and a connection of our own that goes past the relay."""

    def __init__(self, directory, number):
        self.dir = os.path.join(directory, "redis%d" % number)
        self.path = os.path.join(directory, "redis%d.sock" % number)
        self.log = os.path.join(directory, "redis%d.log" % number)
        self.port = free_port()
        self.process = None
        self.file = None

    def start(self, *options, wait=True):
        os.makedirs(self.dir, exist_ok=True)
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port),
             "--unixsocket", self.path, "--dir", self.dir, "--logfile",
             self.log, "--save", "", "--appendonly", "yes", "--appendfsync",
             "always", "--repl-diskless-sync-delay", "0", *options],
            stdout=subprocess.DEVNULL)
        if wait:
            wait_for("redis", lambda: self.call("PING") == "PONG")

    def call(self, *args):
        try:
            if self.file is None:
                sock = socket.socket(socket.AF_UNIX)
                sock.settimeout(10)
                sock.connect(self.path)
                self.file = sock.makefile("rwb")
            self.file.write(b"*%d\r\n" % len(args))
            for arg in args:
                data = str(arg).encode()
                self.file.write(b"$%d\r\n%s\r\n" % (len(data), data))
            self.file.flush()
            return self.reply()
        except OSError:
            self.file = None
            raise

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("redis has closed the connection")
        kind, text = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RedisError(text)
        if kind == b"+":
            return text
        if kind == b":":
            return int(text)
        if kind == b"$":
            return None if text == "-1" else \
                self.file.read(int(text) + 2)[:-2].decode()
        return None if text == "-1" else \
            [self.reply() for _ in range(int(text))]

    def lines(self, stream):
        """The events of a stream, each as its line of JSON."""
        first, found = "-", []
        while rows := self.call("XRANGE", KEY + stream, first, "+",
                                "COUNT", 1000):
            found += [fields[fields.index("e") + 1] for _, fields in rows]
            first = "(" + rows[-1][0]
        return found

    def info(self, section, name):
        found = re.search(r"^%s:(.*?)\r?$" % name, self.call("INFO", section),
                          re.M)
        return found and found.group(1)

    def signal(self, number):
        send_signal(self.process.pid, number)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.file = None

    def erase(self):
        shutil.rmtree(self.dir)


class Relay:
    def __init__(self, directory, target):
        self.path = os.path.join(directory, "relay.sock")
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "relay.py"), self.path,
             target], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def order(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "done\n":
            raise OSError("the relay has ended")


class Refine:
    """The mock by TLS, and a second one that does nothing but resolve."""

    def __init__(self, directory):
        self.dir = directory
        self.log = os.path.join(directory, "refine.log")
        self.control = os.path.join(directory, "refine.sock")
        self.dns_control = os.path.join(directory, "dns.sock")
        self.port = free_port()
        self.process = None
        for name in ("good", "bad"):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                 "-subj", "/CN=" + NAME, "-addext", "subjectAltName=DNS:"
                 + NAME, "-days", "3650", "-keyout", self.file(name, "key"),
                 "-out", self.file(name, "crt")],
                check=True, capture_output=True, env=Clock.yesterday())
        self.resolver, address = self.run("unix:" + self.dns_control,
                                          "dns:127.0.0.1:0", lines=2)
        self.dns_port = int(address.rsplit(":", 1)[1])
        self.resolve(["127.0.0.1"])

    def file(self, name, kind):
        return os.path.join(self.dir, "%s.%s" % (name, kind))

    @staticmethod
    def run(*args, lines):
        process = subprocess.Popen(
            [sys.executable, os.path.join(ROOT, "t/lib/mock_refine.py"),
             *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(lines):
            line = process.stdout.readline()
            if not line:
                raise OSError("the mock has ended")
        return process, line.strip()

    def start(self, certificate="good"):
        self.process = self.run(
            "--key", "chaos-key", "--log", self.log,
            "--cert", self.file(certificate, "crt"),
            "--cert-key", self.file(certificate, "key"),
            "unix:" + self.control, "127.0.0.1:%d" % self.port, lines=2)[0]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def post(self, path, what, control=None):
        connection = UnixConnection(control or self.control)
        connection.request("POST", path, json.dumps(what))
        status = connection.getresponse().status
        connection.close()
        if status != 200:
            raise OSError("the mock answered %d" % status)

    def set(self, **rule):
        self.post("/_mock/set", rule)

    def usual(self):
        self.post("/_mock/reset", {})

    def resolve(self, addresses):
        self.post("/_mock/dns", {NAME: addresses}, self.dns_control)


class Nginx:
    def __init__(self, directory, redis, refine, disk, clock):
        self.dir = directory
        self.clock = clock
        self.port = free_port()
        self.log = os.path.join(directory, "error.log")
        self.conf = os.path.join(directory, "nginx.conf")
        self.pid_file = os.path.join(directory, "nginx.pid")
        self.stderr = open(os.path.join(directory, "stderr"), "ab")
        self.reports = os.path.join(directory, "valgrind")
        os.makedirs(self.reports)
        self.killed = set()
        self.names = {
            "USER": "user root;" if os.geteuid() == 0 else "",
            "MODULE": MODULE, "DIR": directory, "PORT": self.port,
            "SHOP": free_port(), "CATALOG": CATALOG, "LOCAL": LOCAL,
            # a limit concerns the files of bodies as well
            "BODY": "8k" if disk.mounted else "1m",
            "REDIS": redis, "SPOOL": MB_OF_SPOOL, "DNS": refine.dns_port,
            "CERTIFICATE": refine.file("good", "crt"),
            "REFINE": "%s:%d" % (NAME, refine.port)}
        self.configure(WORKERS)
        with open(os.path.join(directory, "refine.key"), "w") as out:
            out.write("chaos-key\n")
        os.chmod(os.path.join(directory, "refine.key"), 0o600)

    def configure(self, workers):
        """For the next start or reload."""
        self.count = workers
        with open(os.path.join(HERE, "nginx.conf")) as text:
            conf = text.read()
        for name, value in {**self.names, "WORKERS": workers}.items():
            conf = conf.replace("@%s@" % name, str(value))
        with open(self.conf, "w") as out:
            out.write(conf)

    def start(self):
        env = {**os.environ, **self.clock.environment()}
        if ASAN:
            env["LD_PRELOAD"] = " ".join(subprocess.run(
                [os.environ.get("CC", "cc"), "-print-file-name=" + name],
                check=True, capture_output=True, text=True).stdout.strip()
                for name in ("libasan.so", "libubsan.so"))
            env["ASAN_OPTIONS"] = "detect_leaks=0:detect_odr_violation=0"
        program = NGINX
        if VALGRIND:
            env["REFINE_NGINX"] = NGINX
            env["REFINE_VALGRIND"] = self.reports
            program = os.path.join(ROOT, "t/lib/valgrind.sh")
        subprocess.run([program, "-p", self.dir, "-e", self.log,
                        "-c", self.conf],
                       env=env, stderr=self.stderr, check=True,
                       restore_signals=False)   # SIGXFSZ remains ignored
        self.wait()

    def wait(self):
        wait_for("nginx", lambda: self.master() and
                 len(children(self.master())) >= self.count
                 and self.status())

    def master(self):
        with open(self.pid_file) as text:
            return int(text.read())

    def workers(self):
        return children(self.master())

    def reported(self):
        """What valgrind has found: a text for each process it was found in."""
        for path in sorted(glob.glob(os.path.join(self.reports, "*"))):
            with open(path) as text:
                if report := text.read():
                    yield report

    def kill(self, pid):
        self.killed.add(pid)
        send_signal(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def stopped(self):
        """All of its workers, with their threads."""
        pids = self.workers()
        try:
            for pid in pids:
                send_signal(pid, signal.SIGSTOP)
            for pid in pids:
                wait_for("workers to stop", lambda: all(
                    state(path) == "T"
                    for path in glob.glob("/proc/%d/task/*/stat" % pid)))
            yield
        finally:
            for pid in pids:
                send_signal(pid, signal.SIGCONT)

    def gone(self, pids, seconds):
        wait_for("the end of nginx %s" % pids,
                 lambda: not [pid for pid in pids if alive(pid)], seconds)

    def request(self, method, path, body=None, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=10)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def status(self):
        """Of each catalog, by its name."""
        return json.loads(self.request("GET", "/refine/status")[1])["catalogs"]

    def control(self, action):
        return self.request("POST", "/refine/control?action=" + action, None,
                            {"X-Refine-Control": "1"})[0]
