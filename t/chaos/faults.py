"""The faults: one row each, and the plan that a seed makes of them.

A fault is a generator: what comes before its yield begins the fault, what comes
after undoes it.  Faults of different lanes overlap, those of one lane do not;
while a fault of the lane "alone" lasts, nothing else is broken.
"""

import collections
import os
import random
import signal
import time

from servers import (CATALOG, KEY, LOCAL, PATIENCE, Clock, Redis, send_signal,
                     wait_for)

LANES = ("redis", "refine", "nginx", "disk", "clock")
GAPS = {"disk": (2, 8), "clock": (2, 8)}    # between faults, in seconds
SHARE_ALONE = 0.4           # of the time, for those of the lane "alone"
SECONDS_TO_QUIT = 15

Fault = collections.namedtuple("Fault", "name lane seconds run repeats spools "
                               "refuses")
FAULTS = []


def fault(lane, seconds, repeats=False, spools=False, refuses=False):
    """Takes a fault into the list.

    seconds: how long it lasts.  repeats: whether events that Refine took
    meanwhile may come a second time.  spools: whether events go to the spool.
    refuses: whether a 503 is right.
    """
    def add(run):
        FAULTS.append(Fault(run.__name__, lane, seconds, run, repeats, spools,
                            refuses))
        return run
    return add


