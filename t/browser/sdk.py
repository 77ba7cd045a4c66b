"""The calls of Refine's SDK, and pages that were written for it."""

import json

from shop import READY, briefs, flushed, fresh, html, made, ordered, same, test

FILTER = [{"field": "color", "operator": "eq", "value": "red"}]
ORDER = {"orderId": "o1", "value": 20.5, "currency": "EUR",
         "items": [{"itemId": "a", "quantity": 2, "unitPrice": 10.25}]}


@test("each call of the SDK, with its arguments' order and defaults")
def calls(world, page):
    fresh(world, page, html("", '<script>window.warned = ""; console.warn = '
                            '(...words) => { warned += words.join(" "); }'
                            '</script><script type="module">'
                            'import "/refine/refine.js"; window.ready = 1'
                            '</script>'), "/")
    page.wait("window.ready")
    ids = page.js("""
        window.sdk = new Refine({apiKey: "secret", organizationId: "org",
                                 catalogId: "cat", events: {batchSize: 10}});
        sdk.identify("u1");
        const {events} = sdk;
        const search = events.trackSearch("red shoes", [{productId: "a"},
            {productId: "b"}], {surface: "search_results", totalResults: 17,
            filters: arguments[0], sortBy: [{field: "price",
                                             order: "ascending"}]});
        search.trackClick("b", 1);
        search.trackView("a", 0);
        search.trackAddToCart("b");
        const recs = events.trackRecommendations("rec-1", [{productId: "c"}],
            "cart_page", "user-recs", {anchorId: "a"});
        recs.trackClick("c", 0);
        const bare = events.trackRecommendations(null, ["d"]);
        const items = events.trackItemsServed({surface: "home_page",
            source: "curated", itemIds: ["e", "f"], totalResults: 2});
        items.trackView("f");
        const given = events.trackSearch("x", [], {serveId: "edge"});
        given.trackClick("g", 3);
        events.trackPurchase(arguments[1]);
        return [search, recs, bare, items, given].map((one) => one.serveId)
        """, FILTER, ORDER)
    same([ids[1], ids[4]], ["rec-1", "edge"])
    page.js("return sdk.events.flush()")
    same(page.eval("sdk.events.getMetrics()"),
         {"queued": 0, "sent": 11, "failed": 0, "retrying": 0})
    events = world.events()
    same(briefs(events), ordered(
        ("items_served", {
            "surface": "search_results", "source": "text-search",
            "itemIds": ["a", "b"], "query": "red shoes", "totalResults": 17,
            "filters": FILTER,
            "sortBy": [{"field": "price", "order": "ascending"}]}),
        ("click", {"serveId": ids[0], "itemId": "b", "position": 1}),
        ("view", {"serveId": ids[0], "itemId": "a", "position": 0}),
        ("add_to_cart", {"serveId": ids[0], "itemId": "b"}),
        ("items_served", {
            "surface": "cart_page", "source": "user-recs", "itemIds": ["c"],
            "metadata": {"anchorId": "a"}}),
        ("click", {"serveId": "rec-1", "itemId": "c", "position": 0}),
        ("items_served", {"surface": "product_page",
                          "source": "similar-items", "itemIds": ["d"]}),
        ("items_served", {"surface": "home_page", "source": "curated",
                          "itemIds": ["e", "f"], "totalResults": 2}),
        ("view", {"serveId": ids[3], "itemId": "f", "position": 1}),
        ("click", {"serveId": "edge", "itemId": "g", "position": 3}),
        ("purchase", ORDER)))
    same({event["userId"] for event in events}, {"u1"})
    assert page.eval("warned").count("apiKey") == 1, "no warning of the key"
    assert "secret" not in json.dumps(events)


@test("whatever a page hands over, nothing is thrown at it")
def hostile(world, page):
    fresh(world, page, html(""), "/")
    page.wait(READY)
    same(page.js("""
        const odd = [undefined, null, 0, "", "x", {}, [], () => 1, Symbol(),
                     10n, NaN, document, window];
        const loop = {}; loop.loop = loop;
        odd.push(loop);
        const {events} = refine;
        for (const one of odd) {
            const contexts = [events.trackSearch(one, one, one),
                events.trackRecommendations(one, one, one, one, one),
                events.trackItemsServed(one)];
            events.trackPurchase(one);
            refine.identify(one);
            for (const context of contexts) {
                context.trackClick(one, one);
                context.trackView(one, one);
                context.trackAddToCart(one);
                if (!context.serveId) { return "no serve id"; }
            }
        }
        refine.identify();
        return "survived";"""), "survived")
    page.js("return refine.events.flush()")
    same(page.eval("Object.keys(window).filter((name) => /refine/i.test(name))"
                   ".sort()"), ["Refine", "refine"])


