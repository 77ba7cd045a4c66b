'use strict';

// What the shop's pages do in a browser, and can do without: the arrows of the
// rows, filters that apply at once.

for (const row of document.querySelectorAll('.row')) {
  const list = row.querySelector('.carousel');
  const arrows = row.querySelector('.arrows');
  arrows.hidden = list.scrollWidth <= list.clientWidth;
  arrows.addEventListener('click', ({ target }) => list.scrollBy({
    left: target.dataset.scroll * list.clientWidth * 0.9, behavior: 'smooth',
  }));
}

for (const form of document.querySelectorAll('.filters')) {
  form.querySelector('details').open ||= innerWidth > 832;
  form.addEventListener('change', () => form.requestSubmit());
}