def plan(seed, seconds):
    """What the seed says: a list of (time, fault, seed of its own)."""
    chance = random.Random(seed)
    deck = [one for one in FAULTS if one.lane == "alone"]
    deck = sum((chance.sample(deck, len(deck))
                for _ in range(1 + int(seconds // 240))), [])
    alone = []
    for one in deck:
        if sum(x.seconds + 3 for x in [one, *alone]) <= SHARE_ALONE * seconds:
            alone.append(one)
    free = max(seconds - 2 - sum(one.seconds + 3 for one in alone), 0)
    shares = [chance.uniform(0.5, 1) for _ in range(len(alone) + 1)]
    decks = {lane: [] for lane in LANES}
    out, now = [], 2.0
    for number, share in enumerate(shares):
        end = now + free * share / sum(shares)
        for lane in LANES:
            gap = GAPS.get(lane, (0.2, 1))
            at = now + chance.uniform(0, gap[1] - 0.2)
            while True:
                if not decks[lane]:
                    decks[lane] = [x for x in FAULTS if x.lane == lane]
                    chance.shuffle(decks[lane])
                fits = [x for x in decks[lane] if at + x.seconds < end]
                if not fits:
                    break
                decks[lane].remove(fits[0])
                out.append((at, fits[0], chance.random()))
                at += fits[0].seconds + chance.uniform(*gap)
        now = end
        if number < len(alone):
            out.append((now + 1, alone[number], chance.random()))
            now += alone[number].seconds + 3
    return sorted(out, key=lambda row: row[0])


# Redis

@fault("redis", 2, repeats=True, spools=True)
def redis_killed(world, _):
    world.redis.kill()
    yield
    world.redis.start()


@fault("redis", 3, repeats=True)
def redis_stopped(world, _):
    world.redis.signal(signal.SIGSTOP)
    yield
    world.redis.signal(signal.SIGCONT)


@fault("redis", 2, repeats=True)
def redis_emptied(world, _):
    """What is forgotten is noted, while nothing can be written."""
    world.redis.call("CLIENT", "PAUSE", 60000, "WRITE")
    world.forget()
    world.redis.kill()
    world.redis.erase()
    yield
    world.redis.start()


@fault("redis", 2, repeats=True)
def redis_readonly(world, _):
    world.redis.call("REPLICAOF", "127.0.0.1", 1)
    yield
    world.redis.call("REPLICAOF", "NO", "ONE")


@fault("redis", 3, repeats=True)
def redis_full(world, _):
    world.redis.call("CONFIG", "SET", "maxmemory", "1mb")
    yield
    world.redis.call("CONFIG", "SET", "maxmemory", 0)


@fault("redis", 4, repeats=True)
def redis_loading(world, _):
    """It answers LOADING for about the time of the fault."""
    world.redis.kill()
    size = sum(os.path.getsize(os.path.join(place, name))
               for place, _, names in os.walk(world.redis.dir)
               for name in names)
    world.redis.start("--key-load-delay", str(int(4e6 / (size / 200 + 1))),
                      wait=False)
    yield
    wait_for("redis", lambda: world.redis.call("PING") == "PONG")


@fault("redis", 4, repeats=True)
def redis_slow(world, _):
    world.relay.order("delay", 0.5)
    yield
    world.relay.order("pass")


@fault("redis", 3, repeats=True)
def redis_cut(world, _):
    world.relay.order("cut", 0.05)
    yield
    world.relay.order("pass")


@fault("redis", 3, repeats=True)
def redis_replica_promoted(world, _):
    """A failover; nginx stays at the old one, which refuses, for a while."""
    old, new = world.redis, Redis(world.dir, world.redis.port)
    new.start("--replicaof", "127.0.0.1 %d" % old.port)
    wait_for("the replica", lambda:
             new.info("replication", "master_link_status") == "up"
             and new.info("persistence", "aof_enabled") == "1"
             and new.info("persistence", "aof_rewrite_in_progress") == "0"
             and new.info("persistence", "aof_rewrite_scheduled") == "0")
    old.call("FAILOVER", "TO", "127.0.0.1", new.port)
    wait_for("the failover",
             lambda: new.info("replication", "role") == "master")
    yield
    world.redis = new
    world.relay.order("to", new.path)
    old.kill()
    old.erase()


# Refine

def told(world, chance, **rule):
    world.refine.set(**rule)
    yield
    world.refine.usual()
    if chance.random() < 0.8:
        world.resume()


@fault("refine", 1.5, repeats=True)
def refine_down(world, chance):
    world.refine.kill()
    yield
    world.refine.start()
    if chance.random() < 0.5:
        world.resume()


@fault("refine", 2.5)
def refine_hangs(world, chance):
    yield from told(world, chance, hang=True)


@fault("refine", 2.5)
def refine_drips(world, chance):
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + " " * 200
    yield from told(world, chance, raw=list(answer), pause=0.1)


@fault("refine", 2)
def refine_5xx(world, chance):
    yield from told(world, chance,
                    status=chance.choice((500, 502, 503, 504)))


@fault("refine", 1.5)
def refine_429(world, chance):
    yield from told(world, chance, status=429, headers={"Retry-After": "1"})


@fault("refine", 3)
def refine_poison(world, chance):
    yield from told(world, chance, status=400, match='"poison"')


@fault("refine", 2)
def refine_404(world, chance):
    yield from told(world, chance, status=404)
    world.resume()


@fault("refine", 1.5)
def refine_truncated(world, chance):
    answer = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"status"'
    yield from told(world, chance, raw=answer)


@fault("refine", 1.5)
def refine_garbage(world, chance):
    yield from told(world, chance, raw="".join(
        chr(chance.randrange(256)) for _ in range(3000)))


@fault("refine", 2, repeats=True)
def refine_bad_certificate(world, _):
    world.refine.kill()
    world.refine.start("bad")
    yield
    world.refine.kill()
    world.refine.start()
    world.resume()


@fault("refine", 2, repeats=True)
def refine_without_dns(world, chance):
    world.refine.resolve(chance.choice(("failure", "silence")))
    world.refine.kill()
    world.refine.start()
    yield
    world.refine.resolve(["127.0.0.1"])
    world.resume()


@fault("refine", 2)
def refine_slow(world, chance):
    yield from told(world, chance, delay=1)


# nginx

@fault("nginx", 1, repeats=True)
def worker_killed(world, chance):
    world.nginx.kill(chance.choice(wait_for("a worker", world.nginx.workers)))
    yield


@fault("nginx", 2, repeats=True)
def master_killed(world, chance):
    """Its workers go on, until somebody ends them for a new one."""
    master, workers = world.nginx.master(), world.nginx.workers()
    world.nginx.kill(master)
    yield
    for pid in workers:
        if chance.random() < 0.5:
            send_signal(pid, signal.SIGQUIT)
        else:
            world.nginx.kill(pid)
    world.nginx.gone([master, *workers], SECONDS_TO_QUIT)
    world.nginx.start()


@fault("nginx", 3)
def reloaded(world, chance):
    """Again and again; each generation has gone in time."""
    old = set()
    for _ in range(chance.randrange(1, 4)):
        old |= set(world.nginx.workers())
        send_signal(world.nginx.master(), signal.SIGHUP)
        time.sleep(0.7)
    yield
    world.nginx.gone(old - set(world.nginx.workers()), SECONDS_TO_QUIT)


@fault("nginx", 3)
def workers_changed(world, chance):
    """As many as from now on; what the old ones have spooled is adopted."""
    old = set(world.nginx.workers())
    world.nginx.configure(chance.choice((1, 2, 3, 6)))
    send_signal(world.nginx.master(), signal.SIGHUP)
    yield
    world.nginx.gone(old - set(world.nginx.workers()), SECONDS_TO_QUIT)


@fault("nginx", 2)
def upgraded(world, _):
    """A binary upgrade, old and new side by side for a while."""
    old = world.nginx.master()
    workers = world.nginx.workers()
    send_signal(old, signal.SIGUSR2)
    wait_for("the new master", lambda: world.nginx.master() != old)
    world.nginx.wait()
    yield
    send_signal(old, signal.SIGQUIT)
    world.nginx.gone([old, *workers], SECONDS_TO_QUIT)


# The disk

@fault("disk", 2, repeats=True, refuses=True)
def disk_full(world, _):
    """What a worker has sent gives room, so it is filled again and again; who
    exits then cannot write what is left of a batch that was sent in part.
    """
    end = time.monotonic() + 2
    while time.monotonic() < end:
        world.disk.fill()
        time.sleep(0.02)
    yield
    world.disk.free()
    wait_for("the disk to take events again", lambda: world.probe("local"), 20)


# The clock

def clock_jumps(world, chance):
    """As far as no timestamp is replaced, which would be another event then."""
    world.clock.jump(chance.choice((3600, -240)))
    yield
    world.clock.jump(0)


if Clock.LIBRARY:
    fault("clock", 3)(clock_jumps)


# Alone: what must cause no repeat at all, or can be measured in quiet only.

def connected(world):
    """Waits until each worker has its connection to Redis."""
    wait_for("the workers' connections", lambda: sum(
        "cmd=evalsha" in line or "cmd=xreadgroup" in line
        or "cmd=xautoclaim" in line
        for line in world.redis.call("CLIENT", "LIST").split("\n"))
        >= world.nginx.count)


@fault("alone", 10)
def refine_slow_over_claim_timeout(world, _):
    """Whoever holds a claim renews it, so nobody else takes it over."""
    connected(world)
    world.refine.set(delay=8)
    yield
    world.refine.usual()


@fault("alone", 6)
def reloaded_while_refine_hangs(world, _):
    """Old workers give back what they had claimed, before they go."""
    connected(world)
    world.refine.set(hang=True)
    time.sleep(2)
    old = set(world.nginx.workers())
    send_signal(world.nginx.master(), signal.SIGHUP)
    yield
    world.nginx.gone(old, SECONDS_TO_QUIT)
    for _, consumer, idle, _ in world.redis.call(
            "XPENDING", KEY + "events", "refine", "-", "+", 10000):
        if int(consumer.split(":")[-2]) in old and idle < 6000:
            world.violation("an old worker has kept an event, claimed %d ms "
                            "ago" % idle)
            break
    world.refine.usual()
    world.resume()


@fault("alone", 4, repeats=True, spools=True)
def spool_damaged(world, chance):
    """What it may cost is noted; as many places must be counted."""
    connected(world)
    before = world.damaged()
    world.refine.set(status=503)
    world.redis.kill()
    time.sleep(2)
    places, files = [], []
    # lest more is cut off than was seen
    with world.nginx.stopped():
        for catalog in (CATALOG, LOCAL):
            for path in world.disk.files(catalog, "*.spool"):
                files.append(path)
                places += world.disk.damage(path, chance)
    yield
    world.redis.start()
    world.refine.usual()
    wait_for("resume", world.resume)
    wait_for("the end of the damaged files",
             lambda: not any(map(os.path.exists, files)))
    # until the workers have brought their counts to Redis
    time.sleep(2.5 * PATIENCE)
    world.damages.append((places, world.damaged() - before))
    if not any(places):
        world.violation("there was nothing to damage")


def both_away(world, _):
    world.redis.kill()
    world.refine.kill()
    yield
    world.redis.start()
    world.refine.start()
    wait_for("resume", world.resume)


def away(seconds):
    """A plan without chance."""
    return [(2, Fault("both_away", "redis", seconds, both_away, True, True,
                      True), 0)]
