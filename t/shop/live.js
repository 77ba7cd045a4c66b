'use strict';

// The search that the browser draws: the answer is JSON, its serve id is in a
// header.  Put on the list as data-refine-serve-id, it ties the views and
// clicks of these products to the answer that brought them.

const form = document.getElementById('live');
const found = document.getElementById('found');
const drawn = document.getElementById('drawn');
let asked = 0;
let timer;

function make(tag, fields, ...children) {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
}

function card({ productId, metadata: { title, price, rating } }) {
  const item = make('li', { className: 'card' },
    make('a', { href: `/product/${productId}` },
      make('img', { src: `/picture/${productId}.svg`, alt: '' }),
      make('span', { className: 'title', textContent: title })),
    make('p', { className: 'stars', textContent: `\u2605 ${rating.toFixed(1)}` }),
    make('p', { className: 'foot' },
      make('b', { textContent: `$${price.toFixed(2)}` })));

  item.dataset.refineItem = productId;
  return item;
}

async function search() {
  const number = ++asked;
  const args = new URLSearchParams(new FormData(form));
  if (!args.get('q').trim()) {
    drawn.replaceChildren();
    found.textContent = '\u00a0';
    return;
  }
  args.set('limit', 12);
  try {
    const response = await fetch(`/api/search?${args}`);
    const { results, totalResults } = await response.json();
    if (number !== asked) {
      return;       // a later answer was faster
    }
    const serveId = response.headers.get('X-Refine-Serve-Id');
    const list = make('ul', { className: 'grid' }, ...results.map(card));
    list.dataset.refineServe = '';
    list.dataset.refineSurface = 'search_results';
    list.dataset.refineSource = 'text-search';
    if (serveId) {
      list.dataset.refineServeId = serveId;
    }
    found.replaceChildren(`${totalResults} found. X-Refine-Serve-Id: `,
                          make('code', { textContent: serveId || 'none' }));
    drawn.replaceChildren(list);
  } catch (error) {
    found.textContent = `The search is away: ${error.message}`;
  }
}

form.addEventListener('submit', event => {
  event.preventDefault();
  clearTimeout(timer);
  search();
});

form.addEventListener('input', () => {
  clearTimeout(timer);
  timer = setTimeout(search, 400);
});
