"""Pages that come back from the back/forward cache, and pages that are
prerendered.  Each test asserts that the page really was.
"""

import json

from auto import CLOCK, click, served, serves, view
from shop import (READY, TAG, Missing, box, first, flushed, fresh, html, item,
                  made, ordered, same, serve_id, test)

# what is no-store is not kept
KEPT = {"Cache-Control": "private, max-age=0"}
SHOWN = """<script>
    window.shown = [];
    addEventListener("pageshow", (event) => shown.push(event.persisted));
</script>"""


def listed(world, page, body, path="/list", head=SHOWN + TAG):
    """Opens a page that may be kept; "/product" is one to go to from it."""
    world.pages[path] = html(body, head), KEPT
    world.pages["/product"] = html("<p>product", head="")
    page.open(world.origin + path)
    page.wait(READY)


def away_and_back(page):
    """Follows the first link, and comes back to the very same page."""
    times = len(page.eval("shown"))
    page.js("window.same = true; document.querySelector('a').click()")
    page.wait("location.pathname === '/product'")
    page.back()
    page.wait("window.shown && (!window.same || shown.length > %d)" % times)
    if not page.keeps and not page.eval("!!window.same"):
        raise Missing("having kept the page")
    same(page.eval("shown"), [False] + [True] * times, "persisted")


@test("back/forward cache: the serves go on, each view once, clicks in them")
def kept(world, page):
    edge, below = serve_id(), serve_id()
    fresh(world, page)
    listed(world, page, box([item("a", 40), item("b", 40)])
           + box([item("c", 40)], edge) + '<p style="height:2000px">'
           + box([item("late", 40)], below))
    made(page, 4)                   # a serve; views of a, b, c
    away_and_back(page)
    page.wait("refine.events.getMetrics().queued === 0")
    made(page, 5)                   # the click that led away
    page.scroll(3000)
    page.wait("scrollY > 0")
    away_and_back(page)             # late is half seen, and not for a second
    made(page, 7)                   # a click, and a view of late
    page.js("scroll(0, 0)")
    page.js("return new Promise((done) => setTimeout(done, 1500))")
    page.js("for (const one of document.querySelectorAll('li')) one.click()")
    got = flushed(world, page)
    own = serves(world.events())["a"]
    same(got, ordered(
        served(["a", "b"]),
        view(own, "a", 0), view(own, "b", 1), view(edge, "c", 0),
        view(below, "late", 0),
        click(own, "a", 0), click(own, "a", 0), click(own, "a", 0),
        click(own, "b", 1), click(edge, "c", 0), click(below, "late", 0)))


@test("back/forward cache: a view begins anew, by a clock that is the test's")
def kept_time(world, page):
    serve = serve_id()
    fresh(world, page)
    listed(world, page, box([item("a"), item("b")], serve),
           head=SHOWN + first(CLOCK))
    page.js("see('a', 1); return pass(900)")
    away_and_back(page)
    made(page, 1)                   # the click that led away
    same(page.js("""return (async () => {
        await refine.events.flush();
        const seen = [await pass(200)];     // 1.1 s with a break in it
        see("a", 1);
        seen.push(await pass(900));
        seen.push(await pass(200));
        return seen; })()"""), [0, 0, 1])
    same(flushed(world, page), ordered(click(serve, "a", 0),
                                       view(serve, "a", 0)))


@test("back/forward cache: consent that was withdrawn meanwhile is withdrawn")
def kept_denied(world, page):
    fresh(world, page)
    listed(world, page, box([item("a"), item("b")]))
    world.pages["/product"] = html(
        "<script>document.cookie = 'refine_consent=denied;path=/'</script>",
        head="")
    made(page, 3)
    page.js("return refine.events.flush()")
    away_and_back(page)
    page.js("document.querySelector('li').click()")
    page.js("return refine.events.flush()")
    same(page.eval("Object.keys(localStorage)"), [])
    same(page.eval("refine.events.getMetrics().queued"), 0)
    # of the click that led away it depends on what the browser does first
    kinds = [event["type"] for event in world.events()]
    assert kinds.count("click") <= 1, kinds
    same(sorted(kind for kind in kinds if kind != "click"),
         ["items_served", "view", "view"])


