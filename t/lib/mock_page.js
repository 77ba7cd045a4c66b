'use strict';

// Once a second whatever is new replaces what is shown; what was opened stays
// open.

const main = document.querySelector('main');
const pause = document.getElementById('pause');

async function refresh() {
  if (pause.getAttribute('aria-pressed') === 'false' && !document.hidden) {
    const response = await fetch(`/_mock/page?version=${main.dataset.version}`);
    if (response.status === 200) {
      const open = new Set([...main.querySelectorAll('details[open]')]
        .map(one => one.dataset.key));
      const focus = document.activeElement?.closest('details')?.dataset.key;

      main.innerHTML = await response.text();   // escaped where it was made
      main.dataset.version = response.headers.get('X-Version');
      for (const one of main.querySelectorAll('details')) {
        one.open = open.has(one.dataset.key);
        if (focus && one.dataset.key === focus) {
          one.firstElementChild.focus({ preventScroll: true });
        }
      }
    }
  }
}

async function loop() {
  try {
    await refresh();
    document.body.classList.remove('away');
  } catch {
    document.body.classList.add('away');
  }
  setTimeout(loop, 1000);
}

pause.addEventListener('click', () => pause.setAttribute(
  'aria-pressed', pause.getAttribute('aria-pressed') === 'false'));

for (const button of document.querySelectorAll('[data-set]')) {
  button.addEventListener('click', async () => {
    await fetch('/_mock/set', { method: 'POST', body: button.dataset.set });
    for (const one of document.querySelectorAll('[data-set]')) {
      one.classList.toggle('on', one === button && one.dataset.set !== '{}');
    }
  });
}

loop();
