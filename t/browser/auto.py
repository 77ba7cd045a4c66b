"""What refine.js does by itself with what a page marks up."""

import json

from shop import (READY, TAG, box, briefs, first, flushed, fresh, html, item,
                  made, ordered, same, serve_id, test)


@test("a click on an item of a container that the server knows, and views")
def clicks(world, page):
    serve = serve_id()
    world.pages["/product"] = html("<p>product", head="")
    fresh(world, page, html(box([item("a"), item("b")], serve)), "/list")
    page.wait(READY)
    made(page, 2)    # views
    page.find_all("a")[1].click()
    page.wait("location.pathname === '/product'")
    same(briefs(world.events()), ordered(
        ("view", {"serveId": serve, "itemId": "a", "position": 0}),
        ("view", {"serveId": serve, "itemId": "b", "position": 1}),
        ("click", {"serveId": serve, "itemId": "b", "position": 1})))


def view(serve, sku, position):
    return "view", {"serveId": serve, "itemId": sku, "position": position}


def click(serve, sku, position):
    return "click", {"serveId": serve, "itemId": sku, "position": position}


def served(items, surface="home_page", source="curated", **others):
    return "items_served", dict(surface=surface, source=source,
                                itemIds=items, **others)


def serves(events):
    """{first item: serve id} of what was served."""
    return {event["itemIds"][0]: event["serveId"] for event in events
            if event["type"] == "items_served"}


@test("a container without an id becomes a serve; the innermost has the item")
def cacheable(world, page):
    inner = box([item("in1"), item("in1"), item("in2")], surface="cart_page",
                source="similar-items")
    fresh(world, page, html(item("nobodys") + box(
        [item("a"), "<li>" + inner + "</li>", item("b")])), "/")
    page.wait("window.refine && refine.events.getMetrics().queued >= 6")
    got = flushed(world, page)
    ids = serves(world.events())
    same(got, ordered(
        served(["a", "b"]),
        served(["in1", "in2"], "cart_page", "similar-items"),
        view(ids["a"], "a", 0), view(ids["a"], "b", 1),
        view(ids["in1"], "in1", 0), view(ids["in1"], "in2", 1)))


@test("49 % no view, 50 % for less than a second no view, for a second one")
def view_rule(world, page):
    serve = serve_id()
    # 100 px high; the window's height is asked for, and they are put to it
    world.pages["/"] = html(box(
        [item(sku, 100, "position:absolute;width:200px;left:%dpx;top:-900px;"
              % (left * 210)) for left, sku in enumerate(
                  ("under", "half", "brief", "twice", "zero"))], serve))
    fresh(world, page, world.pages["/"], "/")
    page.wait(READY)
    page.js("""
        const [under, half, brief, twice, zero]
            = document.querySelectorAll("li");
        under.style.top = "-51px";
        half.style.top = "-50px";
        zero.style.top = "-100px";
        // what IntersectionObserver tells is what counts: how long it was
        let since;
        window.told = [];
        new IntersectionObserver(([entry]) => {
            if (entry.intersectionRatio >= .5) {
                since = entry.time;
            } else if (since !== undefined) {
                told.push(entry.time - since);
                since = undefined;
            }
        }, {threshold: .5}).observe(twice);
        const turn = (times) => {
            twice.style.top = "0";
            setTimeout(() => {
                twice.style.top = "-900px";
                setTimeout(() => times > 1 ? turn(times - 1)
                                           : document.title = "turned", 200);
            }, 600);
        };
        turn(3);
    """)
    page.wait("document.title === 'turned'")
    page.wait("refine.events.getMetrics().queued >= 1")
    told = page.eval("told")
    events = flushed(world, page)
    wanted = [view(serve, "half", 1)]
    if max(told) >= 1000:       # a machine that was busy for so long
        wanted.append(view(serve, "twice", 3))
    same(events, ordered(*wanted))


