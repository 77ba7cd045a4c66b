"""What the demo shop sells: some hundred products, the same at each start."""

import random

CATEGORIES = {
    "outerwear": "Jackets & knitwear",
    "footwear": "Footwear",
    "bags": "Bags & packs",
    "camping": "Camping",
    "kitchen": "Kitchen",
    "tea-coffee": "Tea & coffee",
    "garden": "Garden",
    "home": "Home & light",
}

# kind: category, usual price, materials
KINDS = {
    "jacket": ("outerwear", 189, ("wool", "waxed cotton", "down")),
    "jumper": ("outerwear", 98, ("merino", "lambswool", "cotton")),
    "scarf": ("outerwear", 42, ("wool", "cashmere", "linen")),
    "beanie": ("outerwear", 28, ("merino", "wool", "recycled cotton")),
    "boot": ("footwear", 210, ("leather", "suede", "waxed leather")),
    "trail shoe": ("footwear", 135, ("mesh", "suede", "recycled nylon")),
    "sandal": ("footwear", 74, ("leather", "cork", "hemp")),
    "slipper": ("footwear", 49, ("felt", "sheepskin", "wool")),
    "backpack": ("bags", 129, ("canvas", "recycled nylon", "waxed cotton")),
    "tote bag": ("bags", 45, ("canvas", "leather", "jute")),
    "duffel bag": ("bags", 112, ("canvas", "leather", "recycled nylon")),
    "belt bag": ("bags", 38, ("nylon", "leather", "waxed cotton")),
    "tent": ("camping", 340, ("ripstop nylon", "cotton", "polyester")),
    "sleeping bag": ("camping", 175, ("down", "fleece", "recycled nylon")),
    "lantern": ("camping", 56, ("steel", "brass", "aluminium")),
    "flask": ("camping", 34, ("steel", "titanium", "copper")),
    "frying pan": ("kitchen", 69, ("cast iron", "carbon steel", "copper")),
    "stockpot": ("kitchen", 118, ("steel", "enamel", "cast iron")),
    "chef's knife": ("kitchen", 94, ("carbon steel", "steel", "ceramic")),
    "chopping board": ("kitchen", 44, ("oak", "walnut", "beech")),
    "teapot": ("tea-coffee", 58, ("cast iron", "porcelain", "steel")),
    "mug": ("tea-coffee", 19, ("stoneware", "porcelain", "enamel")),
    "kettle": ("tea-coffee", 79, ("steel", "copper", "enamel")),
    "coffee grinder": ("tea-coffee", 88, ("walnut", "steel", "beech")),
    "watering can": ("garden", 47, ("zinc", "copper", "steel")),
    "spade": ("garden", 62, ("ash", "steel", "forged iron")),
    "planter": ("garden", 36, ("terracotta", "zinc", "oak")),
    "bench": ("garden", 265, ("teak", "oak", "cast iron")),
    "table lamp": ("home", 104, ("brass", "ceramic", "oak")),
    "blanket": ("home", 115, ("lambswool", "cotton", "linen")),
    "cushion": ("home", 39, ("linen", "velvet", "wool")),
    "candle": ("home", 24, ("beeswax", "soy wax", "rapeseed wax")),
}

SERIES = ("Fjord", "Harbour", "Alder", "Moor", "Tarn", "Summit", "Orchard",
          "Lowland", "Cinder", "Meadow", "Drift", "Kestrel", "Bothy", "Quay")

COLOURS = {
    "moss": "#6b7f4e", "rust": "#b4552d", "slate": "#5b6b7a",
    "ochre": "#d09a35", "plum": "#7c4469", "sea": "#3a7d8c",
    "oat": "#c9b38c", "brick": "#a0413a", "pine": "#2f5d50",
    "sky": "#6f9fc8", "charcoal": "#4a4a4f", "rose": "#c97b84",
}

PATTERNS = ("plain", "stripes", "dots", "checks", "plain", "waves")

OPENINGS = {
    "outerwear": ("For the walk to work and the walk in the hills",
                  "Warm when the wind turns, light enough for the walk home",
                  "Knitted and sewn to be worn for years, then mended",
                  "An everyday layer for cold mornings and long evenings"),
    "footwear": ("Broken in after a day rather than a month",
                 "A wide toe box and a sole that can be replaced",
                 "Made on a roomy last for long days on your feet",
                 "Grips on wet stone, quiet on the kitchen floor"),
    "bags": ("At home in the office and on the allotment",
             "Everything in its place, no dangling straps",
             "Sized for the train rack and the bicycle basket",
             "Bar-tacked where bags usually give up"),
    "camping": ("Easy to find and to use in the dark",
                "For the first frost and the last bus to the trailhead",
                "Tested on a wet hill so that yours can be a dry one",
                "Light to carry, easy to mend in the field"),
    "kitchen": ("Heavy where it helps, light where you hold it",
                "The one you reach for, every evening",
                "Good for a first kitchen and for the last one",
                "Balanced for small hands and big suppers"),
    "tea-coffee": ("For slow mornings and second cups",
                   "A small ritual, well made",
                   "Enough for two, or for one long letter",
                   "Feels right in the hand from the first cup"),
    "garden": ("Lives outside and looks better each spring",
               "Made to be handed on with the garden",
               "For balconies, allotments and everything in between",
               "Takes rain, frost and the neighbour's cat"),
    "home": ("For the quiet corner of the room",
             "Made for evenings with nothing planned",
             "Brings a little warmth to a plain room",
             "The first thing that guests ask about"),
}