# a page says in the storage that it was ready, and for how long, unseen
UNSEEN = """<script>
    window.unseen = document.prerendering;
    addEventListener("load", () => setTimeout(() => {
        localStorage["seen" + location.pathname] = JSON.stringify({
            unseen: document.prerendering, ready: !!window.refine,
            now: Date.now()});
    }, 1500));
</script>"""
CALLS = """<script>
    addEventListener("load", () => {
        refine.events.trackItemsServed({surface: "cart_page", source: "plp",
            itemIds: ["own"]}).trackClick("own", 0);
        refine.events.flush();
    });
</script>"""


def rules(*urls):
    """A page that has others prerendered; each has a link."""
    return html("".join('<a href="%s">%s</a> ' % (url, url) for url in urls),
                '<script type="speculationrules">%s</script>' % json.dumps(
                    {"prerender": [{"source": "list", "urls": urls,
                                    "eagerness": "immediate"}]}))


def can_prerender(page):
    if not page.eval("HTMLScriptElement.supports?.('speculationrules')"):
        raise Missing("prerendering")


@test("prerendered: nothing is counted before the page is shown, then all is")
def prerendered(world, page):
    serve = serve_id()
    fresh(world, page)
    can_prerender(page)
    head = UNSEEN + TAG + CALLS
    world.pages["/next"] = html(box([item("a", 40), item("b", 40)])
                                + box([item("c", 40)], serve), head), KEPT
    world.pages["/never"] = html(box([item("never", 40)]), head), KEPT
    world.pages["/"] = rules("/next", "/never")
    page.open(world.origin + "/")
    page.wait("localStorage['seen/next'] && localStorage['seen/never']")
    seen = [json.loads(page.eval("localStorage['seen%s']" % path))
            for path in ("/next", "/never")]
    same([(one["unseen"], one["ready"]) for one in seen], [(True, True)] * 2)
    same(page.eval("Object.keys(localStorage).filter((key) => "
                   "key.startsWith('refine.'))"), [])
    same([world.nginx.collected(path) for path in ("/next", "/never")], [0, 0])
    page.find("a").click()
    page.wait("location.pathname === '/next' && !document.prerendering")
    same(page.eval("[unseen, performance.getEntriesByType('navigation')[0]"
                   ".activationStart >= 1500]"), [True, True])
    page.wait("(({queued, sent}) => queued + sent)"
              "(refine.events.getMetrics()) === 6")
    got = flushed(world, page)
    events = world.events()
    ids = serves(events)
    same(got, ordered(
        served(["own"], "cart_page", "plp"), click(ids["own"], "own", 0),
        served(["a", "b"]), view(ids["a"], "a", 0), view(ids["a"], "b", 1),
        view(serve, "c", 0)))
    same([event for event in events if event["timestamp"] < seen[0]["now"]],
         [], "events of when it was not seen")
    page.open(world.origin + "/")               # /never is thrown away
    same(len(world.events()), 6)
    same([world.nginx.collected(path) > 0 for path in ("/next", "/never")],
         [True, False])


@test("prerendered: what the page before has left in the queue is sent then")
def prerendered_rest(world, page):
    fresh(world, page)
    can_prerender(page)
    world.pages["/left"] = html("<p>nothing", UNSEEN + TAG), KEPT
    world.pages["/"] = rules("/left")
    page.open(world.origin + "/")
    page.js("""
        const id = "%s";
        localStorage["refine.e." + id] = JSON.stringify({type: "click",
            serveId: id, itemId: "left", position: 0, eventId: id,
            timestamp: Date.now()});""" % serve_id())
    page.wait("localStorage['seen/left']")
    same(world.nginx.collected("/left"), 0)
    page.find("a").click()
    page.wait("location.pathname === '/left' && !document.prerendering")
    same(page.eval("unseen"), True)
    page.wait("refine.events.getMetrics().sent === 1")
    same([event["itemId"] for event in world.events()], ["left"])
    same(world.nginx.collected("/left"), 1)
