#!/usr/bin/python3
"""Tests of the demo shop: python3 t/shop/test_shop.py ("make shop")."""

import http.client
import json
import os
import re
import sys
import threading
import unittest
import xml.dom.minidom
from html.parser import HTMLParser
from urllib.parse import quote, urlencode

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]

import goods  # noqa: E402
import mock_page  # noqa: E402
import pictures  # noqa: E402
import shop  # noqa: E402
from catalog import SORTS, Query, stem, words  # noqa: E402

CATALOG = shop.CATALOG
HOSTILE = (
    "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>",
    "</title></h1>", "&lt;b&gt;&amp;", "%3Cb%3E", "{{7*7}} ${7*7}",
    "\u202e\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\U0001f9e5\U0001f468\u200d\U0001f469\u200d\U0001f467 jacket",
    "x" * 1024, "w\u00f6\u00f6l " * 200, "' OR 1=1 --", "\x00\x07\x1b[31m",
)


class Tags(HTMLParser):
    """The tags and texts of a page; whatever is open at the end is wrong."""

    VOID = {"meta", "link", "input", "img", "path", "circle", "br"}

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
        self.open.pop()

    def handle_data(self, data):
        self.texts.append(data)

    def having(self, attribute):
        return [attrs for _, attrs in self.tags if attribute in attrs]


def search(**args):
    return CATALOG.search(Query({name: value if isinstance(value, list)
                                 else [str(value)]
                                 for name, value in args.items()}))


def skus(result):
    return [hit.product.sku for hit in result.hits]


class Goods(unittest.TestCase):
    def test_many_and_varied(self):
        products = list(goods.products())
        self.assertGreaterEqual(len(products), 300)
        self.assertEqual(len({one.sku for one in products}), len(products))
        self.assertEqual(len({one.title for one in products}), len(products))
        self.assertEqual({one.category for one in products},
                         set(goods.CATEGORIES))
        self.assertGreater(len({one.price for one in products}), 150)
        self.assertGreater(len({one.description for one in products}), 250)

    def test_the_same_each_time(self):
        self.assertEqual([one.__dict__ for one in goods.products()],
                         [one.__dict__ for one in goods.products()])
        self.assertEqual(CATALOG.by_sku["sku_001"].title, "Bothy Down Jacket")

    def test_pictures_are_svg_and_differ(self):
        drawn = [pictures.picture(one) for one in goods.products()]
        for text in drawn:
            xml.dom.minidom.parseString(text)
            self.assertNotIn("$", text)
        self.assertGreater(len(set(drawn)), 330)


