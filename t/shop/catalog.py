"""The demo shop's catalog: full text search with filters, and similar items.

An inverted index of weighted words, ranked by BM25; the words are stemmed and
the last one, which may be half typed, stands for all that begin with it.
Similar items are the nearest by the cosine of their tf-idf vectors.
"""

import bisect
import collections
import difflib
import math
import re
import threading
import unicodedata

from goods import products

WORD = re.compile(r"[^\W_]+")
WORDS_TO_READ = 32
STOP = set("a an and as at by for from in is it of on or that the to with "
           "you your".split())
PREFIX_SHARE = 0.5
K1, B = 1.2, 0.6
PAGE = 24

SORTS = {
    "relevance": ("Best match", lambda hit: (-hit.score, -hit.product.reviews)),
    "popular": ("Popular", lambda hit: -hit.product.reviews),
    "price": ("Price, low first", lambda hit: hit.product.price),
    "price-desc": ("Price, high first", lambda hit: -hit.product.price),
    "rating": ("Rating", lambda hit: (-hit.product.rating,
                                      -hit.product.reviews)),
    "newest": ("Newest", lambda hit: hit.product.added),
}
FACETS = ("category", "colour", "material")

Hit = collections.namedtuple("Hit", "product score")


def plain(text):
    """Lower case without accents, so that "Téapot" finds a teapot."""
    text = unicodedata.normalize("NFKD", text).casefold().replace("\u2019", "'")
    return "".join(c for c in text if not unicodedata.combining(c))


def stem(word):
    """The part of an English word that its forms share, near enough."""
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and re.search(r"(s|x|z|ch|sh)es$", word):
        word = word[:-2]
    elif len(word) > 3 and re.search(r"[^su]s$", word):
        word = word[:-1]
    for end in ("ing", "ed"):
        if word.endswith(end) and re.search("[aeiouy]", word[:-len(end)]) \
           and len(word) - len(end) >= 3:
            word = word[:-len(end)]
            return word[:-1] if re.search(r"([^aeiouls])\1$", word) else word
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def words(text):
    text = plain(text[:4096])
    return WORD.findall(re.sub(r"'s\b", "", text))


class Query:
    """What a visitor asks for; nonsense in the arguments is left out."""

    def __init__(self, args=None, **fixed):
        args = dict(args or {}, **{name: [value]
                                   for name, value in fixed.items()})

        def one(name):
            return args.get(name, [""])[-1]

        def number(name, largest):
            text = re.sub(r"[^0-9.]", "", one(name))[:12]
            try:
                return min(largest, float(text))
            except ValueError:
                return None

        self.text = one("q")
        self.chosen = {facet: [value for value in args.get(facet, []) if value]
                       for facet in FACETS}
        self.low, self.high = number("min", 1e6), number("max", 1e6)
        self.stock = one("stock") in ("1", "on")
        self.sort = one("sort")
        if self.sort not in SORTS or \
           self.sort == "relevance" and not self.text.strip():
            self.sort = "relevance" if self.text.strip() else "popular"
        self.page = max(1, int(number("page", 1e4) or 1))
        self.limit = max(1, min(100, int(number("limit", 100) or PAGE)))

    def passes(self, product, but=None):
        """Whether a product is within all filters, but for one of them."""
        for facet, values in self.chosen.items():
            if facet != but and values \
               and getattr(product, facet) not in values:
                return False
        return (self.low is None or product.price >= self.low) \
            and (self.high is None or product.price <= self.high) \
            and (not self.stock or product.stock > 0)

    def filtered(self):
        return any(self.chosen.values()) or self.stock \
            or self.low is not None or self.high is not None


