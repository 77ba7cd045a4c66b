#!/usr/bin/python3 -B
"""Breaks everything around the module, while events arrive, and counts them.

Real clients send unique events through nginx to two catalogs, one with a real
Redis, the other without, and these to a mock of Refine.  The seed says which
fault happens when.  At the end all faults are undone; then each event that was
answered 2xx must have reached Refine, or be a dead letter.

environment: CHAOS_SECONDS (60), CHAOS_SEED (chosen and printed), CHAOS_RATE
(events a second, 600), CHAOS_EVENTS (so many have to be acknowledged, and the
run lasts as long as that should take), CHAOS_AWAY (instead of all faults Redis
and Refine are away for so many seconds), CHAOS_FAULTS (only those whose name has one of these
words in it, or none after a "-"), CHAOS_ASAN=1 (the module of "make asan"),
CHAOS_VALGRIND=1 (nginx under valgrind, and CHAOS_RATE is 200),
CHAOS_KEEP=1 (keeps the logs of a good run, too), CHAOS_SPOOL (its limit in MB,
64), CHAOS_MOUNT=0 (the disk becomes full by a limit on nginx, not by being
small)
"""

import http.client
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

import client  # noqa: E402
import faults  # noqa: E402
import oracle  # noqa: E402
import servers  # noqa: E402