class Search(unittest.TestCase):
    def test_all_words_are_found(self):
        result = search(q="wool jacket")
        self.assertGreater(result.total, 2)
        self.assertIn("Wool Jacket", result.hits[0].product.title)
        for hit in result.hits:
            self.assertIn("wool", " ".join(
                text for _, text in hit.product.text()).lower())

    def test_forms_of_a_word(self):
        boots = search(q="boots").total
        self.assertEqual(boots, 11)
        self.assertEqual(search(q="boot").total, boots)
        self.assertEqual(search(q="B\u00d4OTS").total, boots)
        self.assertEqual(stem("knitted"), stem("knit"))
        self.assertEqual(stem("berries"), stem("berry"))
        self.assertEqual(words("The chef\u2019s knife"),
                         ["the", "chef", "knife"])

    def test_the_last_word_may_be_half_typed(self):
        self.assertEqual(set(skus(search(q="teap", limit=50))),
                         set(skus(search(q="teapot", limit=50))))
        self.assertEqual(search(q="teap steel").some, True)

    def test_rare_words_and_titles_weigh_more(self):
        for hit in search(q="steel kettle", limit=3).hits:
            self.assertIn("Steel Kettle", hit.product.title)
        scores = [hit.score for hit in search(q="oiled oak", limit=50).hits]
        self.assertEqual(scores, sorted(scores, reverse=True))

    def test_some_words_and_a_suggestion(self):
        result = search(q="wool jaket")
        self.assertTrue(result.some)
        self.assertEqual(result.suggestion, "wool jacket")
        nothing = search(q="unobtainium")
        self.assertEqual((nothing.total, nothing.hits), (0, []))

    def test_no_words(self):
        self.assertEqual(search(q="").total, len(CATALOG.products))
        self.assertEqual(search(q=" \U0001f9e5 ").total, 0)

    def test_filters(self):
        result = search(q="steel", category="kitchen", max=80, stock=1,
                        limit=100)
        self.assertGreater(result.total, 0)
        for hit in result.hits:
            self.assertEqual(hit.product.category, "kitchen")
            self.assertLessEqual(hit.product.price, 80)
            self.assertGreater(hit.product.stock, 0)
        both = search(colour=["moss", "rust"], limit=100)
        self.assertEqual(both.total, search(colour="moss").total
                         + search(colour="rust").total)
        self.assertEqual(search(min="100", max="50").total, 0)

    def test_facets_count_what_a_click_would_show(self):
        result = search(q="wool", category="home")
        self.assertGreater(len(result.facets["category"]), 1)
        for category, count in result.facets["category"].items():
            self.assertEqual(search(q="wool", category=category).total, count)

    def test_sorting(self):
        for sort, (_, key) in SORTS.items():
            hits = search(q="wool", sort=sort, limit=100).hits
            self.assertEqual([key(hit) for hit in hits],
                             sorted(key(hit) for hit in hits), sort)
        prices = [hit.product.price for hit in
                  search(sort="price-desc", limit=100).hits]
        self.assertEqual(prices, sorted(prices, reverse=True))

    def test_pages_are_a_partition(self):
        first = search(q="steel", limit=7)
        found = []
        for number in range(1, first.pages + 1):
            result = search(q="steel", limit=7, page=number)
            self.assertEqual(result.offset, len(found))
            found += skus(result)
        self.assertEqual(len(found), first.total)
        self.assertEqual(len(set(found)), first.total)
        self.assertEqual(skus(search(q="steel", limit=7, page=999)),
                         skus(search(q="steel", limit=7, page=first.pages)))

    def test_nonsense_in_the_arguments(self):
        result = search(q="steel", page="-1x", limit="1e9", sort="<b>",
                        min="..", max="", stock="no", category="")
        self.assertEqual(result.page, 1)
        self.assertEqual(result.total, search(q="steel").total)

    def test_similar_items(self):
        for product in CATALOG.products[::40]:
            near = CATALOG.near([product.sku], 6)
            self.assertEqual(len(near), 6)
            self.assertNotIn(product.sku, [hit.product.sku for hit in near])
            self.assertEqual(near[0].product.category, product.category)
            scores = [hit.score for hit in near]
            self.assertEqual(scores, sorted(scores, reverse=True))
        kinds = {hit.product.kind for hit in
                 CATALOG.near(["sku_001"], 12, other_kinds=True)}
        self.assertNotIn("jacket", kinds)
        self.assertGreater(len(kinds), 1)


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = shop.Server(("127.0.0.1", 0), shop.Handler)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def setUp(self):
        self.cookies = {}

    def fetch(self, path, form=None, status=200):
        connection = http.client.HTTPConnection(
            *self.server.server_address, timeout=10)
        connection.request(
            "GET" if form is None else "POST", path,
            None if form is None else urlencode(form),
            {"Cookie": "; ".join("%s=%s" % pair
                                 for pair in self.cookies.items())})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        self.assertEqual(response.status, status, path)
        self.headers = response.headers
        for line in response.headers.get_all("Set-Cookie") or []:
            self.cookies.update([line.split(";")[0].split("=", 1)])
        return body

    def buy(self, sku, quantity=1):
        self.fetch("/cart", {"sku": sku, "quantity": quantity}, 303)
        self.assertEqual(self.headers["Location"], "/cart")

    def test_every_page_is_well_formed(self):
        self.buy("sku_001")
        for path in ("/", "/search", "/search?q=wool&page=2", "/cart",
                     "/category/kitchen?colour=moss", "/product/sku_100",
                     "/checkout", "/live", "/search?q=wool+jaket"):
            page = Tags(self.fetch(path))
            self.assertEqual(page.open, [], path)
            self.assertIn("script-src 'self'", self.headers[
                "Content-Security-Policy"].replace("default", "script"))
            for tag, attrs in page.tags:
                self.assertFalse([name for name in attrs
                                  if name.startswith("on")], path)
                self.assertNotIn("style", attrs, path)
                self.assertFalse(tag == "script" and "src" not in attrs)
                self.assertFalse(tag == "img" and "alt" not in attrs)

    def test_what_is_not_there(self):
        for path in ("/nothing", "/product/sku_999", "/product/", "/thanks/x",
                     "/category/x", "/picture/sku_001.png", "/..%2fshop.py",
                     "/search/x", "/picture/..%2f..%2fdemo.svg", "/%00"):
            self.fetch(path, status=404)

    def test_rows_are_serves(self):
        page = self.fetch("/")
        boxes = Tags(page).having("data-refine-serve")
        self.assertEqual({(box["data-refine-surface"],
                           box["data-refine-source"]) for box in boxes},
                         {("home_page", "visitor-recs"),
                          ("home_page", "curated")})
        self.assertEqual(len(Tags(page).having("data-refine-item")), 24)
        box, = Tags(self.fetch("/product/sku_100")).having(
            "data-refine-serve")
        self.assertEqual(box["data-refine-source"], "similar-items")

    def test_what_was_looked_at_changes_the_home_page(self):
        before = self.fetch("/")
        self.fetch("/product/sku_250")
        after = self.fetch("/")
        self.assertNotEqual(before, after)
        self.assertIn("Picked for you", after)
        first = Tags(after).having("data-refine-item")[0]["data-refine-item"]
        self.assertEqual(first, CATALOG.near(["sku_250"], 1)[0].product.sku)

    def test_results_stand_in_no_container(self):
        page = Tags(self.fetch("/search?q=wool&limit=5"))
        self.assertEqual(
            [attrs["data-refine-item"]
             for attrs in page.having("data-refine-item")],
            skus(search(q="wool", limit=5)))
        self.assertEqual(page.having("data-refine-serve"), [])

    def test_links_of_pages_keep_the_query(self):
        page = Tags(self.fetch("/search?q=steel&min=1&sort=price&limit=24"))
        link = next(attrs["href"] for attrs in page.having("rel")
                    if attrs["rel"] == "next")
        for part in ("q=steel", "min=1", "sort=price", "page=2"):
            self.assertIn(part, link.split("?")[1].split("&"))

    def test_hostile_queries_are_text(self):
        for query in HOSTILE:
            args = quote(query)
            for path in ("/search?q=" + args,
                         "/search?q=wool&category=" + args,
                         "/search?q=wool&colour=%s&sort=%s&min=%s"
                         % (args, args, args), "/category/" + args):
                status = 404 if path.startswith("/category") else 200
                plain = Tags(self.fetch("/search?q=nothing+at+all"))
                text = self.fetch(path, status=status)
                page = Tags(text)
                self.assertEqual(page.open, [], path)
                known = {tag for tag, _ in plain.tags} | {
                    "a", "li", "b", "bdi", "p", "ul", "i", "select", "nav",
                    "article"}
                self.assertLessEqual({tag for tag, _ in page.tags}, known)
                self.assertTrue(all("src" in attrs for tag, attrs in page.tags
                                    if tag == "script"))
                self.assertNotIn("onerror", {
                    name for _, attrs in page.tags for name in attrs})
            page = Tags(self.fetch("/search?q=" + args))
            box, = [attrs for attrs in page.having("name")
                    if attrs["name"] == "q" and attrs["type"] == "search"]
            self.assertEqual(box["value"].replace("\ufffd", "\x00"), query)

    def test_hostile_queries_to_the_api(self):
        for query in HOSTILE:
            answer = json.loads(self.fetch("/api/search?q=" + quote(query)))
            self.assertEqual(answer["status"], 200)
            self.assertLessEqual(len(answer["results"]), 24)
        self.fetch("/search?q=%ff%fe&min=%ff&page=" + "9" * 400)

    def test_api(self):
        answer = json.loads(self.fetch("/api/search?q=wool&limit=3&page=2"))
        self.assertEqual([hit["productId"] for hit in answer["results"]],
                         skus(search(q="wool", limit=3, page=2)))
        self.assertEqual(answer["totalResults"], search(q="wool").total)
        answer = json.loads(self.fetch(
            "/api/recommendations?productId=sku_100&limit=4"))
        self.assertEqual(len(answer["results"]), 4)
        self.fetch("/api/recommendations?productId=x", status=404)

    def test_cart(self):
        self.buy("sku_010", 2)
        self.buy("sku_010")
        self.buy("sku_020")
        self.assertEqual(self.cookies["cart"], "sku_010.3-sku_020.1")
        page = self.fetch("/cart")
        total = 3 * CATALOG.by_sku["sku_010"].price \
            + CATALOG.by_sku["sku_020"].price
        self.assertIn("$%s" % format(total, ",.2f"), page)
        self.fetch("/cart", {"sku": "sku_010", "quantity": "5", "set": 1}, 303)
        self.assertEqual(self.cookies["cart"], "sku_010.5-sku_020.1")
        self.fetch("/cart", {"sku": "sku_010", "set": 1, "quantity": 5,
                             "remove": 1}, 303)
        self.assertEqual(self.cookies["cart"], "sku_020.1")
        for sku, quantity in (("x", 1), ("sku_999", 1), ("sku_020", "<b>"),
                              ("", ""), ("sku_020", "-")):
            self.buy(sku, quantity)
            self.assertRegex(self.cookies["cart"], r"\Asku_020\.\d\Z")
        self.buy("sku_020", 9999)
        self.assertEqual(self.cookies["cart"], "sku_020.99")

    def test_hostile_cookies(self):
        for value in ("sku_001.1<script>", "%00", "\"", "a=b; ;=", "x" * 4000,
                      "sku_999.1", "sku_001.0"):
            self.cookies = {"cart": value, "seen": value}
            self.assertNotIn("<script>", self.fetch("/cart"))

    def test_checkout(self):
        self.fetch("/checkout", status=303)
        self.fetch("/checkout", {}, 303)
        self.assertEqual(self.headers["Location"], "/cart")
        self.buy("sku_030", 2)
        self.fetch("/checkout", {"email": "<b>"}, 303)
        self.assertEqual(self.cookies["cart"], "")
        where = self.headers["Location"]
        box, = Tags(self.fetch(where)).having("data-refine-purchase")
        order = json.loads(box["data-refine-purchase"])
        price = CATALOG.by_sku["sku_030"].price
        self.assertEqual(where, "/thanks/" + order["orderId"])
        self.assertEqual(order["items"], [{
            "itemId": "sku_030", "quantity": 2, "unitPrice": price}])
        self.assertEqual(order["value"], round(2 * price, 2))
        self.assertTrue(re.match("[A-Z]{3}$", order["currency"]))

    def test_forms_that_are_too_large(self):
        self.fetch("/cart", {"sku": "x" * 70000}, 413)


