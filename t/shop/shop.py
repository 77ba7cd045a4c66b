#!/usr/bin/python3
"""A small shop with a real search, to stand behind nginx in the demo.

usage: shop.py HOST:PORT [WHERE REFINE'S SIDE CAN BE SEEN]

GET  /                           home: two rows of recommendations
GET  /search, /category/NAME     products: q, category, colour, material, min,
                                 max, stock, sort, page, limit
GET  /product/SKU                a product and what is similar
GET  /cart, /checkout            POST changes the cart, buys what is in it
GET  /thanks/ORDER               what was bought
GET  /live                       a search that the browser draws from JSON
GET  /api/search                 the search as JSON
GET  /api/recommendations?productId=SKU[&limit=N]
"""

import collections
import json
import os
import re
import secrets
import sys
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pages
from catalog import Catalog, Query
from pictures import picture

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = {"/style.css": "text/css", "/shop.js": "text/javascript",
         "/live.js": "text/javascript", "/icon.svg": "image/svg+xml"}
POLICY = ("default-src 'self'; base-uri 'none'; form-action 'self'; "
          "frame-ancestors 'none'")
LINES_TO_KEEP = 40
ORDERS_TO_KEEP = 1000
MAX_QUANTITY = 99

CATALOG = Catalog()
ORDERS = collections.OrderedDict()


def read_cart(value):
    """The cart of a cookie: pairs of what is sold and how many."""
    found = re.findall(r"(sku_\d{3})\.(\d{1,2})", value)[:LINES_TO_KEEP]
    return [(CATALOG.by_sku[sku], int(count)) for sku, count in found
            if sku in CATALOG.by_sku and int(count)]


def write_cart(cart):
    return "-".join("%s.%d" % (product.sku, quantity)
                    for product, quantity in cart)


def change_cart(cart, form):
    """The cart after a form was sent."""
    product = CATALOG.by_sku.get(form.get("sku", ""))
    if product is None:
        return cart
    count = re.sub(r"\D", "", form.get("quantity", "1"))[:4]
    count = 0 if form.get("remove") else int(count or 0)
    lines = {one.sku: (one, quantity) for one, quantity in cart}
    if not form.get("set"):
        count += lines.get(product.sku, (product, 0))[1]
    if count:
        lines[product.sku] = (product, min(count, MAX_QUANTITY))
    else:
        lines.pop(product.sku, None)
    return list(lines.values())[-LINES_TO_KEEP:]


def place_order(cart):
    order = {
        "orderId": "order_" + secrets.token_hex(6), "currency": "USD",
        "value": round(sum(quantity * product.price
                           for product, quantity in cart), 2),
        "items": [{"itemId": product.sku, "quantity": quantity,
                   "unitPrice": product.price}
                  for product, quantity in cart]}
    ORDERS[order["orderId"]] = order
    while len(ORDERS) > ORDERS_TO_KEEP:
        ORDERS.popitem(last=False)
    return order


