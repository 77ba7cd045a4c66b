#!/usr/bin/python3 -B
"""The oracle has to see what it is there for: each thing that may go wrong in a
run is put into the records of a good one.
"""

import json
import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

import faults  # noqa: E402
import oracle  # noqa: E402
from mock_refine import event_digest  # noqa: E402

FAULTS = {one.name: one for one in faults.FAULTS}
BEGIN = 1700000000.0


def event(number, catalog="shop"):
    name = "%s-0-1-%d" % (catalog, number)
    return {"eventId": name, "timestamp": 1, "type": "click",
            "serveId": "serve-" + name, "itemId": "sku-1", "position": 3}


def word(one):
    return "%s:%s" % (one["eventId"], event_digest(one))


def status(**changed):
    return {"accepted": 3, "sent": 2, "failed": 1, "dropped": {"consent": 0},
            "queued": 0, "retrying": 0, "dead": 1, "deadTrimmed": 0,
            "deadReplayed": 0, **changed}


class Run:
    """Three events sent and acknowledged: two reached Refine, one is dead."""

    def __init__(self):
        self.events = [event(number) for number in range(3)]
        self.client = ["S shop-0-1/%d %s" % (n, word(one))
                       for n, one in enumerate(self.events)]
        self.client += ["A shop-0-1/%d %.3f stored" % (n, BEGIN + n)
                        for n in range(3)]
        self.refine = ["%.3f 0 200 %s" % (BEGIN + 10 + n, word(one))
                       for n, one in enumerate(self.events[:2])]
        self.dead = [json.dumps({"receivedAt": 5, **self.events[2]})]
        self.forgotten = set()
        self.damages = []
        self.windows = []
        self.status = {"shop": status()}
        self.accepted = 0
        self.log = ["[notice] 1#1: start worker process 7"]
        self.stderr = ""
        self.killed = {7}

    def window(self, name, begin, end):
        self.windows.append(oracle.Window(FAULTS[name], BEGIN + begin,
                                          BEGIN + end))

    def judge(self):
        """The violations that the oracle sees."""
        place = tempfile.mkdtemp()
        try:
            for name, lines in (("client0.log", self.client),
                                ("refine.log", self.refine),
                                ("error.log", self.log),
                                ("stderr", [self.stderr])):
                with open(os.path.join(place, name), "w") as out:
                    out.write("".join(line + "\n" for line in lines))
            judge = oracle.Oracle(place)
            judge.judge(judge.path("refine.log"), self.dead, self.forgotten,
                        self.damages, self.windows, self.status,
                        self.accepted, judge.path("error.log"),
                        judge.path("stderr"), self.killed)
            return judge.violations
        finally:
            shutil.rmtree(place)