DIR = os.path.join(servers.OBJS, "chaos", str(os.getpid()))
SEED = os.environ.get("CHAOS_SEED") or str(random.randrange(10**9))
RATE = int(os.environ.get("CHAOS_RATE", "200" if servers.VALGRIND else "600"))
EVENTS = int(os.environ.get("CHAOS_EVENTS", "1"))
AWAY = int(os.environ.get("CHAOS_AWAY", "0"))
# some requests are refused, or sent while nginx does not listen
SECONDS = AWAY + 10 if AWAY else max(int(os.environ.get(
    "CHAOS_SECONDS", "60")), EVENTS * 5 // (RATE * 4))
CLIENTS = 3
SECONDS_TO_PASS = 15        # a POST under way may take its delivery_timeout
DRAINED_A_SECOND = 2000     # at least: the mock takes no more
SECONDS_WITHOUT_PROGRESS = 30
ERRORS = (OSError, http.client.HTTPException, ValueError, KeyError)


class World:
    """All that runs, and what was done to it."""

    def __init__(self):
        self.dir = DIR
        self.oracle = oracle.Oracle(DIR)
        self.violation = self.oracle.violation
        self.ended = threading.Event()
        self.windows = []
        self.damages = []       # as the oracle takes them
        self.counts = {}
        self.forgotten = set()
        self.accepted = 0       # by a Redis that has forgotten it
        self.scrapes = self.stale = 0
        self.memory = 0
        self.clients = []
        self.probes = {}
        self.disk = servers.Disk(DIR)
        self.clock = servers.Clock(DIR)
        self.refine = servers.Refine(DIR)
        self.redis = servers.Redis(DIR, 0)
        self.redis.start()
        self.relay = servers.Relay(DIR, self.redis.path)
        self.refine.start()
        self.nginx = servers.Nginx(DIR, self.relay.path, self.refine,
                                   self.disk, self.clock)
        self.nginx.start()
        self.begin = time.monotonic()

    def say(self, text):
        sys.stdout.write("%6.1f  %s\n" % (time.monotonic() - self.begin, text))
        sys.stdout.flush()

    def load(self):
        for number in range(CLIENTS):
            self.clients.append(subprocess.Popen(
                [sys.executable, os.path.join(HERE, "client.py"),
                 str(self.nginx.port), str(number), SEED,
                 str(RATE / CLIENTS), "8",
                 os.path.join(DIR, "client%d.log" % number)],
                stdin=subprocess.PIPE))

    def unload(self):
        for one in self.clients:
            one.stdin.close()
        for one in self.clients:
            if one.wait(60):
                self.violation("a client has failed")

    def resume(self):
        """Once Redis is there; faults of other lanes may be in the way."""
        try:
            return self.nginx.control("resume") == 200
        except ERRORS:
            return False

    def forget(self):
        """Notes what Redis holds, for it will be gone."""
        for stream in ("events", "dead"):
            for line in self.redis.lines(stream):
                self.forgotten.add(line.split('"eventId":"')[1].split('"')[0])
        self.accepted += int(self.redis.call(
            "HGET", servers.KEY + "stats", "accepted") or 0)

    def scrape(self):
        """The law, the memory, again and again."""
        while not self.ended.wait(0.25):
            try:
                catalogs = self.nginx.status()
            except ERRORS:
                continue
            for name, status in catalogs.items():
                if status["stale"]:
                    self.stale += 1
                else:
                    self.scrapes += 1
                    if not oracle.law(status):
                        self.violation("%s breaks the law: %s" % (name,
                                                                  status))
            try:
                for pid in self.nginx.workers():
                    with open("/proc/%d/statm" % pid) as statm:
                        pages = int(statm.read().split()[1])
                    self.memory = max(self.memory, pages * 4096)
            except ERRORS:
                continue

    def run(self, row):
        _, fault, seed = row
        run = fault.run(self, random.Random(seed))
        begin = time.time()
        self.say("%s ..." % fault.name)
        try:
            next(run)
            time.sleep(max(begin + fault.seconds - time.time(), 0))
            next(run, None)
        except Exception as error:
            self.violation("%s: %s" % (fault.name, error))
            traceback.print_exc()
        self.say("... %s" % fault.name)
        self.windows.append(oracle.Window(fault, begin, time.time()))
        self.counts[fault.name] = self.counts.get(fault.name, 0) + 1

    def run_all(self, rows):
        """A thread a lane; what is alone waits for all, and all for it."""
        locks = {lane: threading.Lock() for lane in faults.LANES}

        def lane(name, mine):
            for row in mine:
                time.sleep(max(self.begin + row[0] - time.monotonic(), 0))
                wanted = faults.LANES if name == "alone" else (name,)
                for one in wanted:
                    locks[one].acquire()
                self.run(row)
                for one in wanted:
                    locks[one].release()

        threads = [threading.Thread(target=lane, args=(name, [
            row for row in rows if row[1].lane == name]))
            for name in (*faults.LANES, "alone")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(max(self.begin + SECONDS - time.monotonic(), 0))

    def quiet(self):
        """Nothing is broken any more: all must arrive, and a fresh event soon.
        """
        self.relay.order("pass")
        self.disk.free()
        self.clock.jump(0)
        self.refine.usual()
        self.refine.resolve(["127.0.0.1"])
        servers.wait_for("resume", self.resume)
        begin = time.monotonic()
        backlog = servers.wait_for("the backlog", self.backlog)
        for catalog in client.CATALOGS:
            servers.wait_for("an answer to the fresh event",
                             lambda: self.probe(catalog))
            fresh = self.probes[catalog].last
            try:
                servers.wait_for("the fresh event of %s" % catalog,
                                 lambda: fresh in self.tail(),
                                 SECONDS_TO_PASS
                                 + sum(backlog) / DRAINED_A_SECOND)
            except TimeoutError as error:
                self.violation(str(error))
        self.oracle.figures["fresh events took"] = "%.1f s" % (
            time.monotonic() - begin)
        left, progress = backlog, time.monotonic()
        while sum(left) and time.monotonic() < progress \
                + SECONDS_WITHOUT_PROGRESS:
            time.sleep(0.1)
            now = self.backlog() or left
            if sum(now) < sum(left):
                left, progress = now, time.monotonic()
        self.oracle.figures["drained at the end"] = \
            "%d + %d + %d events in %.1f s" % (*backlog,
                                               time.monotonic() - begin)
        if sum(left):
            self.violation("%d events stay in Redis, %d in the spool, %d where "
                           "there is no Redis" % left)

    def backlog(self):
        """In Redis, before it, and without it; None: it is not known."""
        try:
            catalogs = self.nginx.status()
        except ERRORS:
            return None
        shop, local = catalogs["shop"], catalogs["local"]
        if shop["stale"]:
            return None
        return (shop["queued"] + shop["retrying"], shop["spooled"]["events"],
                max(local["queued"] + local["retrying"],
                    local["spooled"]["segments"]))

    def probe(self, catalog):
        """Sends some events as the clients do; whether they were taken."""
        if catalog not in self.probes:
            log = os.open(os.path.join(DIR, "client-%s.log" % catalog),
                          os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            self.probes[catalog] = client.Client(self.nginx.port, catalog,
                                                 "probe", SEED, 1, log)
        return self.probes[catalog].send()

    def damaged(self):
        """How many places of the spool are counted as damaged."""
        return sum(status["spooled"]["damaged"] + status["spooled"]["torn"]
                   for status in self.nginx.status().values())

    def tail(self):
        with open(self.refine.log, "rb") as log:
            log.seek(max(os.path.getsize(self.refine.log) - 1000000, 0))
            return log.read().decode(errors="replace").replace(":", " ")

    def judge(self):
        judge = self.oracle
        catalogs = servers.wait_for("status", lambda: (
            lambda all: not all["shop"]["stale"] and all)(self.nginx.status()))
        judge.judge(self.refine.log, self.redis.lines("dead")
                    + self.disk.letters(servers.LOCAL), self.forgotten,
                    self.damages, self.windows, catalogs, self.accepted,
                    self.nginx.log, os.path.join(DIR, "stderr"),
                    self.nginx.killed)
        judge.figures["scrapes, stale ones"] = "%d, %d" % (self.scrapes,
                                                           self.stale)
        if len(judge.acknowledged) < EVENTS:
            self.violation("less than %d events were acknowledged" % EVENTS)
        if self.scrapes < SECONDS / 2:
            self.violation("only %d scrapes" % self.scrapes)
        judge.figures["largest worker"] = "%d MB" % (self.memory >> 20)
        if self.memory >> 20 > oracle.MB_OF_A_WORKER and servers.PATIENCE == 1:
            self.violation("a worker had %d MB" % (self.memory >> 20))

    def reported(self):
        """After the end of all processes, for leaks are looked for then."""
        processes = os.listdir(self.nginx.reports)
        self.oracle.figures["processes under valgrind"] = len(processes)
        if not processes:
            self.violation("nothing ran under valgrind")
        for report in self.nginx.reported():
            self.violation("valgrind: " + report)


def stop(grace):
    """Ends all children, adopted ones too."""
    pids = servers.children(os.getpid())
    while pids:
        for pid in pids:
            servers.send_signal(pid, signal.SIGCONT)
            servers.send_signal(pid, signal.SIGTERM if grace > 0
                                else signal.SIGKILL)
        end = time.monotonic() + grace
        while time.monotonic() < end and any(map(servers.alive, pids)):
            time.sleep(0.05)
        grace = 0
        pids = [pid for pid in servers.children(os.getpid())
                if servers.alive(pid)]


def main():
    sys.stdout.reconfigure(line_buffering=True)
    words = os.environ.get("CHAOS_FAULTS", "").split()
    wanted = [word for word in words if word[0] != "-"]
    faults.FAULTS[:] = [
        one for one in faults.FAULTS
        if not any(word[1:] in one.name for word in set(words) - set(wanted))
        and (not wanted or any(word in one.name for word in wanted))]
    rows = faults.away(AWAY) if AWAY else faults.plan(SEED, SECONDS)
    print("chaos: %d s, %d faults, CHAOS_SEED=%s" % (SECONDS, len(rows), SEED),
          flush=True)
    servers.adopt_orphans()
    os.makedirs(DIR)
    # a terminated run ends what it started
    signal.signal(signal.SIGTERM, lambda *args: sys.exit(1))
    world = None
    try:
        world = World()
        scraper = threading.Thread(target=world.scrape, daemon=True)
        scraper.start()
        world.load()
        world.run_all(rows)
        world.unload()
        world.say("quiet")
        world.quiet()
        world.ended.set()
        scraper.join()
        world.judge()
    finally:
        stop(10 * servers.PATIENCE)
    if servers.VALGRIND:
        world.reported()
    for name, value in world.oracle.figures.items():
        print("  %-42s %s" % (name, value))
    print("  faults: " + ", ".join(
        "%s %d" % row for row in sorted(world.counts.items())))
    for text in world.oracle.violations[:20]:
        print("VIOLATION: " + text)
    if world.oracle.violations:
        if world.disk.mounted:
            shutil.copytree(world.disk.path, world.disk.path + ".kept")
        print("chaos: FAILED, CHAOS_SEED=%s CHAOS_SECONDS=%d; logs: %s"
              % (SEED, SECONDS, DIR))
        return 1
    if not os.environ.get("CHAOS_KEEP"):
        world.disk.remove()
        shutil.rmtree(DIR)
    print("chaos: ok, CHAOS_SEED=%s" % SEED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
