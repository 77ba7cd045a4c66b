"""The mock's own page: what arrived, by visitor, newest first, and how each
purchase came about.

Everything in an event is a visitor's word: whatever is shown is escaped.
"""

import json
import time
from html import escape

EVENTS_TO_SHOW = 400
REQUESTS_TO_SHOW = 12
ITEMS_TO_SHOW = 12
CHARACTERS_TO_SHOW = 120
STEPS = ("items_served", "view", "click", "add_to_cart", "purchase")
NAMES = {"items_served": "served", "view": "viewed", "click": "clicked",
         "add_to_cart": "carted", "purchase": "purchased"}

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Refine's side</title>
<link rel="stylesheet" href="/_mock/page.css">
<script src="/_mock/page.js" defer></script>
</head>
<body>
<header>
<h1>Refine&#8217;s side</h1>
<p>A mock of the Refine API: what the module has delivered, newest first.</p>
<p class="buttons" role="group" aria-label="How to answer">
<button data-set="{}">Answer as usual</button>
<button data-set='{"status": 503}'>Fail with 503</button>
<button data-set='{"status": 429, "headers": {"Retry-After": "5"}}'>Too many
(429)</button>
<button data-set='{"status": 401}'>Refuse the key (401)</button>
<button data-set='{"drop": true}'>Hang up</button>
<button id="pause" aria-pressed="false">Pause this page</button>
</p>
</header>
<main data-version="%s">
%s
</main>
</body>
</html>
"""


def text(value):
    """As text, and not more of it than can be read."""
    value = value if isinstance(value, str) else json.dumps(
        value, ensure_ascii=False)
    if len(value) > CHARACTERS_TO_SHOW:
        value = value[:CHARACTERS_TO_SHOW] + "\u2026"
    return "<bdi>%s</bdi>" % escape(value)


def attribute(value):
    return escape(str(value), quote=True)


def several(count, noun):
    return "%d %s%s" % (count, noun, "" if count == 1 else "s")


def clock(milliseconds):
    try:
        return time.strftime("%H:%M:%S", time.localtime(milliseconds / 1000))
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"


def serve_of(event):
    return event.get("serveId") or (
        event["eventId"] if event["type"] == "items_served" else None)


class Arrived:
    """The events of the requests that were taken, each once, in order."""

    def __init__(self, requests):
        self.events, self.again = {}, {}
        for request in requests:
            if request["status"] != 200:
                continue
            for event in request["body"]["events"]:
                key = event["eventId"]
                self.again[key] = self.again.get(key, 0) + 1
                self.events.setdefault(key, event)
        self.list = sorted(self.events.values(),
                           key=lambda event: event["timestamp"])
        self.serves = {serve_of(event): event for event in self.list
                       if event["type"] == "items_served"}
        # a serve may be older than its visitor's cookie: who used it had it
        self.owners = {}
        for event in self.list:
            if event.get("visitorId") and serve_of(event):
                self.owners.setdefault(serve_of(event), event["visitorId"])

    def visitor(self, event):
        return event.get("visitorId") or self.owners.get(serve_of(event))

    def visitors(self):
        """(visitor, events newest first), the one seen last first."""
        groups = {}
        for event in reversed(self.list[-EVENTS_TO_SHOW:]):
            groups.setdefault(self.visitor(event), []).append(event)
        return groups.items()

    def latest(self, kind, visitor, item, before, serve=None):
        """The last such event of a visitor about an item."""
        for event in reversed(self.list):
            if event["type"] == kind and event.get("itemId") == item \
               and event["timestamp"] <= before \
               and serve in (None, event.get("serveId")) \
               and (visitor is None or self.visitor(event) == visitor):
                return event
        return None

    def trace(self, purchase, item):
        """(serve, click, cart) that led to an item of a purchase."""
        visitor, before = self.visitor(purchase), purchase["timestamp"]
        if visitor is None:
            return None, None, None
        cart = self.latest("add_to_cart", visitor, item, before)
        serve = cart and cart.get("serveId")
        click = self.latest("click", visitor, item,
                            cart["timestamp"] if cart else before, serve)
        if serve is None and click:
            serve = click.get("serveId")
        return self.serves.get(serve), click, cart


def what_served(event):
    if event.get("query"):
        what = "search for %s" % text(event["query"])
    else:
        what = "%s on %s" % (text(event["source"]), text(event["surface"]))
    total = event.get("totalResults")
    return "%s: %d%s products" % (
        what, len(event["itemIds"]),
        "" if not isinstance(total, int) else " of %d" % total)


def short(identifier):
    return text(identifier[:9] + "\u2026" + identifier[-4:]
                if len(identifier) > 16 else identifier)


def what(event):
    """An event in words."""
    kind = event["type"]
    if kind == "items_served":
        return what_served(event)
    if kind == "purchase":
        return "%s for %s %s, %s" % (
            text(event["orderId"]), text(event["value"]),
            text(event["currency"]), several(len(event["items"]), "item"))
    place = event.get("position")
    return "%s%s" % (text(event["itemId"]),
                     "" if place is None else " at place %s"
                     % text(place + 1 if isinstance(place, int) else place))


def step(kind, words):
    return '<li class="%s"><b>%s</b> %s</li>' % (kind, NAMES[kind], words)


def chain(arrived, purchase):
    """How a purchase came about, item by item."""
    rows = []
    for item in purchase["items"][:ITEMS_TO_SHOW]:
        serve, click, cart = arrived.trace(purchase, item["itemId"])
        steps = []
        if serve:
            steps.append(step("items_served", what_served(serve)
                              + ' <code>%s</code>' % short(serve_of(serve))))
        for kind, event in (("click", click), ("add_to_cart", cart)):
            if event:
                steps.append(step(kind, "%s, %s" % (
                    what(event), clock(event["timestamp"]))))
        if not steps:
            steps.append("<li>not traced: nothing of this visitor led to "
                         "it</li>")
        steps.append(step("purchase", "%s &#215; %s at %s" % (
            text(item["quantity"]), text(item["itemId"]),
            text(item["unitPrice"]))))
        rows.append('<ol class="chain">%s</ol>' % "".join(steps))
    return "".join(rows)


def line(arrived, event):
    count = arrived.again[event["eventId"]]
    serve = serve_of(event)
    return """<li class="event"><details data-key="%s"><summary>