# the observer, the frames and the timers of a second are the test's own; these
# come up to 1 ms early, as they may by the clock that a page can read
CLOCK = """
    let now = 5000, timers = [];
    performance.now = () => now;
    window.requestAnimationFrame = (f) => setTimeout(f, 0);
    const timeout = window.setTimeout;
    window.setTimeout = (f, ms) => ms >= 1000 && ms <= 1100
        ? timers.push([now + ms, f]) : timeout(f, ms);
    window.IntersectionObserver = class {
        constructor(tell) { window.tell = tell; }
        observe() {}
        unobserve() {}
    };
    window.see = (sku, ratio) => tell([{
        target: document.querySelector(`[data-refine-item=${sku}]`),
        time: now, isIntersecting: ratio >= .5, intersectionRatio: ratio}]);
    window.pass = async (ms) => {
        now += ms;
        for (const one of timers.filter(([at]) => at <= now + 1)) {
            timers.splice(timers.indexOf(one), 1);
            one[1]();
        }
        await new Promise((done) => timeout(done, 50));
        return refine.events.getMetrics().queued;
    };
"""


@test("a view of 0.9 s is none, of 1.0 s is one: by a clock that is the test's")
def view_time(world, page):
    serve = serve_id()
    fresh(world, page, html(box(map(item, "abcd"), serve), first(CLOCK)))
    page.wait(READY)
    same(page.js("""return (async () => {
        const seen = [];
        see("a", .5); see("b", .49);
        seen.push(await pass(900));
        see("a", .49);              // 0.9 s: none
        seen.push(await pass(200));
        see("a", .5);               // begins anew
        seen.push(await pass(999));
        seen.push(await pass(101)); // 1.0 s: one, when it is certain
        see("a", .2); see("a", 1);
        seen.push(await pass(2000));    // once
        see("d", .5);
        seen.push(await pass(1000));
        see("d", .49);              // 1.0 s: one
        seen.push(await pass(0));
        see("c", .7);               // the page is busy: no timer runs
        seen.push(await pass(0));
        return seen; })()"""), [0, 0, 0, 1, 1, 1, 2, 2])
    page.js("return pass(900)")
    # told late, after the timer, but left at 0.9 s
    page.js("see('c', .1); return pass(300)")
    same(flushed(world, page), [view(serve, "a", 0), view(serve, "d", 3)])


@test("a tab that is hidden for a while sees nothing meanwhile")
def hidden(world, page):
    serve = serve_id()
    fresh(world, page, html(box([item("a")], serve), first("""
        const hide = (state) => {
            Object.defineProperty(document, "hidden",
                                  {value: state, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        };
        const later = () => {
            if (!window.refine) {
                return setTimeout(later, 10);
            }
            setTimeout(() => {
                hide(true);
                setTimeout(() => {
                    window.meanwhile = refine.events.getMetrics().queued;
                    hide(false);
                }, 1500);
            }, 300);
        };
        addEventListener("DOMContentLoaded", later);""")))
    page.wait("'meanwhile' in window")
    same(page.eval("meanwhile"), 0)
    made(page, 1)
    same(flushed(world, page), [view(serve, "a", 0)])


@test("items that are added later are a serve of their own, with the parent's")
def added(world, page):
    serve = serve_id()
    fresh(world, page, html(box([item("a", 40), item("b", 40)], serve)), "/")
    page.wait(READY)
    made(page, 2)
    page.js("""
        for (const sku of ["c", "d", "a"]) {
            const li = document.createElement("li");
            li.dataset.refineItem = sku;
            li.textContent = sku;
            document.querySelector("ul").append(li);
        }""")
    made(page, 5)
    page.js("document.querySelector('li:nth-child(4)').click()")
    got = flushed(world, page)
    child = serves(world.events())["c"]
    same(got, ordered(
        view(serve, "a", 0), view(serve, "b", 1), view(child, "c", 0),
        view(child, "d", 1), click(child, "d", 1),
        served(["c", "d"], metadata={"parentServeId": serve, "offset": 2})))


