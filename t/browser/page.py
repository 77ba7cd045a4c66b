#!/usr/bin/python3
"""The live page of refine_status, in Chromium.

usage: page.py [WORD...], as browser.py.  Pictures of it are in
objs/browser/page: page-WIDTH-SCHEME.png.
"""

import functools
import json
import os
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import chromium  # noqa: E402
from tap import Tap, same  # noqa: E402
from world import World, servers, wait_for  # noqa: E402

TAP = Tap(sys.argv[1:])


def test(text):
    """A test with servers of its own: what others have counted is not there."""
    def register(function):
        @TAP.test(text)
        @functools.wraps(function)
        def run(page):
            world = World("page/world")
            try:
                function(world, page)
            except Exception:
                page.screenshot(function.__name__ + ".png")
                raise
            finally:
                page.open("about:blank")
                world.stop()
        return function
    return register


# what the page was given last, and what it had to do without
WATCH = """
    window.seen = { refused: [], body: null };
    document.addEventListener("securitypolicyviolation", event =>
        window.seen.refused.push(event.violatedDirective + " "
                                 + event.blockedURI));
    const json = Response.prototype.json;
    Response.prototype.json = function () {
        return json.call(this).then(body => {
            if (body.catalogs && !this.url.includes("action=")) {
                window.seen.body = body;
            }
            return body;
        });
    };
"""

# what the page shows of a catalog, under the names that the JSON has
SHOWN = """
    const card = document.querySelector("section.catalog");
    const number = text => Number(text.replace(/,/g, ""));
    const shown = {};
    card.querySelectorAll(".big, tbody [data-n]").forEach(node => {
        shown[node.dataset.n] = number(node.textContent);
    });
    shown.surfaces = [...card.querySelectorAll("[data-t=all] tbody tr")].map(
        row => [...row.querySelectorAll("bdi")].map(name => name.textContent)
            .concat([...row.querySelectorAll("b")].map(
                node => number(node.textContent))));
    return [shown, window.seen.body.catalogs.shop];
"""

LEFT_OUT = {"rejected": "rejected", "dropped": "dropped", "posts": "posts",
            "pages": "pages"}


STEPS = ("served", "viewed", "clicked", "carted", "purchased")


def expected(catalog):
    """The numbers of the JSON as the page names them."""
    wanted = {name: catalog[name] for name in (
        "accepted", "queued", "retrying", "sent", "failed", "duplicates")}
    wanted["spooled"] = catalog["spooled"]["events"]
    wanted["dropped"] = sum(catalog["dropped"].values())
    wanted["rejected"] = sum(catalog["rejected"].values())
    for name, number in catalog["events"].items():
        wanted["events." + name] = number
    groups = {name: catalog[name] for name in LEFT_OUT}
    groups["skipped"] = catalog["serves"]["skipped"]
    groups["spooled"] = {name: catalog["spooled"][name]
                         for name in ("failed", "torn", "damaged")}
    groups["serves"] = {name: number
                        for name, number in catalog["serves"].items()
                        if name not in ("logged", "skipped")}
    for group, counters in groups.items():
        for name, number in counters.items():
            if number and (group, name) not in (
                    ("posts", "2xx"), ("pages", "injected")):
                wanted["%s.%s" % (group, name)] = number
    wanted["surfaces"] = sorted(
        [row["surface"], row["source"]] + [row[step] for step in STEPS]
        for row in catalog["surfaces"])
    return wanted


def equal(page):
    """The page and what it was given are the same; returns the latter."""
    shown, given = page.js(SHOWN)
    shown["surfaces"].sort()
    for name in [name for name in shown if name.startswith("opened.")]:
        del shown[name]
    same(shown, expected(given), "what is shown")
    return given


def post(world, *events):
    request = urllib.request.Request(world.origin + "/refine/collect",
                                     json.dumps(events).encode(),
                                     {"Cookie": "refine_vid=v_" + "a" * 22})
    with urllib.request.urlopen(request, timeout=40) as answer:
        assert answer.status in (200, 204), answer.status


def click(number):
    return {"type": "click", "serveId": "s%d" % number, "itemId": "sku",
            "position": number}


def served(surface, source):
    return {"type": "items_served", "surface": surface, "source": source,
            "itemIds": ["a", "b"]}


def opened(world, page, path="/refine/status?format=html"):
    page.open(world.origin + path)
    page.wait("document.querySelector('#live').textContent === 'Live'")


def says(page, words):
    page.wait("document.querySelector('main').innerText.includes(%s)"
              % json.dumps(words))


def pills(page):
    return page.eval("[...document.querySelectorAll('.pill')]"
                     ".map(pill => pill.textContent)")


