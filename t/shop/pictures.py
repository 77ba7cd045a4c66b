"""The pictures of the demo shop's products, drawn as SVG.

A kind of product is a few shapes in a square of 200; $m is its cloth (a colour
with a pattern), $d a darker and $l a lighter shade of it, $a the accent.
"""

from string import Template

from goods import COLOURS

SHAPES = {
    "jacket":
        '<path fill="$m" d="M70 42 40 62 24 130l22 8 12-38v64h84v-64l12 38 '
        '22-8-16-68-30-20-18 12h-24z"/>'
        '<path fill="$d" d="M82 42h36l-18 30z"/>'
        '<path stroke="$a" stroke-width="4" d="M100 72v92"/>'
        '<path fill="$d" d="M66 124h24v6H66zM110 124h24v6h-24z"/>',
    "jumper":
        '<path fill="$m" d="M72 46 42 62 26 136l22 6 12-40v62h80v-62l12 40 '
        '22-6-16-74-30-16q-28 20-56 0z"/>'
        '<path fill="$d" d="M72 46q28 20 56 0l4 4q-32 26-64 0zM60 '
        '154h80v10H60zM26 130l22 6-2 8-22-6zM174 130l-22 6 2 8 22-6z"/>'
        '<path fill="none" stroke="$a" stroke-width="5" d="m62 100 10-10 '
        '10 10 10-10 10 10 10-10 10 10 10-10 6 6"/>',
    "scarf":
        '<path fill="$m" d="M60 44q40 28 80 0l12 20q-52 40-104 0z"/>'
        '<path fill="$l" d="m84 72 30 4-10 92-34-4z"/>'
        '<path fill="$d" d="m74 74 36-8 6 14-38 6z"/>'
        '<path stroke="$a" stroke-width="4" d="m73 164-1 12m9-11-1 '
        '12m9-11-1 12m9-11-1 12"/>',
    "beanie":
        '<path fill="$m" d="M46 132q0-76 54-76t54 76z"/>'
        '<path fill="$d" d="M38 124h124v34q-62 8-124 0z"/>'
        '<circle cx="100" cy="50" r="16" fill="$a"/>'
        '<path stroke="$l" stroke-width="3" d="M58 '
        '126v34m14-34v35m14-35v36m14-36v36m14-36v36m14-36v35m14-35v34"/>',
    "boot":
        '<path fill="$m" d="M62 40h58v64l44 18q10 6 8 26H62z"/>'
        '<path fill="$d" d="M56 148h118v16H56zM62 40h58v12H62z"/>'
        '<path stroke="$a" stroke-width="4" d="m98 66 22 4m-22 12 22 4m-22 '
        '12 24 4"/>',
    "trail shoe":
        '<path fill="$m" d="M30 92q18 8 34-10l30 8q20 30 58 32 22 4 20 '
        '24H32q-10-30-2-54z"/>'
        '<path fill="$l" d="M30 144h142l-4 16q-70 8-134 0z"/>'
        '<path stroke="$a" stroke-width="4" d="m88 104 14-10m-2 22 14-10m2 '
        '18 12-10"/><path fill="$d" d="M28 98q12 6 14 46H32q-8-20-4-46z"/>',
    "sandal":
        '<path fill="$d" d="M28 136q72-14 144 0v14q-72 12-144 0z"/>'
        '<path fill="$l" d="M28 132q72-14 144 0v6q-72-10-144 0z"/>'
        '<path fill="$m" d="M112 132q4-44 46-4l8 6q-28-2-54-2zM40 '
        '132q-6-50 22-56l6 56z"/>'
        '<path fill="none" stroke="$a" stroke-width="9" d="M64 98q28-2 52 '
        '20"/>',
    "slipper":
        '<path fill="$m" d="M30 128q-2-22 16-24 22-2 44 12 14-50 60-26 26 '
        '18 22 50H36q-6-2-6-12z"/>'
        '<path fill="$l" d="M38 112q24-10 52 4l-4 12q-22-10-48-6z"/>'
        '<path fill="$d" d="M32 138h140v14q-72 6-136 0z"/>'
        '<circle cx="140" cy="104" r="9" fill="$a"/>',
    "backpack":
        '<path fill="none" stroke="$d" stroke-width="8" d="M84 46q0-18 '
        '16-18t16 18"/>'
        '<rect x="52" y="42" width="96" height="124" rx="30" fill="$m"/>'
        '<rect x="66" y="104" width="68" height="48" rx="10" fill="$d"/>'
        '<path fill="$l" d="M52 78h96v10H52z"/>'
        '<path fill="$a" d="M94 72h12v26H94zM76 118h48v5H76z"/>',
    "tote bag":
        '<path fill="none" stroke="$d" stroke-width="8" d="M72 82V60q0-28 '
        '28-28t28 28v22"/><path fill="$m" d="M46 76h108l8 90H38z"/>'
        '<path fill="$d" d="M46 76h108l1 10H45z"/>'
        '<circle cx="100" cy="124" r="18" fill="$a"/>'
        '<path fill="$l" d="M100 110q16 14 0 28-16-14 0-28z"/>',
    "duffel bag":
        '<path fill="none" stroke="$d" stroke-width="7" d="M66 98q2-46 '
        '34-46t34 46"/>'
        '<rect x="26" y="84" width="148" height="72" rx="32" fill="$m"/>'
        '<path fill="$d" d="M60 84h12v72H60zM128 84h12v72h-12z"/>'
        '<path fill="$a" d="M80 98h40v5H80z"/>'
        '<path fill="$l" d="M26 116q0-32 32-32v72q-32 0-32-40z"/>',
    "belt bag":
        '<path fill="none" stroke="$d" stroke-width="9" d="M18 84q82-20 '
        '164 0"/>'
        '<path fill="$m" d="M46 80h108q10 0 8 14-6 50-62 50T38 94q-2-14 '
        '8-14z"/><path fill="$d" d="M40 98h120v6H40z"/>'
        '<path fill="$a" d="M140 94h10v24h-10z"/>'
        '<path fill="$l" d="M66 118q34 8 68 0v6q-34 8-68 0z"/>',
    "tent":
        '<path fill="$d" d="M100 44 20 156h160z"/>'
        '<path fill="$m" d="M100 44 20 156h66z"/>'
        '<path fill="$l" d="M100 44 86 156h28z"/>'
        '<path fill="$a" d="m100 44 14 112h14z"/>'
        '<path stroke="$d" stroke-width="3" d="M10 160h180M100 44V32"/>',
    "sleeping bag":
        '<path fill="$m" d="M62 52q38-30 76 0 14 24 6 70l-10 44q-34 12-68 '
        '0l-10-44q-8-46 6-70z"/>'
        '<path fill="$l" d="M74 58q26-20 52 0 8 18-4 34-22 10-44 '
        '0-12-16-4-34z"/>'
        '<path stroke="$a" stroke-width="4" d="M134 70v92"/>'
        '<path fill="none" stroke="$d" stroke-width="3" d="M58 112q42 12 '
        '84 0M62 136q38 12 76 0"/>',
    "lantern":
        '<path fill="none" stroke="$d" stroke-width="5" d="M72 62q0-36 '
        '28-36t28 36"/>'
        '<path fill="$m" d="M70 60h60l8 16H62zM58 144h84v20H58z"/>'
        '<path fill="$l" d="M68 76h64v68H68z"/>'
        '<path fill="$a" d="M100 92q22 22 0 44-22-22 0-44z"/>'
        '<path stroke="$d" stroke-width="4" d="M68 76v68m64-68v68"/>',
    "flask":
        '<rect x="70" y="66" width="60" height="106" rx="12" fill="$m"/>'
        '<path fill="$d" d="M76 50h48v16H76z"/>'
        '<path fill="$a" d="M82 28h36v24H82z"/>'
        '<path fill="$l" d="M78 76h8v86h-8z"/>'
        '<path fill="$d" d="M70 128h60v8H70z"/>',
    "frying pan":
        '<path fill="$d" d="m118 100 12-10 58-34q10-2 8 8l-58 42z"/>'
        '<circle cx="84" cy="112" r="58" fill="$m"/>'
        '<circle cx="84" cy="112" r="44" fill="$d"/>'
        '<circle cx="78" cy="112" r="20" fill="#fff" opacity=".9"/>'
        '<circle cx="78" cy="112" r="9" fill="#f0b429"/>'
        '<path fill="$a" d="m166 68 18-10 4 6-16 12z"/>',
    "stockpot":
        '<path fill="$d" d="M24 94h24v12H24zM152 94h24v12h-24z"/>'
        '<path fill="$m" d="M44 82h112v66q0 16-16 16H60q-16 0-16-16z"/>'
        '<path fill="$l" d="M40 74h120v12H40z"/>'
        '<path fill="$d" d="M56 74q44-28 88 0z"/>'
        '<circle cx="100" cy="54" r="8" fill="$a"/>',
    "chef's knife":
        '<path fill="$l" d="M30 66h104v36q-70 6-104-36z"/>'
        '<path fill="$m" d="M30 66h104v14H42z" opacity=".5"/>'
        '<path fill="$d" d="M134 64h46q8 0 8 8v16q0 6-8 4l-22-6h-24z"/>'
        '<g fill="$a"><circle cx="146" cy="75" r="3"/>'
        '<circle cx="160" cy="76" r="3"/><circle cx="174" cy="78" r="3"/>'
        '</g><g fill="$a"><circle cx="62" cy="148" r="14"/>'
        '<circle cx="98" cy="150" r="12"/><circle cx="130" cy="152" r="10"/>'
        '</g>',
    "chopping board":
        '<rect x="40" y="50" width="98" height="112" rx="12" fill="$m"/>'
        '<path fill="$m" d="M78 24h24v30H78z"/>'
        '<circle cx="90" cy="36" r="6" fill="$l"/>'
        '<path stroke="$d" stroke-width="2" d="M64 '
        '50v112m26-112v112m26-112v112"/>'
        '<path fill="$a" d="M146 90q26 0 26 28t-26 28-22-28 22-28z"/>'
        '<path stroke="$d" stroke-width="4" d="M148 90q0-12 10-16"/>',
    "teapot":
        '<path fill="none" stroke="$d" stroke-width="9" d="M142 96q34-4 30 '
        '24t-34 24"/><path fill="$d" d="M62 128 20 92l8-8 44 24z"/>'
        '<ellipse cx="102" cy="118" rx="50" ry="42" fill="$m"/>'
        '<path fill="$l" d="M72 84q30-16 60 0z"/>'
        '<circle cx="102" cy="68" r="8" fill="$a"/>'
        '<path fill="$d" d="M76 156h52v8H76z"/>',
    "mug":
        '<path fill="none" stroke="$d" stroke-width="12" d="M130 84q34-4 '
        '34 26t-34 26"/>'
        '<path fill="$m" d="M50 64h84v84q0 16-16 16H66q-16 0-16-16z"/>'
        '<path fill="$d" d="M50 64h84v8H50z"/>'
        '<path fill="$a" d="M50 104h84v12H50z"/>'
        '<path fill="none" stroke="$l" stroke-width="4" d="M76 54q-8-10 '
        '0-18m20 18q-8-10 0-18"/>',
    "kettle":
        '<path fill="none" stroke="$d" stroke-width="8" d="M58 84q0-52 '
        '42-52t42 52"/><path fill="$d" d="m138 108 34-30 8 8-36 46z"/>'
        '<path fill="$m" d="M56 80h88l12 76q0 8-8 8H52q-8 0-8-8z"/>'
        '<path fill="$l" d="M70 72h60v10H70z"/>'
        '<circle cx="100" cy="66" r="7" fill="$a"/>'
        '<path fill="$d" d="M46 148h108v8H46z"/>',
    "coffee grinder":
        '<path fill="none" stroke="$d" stroke-width="6" d="M100 60V44h50"/>'
        '<circle cx="152" cy="40" r="9" fill="$a"/>'
        '<path fill="$l" d="M66 88q0-32 34-32t34 32z"/>'
        '<path fill="$m" d="M58 92h84v62H58z"/>'
        '<path fill="$d" d="M52 84h96v10H52zM50 152h100v12H50z"/>'
        '<path fill="$l" d="M74 116h52v24H74z"/>'
        '<circle cx="100" cy="128" r="5" fill="$a"/>',
    "watering can":
        '<path fill="none" stroke="$d" stroke-width="7" d="M76 84q34-56 64 '
        '16"/>'
        '<path fill="$d" d="M70 120 28 72l-12 8-2-12 22-14 8 10-8 4 42 '
        '36z"/><path fill="$m" d="M68 84h70l6 78H62z"/>'
        '<path fill="none" stroke="$d" stroke-width="7" d="M140 100q36 0 '
        '28 28-4 18-26 24"/><path fill="$l" d="M66 104h74l1 8H65z"/>'
        '<path fill="$a" d="M64 138h78l1 8H63z"/>',
    "spade":
        '<path fill="$a" d="M80 24h40v10H80z"/>'
        '<path fill="$l" d="M94 32h12v76H94z"/>'
        '<path fill="$d" d="M66 100h68v10H66z"/>'
        '<path fill="$m" d="M68 108h64v36q-6 24-32 34-26-10-32-34z"/>',
    "planter":
        '<path fill="$a" d="M98 96q-44-8-44-52 40 4 46 44 2-48 44-56 4 '
        '48-38 64z"/><path stroke="$d" stroke-width="4" d="M100 104V64"/>'
        '<path fill="$m" d="M54 108h92l-12 60H66z"/>'
        '<path fill="$d" d="M48 98h104v14H48z"/>'
        '<path fill="$l" d="M60 134h80l-2 8H62z"/>',
    "bench":
        '<path fill="$d" d="M36 64h8v104h-8zM156 64h8v104h-8zM58 '
        '124h8v44h-8zM134 124h8v44h-8z"/>'
        '<path fill="$m" d="M28 62h144v14H28zM28 84h144v14H28z"/>'
        '<path fill="$l" d="M24 114h152v16H24z"/>'
        '<path fill="$a" d="M112 96q22-8 42 0v18h-42z"/>',
    "table lamp":
        '<path fill="$m" d="M72 34h56l24 62H48z"/>'
        '<path fill="$d" d="M95 96h10v44H95z"/>'
        '<path fill="$a" d="M68 164q0-28 32-28t32 28z"/>'
        '<path fill="$l" d="M46 92h108v7H46z"/>'
        '<path fill="#f0b429" opacity=".25" d="M48 99h104l24 60H24z"/>',
    "blanket":
        '<path fill="$d" d="M36 72h128v18H36z"/>'
        '<path fill="$m" d="M36 82q64 14 128 0v60q-64 14-128 0z"/>'
        '<path fill="$l" d="M36 104q64 14 128 0v10q-64 14-128 0z"/>'
        '<path fill="$a" d="M36 122q64 14 128 0v6q-64 14-128 0z"/>'
        '<path stroke="$d" stroke-width="3" d="M44 '
        '142v16m14-14v16m14-14v16m14-15v16m14-16v16m14-16v16m14-17'
        'v16m14-18v16m12-18v16"/>',
    "cushion":
        '<path fill="$m" d="M40 48q60 12 120 0-12 56 0 112-60-12-120 0 '
        '12-56 0-112z"/>'
        '<path fill="none" stroke="$d" stroke-width="4" d="M40 48q60 12 '
        '120 0-12 56 0 112-60-12-120 0 12-56 0-112z"/>'
        '<circle cx="100" cy="104" r="8" fill="$a"/>'
        '<path fill="none" stroke="$l" stroke-width="3" d="m92 98-20-20m36 '
        '20 20-20m-36 32-20 20m36-20 20 20"/>',
    "candle":
        '<path fill="#f0b429" d="M100 30q18 22 0 40-18-18 0-40z"/>'
        '<path stroke="$d" stroke-width="4" d="M100 66v16"/>'
        '<path fill="$m" d="M62 84h76v76q0 8-8 8H70q-8 0-8-8z"/>'
        '<path fill="$l" d="M62 84q38 16 76 0v8q-38 16-76 0z"/>'
        '<path fill="$a" d="M74 116h52v32H74z"/>'
        '<path fill="$d" d="M84 128h32v3H84zM90 136h20v3H90z"/>',
}