class Test(unittest.TestCase):
    def setUp(self):
        self.run_ = Run()

    def good(self):
        self.assertEqual(self.run_.judge(), [])

    def bad(self, text):
        """One violation, the right one."""
        found = self.run_.judge()
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], text)

    def test_good(self):
        self.good()

    def test_lost(self):
        del self.run_.refine[1]
        self.bad("1 acknowledged events were lost.*shop-0-1-1")

    def test_lost_dead(self):
        del self.run_.dead[0]
        self.bad("1 acknowledged events were lost.*shop-0-1-2")

    def test_not_acknowledged(self):
        """What was answered otherwise may get lost, and may arrive."""
        del self.run_.client[4]
        self.good()
        del self.run_.refine[1]
        self.good()

    def test_refused_by_refine(self):
        """An answer other than 200 is no receipt."""
        self.run_.refine[1] = self.run_.refine[1].replace(" 200 ", " 503 ")
        self.bad("1 acknowledged events were lost")

    def test_forgotten(self):
        """A Redis that was emptied excuses what it had, and nothing else."""
        del self.run_.refine[:]
        self.run_.forgotten = {"shop-0-1-0"}
        self.bad("1 acknowledged events were lost.*shop-0-1-1")

    def test_unknown(self):
        self.run_.refine.append("%.3f 0 200 %s" % (BEGIN + 12, word(event(9))))
        self.bad("1 events reached Refine that nobody had sent")

    def test_unknown_dead(self):
        self.run_.dead.append(json.dumps(event(9)))
        self.run_.status["shop"] = status(accepted=4, failed=2, dead=2)
        self.bad("1 dead letters that nobody had sent")

    def test_changed(self):
        self.run_.events[1]["position"] += 1
        self.run_.refine[1] = "%.3f 0 200 %s" % (BEGIN + 11,
                                                 word(self.run_.events[1]))
        self.bad("1 events reached Refine otherwise than sent")

    def test_changed_dead(self):
        self.run_.dead[0] = self.run_.dead[0].replace("sku-1", "sku-2")
        self.bad("1 dead letters are otherwise than sent")

    def test_other_id(self):
        """The same event again, under another id."""
        again = {**self.run_.events[1], "eventId": "shop-0-1-1b"}
        self.run_.refine.append("%.3f 0 200 %s" % (BEGIN + 12, word(again)))
        self.bad("1 events reached Refine that nobody had sent")

    def again(self, at):
        self.run_.refine.append("%.3f 0 200 %s" % (BEGIN + at,
                                                   word(self.run_.events[1])))

    def test_again(self):
        self.again(60)
        self.bad("1 events came again without a fault")

    def test_again_excused(self):
        """By a fault that lasted when it came first, or when it was stored."""
        self.again(60)
        self.run_.window("worker_killed", 12, 13)
        self.good()
        self.run_.windows = []
        self.run_.window("worker_killed", 0, 2)
        self.good()

    def test_serve_again(self):
        """What excuses a serve may have lasted when the search was sent."""
        serve = event(9)
        self.run_.client.append("V %s %.3f" % (word(serve), BEGIN))
        self.run_.refine += ["%.3f 0 200 %s" % (BEGIN + at, word(serve))
                             for at in (20, 21)]
        self.bad("1 events came again without a fault")
        self.run_.window("worker_killed", 0, 2)
        self.good()

    def test_again_not_excused(self):
        """By a fault of another time, or one that causes no repeats."""
        self.again(60)
        self.run_.window("worker_killed", 30, 40)
        self.run_.window("reloaded", 10, 12)
        self.bad("1 events came again without a fault")

    def local_again(self, again):
        one = event(1, "local")
        self.run_.client += ["S local-0-1/8 " + word(one),
                             "A local-0-1/8 %.3f stored" % (BEGIN + 8)]
        self.run_.refine += ["%.3f 0 200 %s" % (BEGIN + at, word(one))
                             for at in (10, again)]

    def test_again_without_redis(self):
        """Redis is no excuse for a catalog that has none."""
        self.local_again(11)
        self.run_.window("redis_cut", 8, 13)
        self.bad("1 events came again without a fault")

    def test_again_out_of_order(self):
        """What the worker alone knew is gone with it; not so with Refine."""
        self.local_again(60)
        self.run_.window("refine_down", 30, 40)
        self.run_.window("worker_killed", 70, 71)
        self.bad("1 events came again without a fault")
        self.run_.window("master_killed", 30, 31)
        self.good()

    def test_again_by_the_client(self):
        self.again(60)
        self.run_.client.append("R shop-0-1/1")
        self.good()

    def test_refused(self):
        self.run_.client.append("U shop-0-1/1 %.3f" % (BEGIN + 5))
        self.bad("1 requests were refused without a fault")
        self.run_.window("redis_stopped", 4, 6)
        self.bad("1 requests were refused without a fault")
        self.run_.window("disk_full", 4, 6)
        self.good()

    def test_fault_without_effect(self):
        self.run_.window("disk_full", 4, 6)
        self.bad("no request was ever refused")
        self.run_.windows = []
        self.run_.window("redis_killed", 4, 6)
        self.bad("nothing was spooled")
        self.run_.client[3] = self.run_.client[3].replace("stored", "spooled")
        self.good()

    def test_damaged(self):
        """What was overwritten may be lost, when it is counted."""
        self.run_.refine = []
        places = [{"shop-0-1-0"}, {"shop-0-1-1"}, {"shop-0-1-2"}, set()]
        self.run_.damages = [(places, 2)]
        self.good()
        self.run_.damages = [(places, 1)]
        self.bad("2 damaged places of the spool have cost events, 1 were")
        self.run_.damages = [(places[:1], 1), (places[2:], 5)]
        self.bad("1 acknowledged events were lost.*shop-0-1-1")

    def test_odd(self):
        self.run_.client.append("X shop-0-1/1 (500, b'')")
        self.bad("1 answers that no fault excuses")

    def test_counters(self):
        self.run_.status["shop"] = status(accepted=2, sent=1)
        self.bad("only 2 events of shop are counted as accepted, not 3")
        self.run_.accepted = 1
        self.good()

    def test_letters(self):
        self.run_.status["shop"] = status(failed=2, accepted=4)
        self.bad("failed 2, dead 1, found 1")
        self.run_.status["shop"] = status(failed=0, dead=0, sent=3)
        self.bad("failed 0, dead 0, found 1")

    def test_law(self):
        self.assertTrue(oracle.law(status()))
        for name in ("accepted", "sent", "failed", "queued", "retrying"):
            for change in (1, -1):
                self.assertFalse(oracle.law(status(
                    **{name: status()[name] + change})), name)
        self.assertFalse(oracle.law(status(dropped={"consent": 1})))

    def test_log(self):
        for line in ("[alert] 1#1: ignore long locked inactive cache entry",
                     "[crit] 1#1: open() failed", "[emerg] 1#1: bind()",
                     "[notice] 1#1: worker process 8 exited on signal 9",
                     "[alert] 1#1: worker process 7 exited on signal 11"):
            self.run_.log[1:] = [line]
            self.bad("1 lines in the error log")
        self.run_.log[1:] = ["[alert] 1#1: worker process 7 exited on signal 9"]
        self.good()

    def test_sanitizer(self):
        self.run_.stderr = "ngx.c:3:4: runtime error: index 5 out of bounds"
        self.bad("a sanitizer has spoken")

    def test_nothing(self):
        """A run in which nothing was sent proves nothing."""
        self.run_.client = []
        self.run_.refine = self.run_.dead = []
        self.run_.status["shop"] = status(failed=0, dead=0, accepted=2)
        self.bad("not one event was acknowledged")


if __name__ == "__main__":
    unittest.main()
