#!/usr/bin/python3
"""A client of the chaos test: unique events over keep-alive connections.

What it sends and what is answered goes to a log, in lines that begin with

  S REQUEST eventId:digest...   before it is sent for the first time; "bad" is
                                the digest of an event that is to be refused
  A REQUEST TIME OUTCOME        answered 2xx: all but the bad ones are stored
  U REQUEST TIME                answered 503
  R REQUEST                     sent once more, for the answer was no 2xx or
                                did not come
  V eventId:digest time         a search was sent that may become a serve
  X REQUEST TEXT                an answer that no fault excuses

The end of its standard input ends it.

Its threads send to one catalog and the other in turn; an event's id begins with
the catalog's name.

usage: client.py PORT NUMBER SEED EVENTS_A_SECOND THREADS LOG
"""

import http.client
import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

from mock_refine import event_digest  # noqa: E402

CATALOGS = ("shop", "local")
STOP = threading.Event()
ITEMS = ["sku-%d" % n for n in range(5)]


class Client(threading.Thread):
    def __init__(self, port, catalog, name, seed, rate, log):
        super().__init__()
        self.port = port
        self.path = "/%s/" % catalog
        self.name = name = "%s-%s" % (catalog, name)
        self.random = random.Random("%s %s" % (seed, name))
        self.rate = rate
        self.log = log
        self.count = 0
        self.connection = None
        self.last = None        # a good event of the last request

    def write(self, *words):
        os.write(self.log, (" ".join(words) + "\n").encode())

    def request(self, method, path, body=None):
        """An answer's status, body and outcome, or None where there is none."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    "127.0.0.1", self.port, timeout=10)
            self.connection.request(method, path, body)
            answer = self.connection.getresponse()
            return (answer.status, answer.read(),
                    answer.getheader("X-Outcome", "none"))
        except (OSError, http.client.HTTPException):
            if self.connection is not None:
                self.connection.close()
                self.connection = None
            return None

    def event(self):
        self.count += 1
        event = {"eventId": "%s-%d" % (self.name, self.count),
                 "timestamp": int(time.time() * 1000)}
        kind = self.random.randrange(10)
        if kind < 7:
            event.update(type="click", serveId="serve-" + event["eventId"],
                         itemId=self.random.choice(ITEMS),
                         position=self.random.randrange(20))
        else:
            # no integer, which would arrive without its ".0"
            price = self.random.randrange(100) + self.random.randrange(
                1, 100) / 100
            event.update(type="purchase", orderId="order-" + event["eventId"],
                         value=price, currency="EUR",
                         items=[{"itemId": self.random.choice(ITEMS),
                                 "quantity": 1, "unitPrice": price}])
        if self.random.random() < 0.01:
            event["metadata"] = {"note": "poison"}
        elif self.random.random() < 0.3:
            event["metadata"] = {"note": "\u00e9\u4e16\"\\" * 20}
        return event

    def send(self):
        events = [self.event() for _ in range(self.random.choice(
            (1, 1, 2, 5, 10, 20, 50)))]
        bad = len(events) > 1 and self.random.random() < 0.05
        if bad:
            del self.random.choice(events)["type"]
        number = "%s/%d" % (self.name, self.count)
        self.last = next(event["eventId"] for event in events
                         if "type" in event)
        self.write("S", number, *(
            "%s:%s" % (event["eventId"],
                       event_digest(event) if "type" in event else "bad")
            for event in events))
        body = json.dumps(events)
        for attempt in range(4):
            if attempt:
                self.write("R", number)
            answer = self.request("POST", self.path + "collect", body)
            if answer is not None and answer[0] == 503:
                self.write("U", number, "%.3f" % time.time())
            if answer is None or answer[0] == 503:
                if self.random.random() < 0.3 \
                   or STOP.wait(self.random.random() / 2):
                    return 0
                continue
            accepted = len(events)
            if bad and answer[0] == 200:
                result = json.loads(answer[1])
                accepted = result["accepted"] + len(result["rejected"])
            if answer[0] != 204 + -4 * bad or accepted != len(events):
                self.write("X", number, repr(answer))
            else:
                self.write("A", number, "%.3f" % time.time(), answer[2])
            return len(events)
        return 0

    def search(self):
        self.count += 1
        serve = "%s-%d" % (self.name, self.count)
        event = {"type": "items_served", "serveId": serve, "itemIds": ITEMS,
                 "surface": "search_results", "source": "text-search",
                 "totalResults": 5, "query": serve + " coat"}
        self.write("V", "%s:%s" % (serve, event_digest(event)),
                   "%.3f" % time.time())
        answer = self.request("GET", self.path + "search?s=%s&q=%s+coat"
                              % (serve, serve))
        # 502: the shop is a server of the same nginx, which may be gone
        if answer is not None and answer[0] not in (200, 502):
            self.write("X", serve, repr(answer))

    def run(self):
        due = time.monotonic()
        while not STOP.is_set():
            if self.random.random() < 0.1:
                self.search()
            due = max(due + self.send() / self.rate, time.monotonic() - 2)
            STOP.wait(max(due - time.monotonic(), 0))


def main(port, number, seed, rate, threads, log):
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    clients = [Client(int(port), CATALOGS[n % 2], "%s-%d" % (number, n), seed,
                      float(rate) / int(threads), out)
               for n in range(int(threads))]
    for client in clients:
        client.start()
    sys.stdin.read()
    STOP.set()
    for client in clients:
        client.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
