'use strict';

// What the module's own script and HTML filter will do: gives each list of
// products a serve id and says what was shown, viewed, clicked, put into the
// cart and bought.

{
  const ledBy = JSON.parse(localStorage.getItem('ledBy') || '{}');
  const places = new WeakMap();
  const timers = new WeakMap();

  const track = (type, fields) => navigator.sendBeacon(
    '/refine/collect',
    JSON.stringify({ type, timestamp: Date.now(), ...fields }));

  // a view: half of the product in sight for a second

  const watcher = new IntersectionObserver(entries => {
    for (const { target, isIntersecting } of entries) {
      clearTimeout(timers.get(target));
      if (isIntersecting) {
        timers.set(target, setTimeout(() => {
          track('view', places.get(target));
          watcher.unobserve(target);
        }, 1000));
      }
    }
  }, { threshold: 0.5 });

  const show = (box, items, { surface, source, query }) => {
    const serveId = box.dataset.refineServeId || crypto.randomUUID();

    if (!box.dataset.refineServeId) {
      track('items_served', {
        serveId, surface, source, query: query || undefined,
        itemIds: items.map(item => item.dataset.refineItem),
      });
    }
    box.dataset.refineServeId = serveId;
    items.forEach((item, position) => {
      places.set(item, { serveId, itemId: item.dataset.refineItem, position });
      watcher.observe(item);
    });
  };

  const scan = () => {
    for (const box of document.querySelectorAll('[data-refine-serve]')) {
      const items = [...box.querySelectorAll('[data-refine-item]')];
      if (items.length && !places.has(items[0])) {
        show(box, items, { surface: box.dataset.refineSurface,
                           source: box.dataset.refineSource });
      }
    }
  };

  const main = document.querySelector('main');
  if (main.dataset.surface) {
    show(main, [...main.querySelectorAll('[data-refine-item]')], main.dataset);
  }
  scan();
  new MutationObserver(scan).observe(main, { childList: true, subtree: true });

  document.addEventListener('click', ({ target }) => {
    const item = target.closest('[data-refine-item]');
    const id = item?.dataset.refineItem;

    if (target.closest('[data-refine-add-to-cart]')) {
      const place = places.get(item) || ledBy[id];
      if (place) {
        track('add_to_cart', place);
      }
    } else if (places.has(item) && target.closest('a')) {
      ledBy[id] = places.get(item);
      localStorage.setItem('ledBy', JSON.stringify(ledBy));
      track('click', ledBy[id]);
    }
  }, true);

  const bought = document.querySelector('[data-refine-purchase]');
  if (bought) {
    const order = JSON.parse(bought.dataset.refinePurchase);
    if (sessionStorage.getItem('bought') !== order.orderId) {
      sessionStorage.setItem('bought', order.orderId);
      track('purchase', order);
    }
  }
}
