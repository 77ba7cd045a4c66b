"""The pages of the demo shop.

Written by the server, with the attributes that the module and refine.js read:
data-refine-serve and its surface and source on each list that the shop chose,
data-refine-item on each product in it, data-refine-add-to-cart on the buttons,
data-refine-purchase on the page that says thanks.  The products of a search or
of a category stand in no such list: they are what the page itself serves, and
nginx.conf says what that is.
"""

import json
from html import escape
from urllib.parse import urlencode

from catalog import FACETS, SORTS
from goods import CATEGORIES, COLOURS

NAME = "Hearth & Trail"
LINKS = {"status": "/refine/status", "refine": None}

LOGO = ('<svg class="logo" viewBox="0 0 32 32" width="28" height="28" '
        'aria-hidden="true"><path d="M3 26 13 8l5 9 3-5 8 14z"/>'
        '<circle cx="24" cy="7" r="3"/></svg>')


def text(value):
    """As text, wherever it stands."""
    return escape(str(value), quote=True)


def said(value):
    """What a visitor has written, kept apart from the text around it."""
    return "<bdi class=\"said\">%s</bdi>" % text(value)


def money(value):
    return "$%s" % format(value, ",.2f")


def link(path, **args):
    return text(path + ("?" + urlencode(args, doseq=True) if args else ""))


def page(title, body, cart=(), query="", current=None, script=""):
    count = sum(quantity for _, quantity in cart)
    nav = "".join('<li><a href="/category/%s"%s>%s</a></li>' % (
        key, ' aria-current="page"' if key == current else "", text(name))
        for key, name in CATEGORIES.items())
    refine = "" if not LINKS["refine"] else \
        '<a href="%s">What Refine received</a>' % text(LINKS["refine"])
    return """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
<script src="/shop.js" defer></script>%s
</head>
<body>
<a class="skip" href="#main">Skip to the products</a>
<header>
<div class="bar">
<a class="brand" href="/">%s<span>%s</span></a>
<form class="search" action="/search" role="search">
<input type="search" name="q" value="%s" maxlength="1024" aria-label="Search"
 placeholder="wool jacket, teapot, boots &#8230;">
<button>Search</button>
</form>
<a class="cart" href="/cart"><svg viewBox="0 0 24 24" width="22" height="22"
 aria-hidden="true"><path d="M4 8h16l-2 12H6zM8 8q0-5 4-5t4 5"/>
</svg><span class="label">Cart</span>%s</a>
</div>
<nav aria-label="Categories"><ul>%s</ul></nav>
</header>
<main id="main">
%s
</main>
<footer>
<p>The demo shop of ngx_http_refine_module. Nothing here is for sale.</p>
<p><a href="/live">Live search</a> <a href="%s">The module&#8217;s status</a>
%s</p>
</footer>
</body>
</html>
""" % (text(title), script, LOGO, text(NAME), text(query),
       '<b class="count" aria-label="%d in the cart">%d</b>' % (count, count)
       if count else "", nav, body, text(LINKS["status"]), refine)


def stars(product):
    return ('<span role="img" aria-label="%.1f of 5 stars" class="stars">'
            '&#9733; %.1f</span> <span class="note">(%d)</span>'
            % (product.rating, product.rating, product.reviews))


def image(product, lazy=True):
    return ('<img src="/picture/%s.svg" alt="" width="400" height="400"%s>'
            % (product.sku, ' loading="lazy"' if lazy else ""))


def card(product):
    add = ('<form method="post" action="/cart">'
           '<input type="hidden" name="sku" value="%s">'
           '<button data-refine-add-to-cart aria-label="Add %s to the cart">'
           '<span aria-hidden="true">+</span> Add</button></form>'
           % (product.sku, text(product.title))) if product.stock else \
        '<span class="gone">Sold out</span>'
    return ('<li class="card" data-refine-item="%s"><a href="/product/%s">%s'
            '<span class="title">%s</span></a><p class="rated">%s</p>'
            '<p class="foot"><b>%s</b></p>%s</li>'
            % (product.sku, product.sku, image(product), text(product.title),
               stars(product), money(product.price), add))


