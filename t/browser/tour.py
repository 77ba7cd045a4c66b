#!/usr/bin/python3
"""The pictures of docs/tour.md, taken of the demo in Chromium.

usage: tour.py [WORD...]: makes one of them and looks at it, as a test
       tour.py --write [NAME...]: makes them all, or these, in docs/tour
"""

import contextlib
import glob
import io
import math
import os
import random
import signal
import sys
import threading
import time
from urllib.parse import urlencode

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))
# both have a walk.py: the demo's is meant
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "shop"), HERE]

import chromium  # noqa: E402
import demo  # noqa: E402
import picture  # noqa: E402
from tap import Tap, same  # noqa: E402
from walk import Customer  # noqa: E402
from world import ROOT, servers  # noqa: E402

FOLDER = os.path.join(ROOT, "docs/tour")
HOST = "shop.example"      # of this machine's own the pictures say nothing
WIDE, TALL = 1200, 1560
SHOP = "window.refine && document.readyState === 'complete'"
SECONDS_OF_LIFE = 70       # the plots show a minute
QUERIES = ["wool jacket", "teapot", "boots", "linen", "lantern", "oak",
           "wool", "canvas bag", "steel", "blanket"]
TAP = Tap([word for word in sys.argv[1:] if not word.startswith("--")])


class World:
    """What "make demo" starts, in a folder of its own."""

    def __init__(self):
        demo.DIR = os.path.join(servers.OBJS, "browser/tour/demo")
        demo.MODULE = servers.MODULE
        os.environ["DEMO_PORT"] = "0"
        try:
            self.port, self.mock, _ = demo.start_all()
        except BaseException:
            self.stop()
            raise
        self.shop = "http://127.0.0.1:%d" % self.port
        self.refine = "http://127.0.0.1:%d/" % self.mock

    def process(self, name):
        return next(one for one in demo.PROCESSES if one.name == name)

    def stop(self):
        for one in demo.PROCESSES:
            one.send_signal(signal.SIGCONT)
        demo.stop()
        demo.PROCESSES.clear()


class Crowd(threading.Thread):
    """Customers who come and go, more of them now and fewer then."""

    def __init__(self, port, seconds):
        super().__init__(daemon=True)
        self.port = port
        self.random = random.Random(6)
        self.end = time.monotonic() + seconds
        self.error = None

    def run(self):
        began = time.monotonic()
        try:
            while time.monotonic() < self.end:
                wave = math.sin((time.monotonic() - began) / 9)
                self.visit()
                time.sleep(.12 - .09 * wave * self.random.random())
        except BaseException as error:
            self.error = error

    def finish(self):
        self.join()
        if self.error:
            raise self.error

    def visit(self):
        """One customer: most of them look, some buy."""
        customer, chance = Customer(self.port), self.random.random
        page = customer.page("/")
        for surface, source in (("home_page", "visitor-recs"),
                                ("home_page", "curated")):
            self.look(customer, *customer.shown(page, surface, source), .04)
        if chance() < .6:
            serve, hits = customer.serve("/api/search?" + urlencode({
                "q": self.random.choice(QUERIES), "limit": 8}))
            self.look(customer, serve, [hit["productId"] for hit in hits], .3)

    def look(self, customer, serve, items, liking):
        chance = self.random.random
        for place, sku in enumerate(items[:self.random.randint(2, 6)]):
            customer.track("view", serveId=serve, itemId=sku, position=place)
            if chance() > liking:
                continue
            customer.track("click", serveId=serve, itemId=sku, position=place)
            if chance() < .3:
                customer.track("add_to_cart", serveId=serve, itemId=sku,
                               position=place)
                if chance() < .4:
                    customer.track(
                        "purchase", currency="USD", value=49.5,
                        orderId="order_%x" % self.random.getrandbits(48),
                        items=[{"itemId": sku, "quantity": 1,
                                "unitPrice": 49.5}])


def home(world, page):
    page.open(world.shop + "/")
    page.wait(SHOP)
    return picture.taken(page, "The home page of the demo shop", WIDE, TALL)


def search(world, page):
    page.open(world.shop + "/search?q=wool")
    page.wait(SHOP)
    return picture.taken(page, "Search results in the demo shop", WIDE, 800)


