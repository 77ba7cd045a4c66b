"""Pictures of pages, as text: an SVG that shows the page that is open.

    with open("home.svg", "w") as out:
        out.write(taken(page, "The shop", 1200, 800))

It holds the page's elements with the rules that hold on this screen, in this
colour scheme, and its pictures, so that it is shown as <img> by a browser or a
code host, which load nothing for it; no script, no address, nothing that lies
below what is seen.
"""

import base64
import os
import re
import urllib.request
import xml.etree.ElementTree as ElementTree
from urllib.parse import urlsplit

HERE = os.path.dirname(os.path.abspath(__file__))
SVG = "{http://www.w3.org/2000/svg}"
BYTES = 100 * 1024

LOAD = """
    const load = uri => new Promise((good, bad) => {
        const image = new Image();
        image.onload = () => good(image);
        image.onerror = () => bad(new Error("the picture is not shown"));
        image.src = uri;
    });
"""
NATURAL = LOAD + """
    return load(arguments[0]).then(image => [image.naturalWidth,
                                             image.naturalHeight]);
"""

# how many pixels of the SVG differ from those of the page, seen by an eye
COMPARE = LOAD + """
    const [svg, png] = arguments;
    return Promise.all([svg, png].map(load)).then(images => {
        const [width, height] = [images[0].naturalWidth,
                                 images[0].naturalHeight];
        const pixels = images.map(image => {
            const canvas = document.createElement("canvas");
            canvas.width = width;
            canvas.height = height;
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            return context.getImageData(0, 0, width, height).data;
        });
        let other = 0;
        for (let i = 0; i < pixels[0].length; i += 4) {
            const far = [0, 1, 2].map(n => Math.abs(
                pixels[0][i + n] - pixels[1][i + n]));
            other += Math.max(...far) > 48;
        }
        return [width, height, other / (width * height)];
    });
"""


def screen(page, width, height, scheme="light"):
    page.cdp("Emulation.setEmulatedMedia", features=[
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"}])
    # a bar at the side would take from the width, and is not in the picture
    page.cdp("Emulation.setScrollbarsHidden", hidden=True)
    page.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
             deviceScaleFactor=1, mobile=width < 600)


def no_screen(page):
    page.cdp("Emulation.clearDeviceMetricsOverride")
    page.cdp("Emulation.setEmulatedMedia", features=[])


def taken(page, title, width, height):
    """The text of the SVG, of a page that stands still."""
    page.js("return Promise.all([...document.images].map(image => {"
            " image.loading = 'eager'; return image.decode(); }))")
    pictures = {}
    for uri in page.eval("[...new Set([...document.images].map("
                         "image => image.src))]"):
        with urllib.request.urlopen(uri, timeout=40) as answer:
            pictures[urlsplit(uri).path] = answer.read().decode()
    with open(os.path.join(HERE, "picture.js")) as script:
        text = page.js(script.read(), width, height, title, pictures)
    # one element a line, for those who look at what has changed
    return re.sub("(</(?:li|section|tr|symbol|p|h1|h2|ul|header|g|div)>)",
                  r"\1\n", text)


def wrong(text):
    """What an SVG has that it may not have, or None."""
    if len(text.encode()) > BYTES:
        return "%d bytes" % len(text.encode())
    root = ElementTree.fromstring(text)
    if root.tag != SVG + "svg" or root.find(SVG + "title") is None:
        return "no SVG with a title"
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        if name in ("script", "link", "img", "image", "iframe", "object"):
            return "an element " + name
        for key, value in element.attrib.items():
            if key.startswith("on"):
                return "a handler " + key
            if key.endswith("href") and not value.startswith("#"):
                return "a link to " + value
            found = outward(value)
            if found:
                return found
        found = outward((element.text or "") + (element.tail or ""))
        if found:
            return found
    return None


def outward(text):
    """Where a text leads to another file, or to this machine."""
    found = re.search(r"https?:|url\((?!['\"]?#)[^)]*|@import|127\.0\.0\.1"
                      r"|localhost|/(?:home|work|root|tmp|objs)/", text)
    return found and "%r in %r" % (found.group(), text[:200])


def uri(kind, data):
    return "data:image/%s;base64,%s" % (kind, base64.b64encode(data).decode())