def carousel(title, hits, surface, source, note=""):
    """A row of products that the shop chose: a serve of its own."""
    if not hits:
        return ""
    return """<section class="row" aria-label="%s">
<div class="head"><h2>%s</h2>%s<span class="arrows" hidden>
<button type="button" data-scroll="-1" aria-label="Back">&#8249;</button>
<button type="button" data-scroll="1" aria-label="On">&#8250;</button>
</span></div>
<ul class="carousel" tabindex="0" data-refine-serve
 data-refine-surface="%s" data-refine-source="%s">
%s
</ul>
</section>""" % (text(title), text(title),
                 '<p class="note">%s</p>' % note if note else "",
                 surface, source,
                 "\n".join(card(hit.product) for hit in hits))


def home(catalog, seen, cart):
    if seen:
        mine = carousel("Picked for you", catalog.near(seen, 12), "home_page",
                        "visitor-recs", "After what you looked at last")
    else:
        mine = carousel("New this week", catalog.newest(12), "home_page",
                        "visitor-recs", "Look around, and this row follows")
    tiles = "".join(
        '<li><a href="/category/%s">%s<span>%s</span></a></li>' % (
            key, image(next(product for product in catalog.products
                            if product.category == key), False), text(name))
        for key, name in CATEGORIES.items())
    return page(NAME, """<section class="hero">
<h1>Things for the fire and for the path to it</h1>
<p>%d products that are made to be used, mended and handed on.</p>
<p><a class="button" href="/search?q=wool">Everything in wool</a>
<a class="button quiet" href="/live">Search as you type</a></p>
</section>
%s
<section><h2>Browse</h2><ul class="tiles">%s</ul></section>
%s""" % (len(catalog.products), mine, tiles,
         carousel("Loved by many", catalog.popular(12), "home_page",
                  "curated")), cart)


def field(name, value, label, checked, count=None):
    return ('<label><input type="checkbox" name="%s" value="%s"%s> '
            '<span>%s</span>%s</label>' % (
                name, text(value), " checked" if checked else "", label,
                "" if count is None else '<span class="note">%d</span>'
                % count))


def filters(result, fixed):
    query = result.query
    out = []
    for facet in FACETS:
        if facet in fixed:
            continue
        chosen = query.chosen[facet]
        counts = result.facets[facet]
        # what was chosen stays in sight, also where it finds nothing
        names = [name for name, _ in counts.most_common(12)]
        names += [name for name in chosen if name not in names][:12]
        rows = "".join(field(
            facet, name, '%s%s' % (
                '<i class="dot %s"></i>' % name if name in COLOURS else "",
                text(CATEGORIES.get(name, name))), name in chosen,
            counts[name]) for name in names)
        if rows:
            out.append("<fieldset><legend>%s</legend>%s</fieldset>"
                       % (facet.capitalize(), rows))
    out.append(
        '<fieldset class="range"><legend>Price</legend>'
        '<label>from <input name="min" inputmode="numeric" size="5" value="%s">'
        '</label><label>to <input name="max" inputmode="numeric" size="5" '
        'value="%s"></label></fieldset>'
        % tuple("" if price is None else "%g" % price
                for price in (query.low, query.high)))
    out.append("<fieldset><legend>Stock</legend>%s</fieldset>"
               % field("stock", "1", "in stock only", query.stock))
    return "".join(out)


def arguments(query, fixed, **changed):
    """The query as arguments of a link, in a settled order."""
    usual = "relevance" if query.text.strip() else "popular"
    args = {"q": query.text, "stock": "1" if query.stock else "",
            "min": "" if query.low is None else "%g" % query.low,
            "max": "" if query.high is None else "%g" % query.high,
            "sort": "" if query.sort == usual else query.sort,
            **{facet: query.chosen[facet] for facet in FACETS
               if facet not in fixed}, **changed}
    return {name: value for name, value in args.items() if value}


def pager(result, path, fixed):
    if result.pages < 2:
        return ""
    query, here = result.query, result.page
    near = [number for number in range(1, result.pages + 1)
            if number in (1, result.pages) or abs(number - here) < 3]
    out, before = [], 0
    for number in near:
        if number > before + 1:
            out.append("<li>&#8230;</li>")
        before = number
        out.append('<li><a href="%s"%s aria-label="Page %d">%d</a></li>' % (
            link(path, **arguments(query, fixed, page=number)),
            ' aria-current="page"' if number == here else "", number, number))
    for step, name, rel in ((-1, "Previous", "prev"), (1, "Next", "next")):
        if 0 < here + step <= result.pages:
            out.append('<li><a rel="%s" href="%s">%s</a></li>' % (
                rel, link(path, **arguments(query, fixed, page=here + step)),
                name))
    return '<nav class="pager" aria-label="Pages"><ul>%s</ul></nav>' \
        % "".join(out)