USES = ("A favourite for weekends away.", "Makes a good present.",
        "Goes with most of the same range.", "Comes in a plain paper box.",
        "We use one in the workshop ourselves.", "Ships within two days.",
        "Made in small runs, so no two are quite alike.",
        "Designed to be taken apart and repaired.")

FEATURES = {
    "jacket": ("Two-way zip", "Wind resistant", "Inside pocket", "Deep hood"),
    "jumper": ("Ribbed cuffs", "Raglan sleeves", "Mending yarn included"),
    "scarf": ("Two metres long", "Fringed ends", "Natural dyes"),
    "beanie": ("Double cuff", "No seam at the brow", "One size"),
    "boot": ("Resoleable", "Waterproof membrane", "Hooks at the ankle"),
    "trail shoe": ("4 mm drop", "Reinforced toe", "Removable insole"),
    "sandal": ("Resoleable", "Cork footbed", "Buckles of solid brass"),
    "slipper": ("Quiet sole", "Removable insole", "Washable"),
    "backpack": ("Padded laptop sleeve", "Carries 24 litres", "Key loop"),
    "tote bag": ("Carries 18 litres", "Inside pocket", "Reinforced base"),
    "duffel bag": ("Carries 40 litres", "Shoulder strap", "Shoe pocket"),
    "belt bag": ("Water repellent", "Two pockets", "Fits a paperback"),
    "tent": ("Sleeps two", "Waterproof seams", "Under two kilograms"),
    "sleeping bag": ("Three seasons", "Packs to 30 cm", "Zips to a pair"),
    "lantern": ("Dimmable", "Hangs or stands", "Burns for 40 hours"),
    "flask": ("Holds 0.7 litres", "Hot for 12 hours", "Lid is a cup"),
    "frying pan": ("Oven safe", "Works on induction", "Riveted handle"),
    "stockpot": ("Holds 6 litres", "Oven safe", "Works on induction"),
    "chef's knife": ("20 cm blade", "Sharpened by hand", "Full tang"),
    "chopping board": ("End grain", "Juice groove", "Oiled finish"),
    "teapot": ("Holds 0.9 litres", "Drip-free spout", "Fine strainer"),
    "mug": ("Holds 0.3 litres", "Dishwasher safe", "Stacks"),
    "kettle": ("Holds 1.5 litres", "Whistles", "Works on induction"),
    "coffee grinder": ("Steel burrs", "18 steps", "Grinds for two cups"),
    "watering can": ("Holds 9 litres", "Fine rose", "Two handles"),
    "spade": ("Replaceable handle", "Tread on the blade", "Rust resistant"),
    "planter": ("Frost proof", "Drainage holes", "With a saucer"),
    "bench": ("Seats three", "Frost proof", "Oiled finish"),
    "table lamp": ("Dimmable", "Linen shade", "Two metres of cord"),
    "blanket": ("130 x 180 cm", "Fringed edge", "Natural dyes"),
    "cushion": ("50 x 50 cm", "Washable cover", "Hidden zip"),
    "candle": ("Burns for 40 hours", "Cotton wick", "Glass can be reused"),
}

MATERIAL_NOTES = {
    "wool": "keeps its warmth when wet", "cotton": "breathes and washes well",
    "leather": "darkens with use", "steel": "does not mind a knock",
    "nylon": "dries within the hour", "iron": "holds heat for a long time",
    "down": "weighs next to nothing", "copper": "heats evenly",
    "linen": "gets softer with each wash", "oak": "is oiled, not varnished",
    "wax": "burns clean", "porcelain": "rings like a bell",
}


class Product:
    """What the shop knows about one thing that it sells."""

    def __init__(self, **fields):
        self.__dict__.update(fields)

    def text(self):
        """All that can be searched for, by how much a word there weighs."""
        return ((3.0, self.title), (2.0, "%s %s" % (self.category_name,
                                                    self.colour)),
                (1.0, self.description), (1.0, " ".join(self.features)))


def pick(source, values):
    # random() is the same in each version of Python, choice() may not be
    return values[int(source.random() * len(values))]


def some(source, values, count):
    left = list(values)
    return [left.pop(int(source.random() * len(left))) for _ in range(count)]


def capitals(text):
    return " ".join(word[:1].upper() + word[1:] for word in text.split())


def describe(source, category, material):
    note = next((note for word, note in MATERIAL_NOTES.items()
                 if word in material), "wears in rather than out")
    return "%s. %s %s. %s" % (
        pick(source, OPENINGS[category]), material.capitalize(), note,
        pick(source, USES))


def products(each=11):
    """Yields each product; the same ones, in the same order, each time."""
    source = random.Random(20)
    number = 0
    for kind, (category, usual, materials) in KINDS.items():
        names = [(series, material) for series in SERIES
                 for material in materials]
        for series, material in some(source, names, each):
            number += 1
            factor = 0.75 + 0.6 * source.random() \
                + 0.2 * materials.index(material)
            price = max(5, round(usual * factor)) - pick(
                source, (0.0, 0.05, 0.5, 0.01))
            yield Product(
                sku="sku_%03d" % number, kind=kind, category=category,
                category_name=CATEGORIES[category], material=material,
                title=capitals("%s %s %s" % (series, material, kind)),
                series=series, colour=pick(source, tuple(COLOURS)),
                accent=pick(source, tuple(COLOURS)),
                pattern=pick(source, PATTERNS), price=round(price, 2),
                rating=round(3.4 + 1.6 * source.random() ** 0.7, 1),
                reviews=int(3 + 400 * source.random() ** 3),
                stock=max(0, int(source.random() * 40) - 3),
                added=int(source.random() * 365),
                features=some(source, FEATURES[kind], 3),
                description=describe(source, category, material))