@test("a page with an address that is too long, with another one in it")
def address(world, page):
    fresh(world, page, html(""), "/")
    page.wait(READY)
    for length, left_out in ((1900, False), (3000, True)):
        at = "/?a=%s&to=https://other.example/" % ("a" * length)
        page.js("history.pushState(null, '', arguments[0])", at)
        page.js("""
            const serve = refine.events.trackItemsServed({surface: "home_page",
                source: "curated", itemIds: ["a"]});
            serve.trackClick("a");
            return refine.events.flush()""")
        events = world.events()[-2:]
        same([event["type"] for event in events], ["items_served", "click"])
        same([event.get("page") for event in events],
             [None if left_out else world.origin + at] * 2)
    same(page.eval("refine.events.getMetrics()"),
         {"queued": 0, "sent": 4, "failed": 0, "retrying": 0})


LISTING = """
import "/refine/refine.js";

const refine = new Refine({ organizationId: "org", catalogId: "cat" });
let context;

const half = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
        clearTimeout(target.timer);
        if (isIntersecting) {
            target.timer = setTimeout(() => {
                context.trackView(target.dataset.sku, +target.dataset.place);
                half.unobserve(target);
            }, 1000);
        }
    }
}, { threshold: 0.5 });

document.forms[0].onsubmit = async (event) => {
    event.preventDefault();
    const query = event.target.q.value;
    const answer = await fetch("/api/search?q=" + encodeURIComponent(query));
    const found = await answer.json();
    context = refine.events.trackSearch(query, found.results, {
        surface: "search_results",
        totalResults: found.totalResults,
        serveId: answer.headers.get("X-Refine-Serve-Id")
    });
    const list = document.querySelector("ol");
    list.replaceChildren(...found.results.map(({ productId }, place) => {
        const row = document.createElement("li");
        row.dataset.sku = productId;
        row.dataset.place = place;
        row.innerHTML = `${productId} <button>Add</button>`;
        row.onclick = ({ target }) => target.tagName === "BUTTON"
            ? context.trackAddToCart(productId)
            : context.trackClick(productId, place);
        half.observe(row);
        return row;
    }));
};
"""


@test("a search page written for the SDK, with CSP script-src 'self'")
def search_page(world, page):
    world.pages["/listing.js"] = LISTING, {"Content-Type": "text/javascript"}
    world.pages["/api/search"] = json.dumps(
        {"status": "ok", "totalResults": 2, "results": [
            {"productId": "p1"}, {"productId": "p2"}]}), {
                "Content-Type": "application/json", "Cache-Control": "no-store"}
    body = ('<form><input name="q"><button>Search</button></form><ol></ol>')
    fresh(world, page, (html(body, '<script type="module" src="/listing.js">'
                             '</script>'),
                        {"Content-Security-Policy": "script-src 'self'"}), "/")
    page.wait(READY)
    page.find("input").type("wool")
    page.find("form button").click()
    page.wait("document.querySelectorAll('li').length === 2")
    page.find("li:nth-child(2)").click()
    page.find("li:nth-child(1) button").click()
    made(page, 4)
    page.screenshot("search.png")
    got = flushed(world, page)
    serve, = [event["serveId"] for event in world.events()
              if event["type"] == "items_served"]
    same(got, ordered(
        ("items_served", {"surface": "search_results",
                          "source": "text-search", "itemIds": ["p1", "p2"],
                          "query": "wool", "totalResults": 2}),
        ("view", {"serveId": serve, "itemId": "p1", "position": 0}),
        ("view", {"serveId": serve, "itemId": "p2", "position": 1}),
        ("click", {"serveId": serve, "itemId": "p2", "position": 1}),
        ("add_to_cart", {"serveId": serve, "itemId": "p1"})))
    same([entry for entry in page.console()
          if "Content Security Policy" in entry["message"]], [])


@test("data-refine-auto=fetch: a list drawn from an answer is that serve")
def from_fetch(world, page):
    world.pages["/api/search"] = lambda request: (
        200, {"Content-Type": "application/json"}, json.dumps(
            {"status": "ok", "totalResults": 2, "results": [
                {"productId": "p1"}, {"productId": "p2"}]}))
    fresh(world, page, html(
        "<ul data-refine-serve></ul>", '<script src="/refine/refine.js" '
        'data-collect="/refine/collect" data-refine-auto="fetch"></script>'),
        "/")
    for way in ("fetch('/api/search?q=x').then((answer) => answer.json())",
                """new Promise((done) => {
                    const x = new XMLHttpRequest();
                    x.open("GET", "/api/search?q=x");
                    x.responseType = "json";
                    x.onload = () => done(x.response);
                    x.send(); })"""):
        page.js("""
            return %s.then(({results}) => {
                document.querySelector("ul").outerHTML
                    = "<ul data-refine-serve>" + results.map(({productId}) =>
                        `<li data-refine-item=${productId}>x</li>`).join("")
                    + "</ul>"; })""" % way)
        page.wait("refine.events.getMetrics().queued === 2")
        page.js("document.querySelector('li').click()")
        got = flushed(world, page)
        serves = [event["serveId"] for event in world.events()
                  if event["type"] == "items_served"]
        same(len(got), 4 * len(serves), "the events")
        same(sorted(fields.get("serveId") for kind, fields in got
                    if kind != "items_served"), sorted(serves * 3))
