"""The queue of refine.js: what is kept, and what is sent when."""

import json
import threading

from shop import (READY, box, first, flushed, fresh, html, item, same, serve_id,
                  test, wait_for)

METRICS = "refine.events.getMetrics()"
CLICKS = """
    const context = refine.events.trackItemsServed({surface: "s", source: "s",
        itemIds: ["a"], serveId: "s1"});
    for (let n = 0; n < arguments[0]; n++) { context.trackClick("i" + n, n); }
"""
QUIET = "return new Promise((done) => setTimeout(done, 300))"


class Collector:
    """A collect that answers as a test says: (status, headers, body)."""

    def __init__(self, world, path):
        self.answers = []
        self.usual = 204, {}, ""
        self.batches = []
        self.lock = threading.Lock()
        world.pages[path] = self
        self.tag = ('<script src="/refine/refine.js" async data-collect="%s">'
                    '</script>' % path)

    def __call__(self, request):
        with self.lock:
            self.batches.append(json.loads(request.body)["events"])
            return self.answers.pop(0) if self.answers else self.usual

    def sizes(self):
        return [len(batch) for batch in self.batches]


def collector(world, page, *answers):
    made = Collector(world, "/fake")
    made.answers = list(answers)
    fresh(world, page, html("", made.tag), "/")
    page.wait(READY)
    return made


def queued(page, **wanted):
    same(page.eval(METRICS), dict({"queued": 0, "sent": 0, "failed": 0,
                                   "retrying": 0}, **wanted), "metrics")


def flush(page):
    page.js("return refine.events.flush()")


@test("ten events are a batch; fewer wait for flushInterval")
def batches(world, page):
    fake = collector(world, page)
    page.js("new Refine({events: {flushInterval: 1500}})")
    page.js(CLICKS, 9)
    page.js(QUIET)
    same(fake.batches, [])
    page.js(CLICKS, 14)
    page.wait(METRICS + ".sent === 23")
    same(fake.sizes(), [10, 10, 3])
    page.js(CLICKS, 1)
    page.wait(METRICS + ".sent === 24")
    same(len({event["eventId"] for batch in fake.batches
              for event in batch}), 24)


@test("400 for each event: they have failed; for the request: in halves")
def refused(world, page):
    fake = collector(
        world, page,
        (400, {}, json.dumps({"accepted": 0, "rejected": [
            {"index": n, "field": "position", "error": "no"}
            for n in range(4)]})),
        (400, {}, json.dumps({"accepted": 0, "rejected": [
            {"index": None, "field": "", "error": "not JSON"}]})))
    page.js(CLICKS, 4)
    flush(page)
    queued(page, failed=4)
    page.js(CLICKS, 4)
    flush(page)
    queued(page, failed=4, sent=4)
    same(fake.sizes(), [4, 4, 2, 2])


@test("200 names what was rejected; 413 halves down to the one too large")
def partly(world, page):
    fake = collector(
        world, page,
        (200, {}, json.dumps({"accepted": 2, "rejected": [
            {"index": 1, "field": "position", "error": "no"}]})),
        (413, {}, ""), (413, {}, ""), (413, {}, ""))
    page.js(CLICKS, 3)
    flush(page)
    queued(page, sent=2, failed=1)
    page.js(CLICKS, 4)
    flush(page)
    same(fake.sizes()[:4], [3, 4, 2, 1])
    queued(page, sent=5, failed=2)


@test("403: nothing more is sent, until the next page")
def forbidden(world, page):
    fake = collector(world, page, (403, {}, ""))
    page.js(CLICKS, 2)
    flush(page)
    flush(page)
    queued(page, queued=2)
    same(fake.sizes(), [2])
    page.reload()
    page.wait("window.refine && %s.sent === 2" % METRICS)
    same(fake.sizes(), [2, 2])


@test("503 and 429: kept and tried again, after maxRetries they have failed")
def unavailable(world, page):
    fake = collector(world, page, (503, {}, ""), (429, {}, ""))
    page.js(CLICKS, 2)
    flush(page)
    queued(page, retrying=2)
    page.wait(METRICS + ".sent === 2")
    ids = [[event["eventId"] for event in batch] for batch in fake.batches]
    same(ids, [ids[0]] * 3, "the event ids")
    fake.usual = 503, {}, ""
    page.js(CLICKS, 1)
    for _ in range(4):
        before = len(fake.batches)
        flush(page)
        assert len(fake.batches) > before
    queued(page, sent=2, failed=1)
    fake.usual = 503, {"Retry-After": "3600"}, ""
    page.js(CLICKS, 10)
    page.wait(METRICS + ".retrying === 10")
    count = len(fake.batches)
    page.js("return new Promise((done) => setTimeout(done, 1500))")
    same(len(fake.batches), count)


@test("offline nothing is tried, online again all is sent")
def offline(world, page):
    fresh(world, page, html(""), "/")
    page.wait(READY)
    page.offline()
    page.js(CLICKS, 12)
    flush(page)
    queued(page, queued=12)
    page.offline(False)
    page.wait(METRICS + ".sent === 12")
    same(len(world.events()), 12)