def event(kind, number, **fields):
    return dict(type=kind, eventId="e%d" % number, timestamp=number * 1000,
                visitorId="v_1", **fields)


def walk():
    """A search whose visitor is not told yet, and what came of it."""
    served = event("items_served", 1, serveId="s1", surface="search_results",
                   source="text-search", query="wool", itemIds=["a", "b"],
                   totalResults=9)
    del served["visitorId"]
    return [served, event("click", 2, serveId="s1", itemId="b", position=1),
            event("add_to_cart", 3, serveId="s1", itemId="b"),
            event("purchase", 4, orderId="o1", value=5, currency="USD",
                  items=[{"itemId": "b", "quantity": 1, "unitPrice": 5},
                         {"itemId": "c", "quantity": 1, "unitPrice": 0}])]


def taken(*events):
    return {"status": 200, "time": 1.0, "body": {"events": list(events)}}


class MockPage(unittest.TestCase):
    def test_purchases_are_traced(self):
        served, click, cart, purchase = walk()
        arrived = mock_page.Arrived([taken(purchase, cart),
                                     taken(served, click)])
        self.assertEqual(arrived.trace(purchase, "b"), (served, click, cart))
        self.assertEqual(arrived.trace(purchase, "c"), (None, None, None))
        # another visitor's cart is not this one's
        cart["visitorId"] = click["visitorId"] = "v_2"
        self.assertEqual(arrived.trace(purchase, "b"), (None, None, None))

    def test_grouped_by_visitor_newest_first(self):
        other = dict(event("click", 9, serveId="s9", itemId="z", position=0),
                     visitorId="v_2")
        groups = list(mock_page.Arrived(
            [taken(*walk()), taken(other)]).visitors())
        self.assertEqual([(visitor, [one["eventId"] for one in events])
                          for visitor, events in groups],
                         [("v_2", ["e9"]), ("v_1", ["e4", "e3", "e2", "e1"])])

    def test_what_was_refused_is_told_and_not_counted(self):
        page = mock_page.content([
            taken(*walk()), dict(taken(*walk()), status=503),
            {"status": 400, "time": 2.0, "body": None, "error": "<b>"},
            {"status": 0, "time": 2.0, "body": {"events": 1}},
            taken(walk()[1])])
        self.assertIn("<b>1</b> clicked", page)
        self.assertIn("<b>3</b> not taken", page)
        self.assertIn("(arrived 2 times)", page)
        self.assertEqual(Tags(page).open, [])

    def test_hostile_events_are_text(self):
        plain = {tag for tag, _ in Tags(mock_page.page(
            [taken(*walk())])).tags}
        for text in HOSTILE:
            events = walk()
            for one in events:
                one.update({"eventId": one["eventId"] + text, "itemId": text,
                            "visitorId": text, "serveId": text,
                            "surface": text, "orderId": text, "query": text,
                            "currency": text, "source": text,
                            "itemIds": [text], "metadata": {text: text}})
            events[3]["items"][0]["itemId"] = text
            for query in (text, ""):
                events[0]["query"] = query
                page = Tags(mock_page.page([taken(*events)]))
                self.assertEqual(page.open, [])
                self.assertEqual({tag for tag, _ in page.tags} - plain, set())
                self.assertTrue(all("src" in attrs for tag, attrs in page.tags
                                    if tag == "script"))
                self.assertFalse([name for _, attrs in page.tags
                                  for name in attrs if name == "onerror"])
        self.assertIn("<script>", "".join(Tags(mock_page.page([taken(event(
            "click", 1, serveId="s", itemId="<script>", position=0))])).texts))

    def test_nothing_yet(self):
        self.assertIn("Nothing has arrived", mock_page.page([]))


if __name__ == "__main__":
    unittest.main(verbosity=1)
