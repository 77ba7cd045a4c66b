#!/usr/bin/python3
"""A small shop with a real search, to stand behind nginx in the demo.

usage: shop.py HOST:PORT

GET /                                  the storefront, one page
GET /api/search?q=TEXT[&limit=N]       full text search (SQLite FTS5)
GET /api/recommendations?productId=ID  products like this one
"""

import json
import os
import re
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

HERE = os.path.dirname(os.path.abspath(__file__))

KINDS = {
    "shoes": ["running shoe", "trail shoe", "sneaker", "boot", "sandal"],
    "clothing": ["jacket", "sweater", "shirt", "trousers", "scarf"],
    "kitchen": ["kettle", "frying pan", "teapot", "knife", "mug"],
    "garden": ["watering can", "spade", "lantern", "bench", "planter"],
}
STYLES = ["classic", "light", "winter", "everyday", "compact"]
MATERIALS = ["wool", "leather", "steel", "cotton"]


def products():
    """Some hundred products, the same at each start."""
    number = 0
    for category, kinds in KINDS.items():
        for kind in kinds:
            for style in STYLES:
                for material in MATERIALS:
                    number += 1
                    title = "%s %s %s" % (style.capitalize(), material, kind)
                    price = 9.95 + number * 37 % 190
                    yield ("sku_%03d" % number, title, category, price,
                           "A %s %s made of %s, from our %s range."
                           % (style, kind, material, category))


class Catalog:
    """The products and their index, in memory."""

    def __init__(self):
        self.lock = threading.Lock()
        self.db = sqlite3.connect(":memory:", check_same_thread=False)
        self.db.execute("CREATE VIRTUAL TABLE product USING fts5(id UNINDEXED,"
                        " title, category, price UNINDEXED, description,"
                        " tokenize = 'porter')")
        self.db.executemany("INSERT INTO product VALUES (?, ?, ?, ?, ?)",
                            products())

    @staticmethod
    def result(row, score):
        return {"productId": row[0], "score": score, "metadata": {
            "title": row[1], "category": row[2], "price": row[3]}}

    def search(self, text, limit):
        words = re.findall(r"\w+", text.lower())
        if not words:
            return [], 0
        query = " ".join('"%s"' % word for word in words)
        with self.lock:
            total = self.db.execute(
                "SELECT count(*) FROM product WHERE product MATCH ?",
                (query,)).fetchone()[0]
            rows = self.db.execute(
                "SELECT id, title, category, price, bm25(product) FROM product"
                " WHERE product MATCH ? ORDER BY 5, id LIMIT ?",
                (query, limit)).fetchall()
        return [self.result(row, round(-row[4], 4)) for row in rows], total

    def similar(self, product, limit):
        with self.lock:
            row = self.db.execute(
                "SELECT title, category FROM product WHERE id = ?",
                (product,)).fetchone()
            if row is None:
                return None
            query = " OR ".join('"%s"' % word for word in row[0].split())
            rows = self.db.execute(
                "SELECT id, title, category, price, bm25(product) FROM product"
                " WHERE product MATCH ? AND id <> ? AND category = ?"
                " ORDER BY 5, id LIMIT ?",
                (query, product, row[1], limit)).fetchall()
        return [self.result(row, round(-row[4], 4)) for row in rows]


CATALOG = Catalog()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 300

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind="application/json"):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        url = urlsplit(self.path)
        args = {k: v[0] for k, v in parse_qs(url.query).items()}
        limit = max(1, min(100, int(re.sub(r"\D", "", args.get("limit", ""))
                                    or 12)))
        if url.path == "/":
            with open(os.path.join(HERE, "index.html")) as page:
                return self.answer(200, page.read(), "text/html")
        if url.path == "/api/search":
            results, total = CATALOG.search(args.get("q", ""), limit)
            return self.answer(200, json.dumps({
                "status": 200, "results": results, "totalResults": total}))
        if url.path == "/api/recommendations":
            results = CATALOG.similar(args.get("productId", ""), limit)
            if results is not None:
                return self.answer(200, json.dumps({
                    "status": 200, "results": results}))
            return self.answer(404, json.dumps({
                "status": 404, "message": "no such product"}))
        return self.answer(404, json.dumps({
            "status": 404, "message": "not found"}))

    do_HEAD = do_GET


if __name__ == "__main__":
    host, port = sys.argv[1].rsplit(":", 1)
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