def notes(result):
    out = []
    if result.some:
        out.append("Nothing has all of these words; this has some of them.")
    if result.suggestion:
        out.append('Did you mean <a href="%s">%s</a>?' % (
            link("/search", q=result.suggestion), said(result.suggestion)))
    if not result.total:
        out.append("Nothing was found. %s" % (
            "Fewer filters may help." if result.query.filtered() else
            'Perhaps in <a href="/search">all products</a>?'))
    return "".join('<p class="hint">%s</p>' % note for note in out)


def listing(result, cart, category=None):
    """The products of a search or of a category."""
    query = result.query
    fixed = ("category",) if category else ()
    path = "/category/%s" % category if category else "/search"
    if category:
        title, heading = CATEGORIES[category], text(CATEGORIES[category])
    elif query.text.strip():
        title = "%s - search" % query.text
        heading = "Results for %s" % said(query.text)
    else:
        title = heading = "All products"
    sorts = "".join('<option value="%s"%s>%s</option>' % (
        name, " selected" if name == query.sort else "", label)
        for name, (label, _) in SORTS.items()
        if name != "relevance" or query.text.strip())
    shown = "" if not result.total else "%d to %d of " % (
        result.offset + 1, result.offset + len(result.hits))
    return page(title, """<div class="listing">
<form action="%s" class="filters" id="filters" aria-label="Filters">
<input type="hidden" name="q" value="%s">
<details%s><summary>Filters</summary>%s
<p class="buttons"><button>Show</button> <a href="%s">Clear</a></p></details>
</form>
<section class="results">
<h1>%s</h1>
<div class="head"><p class="note" role="status">%s%d products</p>
<label class="sort">Sort by <select name="sort" form="filters">%s</select>
</label></div>
%s
<ul class="grid">
%s
</ul>
%s
</section>
</div>""" % (path, text(query.text), " open" if query.filtered() else "",
             filters(result, fixed),
             link(path, **({"q": query.text} if query.text else {})),
             heading, shown, result.total, sorts, notes(result),
             "\n".join(card(hit.product) for hit in result.hits),
             pager(result, path, fixed)),
        cart, query.text, category)


def product_page(product, catalog, cart):
    if product.stock:
        add = """<form method="post" action="/cart" class="buy">
<input type="hidden" name="sku" value="%s">
<label>Quantity <select name="quantity">%s</select></label>
<button data-refine-add-to-cart>Add to cart</button></form>""" % (
            product.sku, "".join("<option>%d</option>" % number for number
                                 in range(1, min(9, product.stock) + 1)))
        stock = "In stock" if product.stock > 5 else \
            "Only %d left" % product.stock
    else:
        add, stock = "", "Sold out"
    low = "" if product.stock > 5 else " low"
    rows = (("Material", product.material), ("Colour", product.colour),
            ("Series", product.series), ("Item", product.sku))
    return page(product.title, """<nav class="crumbs" aria-label="You are in">
<a href="/">Home</a> <a href="/category/%s">%s</a></nav>
<article class="product" data-refine-item="%s">
<div class="picture">%s</div>
<div class="facts">
<h1>%s</h1>
<p>%s</p>
<p class="price">%s <span class="stock%s">%s</span></p>
%s
<p>%s</p>
<ul class="features">%s</ul>
<dl>%s</dl>
</div>
</article>
%s""" % (product.category, text(product.category_name), product.sku,
         image(product, False), text(product.title), stars(product),
         money(product.price), low, stock, add, text(product.description),
         "".join("<li>%s</li>" % text(one) for one in product.features),
         "".join("<dt>%s</dt><dd>%s</dd>" % (name, text(value))
                 for name, value in rows),
         carousel("Similar to this", catalog.near([product.sku], 12),
                  "product_page", "similar-items")),
        cart, current=product.category)