@test("pushState: another list in the same container is another serve")
def push_state(world, page):
    fresh(world, page, html(box([item("a", 40), item("b", 40)])), "/")
    page.wait(READY)
    made(page, 3)
    page.js("""
        history.pushState({}, "", "/?q=other");
        document.querySelector("ul").innerHTML = ["b", "c"].map((sku) =>
            `<li data-refine-item="${sku}">${sku}</li>`).join("");""")
    made(page, 6)
    got = flushed(world, page)
    ids = serves(world.events())
    same(got, ordered(
        served(["a", "b"]), view(ids["a"], "a", 0), view(ids["a"], "b", 1),
        served(["b", "c"]), view(ids["b"], "b", 0), view(ids["b"], "c", 1)))
    same(sorted(event["page"] for event in world.events()
                if event["type"] == "items_served"),
         [world.origin + "/", world.origin + "/?q=other"])


@test("a page out of a cache: a new serve that replays the one in the page")
def replayed(world, page):
    old, new = serve_id(600), serve_id(30)
    fresh(world, page, html(box([item("a")], old) + box([item("b")], new)), "/")
    page.wait(READY)
    made(page, 3)
    got = flushed(world, page)
    ids = serves(world.events())
    same(got, ordered(served(["a"], metadata={"replayOf": old}),
                      view(ids["a"], "a", 0), view(new, "b", 0)))


@test("a clock that is wrong by months: a page of now is of now")
def replayed_clock(world, page):
    serve = serve_id()
    fresh(world, page, html(box([item("a")], serve), first("""
        const ahead = 60 * 86400 * 1000;
        Object.defineProperty(performance, "timeOrigin",
                              {value: performance.timeOrigin + ahead});
        localStorage["refine.t"] = -ahead;""")))
    page.wait(READY)
    made(page, 1)
    same(flushed(world, page), [view(serve, "a", 0)])


@test("add to cart belongs to the click that led to the product, for 7 days")
def carried(world, page):
    serve, other = serve_id(), serve_id()
    world.pages["/product"] = html(
        '<div data-refine-item="b"><button data-refine-add-to-cart>Add'
        '</button></div>' + box([item("x")], other))
    fresh(world, page, html(box([item("a"), item("b")], serve)), "/")
    page.wait(READY)
    page.js("refine.events.pause()")        # no views in this test's way
    page.find_all("a")[1].click()
    page.wait("location.pathname === '/product'")
    page.wait(READY)
    page.find("button").click()
    page.js("document.querySelector('li button').click()")
    got = [one for one in flushed(world, page) if one[0] != "view"]
    same(got, ordered(
        click(serve, "b", 1),
        ("add_to_cart", {"serveId": serve, "itemId": "b", "position": 1}),
        ("add_to_cart", {"serveId": other, "itemId": "x", "position": 0})))
    same(page.eval("Object.keys(localStorage).filter((key) => "
                   "key.startsWith('refine.c.'))"), ["refine.c.b"])
    page.js("refine.events.trackPurchase({orderId: '1', value: 0, "
            "currency: 'EUR', items: [{itemId: 'b', quantity: 1, "
            "unitPrice: 0}]})")
    page.find("button").click()
    got = [one for one in flushed(world, page) if one[0] == "add_to_cart"]
    same(len(got), 2)


@test("a form and the button that submits it are one add to cart")
def forms(world, page):
    serve = serve_id()
    fresh(world, page, html(
        '<ul data-refine-serve-id="%s" data-refine-serve>'
        '<li data-refine-item="a"><form data-refine-add-to-cart'
        ' onsubmit="return false">'
        '<button data-refine-add-to-cart id="one">Add</button>'
        '<button data-refine-add-to-cart type="button" id="two">2</button>'
        '</form></li><li data-refine-item="b"><form onsubmit="return false">'
        '<button data-refine-add-to-cart id="three">Add</button>'
        '</form></li></ul>' % serve), "/")
    page.wait(READY)
    for name in ("one", "two", "three"):
        page.js("document.querySelector('#%s').click()" % name)
    added = [("add_to_cart", {"serveId": serve, "itemId": name,
                              "position": position})
             for name, position in (("a", 0), ("a", 0), ("b", 1))]
    same([one for one in flushed(world, page) if one[0] != "view"], added)