PATTERNS = {
    "plain": "",
    "stripes": '<path stroke="$d" stroke-width="3" opacity=".35" '
               'd="M0 4h16M0 12h16"/>',
    "dots": '<circle cx="4" cy="4" r="2" fill="$l" opacity=".8"/>'
            '<circle cx="12" cy="12" r="2" fill="$l" opacity=".8"/>',
    "checks": '<path fill="$d" opacity=".25" d="M0 0h8v16H0zM0 0h16v8H0z"/>',
    "waves": '<path fill="none" stroke="$l" stroke-width="2" opacity=".6" '
             'd="M0 8q4-5 8 0t8 0"/>',
}

PICTURE = Template("""<svg xmlns="http://www.w3.org/2000/svg" \
viewBox="0 0 200 200" width="400" height="400"><defs>\
<pattern id="m" width="16" height="16" patternUnits="userSpaceOnUse">\
<path fill="$main" d="M0 0h16v16H0z"/>$pattern</pattern>\
<radialGradient id="b" cy=".35" r=".8"><stop stop-color="$light"/>\
<stop offset="1" stop-color="$ground"/></radialGradient></defs>\
<path fill="url(#b)" d="M0 0h200v200H0z"/>\
<ellipse cx="100" cy="172" rx="70" ry="8" opacity=".12"/>$shapes</svg>""")


def mix(colour, other, share):
    """So much of the other colour in this one."""
    pairs = [(int(colour[i:i + 2], 16), int(other[i:i + 2], 16))
             for i in (1, 3, 5)]
    return "#" + "".join("%02x" % round(a + (b - a) * share)
                         for a, b in pairs)


def picture(product):
    """The product as the text of an SVG file."""
    main = COLOURS[product.colour]
    accent = COLOURS[product.accent]
    if product.accent == product.colour:
        accent = mix(main, "#ffffff", 0.7)
    colours = {"m": "url(#m)", "d": mix(main, "#1b1b22", 0.42),
               "l": mix(main, "#ffffff", 0.55), "a": accent}
    return PICTURE.substitute(
        main=main, light=mix(main, "#ffffff", 0.94),
        ground=mix(main, "#ffffff", 0.76),
        pattern=Template(PATTERNS[product.pattern]).substitute(colours),
        shapes=Template(SHAPES[product.kind]).substitute(colours))
