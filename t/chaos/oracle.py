"""What must be true after a run, whatever was broken in it."""

import collections
import glob
import json
import os
import re

from mock_refine import event_digest

SECONDS_OF_DOUBT = 3
MB_OF_A_WORKER = 64

# when a fault lasted, and what it excuses
Window = collections.namedtuple("Window", "fault begin end")


class Oracle:
    """What the clients have sent, and what has become of it."""

    def __init__(self, directory):
        self.dir = directory
        self.digests = {}       # of each event that was ever sent, by its id
        self.acknowledged = {}  # the time of the answer, by id
        self.again = set()      # ids that a client has sent more than once
        self.outcomes = collections.Counter()
        self.refused = []       # (the time of a 503, catalog)
        self.serves = {}        # when each was asked for
        self.odd = []
        self.received = {}      # of each event that Refine took: (from, to)
        self.duplicates = []    # of all but the last receipt: (id, from, to,
                                # until it came again)
        self.violations = []
        self.figures = {}

    def path(self, name):
        return os.path.join(self.dir, name)

    def judge(self, refine, letters, forgotten, damages, windows, catalogs,
              accepted, log, stderr, killed):
        """Everything, at the end of a run.

        refine: the mock's log.  letters: dead letters, as lines.  forgotten:
        ids that an emptied Redis had.  damages: see check_lost().  catalogs:
        the status of each.  accepted: see check_counters().  killed: pids.
        """
        self.read_clients()
        self.list("answers that no fault excuses", self.odd)
        self.read_refine(refine)
        dead = self.read_dead(letters)
        self.check_lost(dead, forgotten, damages)
        self.check_refused(windows)
        self.check_duplicates(windows)
        for catalog, status in catalogs.items():
            self.check_counters(catalog, status, accepted, dead, damages,
                                len(killed))
        self.check_log(log, stderr, killed)
        if not self.acknowledged:
            self.violation("not one event was acknowledged")

    def violation(self, text):
        self.violations.append(text)

    def list(self, what, rows):
        rows = list(rows)
        if rows:
            self.violation("%d %s: %s" % (len(rows), what, rows[:5]))

    def read_clients(self):
        for path in glob.glob(os.path.join(self.dir, "client*.log")):
            requests = {}
            with open(path) as log:
                for line in log:
                    kind, number, *words = line.split()
                    if kind == "S":
                        events = [word.split(":") for word in words]
                        self.digests.update(events)
                        requests[number] = [event for event, digest in events
                                            if digest != "bad"]
                    elif kind == "A":
                        at = float(words[0])
                        self.outcomes[catalog_of(number), words[1]] += 1
                        self.acknowledged.update(
                            (event, at) for event in requests[number])
                    elif kind == "U":
                        self.refused.append((float(words[0]),
                                             catalog_of(number)))
                    elif kind == "R":
                        self.again.update(requests[number])
                    elif kind == "V":
                        event, digest = number.split(":")
                        self.digests[event] = digest
                        self.serves[event] = float(words[0])
                    else:
                        self.odd.append(line.strip()[:300])

    def check(self, event, digest, wrong, unknown):
        known = self.digests.get(event)
        if known is None:
            unknown.append(event)
        elif known != digest:
            wrong.append(event)

    def read_refine(self, path):
        wrong, unknown = [], []
        with open(path) as log:
            for line in log:
                at, delay, status, *events = line.split()
                begin = float(at)
                end = begin + float(delay)
                for word in events:
                    event, digest = word.rsplit(":", 1)
                    self.check(event, digest, wrong, unknown)
                    if status != "200":
                        continue
                    if event in self.received:
                        self.duplicates.append(
                            (event, *self.received[event], begin))
                    self.received[event] = (begin, end)
        self.list("events reached Refine that nobody had sent", unknown)
        self.list("events reached Refine otherwise than sent", wrong)

    def read_dead(self, lines):
        wrong, unknown, dead = [], [], set()
        for line in lines:
            event = json.loads(line)
            dead.add(event["eventId"])
            self.check(event["eventId"], event_digest(event), wrong, unknown)
        self.list("dead letters that nobody had sent", unknown)
        self.list("dead letters are otherwise than sent", wrong)
        return dead

    def check_lost(self, dead, forgotten, damages):
        """damages: rows of the places of the spool that were overwritten, each
        a set of ids, and how many the module then said were damaged.
        """
        gone = {event for event in self.acknowledged
                if event not in self.received and event not in dead}
        lost = gone - forgotten
        for places, counted in damages:
            hit = sum(not lost.isdisjoint(place) for place in places)
            if hit > counted:
                self.violation("%d damaged places of the spool have cost "
                               "events, %d were counted" % (hit, counted))
        damaged = lost.intersection(*[set().union(*(
            place for places, _ in damages for place in places))])
        lost -= damaged
        self.list("acknowledged events were lost", sorted(lost))
        self.figures.update({
            "events sent": len(self.digests) - len(self.serves),
            "events acknowledged": len(self.acknowledged),
            "of them first in the spool of a catalog with Redis":
                "%d requests" % self.outcomes["shop", "spooled"],
            "acknowledged events lost": len(lost),
            "gone with the data of an emptied Redis":
                len(gone & forgotten),
            "gone with what was overwritten in the spool": "%d of %d" % (
                len(damaged), sum(len(place) for places, _ in damages
                                  for place in places)),
            "dead letters": len(dead),
            "serves received": "%d of %d" % (
                sum(event in self.received for event in self.serves),
                len(self.serves))})

    def check_refused(self, windows):
        """Redis away is no reason for a 503, nor is Refine."""
        self.list("requests were refused without a fault that explains it",
                  ("%s at %.3f" % (catalog, at) for at, catalog in self.refused
                   if not any(window.fault.refuses and near(window, at, at)
                              for window in windows)))
        self.figures["requests refused"] = len(self.refused)
        if any(window.fault.name == "disk_full" for window in windows) \
           and not self.refused:
            self.violation("no request was ever refused, though the disk was "
                           "full")
        if any(window.fault.spools for window in windows) \
           and not self.outcomes["shop", "spooled"]:
            self.violation("nothing was spooled, though Redis was away")

    def check_duplicates(self, windows):
        """When it was stored, or came first, a fault lasted that explains it.

        Without Redis a worker knows by itself what it has delivered out of
        order, while an event before it is retried: then a fault that ends the
        worker or keeps it from writing explains it until it comes again.
        """
        unexplained, resent = [], 0
        for event, begin, end, again in self.duplicates:
            stored = self.acknowledged.get(event,
                                           self.serves.get(event, begin))
            local = catalog_of(event) == "local"
            if any(near(window, begin, end) or near(window, stored, stored)
                   or local and window.fault.lane in ("nginx", "disk")
                   and near(window, begin, again)
                   for window in windows if window.fault.repeats
                   and not (local and window.fault.lane == "redis")):
                continue
            if event in self.again:
                resent += 1
            else:
                unexplained.append("%s at %.3f" % (event, begin))
        self.list("events came again without a fault that explains it",
                  unexplained)
        self.figures["duplicates"] = len(self.duplicates)
        self.figures["of them sent again by the client itself"] = resent
        self.figures["of them unexplained"] = len(unexplained)

    def check_counters(self, catalog, status, accepted, dead, damages, killed):
        """accepted: by a Redis that has forgotten it; without Redis what is
        damaged is not accepted any more.
        """
        total = status["accepted"]
        if catalog != "local":
            total += accepted
        mine = {event for event in self.acknowledged
                if catalog_of(event) == catalog}
        dead = {event for event in dead if catalog_of(event) == catalog}
        for places, _ in damages:
            mine.difference_update(*places)
        if total < len(mine):
            self.violation("only %d events of %s are counted as accepted, not "
                           "%d" % (total, catalog, len(mine)))
        letters = status["dead"] + status["deadTrimmed"] \
            + status["deadReplayed"]
        # a worker may be killed between its letter and the count of it
        doubt = killed if catalog == "local" else 0
        if not letters - doubt <= status["failed"] <= letters \
           or status["dead"] < len(dead) - doubt:
            self.violation("%s: failed %d, dead %d, found %d dead letters"
                           % (catalog, status["failed"], status["dead"],
                              len(dead)))
        self.figures["counted as accepted by " + catalog] = total

    def check_log(self, path, stderr, killed):
        odd = []
        with open(path, errors="replace") as log:
            for line in log:
                if not re.search(r"\[(alert|emerg|crit)\]", line) \
                   and "exited on signal" not in line:
                    continue
                found = re.search(r"process (\d+) exited on signal 9\b"
                                  r"|was locked by (\d+)", line)
                if found and int(found.group(1) or found.group(2)) in killed:
                    continue
                odd.append(line.strip()[:300])
        self.list("lines in the error log that no fault explains", odd)
        with open(stderr, errors="replace") as text:
            text = text.read()
        if re.search("Sanitizer|runtime error:", text):
            self.violation("a sanitizer has spoken: " + text[:3000])


def catalog_of(event):
    return event.split("-", 1)[0]


def near(window, begin, end):
    return begin <= window.end + SECONDS_OF_DOUBT \
        and end >= window.begin - SECONDS_OF_DOUBT


def law(status):
    """Whether what was accepted is all somewhere."""
    return status["accepted"] == (
        status["sent"] + status["failed"] + sum(status["dropped"].values())
        + status["queued"] + status["retrying"])