def as_json(hits):
    return [{"productId": hit.product.sku, "score": round(hit.score, 4),
             "metadata": {"title": hit.product.title,
                          "category": hit.product.category,
                          "price": hit.product.price,
                          "rating": hit.product.rating,
                          "stock": hit.product.stock}} for hit in hits]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 300

    def log_message(self, *args):
        pass

    def send(self, status, body, kind, headers=()):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def html(self, body, status=200, headers=()):
        self.send(status, body, "text/html; charset=utf-8",
                  [("Cache-Control", "private, no-cache"),
                   ("Content-Security-Policy", POLICY), *headers])

    def json(self, status, **body):
        self.send(status, json.dumps(dict(status=status, **body)),
                  "application/json", [("Cache-Control", "no-store")])

    def go(self, where, cart=None):
        headers = [("Location", where), ("Cache-Control", "no-store")]
        if cart is not None:
            headers.append(self.cookie("cart", write_cart(cart)))
        self.send(303, "", "text/plain", headers)

    @staticmethod
    def cookie(name, value):
        return ("Set-Cookie", "%s=%s; Path=/; HttpOnly; SameSite=Lax%s" % (
            name, value, "" if value else "; Max-Age=0"))

    def read_cookies(self):
        cookies = SimpleCookie()
        try:
            cookies.load(self.headers.get("Cookie", ""))
        except CookieError:
            pass
        values = {name: one.value for name, one in cookies.items()}
        self.cart = read_cart(values.get("cart", ""))
        self.seen = [sku for sku in re.findall(
            r"sku_\d{3}", values.get("seen", ""))[:6]
            if sku in CATALOG.by_sku]

    def do_GET(self):
        url = urlsplit(self.path)
        args = parse_qs(url.query, errors="replace")
        path = unquote(url.path)
        self.read_cookies()
        if path in FILES:
            with open(os.path.join(HERE, path[1:]), "rb") as file:
                return self.send(200, file.read(), FILES[path],
                                 [("Cache-Control", "no-cache")])
        first, _, rest = path[1:].partition("/")
        find = getattr(self, "get_" + first, None) if re.match(
            r"[a-z]*\Z", first) else None
        if find is None or find(rest, args) is False:
            return self.html(pages.missing(self.cart), 404)
        return None

    do_HEAD = do_GET

    def get_(self, rest, args):
        self.html(pages.home(CATALOG, self.seen, self.cart))

    def get_search(self, rest, args):
        if rest:
            return False
        return self.html(pages.listing(CATALOG.search(Query(args)),
                                       self.cart))

    def get_category(self, rest, args):
        if rest not in pages.CATEGORIES:
            return False
        args.pop("q", None)
        return self.html(pages.listing(
            CATALOG.search(Query(args, category=rest)), self.cart, rest))

    def get_product(self, rest, args):
        product = CATALOG.by_sku.get(rest)
        if product is None:
            return False
        seen = [rest] + [sku for sku in self.seen if sku != rest]
        return self.html(pages.product_page(product, CATALOG, self.cart),
                         headers=[self.cookie("seen", ".".join(seen[:6]))])

    def get_picture(self, rest, args):
        product = CATALOG.by_sku.get(rest[:-4])
        if product is None or not rest.endswith(".svg"):
            return False
        return self.send(200, picture(product), "image/svg+xml",
                         [("Cache-Control", "public, max-age=3600")])

    def get_cart(self, rest, args):
        return self.html(pages.cart_page(CATALOG, self.cart))

    def get_checkout(self, rest, args):
        if not self.cart:
            return self.go("/cart")
        return self.html(pages.checkout(self.cart))

    def get_thanks(self, rest, args):
        order = ORDERS.get(rest)
        if order is None:
            return False
        return self.html(pages.thanks(order, CATALOG))

    def get_live(self, rest, args):
        return self.html(pages.live(self.cart))

    def get_api(self, rest, args):
        if rest == "search":
            result = CATALOG.search(Query(args))
            return self.json(200, results=as_json(result.hits),
                             totalResults=result.total)
        if rest != "recommendations":
            return self.json(404, message="not found")
        query = Query(args)
        sku = args.get("productId", [""])[0]
        if sku not in CATALOG.by_sku:
            return self.json(404, message="no such product")
        return self.json(200, results=as_json(
            CATALOG.near([sku], min(query.limit, 12))))

    def do_POST(self):
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > 65536:
            self.close_connection = True
            return self.html(pages.missing(()), 413)
        body = self.rfile.read(int(length)).decode("utf-8", "replace")
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.read_cookies()
        if self.path == "/cart":
            return self.go("/cart", change_cart(self.cart, form))
        if self.path == "/checkout" and self.cart:
            order = place_order(self.cart)
            return self.go("/thanks/" + order["orderId"], [])
        if self.path == "/checkout":
            return self.go("/cart")
        return self.html(pages.missing(self.cart), 404)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    host, port = sys.argv[1].rsplit(":", 1)
    if len(sys.argv) > 2:
        pages.LINKS["refine"] = sys.argv[2]
    Server((host, int(port)), Handler).serve_forever()