@test("a purchase that a page marks up counts once an order, also reloaded")
def purchased(world, page):
    order = {"orderId": "o-17", "value": 30.5, "currency": "EUR", "items": [
        {"itemId": "a", "quantity": 1, "unitPrice": 10.5},
        {"itemId": "b", "quantity": 2, "unitPrice": 10}]}
    marked = html("<p data-refine-purchase='%s'>Thanks" % json.dumps(order))
    fresh(world, page, marked, "/")
    for _ in range(2):
        page.wait(READY)
        page.wait("localStorage['refine.o.o-17']")
        page.js("return refine.events.flush()")
        page.reload()
    same(briefs(world.events()), [("purchase", order)])


@test("refine_inject: a page that knows nothing of it, private and cacheable")
def injected(world, page):
    body = html(box([item("a"), item("b")]), head="")
    for cache in ("no-store", "public, max-age=60"):
        world.pages["/rewritten"] = body, {"Cache-Control": cache}
        fresh(world, page)
        page.open(world.origin + "/rewritten")
        page.wait(READY)
        given = page.js("return document.querySelector('ul').dataset"
                        ".refineServeId || null")
        assert (given is None) == cache.startswith("public"), given
        page.js("document.querySelectorAll('li')[1].click()")
        page.wait("(({queued, sent}) => queued + sent)"
                  "(refine.events.getMetrics()) === %d" % (3 if given else 4))
        got = flushed(world, page)
        serve = serves(world.events())["a"]
        assert given in (None, serve), serve
        same(got, ordered(served(["a", "b"]), view(serve, "a", 0),
                          view(serve, "b", 1), click(serve, "b", 1)))


@test("an answer that is broken off has no items")
def broken_off(world, page):
    aborted = """<script>
        const real = fetch;
        window.fetch = async (url, ...others) => url !== "/typed"
            ? real(url, ...others)
            : new Response(new ReadableStream({
                pull(body) { body.error(new DOMException("", "AbortError")); }
            }), {headers: {"X-Refine-Serve-Id": "%s"}});</script>
        """ % serve_id()
    auto = TAG.replace("async", "async data-refine-auto=fetch")
    fresh(world, page, html("", aborted + auto), "/")
    page.wait(READY)
    same(page.js("return fetch('/typed').then((answer) => answer.text())"
                 ".then(() => 'whole', () => 'broken off')"), "broken off")
    # one that is no JSON has none, too
    world.pages["/none"] = "none", {"X-Refine-Serve-Id": serve_id()}
    same(page.js("""
        const request = new XMLHttpRequest();
        request.open("GET", "/none");
        request.responseType = "json";
        return new Promise((done) => {
            request.onload = () => done(request.response);
            request.send();
        });"""), None)
    page.js("document.body.innerHTML = arguments[0]", box([item("a")]))
    made(page, 2)
    got = flushed(world, page)
    same(got, ordered(served(["a"]),
                      view(serves(world.events())["a"], "a", 0)))


@test("a script in the head, one in the body, a module: each event once")
def scripts(world, page):
    serve = serve_id()
    own = ('<script src="/refine/refine.js?own" async data-collect='
           '"/refine/collect"></script><script type="module">'
           'import "/refine/refine.js?module";</script>')
    world.pages["/rewritten/twice"] = html(
        box([item("a")], serve) + own + box([item("b")]), head="")
    fresh(world, page)
    page.open(world.origin + "/rewritten/twice")
    page.wait(READY)
    same(page.eval("performance.getEntriesByType('resource')"
                   ".filter(({name}) => name.includes('refine.js')).length"), 3)
    same(page.eval("document.querySelectorAll('script[data-collect]').length"),
         2)
    page.js("for (const one of document.querySelectorAll('li')) one.click()")
    page.wait("(({queued, sent}) => queued + sent)"
              "(refine.events.getMetrics()) === 4")
    got = flushed(world, page)
    own = serves(world.events())["b"]
    same(got, ordered(click(serve, "a", 0), view(serve, "a", 0),
                      served(["b"]), click(own, "b", 0), view(own, "b", 0)))