def press(page, name):
    """A button of the catalog; returns what the page says then."""
    for button in page.find_all(".control button"):
        if button.text() == name:
            button.click()
    page.wait("!/^$|under way/.test("
              "document.querySelector('.done').textContent)")
    return page.eval("document.querySelector('.done').textContent")


@test("the numbers are those of the JSON, at any instant")
def numbers(world, page):
    opened(world, page)
    for number in range(8):
        of = {"serveId": "p%d" % number, "itemId": "a", "position": 0}
        post(world, dict(served("home_page", "visitor-recs"), **of),
             dict(of, type="view"), click(number), {"type": "click"},
             dict(of, type="view"))
        post(world, dict(of, type="click"), dict(of, type="add_to_cart"),
             {"type": "purchase", "orderId": "o", "value": number,
              "currency": "EUR", "items": [{"itemId": "a", "quantity": 1,
                                            "unitPrice": number}] * 2})
        post(world, dict(click(number), eventId="again"))
        equal(page)
        time.sleep(0.3)
    world.nginx.flush()
    page.wait("seen.body.catalogs.shop.sent === 57"
              " && seen.body.catalogs.shop.duplicates === 7", 60)
    given = equal(page)
    same(given["rejected"]["missing"], 8)
    since = page.eval("document.querySelector("
                      "'[data-n=\"opened.click\"]').textContent")
    same(int(since), given["events"]["click"])
    rows = """[...document.querySelectorAll("[data-t=%s] tbody tr")].map(
              row => [...row.querySelectorAll("b, td span")].map(
                  node => node.textContent).join("|"))"""
    same(page.eval(rows % "opened"),
         ["8||16|2 a serve|8|50 %|8|100 %|16|200 %"])
    same(page.eval(rows % "all"), page.eval(rows % "opened"))
    opened(world, page)
    equal(page)
    same(page.eval(rows % "opened"), ["0||0||0||0||0|"])
    same(page.eval("document.querySelector("
                   "'[data-n=\"opened.click\"]').textContent"), "0")


@test("names with markup, right-to-left text, emoji and at full length")
def hostile(world, page):
    names = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>",
             "&lt;b&gt;&amp;", "\u05d0\u05d1\u05d2 \u202e abc",
             "\U0001f469\u200d\U0001f680" * 5, "x" * 64, "'", "__proto__",
             "constructor", " "]
    for name in names:
        post(world, served(name, name[::-1] if len(name) < 64 else name))
    world.nginx.flush()
    opened(world, page)
    page.wait("document.querySelectorAll('[data-t=all] tbody tr').length === %d"
              % len(names))
    given = equal(page)
    assert {row["surface"] for row in given["surfaces"]} >= set(names), given
    same(page.eval("document.querySelectorAll('main script, main img, main b"
                   " > *').length"), 0)
    same(page.eval("document.documentElement.scrollWidth <= innerWidth"), True)


@test("a catalog that is held says why and what to do, until it is resumed")
def held(world, page):
    opened(world, page)
    world.refine.set(status=401)
    post(world, click(100))
    says(page, "Delivery is held")
    says(page, "Refine answered 401. Check api_key")
    says(page, "Next attempt in")
    says(page, "events stay in the queue")
    assert "Refine refuses: held" in pills(page), pills(page)
    equal(page)
    world.refine.set(status=200)
    same(press(page, "Resume"), "Delivery goes on")
    page.wait("![...document.querySelectorAll('.note')].some(note =>"
              " note.textContent.includes('held'))")
    assert "Refine up" in pills(page), pills(page)


@test("an outage of Refine")
def outage(world, page):
    opened(world, page)
    world.refine.set(status=503)
    post(world, click(101))
    says(page, "Refine is away: delivery waits")
    says(page, "Refine answered 503. Refine itself has trouble.")
    world.refine.reset()
    same(press(page, "Resume"), "Delivery goes on")
    page.wait("seen.body.catalogs.shop.sent === 1"
              " && !document.querySelector('main').innerText.includes('503')")


@test("with Redis away it says so, and shows the last values as such")
def stale(world, page):
    opened(world, page)
    page.wait("!seen.body.catalogs.shop.stale")
    before = equal(page)
    world.redis.kill()
    try:
        says(page, "Redis does not answer")
        says(page, "The values are the last ones, read")
        post(world, click(102), click(103))
        page.wait("document.querySelector('[data-n=spooled]').textContent"
                  " === '2'")
        after = equal(page)
        same(after["accepted"], before["accepted"])
        assert "Last values known" in pills(page), pills(page)
        same(page.eval("getComputedStyle(document.querySelector("
                       "'[data-n=accepted]')).fontStyle"), "italic")
        same(page.eval("getComputedStyle(document.querySelector("
                       "'[data-n=spooled]')).fontStyle"), "normal")
    finally:
        world.redis.start()
    page.wait("!seen.body.catalogs.shop.stale")
    page.wait("!document.querySelector('.old')")
    assert "Redis up" in pills(page), pills(page)