<time>%s</time> <span class="kind %s">%s</span> <span class="what">%s%s</span>
%s</summary><pre>%s</pre></details>%s</li>""" % (
        attribute(event["eventId"]), clock(event["timestamp"]), event["type"],
        NAMES[event["type"]], what(event),
        " (arrived %d times)" % count if count > 1 else "",
        "<code>%s</code>" % short(serve) if serve else "",
        escape(json.dumps(event, indent=2, ensure_ascii=False)),
        chain(arrived, event) if event["type"] == "purchase" else "")


def tally(arrived, requests):
    counts = {kind: 0 for kind in STEPS}
    for event in arrived.list:
        counts[event["type"]] += 1
    refused = sum(request["status"] != 200 for request in requests)
    cells = "".join('<li class="%s"><b>%d</b> %s</li>' % (
        kind, count, NAMES[kind]) for kind, count in counts.items())
    return '<ul class="tally">%s<li><b>%d</b> requests</li>%s</ul>' % (
        cells, len(requests), '<li class="bad"><b>%d</b> not taken</li>'
        % refused if refused else "")


def deliveries(requests):
    rows = []
    for request in reversed(requests[-REQUESTS_TO_SHOW:]):
        body = request.get("body")
        events = body.get("events") if isinstance(body, dict) else None
        count = len(events) if isinstance(events, list) else 0
        status = request["status"]
        rows.append('<li class="%s"><time>%s</time> %s, %s%s</li>' % (
            "good" if status == 200 else "bad",
            clock(request["time"] * 1000), status or "no answer",
            several(count, "event"),
            ": %s" % text(request["error"]) if request.get("error") else ""))
    return '<section class="requests"><h2>Requests</h2><ol>%s</ol></section>' \
        % ("".join(rows) or "<li>none yet</li>")


def content(requests):
    arrived = Arrived(requests)
    groups = []
    for number, (visitor, events) in enumerate(arrived.visitors()):
        name = "Visitor <code>%s</code>" % short(visitor) if visitor \
            else "Not told whose"
        groups.append('<section class="visitor" aria-labelledby="v%d">'
                      '<h2 id="v%d">%s <small>%s</small></h2>'
                      "<ol>%s</ol></section>" % (
                          number, number, name, several(len(events), "event"),
                          "".join(
                              line(arrived, event) for event in events)))
    return "%s\n<div class=\"columns\"><div>%s</div>\n%s</div>" % (
        tally(arrived, requests), "\n".join(groups)
        or '<p class="empty">Nothing has arrived yet.</p>',
        deliveries(requests))


def page(requests):
    return PAGE % (len(requests), content(requests))