class Result:
    """A page of hits: total of them, counts by facet, notes for the visitor."""

    def __init__(self, query, found, some, suggestion):
        hits = [hit for hit in found if query.passes(hit.product)]
        hits.sort(key=SORTS[query.sort][1])
        self.query = query
        self.total = len(hits)
        self.pages = max(1, -(-self.total // query.limit))
        self.page = min(query.page, self.pages)
        self.offset = (self.page - 1) * query.limit
        self.hits = hits[self.offset:self.offset + query.limit]
        self.some = some
        self.suggestion = suggestion
        self.facets = {facet: collections.Counter(
            getattr(hit.product, facet) for hit in found
            if query.passes(hit.product, facet)) for facet in FACETS}


class Catalog:
    """The products and their index."""

    def __init__(self, goods=None):
        self.products = list(goods or products())
        self.by_sku = {product.sku: product for product in self.products}
        self.postings = collections.defaultdict(dict)
        self.spoken = collections.Counter()
        self.lock = threading.Lock()
        self.neighbours = {}
        lengths = collections.Counter()
        for product in self.products:
            for weight, text in product.text():
                for word in words(text):
                    if word in STOP:
                        continue
                    found = self.postings[stem(word)]
                    found[product.sku] = found.get(product.sku, 0) + weight
                    lengths[product.sku] += weight
                    self.spoken[word] += 1
        self.terms = sorted(self.postings)
        usual = sum(lengths.values()) / len(self.products)
        self.norm = {sku: K1 * (1 - B + B * length / usual)
                     for sku, length in lengths.items()}
        self.vectors = {product.sku: {} for product in self.products}
        for term, found in self.postings.items():
            for sku, weight in found.items():
                self.vectors[sku][term] = (1 + math.log(weight)) \
                    * self.rarity(term)
        for vector in self.vectors.values():
            length = math.sqrt(sum(x * x for x in vector.values()))
            for term in vector:
                vector[term] /= length

    def rarity(self, term):
        count = len(self.postings[term])
        return math.log(1 + (len(self.products) - count + 0.5)
                        / (count + 0.5))

    def matches(self, word, last):
        """The products with a word, each with what that is worth."""
        exact = stem(word)
        shares = {exact: 1.0} if exact in self.postings else {}
        if last and len(word) > 1:
            start = bisect.bisect_left(self.terms, word)
            for term in self.terms[start:]:
                if not term.startswith(word):
                    break
                shares.setdefault(term, PREFIX_SHARE)
        scores = {}
        for term, share in shares.items():
            worth = share * self.rarity(term) * (K1 + 1)
            for sku, count in self.postings[term].items():
                scores[sku] = max(scores.get(sku, 0), worth * count
                                  / (count + self.norm[sku]))
        return scores

    def suggest(self, asked, found):
        """The query with what nothing matches replaced by what sounds alike."""
        better = [word if scores or len(word) > 20 else
                  (difflib.get_close_matches(word, self.spoken, 1, 0.7)
                   or [word])[0] for word, scores in zip(asked, found)]
        return " ".join(better) if better != asked else None

    def search(self, query):
        asked = [word for word in words(query.text) if word not in STOP]
        asked = asked[:WORDS_TO_READ]
        if not asked:
            # nothing to look for: all there is, unless nothing could match
            all_of_it = [] if query.text.strip() else self.products
            return Result(query, [Hit(product, 0) for product in all_of_it],
                          False, None)
        found = [self.matches(word, number == len(asked) - 1)
                 for number, word in enumerate(asked)]
        common = set(found[0]).intersection(*found)
        some = not common and len(asked) > 1
        if some:
            common = set().union(*found)
        hits = [Hit(self.by_sku[sku], sum(scores.get(sku, 0)
                                          for scores in found))
                for sku in common]
        return Result(query, hits, some and bool(hits),
                      self.suggest(asked[:8], found[:8]))

    def near(self, skus, limit, other_kinds=False):
        """The products most like all of these, themselves left out."""
        key = tuple(sorted(set(skus))), other_kinds
        with self.lock:
            known = self.neighbours.get(key)
        if known is None:
            known = self.nearest(key[0], other_kinds)
            with self.lock:
                if len(self.neighbours) > 1000:
                    self.neighbours.clear()
                self.neighbours[key] = known
        return known[:limit]

    def nearest(self, skus, other_kinds):
        kinds = {self.by_sku[sku].kind for sku in skus}
        wanted = collections.Counter()
        for sku in skus:
            for term, weight in self.vectors[sku].items():
                wanted[term] += weight / len(skus)
        price = sum(self.by_sku[sku].price for sku in skus) / len(skus)
        hits = []
        for product in self.products:
            if product.sku in skus or other_kinds and product.kind in kinds:
                continue
            cosine = sum(wanted[term] * weight for term, weight
                         in self.vectors[product.sku].items()
                         if term in wanted)
            apart = abs(math.log(product.price / price))
            hits.append(Hit(product, cosine / (1 + 0.2 * apart)))
        hits.sort(key=lambda hit: (-hit.score, hit.product.sku))
        return hits[:48]

    def popular(self, limit):
        return sorted((Hit(product, product.rating) for product
                       in self.products if product.stock),
                      key=lambda hit: -hit.product.reviews)[:limit]

    def newest(self, limit):
        return sorted((Hit(product, 0) for product in self.products
                       if product.stock),
                      key=lambda hit: hit.product.added)[:limit]
