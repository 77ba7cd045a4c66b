#!/usr/bin/python3
"""A browser in a shop behind nginx with the module: Chromium, or with
BROWSER_ENGINE=firefox or webkit another one, as far as that can be driven.

usage: browser.py [WORD...]: only the tests whose lines match one of the words.
What the browser showed last in a test that has failed is in objs/browser.
"""

import os
import re
import sys

sys.dont_write_bytecode = True

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import engines  # noqa: E402
from shop import TAP, same, test  # noqa: E402
from world import World  # noqa: E402

TAP.chosen = sys.argv[1:]


@test("an event that a page sends reaches Refine, with a visitor of its own")
def sends(world, page):
    world.pages["/plain"] = "<title>plain</title>"
    page.open(world.origin + "/plain")
    same(page.js("""
        return fetch("/refine/collect", {method: "POST", body: JSON.stringify({
            type: "click", serveId: "s1", itemId: "sku1", position: 3})})
            .then(answer => answer.status)"""), 204)
    events = world.events()
    same([(event["type"], event["itemId"], event["position"])
          for event in events], [("click", "sku1", 3)])
    assert re.match("v_[0-9A-Za-z]{22}$", events[0]["visitorId"]), events
    assert page.agent in events[0]["context"]["userAgent"], events


# the others register themselves, in this order
import auto  # noqa: E402 F401
import history  # noqa: E402 F401
import outbox  # noqa: E402 F401
import sdk  # noqa: E402 F401
import walk  # noqa: E402 F401


def main():
    engine = engines.chosen()
    if engine.missing():
        print("1..0 # SKIP no " + engine.missing())
        return 0
    world = World("browser")
    try:
        with engine(world.dir) as page:
            return TAP.run(world, page, after=lambda text, function:
                           page.screenshot(function.__name__ + ".png"))
    finally:
        world.stop()


if __name__ == "__main__":
    sys.exit(main())
