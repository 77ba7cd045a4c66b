"""The pages that browser tests open, and what they compare."""

import json
import time
import uuid

from tap import Missing, Tap, same  # noqa: F401
from world import wait_for  # noqa: F401

TAP = Tap()
test = TAP.test
TAG = ('<script src="/refine/refine.js" async data-collect="/refine/collect">'
       '</script>')
COMPARED = {
    "items_served": ("surface", "source", "itemIds", "query", "totalResults",
                     "filters", "sortBy", "metadata"),
    "click": ("serveId", "itemId", "position"),
    "view": ("serveId", "itemId", "position"),
    "add_to_cart": ("serveId", "itemId", "position"),
    "purchase": ("orderId", "value", "currency", "items"),
}


def serve_id(age=0):
    """A UUIDv7 as nginx makes them, of so many seconds ago."""
    made = int((time.time() - age) * 1000)
    return "%08x-%04x-7%s" % (made >> 16, made & 65535,
                              str(uuid.uuid4())[15:])


def item(sku, height=100, extra=""):
    return ('<li data-refine-item="%s" style="height:%dpx;margin:0;%s">'
            '<a href="/product?id=%s">%s</a> '
            '<button data-refine-add-to-cart>Add</button></li>'
            % (sku, height, extra, sku, sku))


def box(items, serve=None, surface="home_page", source="curated", extra=""):
    given = ' data-refine-serve-id="%s"' % serve if serve else ""
    return ('<ul data-refine-serve data-refine-surface="%s" '
            'data-refine-source="%s"%s %s style="margin:0;padding:0">%s</ul>'
            % (surface, source, given, extra, "".join(items)))


def html(body, head=TAG, title="shop"):
    return ("<!doctype html><html><head><title>%s</title>%s</head>"
            '<body style="margin:0">%s</body></html>' % (title, head, body))


def first(script):
    """A head whose script runs before refine.js."""
    return "<script>%s</script>%s" % (script, TAG)


def brief(event):
    """An event as (type, {what a page has said})."""
    return event["type"], {name: event[name]
                           for name in COMPARED[event["type"]]
                           if name in event}


def briefs(events):
    """In an order that does not depend on the time."""
    return sorted(map(brief, events), key=lambda one: json.dumps(one))


def ordered(*events):
    return sorted(events, key=lambda one: json.dumps(one))


def fresh(world, page, path=None, at="/"):
    """The next test begins: no event, no cookie, nothing stored; and nothing
    comes from the page of the one before.
    """
    page.offline(False)
    page.js("const events = window.refine?.events;"
            "return events?.flush().then(events.pause)")
    page.open("about:blank")
    world.redis.call("FLUSHALL")
    world.refine.reset()
    page.clear(world.origin)
    if path:
        world.pages[at] = path
        page.open(world.origin + at)


def flushed(world, page):
    """What Refine has when the page has sent all it has, compared by what the
    page has said.
    """
    page.js("return refine.events.flush()")
    return briefs(world.events())


def made(page, count):
    """So many events have been made by the page, sent or not."""
    page.wait("(({queued, sent}) => queued + sent)"
              "(refine.events.getMetrics()) === %d" % count)


READY = "window.refine && document.readyState === 'complete'"