def cart_page(catalog, cart):
    if not cart:
        return page("Cart", """<section class="empty">
<h1>Your cart is empty</h1>
<p><a class="button" href="/search">See all products</a></p></section>
%s""" % carousel("Loved by many", catalog.popular(12), "cart_page", "curated"))
    lines, total = [], 0
    for product, quantity in cart:
        total += quantity * product.price
        lines.append("""<tr><td>%s</td><td><a href="/product/%s">%s</a>
<span class="note">%s each</span></td>
<td><form method="post" action="/cart">
<input type="hidden" name="sku" value="%s"><input type="hidden" name="set"
 value="1"><input name="quantity" inputmode="numeric" size="2" value="%d"
 aria-label="Quantity of %s"><button class="quiet">Set</button>
<button class="quiet" name="remove" value="1" aria-label="Remove %s"
>&#215;</button></form></td>
<td class="sum">%s</td></tr>""" % (
            image(product), product.sku, text(product.title),
            money(product.price), product.sku, quantity, text(product.title),
            text(product.title), money(quantity * product.price)))
    return page("Cart", """<h1>Your cart</h1>
<table class="lines"><tbody>%s</tbody>
<tfoot><tr><td></td><td>Together</td><td></td><td class="sum">%s</td></tr>
</tfoot></table>
<p class="next"><a class="button" href="/checkout">To the checkout</a></p>
%s""" % ("".join(lines), money(total),
         carousel("Goes well with it", catalog.near(
             [product.sku for product, _ in cart], 12, other_kinds=True),
             "cart_page", "similar-items")), cart)


def checkout(cart):
    total = sum(quantity * product.price for product, quantity in cart)
    return page("Checkout", """<h1>Checkout</h1>
<div class="checkout">
<form method="post" action="/checkout">
<label>E-mail <input type="email" name="email" required maxlength="200"
 value="visitor@example.com" autocomplete="off"></label>
<fieldset><legend>Delivery</legend>
<label><input type="radio" name="way" value="post" checked> By post, free
</label>
<label><input type="radio" name="way" value="bike"> By bicycle, free</label>
</fieldset>
<p class="note">This is a demo: nothing is charged and nothing is sent.</p>
<button>Buy for %s</button>
</form>
<ul class="summary">%s</ul>
</div>""" % (money(total), "".join(
        "<li>%s <span>%d &#215; %s</span> <b>%s</b></li>" % (
            image(product), quantity, text(product.title),
            money(quantity * product.price)) for product, quantity in cart)),
        cart)


def thanks(order, catalog):
    bought = [catalog.by_sku[item["itemId"]] for item in order["items"]]
    return page("Thank you", """<section class="thanks"
 data-refine-purchase="%s">
<h1>Thank you!</h1>
<p>Your order <b>%s</b> of %s is on its way; or would be, if this were more
than a demo.</p>
<ul class="summary">%s</ul>
<p><a class="button" href="/">Look around some more</a></p>
</section>
%s""" % (text(json.dumps(order)), text(order["orderId"]),
         money(order["value"]), "".join(
             "<li>%s <span>%d &#215; %s</span></li>" % (
                 image(product), item["quantity"], text(product.title))
             for product, item in zip(bought, order["items"])),
         carousel("For next time", catalog.near(
             [product.sku for product in bought], 12, other_kinds=True),
             "thank_you", "similar-items")))


def live(cart):
    return page("Live search", """<section class="live">
<h1>Search as you type</h1>
<p class="note">These results are JSON, drawn by the browser. nginx read the
products off the response as it passed, and its header
<code>X-Refine-Serve-Id</code> is what ties clicks to them.</p>
<form role="search" id="live" action="/search">
<input type="search" name="q" maxlength="1024" aria-label="Search"
 autocomplete="off" placeholder="tea, canvas, lantern &#8230;">
<select name="category" aria-label="Category"><option value="">Everywhere
</option>%s</select>
<button>Search</button></form>
<p class="note" role="status" id="found">&#160;</p>
<div id="drawn"></div>
<noscript><p class="hint">This page needs JavaScript; the
<a href="/search">other search</a> does not.</p></noscript>
</section>""" % "".join('<option value="%s">%s</option>' % (key, text(name))
                        for key, name in CATEGORIES.items()), cart,
                script='\n<script src="/live.js" defer></script>')


def missing(cart):
    return page("Not found", """<section class="empty">
<h1>This page is not here</h1>
<p>It may have been sold. <a href="/search">See all products</a></p>
</section>""", cart)
