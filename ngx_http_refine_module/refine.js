// Tracks what visitors do with the items that a page shows: a container with
// data-refine-serve-id, or the page by <meta name="refine-serve-id">, and in it
// elements with data-refine-item.  The script tag's data-collect says where
// events go.
(() => {
    "use strict";

    const collect = document.currentScript?.dataset.collect;

    if (!collect) {
        return;
    }

    const page = () =>
        document.querySelector('meta[name="refine-serve-id"]')?.content;

    // an item's container is the nearest one, and its place is among the items
    // that have the same container
    const where = (item) => {
        const box = item.closest("[data-refine-serve]");
        const items = [...(box || document)
            .querySelectorAll("[data-refine-item]")]
            .filter((other) => other.closest("[data-refine-serve]") === box);

        return {
            serveId: box ? box.dataset.refineServeId : page(),
            itemId: item.dataset.refineItem,
            position: items.indexOf(item),
        };
    };

    const send = (event) => {
        const text = JSON.stringify({ sentAt: Date.now(), events: [event] });

        if (!navigator.sendBeacon(collect, text)) {
            fetch(collect, { method: "POST", body: text, keepalive: true })
                .catch(() => {});
        }
    };

    addEventListener("click", (e) => {
        try {
            const item = e.target.closest?.("[data-refine-item]");
            const place = item && where(item);

            if (place?.serveId) {
                const cart = e.target.closest("[data-refine-add-to-cart]");

                send({ type: cart ? "add_to_cart" : "click",
                       timestamp: Date.now(), page: location.href, ...place });
            }

        } catch (error) {
            console.warn("refine:", error);
        }
    }, true);
})();
