"""A customer who walks through the demo shop, by HTTP."""

import html
import http.client
import json
import re
import sys
import time
from urllib.parse import urlencode


def fail(text):
    print("demo: " + text, file=sys.stderr)
    sys.exit(1)


def request(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        data = response.read()
        return response.status, response.headers, data
    finally:
        connection.close()


class Customer:
    """A browser that keeps its cookies, and knows what it has sent."""

    def __init__(self, port):
        self.port = port
        self.cookies = {}
        self.sent = {}

    def fetch(self, method, path, body=None):
        headers = {"Host": "127.0.0.1:%d" % self.port,
                   "User-Agent": "demo walk"}
        if self.cookies:
            headers["Cookie"] = "; ".join(
                "%s=%s" % pair for pair in self.cookies.items())
        status, headers, data = request(self.port, method, path, body, headers)
        for line in headers.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return status, headers, data

    def page(self, path):
        """A page; nginx has logged each list in it, and the page's own."""
        status, _, data = self.fetch("GET", path)
        if status != 200:
            fail("GET %s: %d" % (path, status))
        page = data.decode()
        serves = re.findall(r' data-refine-serve-id="|'
                            r'<meta name="refine-serve-id"', page)
        print("  GET  %-44s %d, %d serves" % (path, status, len(serves)))
        if page.count("/refine/refine.js?v=") != 1:
            fail("GET %s: the script is not in the page" % path)
        for _ in serves:
            self.count("items_served")
        return page

    def form(self, path, **fields):
        """Sends a form; where it led."""
        status, headers, _ = self.fetch("POST", path, urlencode(fields))
        print("  POST %-44s %d" % (path, status))
        if status != 303:
            fail("POST %s: %d" % (path, status))
        return headers["Location"]

    def serve(self, path):
        """Search results or recommendations: the serve id and the items."""
        status, headers, data = self.fetch("GET", path)
        serve = headers.get("X-Refine-Serve-Id")
        items = json.loads(data)["results"]
        print("  GET  %-44s %d, %2d items, serve %s"
              % (path, status, len(items), serve))
        if not serve:
            fail("no X-Refine-Serve-Id in the answer to " + path)
        self.count("items_served")
        return serve, items

    def shown(self, page, surface, source):
        """A row of a page: the id that nginx gave it, and its items."""
        row = re.search(r"<ul[^>]*data-refine-serve\s+data-refine-surface="
                        r'"%s" data-refine-source="%s" '
                        r'data-refine-serve-id="([^"]*)">(.*?)</ul>'
                        % (surface, source), page, re.S)
        if not row:
            fail("no %s of %s in the page" % (surface, source))
        return row[1], re.findall(r'data-refine-item="([^"]*)"', row[2])

    def track(self, kind, **fields):
        status, _, data = self.fetch("POST", "/refine/collect",
                                     json.dumps(dict(fields, type=kind)))
        print("  POST /refine/collect  %-27s %d" % (kind, status))
        if status != 204:
            fail("collect answered %d: %s" % (status, data.decode()))
        self.count(kind)

    def count(self, kind):
        self.sent[kind] = self.sent.get(kind, 0) + 1


def buy(customer, serve, items, position):
    """From a list to the product's page, into the cart."""
    sku = items[position]
    customer.track("click", serveId=serve, itemId=sku, position=position,
                   timestamp=int(time.time() * 1000))
    page = customer.page("/product/" + sku)
    customer.form("/cart", sku=sku, quantity=2)
    customer.track("add_to_cart", serveId=serve, itemId=sku,
                   position=position)
    return page


def walk(port):
    customer = Customer(port)
    print("\nA customer walks through the shop:")
    serve, items = customer.shown(customer.page("/"), "home_page", "curated")
    for position, sku in enumerate(items[:3]):
        customer.track("view", serveId=serve, itemId=sku, position=position)

    customer.serve("/api/search?q=unobtainium")
    for query in ("wool+jacket", "steel+teapot"):
        customer.page("/search?q=" + query)
        serve, hits = customer.serve("/api/search?q=%s&limit=6" % query)
        items = [hit["productId"] for hit in hits]
        position, hit = next((place, hit) for place, hit in enumerate(hits)
                             if hit["metadata"]["stock"])
        for place, sku in enumerate(items[:3]):
            customer.track("view", serveId=serve, itemId=sku, position=place)
        page = buy(customer, serve, items, position)
        serve, items = customer.shown(page, "product_page", "similar-items")
        customer.serve("/api/recommendations?productId=%s&limit=4"
                       % hit["productId"])
    buy(customer, serve, items, 1)

    page = customer.page("/cart")
    page = customer.page(customer.form("/checkout", email="a@example.com"))
    order = re.search(r'data-refine-purchase="([^"]*)"', page)
    if not order:
        fail("the page that says thanks has no order")
    customer.track("purchase", **json.loads(html.unescape(order[1])))
    return customer.sent
