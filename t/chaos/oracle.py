"""What must be true after a run, whatever was broken in it."""

import glob
import json
import os
import re

from mock_refine import event_digest

SECONDS_OF_DOUBT = 3
MB_OF_A_WORKER = 64


class Oracle:
    """What the clients have sent, and what has become of it."""

    def __init__(self, directory):
        self.dir = directory
        self.digests = {}       # of each event that was ever sent, by its id
        self.acknowledged = {}  # the time of the answer, by id
        self.again = set()      # ids that a client has sent more than once
        self.serves = set()
        self.odd = []
        self.received = {}      # of each event that Refine took: (from, to)
        self.duplicates = []    # (id, from, to) of all but the last receipt
        self.violations = []
        self.figures = {}

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
                        self.acknowledged.update(
                            (event, at) for event in requests[number])
                    elif kind == "R":
                        self.again.update(requests[number])
                    elif kind == "V":
                        event, digest = number.split(":")
                        self.digests[event] = digest
                        self.serves.add(event)
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
                        self.duplicates.append((event,
                                                *self.received[event]))
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

    def check_lost(self, dead, forgotten):
        lost = [event for event in self.acknowledged
                if event not in self.received and event not in dead]
        self.list("acknowledged events were lost",
                  (event for event in lost if event not in forgotten))
        self.figures.update({
            "events sent": len(self.digests) - len(self.serves),
            "events acknowledged": len(self.acknowledged),
            "acknowledged events lost":
                sum(event not in forgotten for event in lost),
            "gone with the data of an emptied Redis":
                sum(event in forgotten for event in lost),
            "dead letters": len(dead),
            "serves received": "%d of %d" % (
                sum(event in self.received for event in self.serves),
                len(self.serves))})

    def check_duplicates(self, windows):
        """windows: when a fault lasted that explains a repeat."""
        unexplained, resent = [], 0
        for event, begin, end in self.duplicates:
            if any(begin <= last + SECONDS_OF_DOUBT
                   and end >= first - SECONDS_OF_DOUBT
                   for first, last in windows):
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

    def check_counters(self, status, accepted, dead):
        total = accepted + status["accepted"]
        if total < len(self.acknowledged):
            self.violation("only %d events are counted as accepted" % total)
        if status["failed"] != status["dead"] or status["dead"] < len(dead):
            self.violation("failed %d, dead %d, found %d dead letters"
                           % (status["failed"], status["dead"], len(dead)))
        self.figures["counted as accepted"] = total

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


def law(status):
    """Whether what was accepted is all somewhere."""
    return status["accepted"] == (
        status["sent"] + status["failed"] + sum(status["dropped"].values())
        + status["queued"] + status["retrying"])