def traced(world, page):
    """A customer searches and buys; Refine's side knows why."""
    page.open(world.shop + "/search?q=wool+jacket")
    page.wait(SHOP)
    page.wait("refine.events.getMetrics().queued"
              " + refine.events.getMetrics().sent > 9")
    page.find(".grid .card:nth-child(3) a").click()
    page.wait("location.pathname.startsWith('/product/') && " + SHOP)
    page.find(".buy button").click()
    page.wait("location.pathname === '/cart' && " + SHOP)
    page.find(".next a").click()
    page.wait("location.pathname === '/checkout' && " + SHOP)
    page.find(".checkout button").click()
    page.wait("location.pathname.startsWith('/thanks/') && " + SHOP)
    page.js("return refine.events.flush()")
    page.open(world.refine)
    page.wait("document.querySelector('.chain .items_served"
              " ~ .click ~ .add_to_cart ~ .purchase')")
    return picture.taken(page, "What Refine received, each purchase traced "
                         "back to its search", WIDE, 800)


def status(world, page, seconds):
    """The status page, opened, and customers who come for so long."""
    page.open(world.shop + "/refine/status")
    page.wait("document.querySelector('#live').textContent === 'Live'")
    page.find(".windows label").click()                     # a minute
    page.js("document.querySelector('#host').textContent = arguments[0]", HOST)
    crowd = Crowd(world.port, seconds)
    crowd.start()
    return crowd


def well(world, page):
    status(world, page, SECONDS_OF_LIFE).finish()
    return picture.taken(page, "The live status page, all well", WIDE, 1074)


def redis_away(world, page):
    crowd = status(world, page, SECONDS_OF_LIFE)
    time.sleep(SECONDS_OF_LIFE / 2)
    world.process("redis").send_signal(signal.SIGSTOP)
    crowd.finish()
    page.wait("document.querySelector('main').innerText.includes("
              "'Redis does not answer')")
    return picture.taken(page, "The live status page while Redis does not "
                         "answer", WIDE, 948)


PICTURES = {"home": (home, "light"), "search": (search, "light"),
            "traced": (traced, "light"), "status": (well, "light"),
            "redis-away": (redis_away, "dark")}


@TAP.test("a picture of the shop: whole, alone, and what the page shows")
def picture_of_page(world, page):
    text = home(world, page)
    same(picture.wrong(text), None)
    png = page.screenshot("home.png")
    with open(png, "rb") as file:
        shown = file.read()
    page.open("about:blank")
    wide, high, other = page.js(
        picture.COMPARE, picture.uri("svg+xml", text.encode()),
        picture.uri("png", shown))
    same((wide, high), (WIDE, TALL))
    assert other < .01, "%.1f %% of the pixels differ" % (100 * other)


@TAP.test("the pictures of docs/tour.md are whole, and need nothing else")
def pictures_of_tour(world, page):
    same(sorted(os.listdir(FOLDER)), sorted(name + ".svg"
                                            for name in PICTURES))
    for name in PICTURES:
        with open(os.path.join(FOLDER, name + ".svg"), "rb") as file:
            text = file.read()
        same(picture.wrong(text.decode()), None, name)
        page.open("about:blank")
        wide, high = page.js(picture.NATURAL, picture.uri("svg+xml", text))
        same(wide, WIDE, name)
        assert 700 < high <= TALL, (name, high)


def write(page, names):
    """Each picture is taken of a demo that has just begun."""
    os.makedirs(FOLDER, exist_ok=True)
    for name in names or PICTURES:
        take, scheme = PICTURES[name]
        world = World()
        try:
            picture.screen(page, WIDE, TALL, scheme)
            with contextlib.redirect_stdout(io.StringIO()):
                text = take(world, page)
        finally:
            page.open("about:blank")
            world.stop()
        found = picture.wrong(text)
        if found:
            raise ValueError("%s: %s" % (name, found))
        path = os.path.join(FOLDER, name + ".svg")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        print("%s: %d KB" % (os.path.relpath(path, ROOT),
                             len(text.encode()) / 1024))
    return 0


def test(page):
    world = World()
    try:
        picture.screen(page, WIDE, TALL)
        return TAP.run(world, page)
    finally:
        world.stop()


def main():
    if chromium.missing():
        print("1..0 # SKIP no " + chromium.missing())
        return 0
    with chromium.Chromium(os.path.join(servers.OBJS, "browser/tour")) as page:
        return write(page, TAP.chosen) if "--write" in sys.argv else test(page)


if __name__ == "__main__":
    sys.exit(main())