@test("with nginx away it says so, and goes on when that is back")
def away(world, page):
    opened(world, page)
    world.nginx.stop()
    try:
        page.wait("document.querySelector('#live').textContent"
                  " === 'No answer'")
        page.wait("/nginx does not answer.*last ones, read at/.test("
                  "document.querySelector('#notes').textContent)")
        same(page.eval("!!document.querySelector('main.old')"), True)
    finally:
        world.nginx.start()
    page.wait("document.querySelector('#live').textContent === 'Live'")
    same(page.eval("document.querySelector('#notes').textContent"), "")


@test("pause, flush, resume and replay by the buttons")
def buttons(world, page):
    opened(world, page)
    page.wait("!document.querySelector('.control').hidden")
    same(press(page, "Pause"), "Delivery is paused")
    wait_for("pause", lambda: world.nginx.status()["paused"])
    says(page, "Somebody has sent pause")
    post(world, click(104))
    same(press(page, "Flush"), "Flush: delivery is paused (409)")
    same(press(page, "Resume"), "Delivery goes on")
    wait_for("resume", lambda: not world.nginx.status()["paused"])
    same(press(page, "Flush"), "All that was queued is sent")
    world.refine.set(status=400)
    post(world, click(105))
    says(page, "1 dead letter")
    world.refine.reset()
    same(press(page, "Replay"), "1 dead letter is back in the queue")
    world.nginx.flush()
    same(world.nginx.status()["dead"], 0)
    same(page.eval("document.activeElement.textContent"), "Replay")


@test("there are no buttons where refine_control cannot be used")
def no_buttons(world, page):
    opened(world, page, "/refine/look")
    page.wait("seen.body")
    same(page.eval("seen.body.control || null"), None)
    same(page.eval("document.querySelector('.control').hidden"), True)


@test("each control and plot has a name, and can be reached by keyboard")
def accessible(world, page):
    post(world, served("home_page", "visitor-recs"), served(" ", " "))
    opened(world, page)
    page.wait("document.querySelectorAll('[data-t=all] tbody tr').length === 2")
    page.wait("!document.querySelector('.control').hidden")
    tree = page.cdp("Accessibility.getFullAXTree")["nodes"]
    found = {}
    for node in tree:
        role = node.get("role", {}).get("value")
        name = node.get("name", {}).get("value", "")
        if not node.get("ignored"):
            found.setdefault(role, []).append(name)
    for role in ("button", "radio", "slider", "link", "image", "table",
                 "region", "group", "columnheader", "rowheader"):
        assert found.get(role), (role, sorted(map(str, found)))
        assert all(name.strip() for name in found[role]), (role, found[role])
    plots = [name for name in found["image"]
             if "Now: " in name or "alf within" in name]
    same(len(plots), 7, "plots with what they show: %s" % found["image"])
    same(page.eval("document.documentElement.lang"), "en")

    page.find("body").type("\ue004")                        # Tab
    same(page.eval("document.activeElement.textContent"),
         "Skip to the catalogs")
    reached = []
    for _ in range(20):
        page.js("return 0")
        page.eval("document.activeElement.id")
        active = page.eval("document.activeElement.textContent"
                           " || document.activeElement.value")
        reached.append(active)
        chromium.Element(page, page.get("/element/active")).type("\ue004")
    for name in ("JSON", "Metrics", "Freeze", "5", "0", "Pause", "Resume",
                 "Flush", "Replay"):
        assert name in reached, (name, reached)

    slider = page.find("input[type=range]")
    slider.type("\ue012" * 4)                               # left
    page.wait("/ ago, at /.test(document.querySelector("
              "'input[type=range]').getAttribute('aria-valuetext'))")
    page.wait("document.querySelector('.cursor')"
              " && document.querySelector('svg[role=img]')"
              ".getAttribute('aria-label').includes('At ')")
    slider.type("\ue010")                                   # End
    page.wait("document.querySelector('output').textContent === 'now'")
    page.find("#tools button").type(" ")
    page.wait("document.querySelector('#live').textContent === 'Frozen'")