@test("a page that is left keeps over 64 KB for the next one")
def unload(world, page):
    world.pages["/next"] = html("")
    fresh(world, page, html('<a href="/next">next</a>'), "/")
    page.wait(READY)
    page.js("""
        refine.events.pause();
        const big = "x".repeat(1000);
        const context = refine.events.trackItemsServed({surface: "s",
            source: "s", itemIds: ["a"], serveId: "s1"});
        for (let n = 0; n < 100; n++) {
            refine.events.trackItemsServed({surface: "s", source: "s",
                itemIds: ["i" + n], query: big});
        }""")
    page.eval("refine.events.resume(), 1")
    page.find("a").click()
    page.wait("location.pathname === '/next' && " + READY)
    page.wait("window.refine && %s.queued === 0" % METRICS)
    events = world.events()
    same(sorted({event["itemIds"][0] for event in events}),
         sorted("i%d" % n for n in range(100)))


@test("of two tabs each sends what is in the queue once")
def tabs(world, page):
    fake = collector(world, page)
    first = page.tab()
    page.new_tab()
    page.open(world.origin + "/")
    page.wait(READY)
    page.js(CLICKS, 5)
    second = page.tab()
    page.switch(first)
    page.js(CLICKS, 5)
    page.js("return Promise.all([refine.events.flush(), "
            "refine.events.flush()])")
    queued(page, sent=10)
    page.switch(second)
    flush(page)
    queued(page)
    page.close_tab()
    page.switch(first)
    # the tab that is behind may have sent a beacon as well, of the same ids
    same(len({event["eventId"] for batch in fake.batches
              for event in batch}), 10)


@test("localStorage blocked, full or corrupt: events arrive all the same")
def storage(world, page):
    blocked = """Object.defineProperty(window, "localStorage", {
        get() { throw new DOMException("no", "SecurityError"); }});
        LockManager.prototype.request = async () => {
            throw new DOMException("no", "SecurityError"); };"""
    full = """Storage.prototype.setItem = () => {
        throw new DOMException("full", "QuotaExceededError"); };"""
    corrupt = """localStorage["refine.e.x"] = "{";
        localStorage["refine.e.y"] = "null";
        localStorage["refine.c.z"] = "?"; localStorage["refine.t"] = "?";"""
    for script, damaged in ((blocked, 0), (full, 0), (corrupt, 2)):
        fresh(world, page, html(box([item("a")], serve_id()), first(script)))
        page.wait(READY)
        page.js("document.querySelector('li').click()")
        page.wait("(({queued, sent, failed}) => queued + sent + failed)(%s)"
                  " === %d" % (METRICS, 2 + damaged))
        same([kind for kind, _ in flushed(world, page)], ["click", "view"])
        queued(page, sent=2, failed=damaged)
        same([entry for entry in page.console()
              if entry["level"] == "SEVERE"
              and entry["source"] != "network"], [])


@test("maxQueueSize: the oldest events fail")
def too_many(world, page):
    collector(world, page)
    page.js("refine.events.pause()")
    page.js(CLICKS, 1005)
    queued(page, queued=1000, failed=5)
    same(json.loads(page.eval("Object.entries(localStorage).filter(([key]) => "
                              "key.startsWith('refine.e.')).sort()[0][1]"))
         ["itemId"], "i5")


@test("consent: pending waits, granted sends, denied discards")
def consent(world, page):
    world.pages["/"] = html("", "<script src=/refine/refine.js data-collect="
                            "/refine/collect data-require-consent></script>")
    fresh(world, page, world.pages["/"], "/")
    page.wait(READY)
    same(page.eval("refine.consent.getStatus()"), "pending")
    page.js(CLICKS, 12)
    flush(page)
    page.js(QUIET)
    same(world.events(), [])
    queued(page, queued=12)
    page.js("refine.consent.grant()")
    same(page.eval("refine.consent.getStatus()"), "granted")
    page.wait(METRICS + ".sent === 12")
    same(page.cookies()["refine_consent"], "granted")
    page.js("refine.events.pause()")
    page.js(CLICKS, 3)
    page.js("refine.consent.deny(); refine.events.resume()")
    same(page.eval("refine.consent.getStatus()"), "denied")
    page.js(CLICKS, 3)
    flush(page)
    queued(page, sent=12)
    same(page.eval("Object.keys(localStorage)"), [])
    page.js("refine.consent.reset()")
    same(page.eval("refine.consent.getStatus()"), "pending")
    same(len(world.events()), 12)


@test("Redis and Refine away: the page has its answer, all arrives later")
def away(world, page):
    fresh(world, page, html(""), "/")
    page.wait(READY)
    world.refine.set(status=503)
    page.js(CLICKS, 3)
    flush(page)
    queued(page, sent=3)
    world.redis.kill()
    page.js(CLICKS, 4)
    flush(page)
    world.redis.start()
    world.refine.reset()
    wait_for("resume", lambda: world.nginx.request(
        "POST", "/refine/control?action=resume",
        {"X-Refine-Control": "1"})[0] == 200)
    wait_for("the events", lambda: len(world.refine.events()) == 7)
    queued(page, sent=7)
