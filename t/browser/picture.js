// The page as an SVG that needs nothing else: the text of the file.
//
// arguments: width and height of what is seen, the title, {address: text} of
// the pictures of the page.  picture.py says what for.

const [width, height, title, pictures] = arguments;
const XHTML = 'http://www.w3.org/1999/xhtml';
const SVG = 'http://www.w3.org/2000/svg';
const KEPT = new Set(['class', 'id', 'style', 'type', 'open', 'hidden', 'dir',
  'lang', 'disabled', 'placeholder', 'rows', 'cols', 'size', 'colspan', 'value',
  'rowspan', 'width', 'height', 'min', 'max', 'step', 'aria-current',
  'aria-pressed', 'aria-hidden']);
const DROPPED = 'script, noscript, link, meta, title, style, template, base';

// What decides how a picture stands in its place.
const PLACED = ['border-radius', 'display', 'filter', 'position', 'flex',
                'aspect-ratio', 'margin', 'vertical-align'];

const symbols = new Map();

// A rule holds for the elements that it matches when the states that a pointer
// or the keyboard brings are left out.
function used(selector) {
  const bare = selector.replace(
    /::[-\w]+(?:\([^)]*\))?|:(?:focus[-\w]*|active|first-l\w+)/g, '');
  try {
    return !bare.trim() || document.querySelector(bare);
  } catch {
    return true;
  }
}

// The rules that hold on this screen, as text.
function rules(list) {
  let out = '';
  for (const rule of list) {
    if (rule instanceof CSSMediaRule) {
      out += matchMedia(rule.media.mediaText).matches ? rules(rule.cssRules)
                                                      : '';
    } else if (rule instanceof CSSStyleRule) {
      out += rule.selectorText.split(/,(?![^(]*\))/).some(used)
             && !/:hover/.test(rule.selectorText) ? `${rule.cssText}\n` : '';
    }
  }
  return out;
}

// A picture of the page becomes a part of the document, drawn once however
// often it is seen: some viewers load nothing for a picture, not even data.
function drawing(image) {
  const style = getComputedStyle(image);
  const box = image.getBoundingClientRect();
  const source = pictures[new URL(image.src).pathname];
  const out = document.createElementNS(SVG, 'svg');
  if (!symbols.has(source)) {
    const made = new DOMParser().parseFromString(source, 'image/svg+xml')
      .documentElement;
    const name = `p${symbols.size}`;
    for (const one of made.querySelectorAll('[id]')) {
      one.id = name + one.id;
    }
    const symbol = document.createElementNS(SVG, 'symbol');
    symbol.id = name;
    symbol.setAttribute('viewBox', made.getAttribute('viewBox'));
    symbol.innerHTML = made.innerHTML.replace(/url\(#/g, `url(#${name}`);
    symbols.set(source, symbol);
  }
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#${symbols.get(source).id}`);
  out.append(use);
  out.setAttribute('style', PLACED.map(
    one => `${one}:${style.getPropertyValue(one)}`).concat(
    `width:${box.width}px`, `height:${box.height}px`).join(';'));
  return out;
}

function attributes(from, to) {
  for (const { name, value } of from.attributes) {
    if (from.namespaceURI === SVG ? !/^(?:on|data-|aria-|role)/.test(name)
                                  : KEPT.has(name)) {
      to.setAttribute(name, value);
    }
  }
  if (from.matches('a[href]')) {
    to.setAttribute('href', '#');
  }
  if (from.matches('input')) {
    to.setAttribute('value', from.value);
    to.toggleAttribute('checked', from.checked);
  }
}

// It lies below or beside what is seen, or is not drawn at all.
function outside(element) {
  const box = element.getBoundingClientRect();
  return !element.checkVisibility() || (box.width || box.height)
         && (box.top >= height || box.left >= width);
}

function copy(node) {
  if (node.nodeType === Node.TEXT_NODE) {
    return node.cloneNode();
  }
  if (node.nodeType !== Node.ELEMENT_NODE || node.matches(DROPPED)) {
    return null;
  }
  if (node.matches('img')) {
    return outside(node) ? null : drawing(node);
  }
  if (node.matches('option') ? !node.selected
      : node.namespaceURI === XHTML && outside(node)) {
    return null;
  }
  const out = document.createElementNS(node.namespaceURI, node.localName);
  attributes(node, out);
  out.append(...[...node.childNodes].map(copy).filter(Boolean));
  return out;
}

const root = document.documentElement;
const page = copy(root);
const style = document.createElementNS(XHTML, 'style');
const behind = [document.body, root].map(
  one => getComputedStyle(one).backgroundColor).find(
  one => !/, 0\)$/.test(one)) || 'Canvas';
const scheme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark'
                                                                   : 'light';

// The document's root is the SVG here, and html an element as any other.
style.textContent = [...document.styleSheets].map(
  sheet => rules(sheet.cssRules)).concat(
  '* { scrollbar-width: none !important }').join('');
page.setAttribute('style', `display:block;width:${width}px;height:${height}px;`
  + `overflow:hidden;background:${behind};color-scheme:${scheme}`);
page.prepend(style);

const svg = document.createElementNS(SVG, 'svg');
svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
svg.setAttribute('width', width);
svg.setAttribute('height', height);
const name = document.createElementNS(SVG, 'title');
name.textContent = title;
const frame = document.createElementNS(SVG, 'foreignObject');
frame.setAttribute('width', width);
frame.setAttribute('height', height);
frame.append(page);
svg.append(name);
if (symbols.size) {
  const defs = document.createElementNS(SVG, 'defs');
  defs.append(...symbols.values());
  svg.append(defs);
}
svg.append(frame);
return `${new XMLSerializer().serializeToString(svg)}\n`;