# text against what is behind it: [ratio, text], lowest first; lines of plots
# against their card, where 3 is enough
CONTRAST = """
    const rgb = color => color.match(/[\\d.]+/g).map(Number);
    const light = color => {
        const [r, g, b] = rgb(color).map(n => n / 255).map(n =>
            n <= .03928 ? n / 12.92 : ((n + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const behind = node => {
        for (; node; node = node.parentElement) {
            const color = getComputedStyle(node).backgroundColor;
            if (rgb(color)[3] !== 0) {
                return color;
            }
        }
        return "rgb(255, 255, 255)";
    };
    const ratio = (a, b) => {
        const [x, y] = [light(a), light(b)].sort((m, n) => n - m);
        return (x + .05) / (y + .05);
    };
    const text = [], lines = [];
    const walk = document.createTreeWalker(document.body, 4);
    while (walk.nextNode()) {
        const node = walk.currentNode.parentElement;
        if (walk.currentNode.data.trim() && node.getClientRects().length
            && !node.closest(".hide, .skip, noscript, :disabled"))
        {
            const style = getComputedStyle(node);
            text.push([ratio(node.closest("svg") ? style.fill : style.color,
                             behind(node)), walk.currentNode.data]);
        }
    }
    document.querySelectorAll("path.l").forEach(node => lines.push(
        [ratio(getComputedStyle(node).stroke, behind(node.closest("svg"))),
         node.getAttribute("class")]));
    return [text, lines].map(list => list.sort((a, b) => a[0] - b[0]));
"""


def scheme(page, name, width=1280, height=900):
    page.cdp("Emulation.setEmulatedMedia", features=[
        {"name": "prefers-color-scheme", "value": name}])
    page.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
             deviceScaleFactor=1, mobile=width < 600)


@test("contrast in light and dark, well and in trouble; a phone; pictures")
def contrast(world, page):
    opened(world, page)
    try:
        for trouble in (False, True):
            if trouble:
                world.refine.set(status=401)
                post(world, click(200))
                says(page, "Delivery is held")
                press(page, "Pause")
                says(page, "Delivery is paused")
            for number in range(3):
                of = {"serveId": "%s%d" % (trouble, number), "itemId": "a",
                      "position": 0}
                post(world, dict(served("home_page", "visitor-recs"), **of),
                     *[dict(of, type=kind) for kind in (
                         "view", "view", "click", "add_to_cart")])
                post(world, served("search_results", "text-search"),
                     click(201 + number))
                page.eval("new Promise(done => setTimeout(done, 2000))")
            for name in ("light", "dark"):
                for width in (1280, 390):
                    scheme(page, name, width)
                    text, lines = page.js(CONTRAST)
                    assert len(text) > 80 and len(lines) > 9, (text, lines)
                    assert text[0][0] >= 4.5, (name, text[:5])
                    assert lines[0][0] >= 3, (name, lines[:5])
                    same(page.eval("document.documentElement.scrollWidth <="
                                   " innerWidth"), True, "it fits " + name)
                    if not trouble:
                        height = page.eval(
                            "document.documentElement.scrollHeight")
                        scheme(page, name, width, height)
                        page.screenshot("page-%d-%s.png" % (width, name))
    finally:
        page.cdp("Emulation.clearDeviceMetricsOverride")
        page.cdp("Emulation.setEmulatedMedia", features=[])


@test("everything is from this server, allowed by the policy, under 30 KB")
def strict(world, page):
    page.console()
    page.cdp("Network.enable")
    page.cdp("Network.setCacheDisabled", cacheDisabled=True)
    opened(world, page)
    got = page.eval("performance.getEntriesByType('resource').concat("
                    "performance.getEntriesByType('navigation'))"
                    ".map(e => [e.name, e.encodedBodySize])")
    files = [one for one in got if "format=json" not in one[0]]
    assert len(files) > 5, got
    for name, _ in got:
        assert name.startswith(world.origin + "/"), name
    assert sum(size for _, size in files) < 30 * 1024, files
    same(page.eval("seen.refused"), [])
    same([line for line in page.console()
          if line["level"] == "SEVERE" and "(Not Allowed)"
          not in line["message"]], [])


@test("without JavaScript it points to the metrics")
def plain(world, page):
    page.cdp("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(world.origin + "/refine/status?format=html")
        text = page.find("noscript").text()
        assert "needs JavaScript" in text, text
        page.find("noscript a").click()
        assert page.url().endswith("/refine/status?format=prometheus")
        assert "refine_events_accepted_total" in page.find("body").text()
    finally:
        page.cdp("Emulation.setScriptExecutionDisabled", value=False)


def main():
    if chromium.missing():
        print("1..0 # SKIP no " + chromium.missing())
        return 0
    pictures = os.path.join(servers.OBJS, "browser/page")
    os.makedirs(pictures, exist_ok=True)
    with chromium.Chromium(pictures) as page:
        page.at_start(WATCH)
        return TAP.run(page)


if __name__ == "__main__":
    sys.exit(main())
