// Refine's events from the browser to this shop's nginx (docs/browser.md).
//
// A classic script or a module; its only globals are "Refine", which code
// written for Refine's SDK uses, and "refine", one that is ready.  With
// data-collect in its tag it also tracks by itself what the page marks up.
(() => {
if (window.Refine?.edge) {
    return;
}

const doc = document;
const tag = doc.querySelector("script[data-collect]");
const WEEK = 6048e5;
// of 64 KB that a page may have on its way while it is left
const BODY = 6e4;
// keys in the storage: events, carried clicks, orders, the user, server time
const EVENT = "refine.e.";
const CLICK = "refine.c.";
const ORDER = "refine.o.";
const USER = "refine.u";
const SKEW = "refine.t";

let options = {
    enabled: true,
    batchSize: 10,
    flushInterval: 5000,
    maxQueueSize: 1000,
    maxRetries: 3,
    persistence: "localStorage"
};
let collect = tag?.dataset.collect || "/refine/collect";
let requireConsent = tag?.dataset.requireConsent !== undefined;

// Nothing that happens here may reach the page.
const safe = (action) => (...args) => {
    try {
        return action(...args);
    } catch (error) {
        console.debug("refine:", error);
        return new ServeContext(makeId());
    }
};

const on = (target, names, action) => {
    for (const name of names.split(" ")) {
        target.addEventListener(name, safe(action), true);
    }
};

// A page that is prerendered does nothing yet, and may never be shown.
const shown = (action) => {
    if (doc.prerendering) {
        on(doc, "prerenderingchange", action);
    } else {
        action();
    }
};

// ------------------------------------------------------------------ storage
//
// A key an event, so that tabs do not overwrite each other's; what the storage
// does not take is kept in memory.

const memory = new Map();
let disk = null;

const put = (key, text) => {
    try {
        disk.setItem(key, text);
    } catch {
        memory.set(key, text);
    }
};

const get = (key) => {
    try {
        return memory.get(key) ?? disk.getItem(key);
    } catch {
        return null;
    }
};

const drop = safe((key) => {
    memory.delete(key);
    disk?.removeItem(key);
});

// in the order of their ids, which is that of time
const keys = (prefix) => {
    let all = [];

    try {
        all = Object.keys(disk);
    } catch {
        // none are there
    }
    return [...memory.keys(), ...all]
        .filter((key) => key.startsWith(prefix)).sort();
};

// ------------------------------------------------------------------ consent

const status = () => {
    const value = safe(() =>
        /(^|; *)refine_consent=([^;]*)/.exec(doc.cookie)?.[2])();

    return /^(denied|0)$/.test(value) ? "denied"
        : requireConsent && !/^(granted|1)$/.test(value) ? "pending"
        : "granted";
};

// whether what a visitor has done may be remembered
const remembers = () => status() === "granted"
    && !navigator.globalPrivacyControl && navigator.doNotTrack !== "1";

const forget = () => {
    for (const key of keys("refine.")) {
        drop(key);
    }
    tries.clear();
    count = 0;
};

const setConsent = (value, seconds) => {
    doc.cookie = `refine_consent=${value};path=/;SameSite=Lax;max-age=`
        + seconds + (/^https/.test(origin) ? ";Secure" : "");
};

// ----------------------------------------------------------------------- ids

let last = 0;

// a UUIDv7, later than the one before
const makeId = () => {
    const random = crypto.getRandomValues(new Uint8Array(36));

    last = Math.max(last + 1, Date.now());

    return `0${last.toString(16)}-7xxx-8xxx-xxxxxxxxxxxx`
        .replace(/.{8}/, "$&-")
        .replace(/x/g, (x, at) => (random[at] & 15).toString(16));
};

// --------------------------------------------------------------------- queue

const tries = new Map();
// sent while the page was left, what became of it is not known
const beaconed = new Set();
let count = 0;
let sent = 0;
let failed = 0;
let paused = false;
let stopped = false;
let backoff = 0;
let retryAt = 0;
let due = 0;
let timer = 0;
let chain = Promise.resolve();

const schedule = (wait) => {
    const at = Date.now() + wait;

    if (!timer || at < due) {
        clearTimeout(timer);
        due = at;
        timer = setTimeout(() => {
            timer = 0;
            send();
        }, wait);
    }
};

const url = (text) => /^[^:]+:\/\/.{1,2000}$/.exec(text)?.[0];

const push = (event, id = makeId()) => shown(() => {
    if (!options.enabled || status() === "denied") {
        return;
    }
    put(EVENT + id, JSON.stringify({
        ...event,
        eventId: id,
        timestamp: Date.now(),
        page: url(location.href),
        userId: get(USER)?.toString()
    }));
    if (++count > options.maxQueueSize) {
        const all = keys(EVENT);

        count = options.maxQueueSize;
        fail(all.slice(0, -count));
    }
    schedule(count >= options.batchSize ? 0 : options.flushInterval);
});

// as much of these as goes into a request: [keys, body]
const take = (wanted, limit) => {
    const taken = [];
    const texts = [];
    let size = 100;

    for (const key of wanted) {
        const text = get(key);
        let event;

        try {
            event = JSON.parse(text);
        } catch {
            // another one's, or damaged
        }
        if (text === null) {
            continue;
        }
        if (EVENT + event?.eventId !== key
            || !(event.timestamp > Date.now() - WEEK)) {
            fail([key]);
            continue;
        }
        size += new TextEncoder().encode(text).length + 1;
        if (taken.length >= limit || taken.length && size > BODY) {
            break;
        }
        taken.push(key);
        texts.push(text);
    }
    return [taken, `{"sentAt":${Date.now()},"events":[${texts}]}`, size];
};

const held = () => {
    if (status() === "denied") {
        forget();
    }
    return paused || stopped || status() !== "granted" || doc.prerendering
        || !navigator.onLine || !options.enabled;
};

const leave = (taken) => {
    for (const key of taken) {
        drop(key);
        tries.delete(key);
    }
};

const fail = (taken) => {
    leave(taken);
    failed += taken.length;
};

// the answer to a batch: how many the next one may have, 0 to stop for now
const answered = async (taken, answer) => {
    const code = answer?.status;
    const said = await answer?.json().catch(() => null);
    const bad = said?.rejected;
    const wait = answer?.headers.get("retry-after") | 0;

    if (answer) {
        put(SKEW, Date.parse(answer.headers.get("date")) - Date.now());
    }
    if (code === 204 || said?.accepted > 0) {
        leave(taken);
        failed += bad?.length | 0;
        sent += taken.length - (bad?.length | 0);
    } else if (code === 413 || code === 400 && bad?.[0]?.index == null) {
        if (taken.length > 1) {
            return taken.length >> 1;
        }
        fail(taken);
    } else if (code === 400 || code === 415) {
        console.warn("refine:", code, bad);
        fail(taken);
    } else if (code > 200 && code < 500 && !/408|425|429/.test(code)) {
        console.warn("refine:", code, bad);
        stopped = true;
        return 0;
    } else {
        // no answer at all uses up no retry
        for (const key of taken) {
            const before = tries.get(key) | 0;

            if (code && before >= options.maxRetries) {
                fail([key]);
            } else {
                tries.set(key, before + !!code);
            }
        }
        backoff = Math.min(backoff * 2 || 1000, 6e4);
        retryAt = Date.now()
            + Math.max(wait * 1000, backoff * (1 + Math.random()) / 2);
        schedule(retryAt - Date.now());
        return 0;
    }
    backoff = 0;
    return options.batchSize;
};

// keepalive: it goes on while the page is left
const post = (body, keepalive) => fetch(collect, {
    method: "POST",
    body,
    keepalive,
    credentials: "include",
    redirect: "error",
    signal: AbortSignal.timeout?.(3e4)
}).catch(() => null);

const drain = async () => {
    let limit = options.batchSize;

    while (limit && !held()) {
        const all = keys(EVENT);
        const [taken, body, size] = take(all, Math.min(limit, 100));

        count = all.length;
        limit = taken.length
            && await answered(taken, await post(body, size < BODY));
    }
};

// One tab at a time; a flush waits for the others.  Without a storage that they
// share there may be no locks either.
const send = async (flush) => {
    try {
        if (flush && doc.hidden) {
            beacon();
        }
        if (held()) {
            return;
        }
        if (!flush && Date.now() < retryAt) {
            schedule(retryAt - Date.now());
            return;
        }
        if (disk && navigator.locks) {
            await navigator.locks.request("refine", { ifAvailable: !flush },
                (lock) => lock ? drain() : schedule(1000));
        } else {
            await (chain = chain.then(drain, drain));
        }
    } catch (error) {
        console.debug("refine:", error);
    }
};

// All at once, for the page may not come back.  It stays in the queue: the
// collector knows the ids of what it has stored.
const beacon = safe(() => {
    if (held()) {
        return;
    }
    for (;;) {
        const [taken, body] = take(
            keys(EVENT).filter((key) => !beaconed.has(key)), 100);

        if (!taken.length || !navigator.sendBeacon?.(collect, body)) {
            if (taken.length) {
                post(body, true);
            }
            return;
        }
        taken.forEach((key) => beaconed.add(key));
    }
});

// ---------------------------------------------------------------- what tracks

// serve ids that the server has given and logged
const logged = new Set();
// answers with a serve id, of fetch and XMLHttpRequest, the latest first
const answers = [];

// the serve of an answer that has all of these items in it
const answerWith = (ids) => ids.length && answers.find(({ text }) =>
    text === undefined || ids.every((id) => text?.includes(id)))?.id;

const idsOf = (products) => [...products || []].slice(0, 1000).map((one) =>
    String(one?.productId ?? one?.itemId ?? one?.id ?? one));

// What follows a serve belongs to it.
class ServeContext {
    constructor(serveId, itemIds = []) {
        this.serveId = serveId;
        this.itemIds = itemIds;
        this.viewed = new Set();
    }

    trackClick(itemId, position) {
        track(this, "click", itemId, position);
    }

    trackView(itemId, position) {
        track(this, "view", itemId, position);
    }

    trackAddToCart(itemId, position) {
        track(this, "add_to_cart", itemId, position);
    }
}

const track = safe((context, type, item, position) => {
    const itemId = String(item);

    if (type !== "add_to_cart") {
        position ??= Math.max(context.itemIds.indexOf(itemId), 0);
    }
    push({ type, serveId: context.serveId, itemId, position });
    shown(() => {
        if (type === "click" && remembers()) {
            put(CLICK + itemId,
                JSON.stringify([context.serveId, position, Date.now()]));
        }
    });
});

// Items are shown; the server may have logged that already.
const serve = (fields, itemIds, serveId) => {
    const known = serveId && logged.has(serveId)
        ? serveId : !serveId && answerWith(itemIds);
    const context = new ServeContext(known || serveId || makeId(), itemIds);

    if (!known) {
        push({ type: "items_served", serveId: context.serveId, itemIds,
               referrer: url(doc.referrer), ...fields },
             context.serveId);
        logged.add(context.serveId);
    }
    return context;
};

// the click that has led to an item, on this page or one before
const carried = (itemId) => {
    try {
        const [serveId, position, time] = JSON.parse(get(CLICK + itemId));

        return time > Date.now() - WEEK && remembers()
            ? { context: new ServeContext(serveId), position } : null;
    } catch {
        return null;
    }
};

const purchase = safe((order) => {
    push({ ...order, type: "purchase", orderId: String(order.orderId) });
    shown(() => keys(CLICK).forEach(drop));
});

class Refine {
    static edge = true;

    constructor(config) {
        if (config?.apiKey) {
            console.warn("refine: apiKey is ignored");
        }
        // there is one queue a page
        options = { ...options, ...config?.events };
        options.batchSize = Math.max(options.batchSize | 0, 1);
        collect = config?.collect || collect;
        requireConsent = config?.requireConsent ?? requireConsent;
        disk = null;
        safe(() => {
            disk = window[options.persistence];
        })();

        this.events = {
            trackSearch: safe((query, products, { serveId, ...others } = {}) => {
                logged.add(serveId);
                return serve({ surface: "search_results", source: "text-search",
                               query: String(query ?? ""), ...others },
                             idsOf(products), serveId);
            }),

            trackRecommendations: safe((serveId, products,
                surface = "product_page", source = "similar-items", metadata) =>
                serve({ surface, source, metadata }, idsOf(products), serveId)),

            trackItemsServed: safe(({ serveId, itemIds, ...others }) => {
                logged.add(serveId);
                return serve(others, idsOf(itemIds), serveId);
            }),

            trackPurchase: purchase,

            // beyond the SDK: the context of the click that led to an item
            carried: (itemId) => carried(itemId)?.context || null,

            flush: () => send(true),

            pause: () => {
                paused = true;
            },

            resume: () => {
                paused = false;
                schedule(0);
            },

            getMetrics: () => {
                const all = keys(EVENT);
                const retrying = all.filter((key) => tries.has(key)).length;

                return { queued: all.length - retrying, sent, failed,
                         retrying };
            }
        };

        this.consent = {
            grant: safe(() => {
                setConsent("granted", 31536000);
                schedule(0);
            }),

            deny: safe(() => {
                setConsent("denied", 31536000);
                forget();
            }),

            reset: safe(() => setConsent("", 0)),

            getStatus: status
        };
    }

    identify(userId) {
        drop(USER);
        if (userId) {
            remembers() ? put(USER, userId) : memory.set(USER, userId);
        }
    }
}

// ------------------------------------------------------ what the page marks up

const ITEM = "data-refine-item";
const SERVE = "data-refine-serve";
const CART = "data-refine-add-to-cart";
const ORDERED = "data-refine-purchase";

// container, or the document: what it has shown
const groups = new WeakMap();
const live = [];
// element: its place, or of an item without a serve only the id
const items = new WeakMap();
// elements half of which is seen: since when
const seen = new Map();
let hidden = [];
let parsing = true;
let dirty = true;
let scanning = 0;
let watcher;

// A page out of a cache has a serve that was another one's.
const stale = (id) => /^.{8}-.{4}-7/.test(id)
    && parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
       < performance.timeOrigin - -get(SKEW) - 6e4;

const makeGroup = (box, fields, context, edge) => {
    const group = { box, fields, edge, context, url: location.href,
                    places: new Map() };

    groups.set(box, group);
    live.unshift(group);
    live.splice(50);
    return addItems(group, context);
};

const addItems = (group, context) => {
    context.itemIds.forEach((id, position) =>
        group.places.set(id, { id, context, position }));
    return group;
};

// The serve of the items that a container has, or has got since.
const groupOf = (box, ids, now) => {
    const page = box === doc;
    const edge = page
        ? doc.querySelector('meta[name="refine-serve-id"]')?.content
        : box.getAttribute("data-refine-serve-id");
    const of = (name) => !page && box.dataset[name] || doc.body.dataset[name]
        || "curated";
    const fields = { surface: of("refineSurface"), source: of("refineSource") };
    const group = groups.get(box);
    const told = answerWith(ids);
    let metadata;

    logged.add(edge);
    if (group && (!edge || group.edge === edge)) {
        const added = ids.filter((id) => !group.places.has(id));
        const kept = ids.length - added.length;

        if (!added.length) {
            return group;
        }
        if (parsing && group.context.serveId === edge) {
            group.context.itemIds = ids;
            return addItems(group, group.context);
        }
        if (kept && (group.url === location.href
                     || kept === group.places.size)) {
            group.url = location.href;
            return addItems(group, serve({ ...fields, metadata: {
                parentServeId: group.context.serveId,
                offset: group.places.size
            } }, added));
        }
    } else if (edge) {
        if (!stale(edge)) {
            return makeGroup(box, fields, new ServeContext(edge, ids), edge);
        }
        metadata = { replayOf: edge };
    } else {
        // drawn anew, it is what it was, but for a new answer
        const same = live.find((one) => !one.box.isConnected
            && one.url === location.href
            && (told || one.context.serveId) === one.context.serveId
            && JSON.stringify(one.fields) === JSON.stringify(fields)
            && ids.every((id) => one.places.has(id)));

        if (same) {
            same.box = box;
            groups.set(box, same);
            return same;
        }
    }
    // Before the end of the page there may be more; what is in no container is
    // nobody's, unless a request has brought it.
    return parsing && !now || page && !edge && !told ? null
        : makeGroup(box, fields, serve({ ...fields, metadata }, ids), edge);
};

const scan = safe((now) => {
    scanning = 0;
    if (!dirty || !doc.body) {
        return;
    }
    dirty = false;

    const boxes = new Map();

    for (const element of doc.querySelectorAll(`[${ITEM}]`)) {
        const id = element.getAttribute(ITEM);
        const box = element.parentElement?.closest(`[${SERVE}]`) || doc;

        if (id) {
            boxes.has(box) || boxes.set(box, new Map());
            boxes.get(box).set(element, id);
        }
    }
    for (const [box, found] of boxes) {
        const ids = [...new Set(found.values())].slice(0, 1000);
        const group = groupOf(box, ids, now === true);

        for (const [element, id] of found) {
            const place = group?.places.get(id) || { id };

            if (items.get(element) !== place) {
                items.set(element, place);
                rewatch(element);
            }
        }
    }
    for (const element of doc.querySelectorAll(`[${ORDERED}]`)) {
        const order = JSON.parse(element.getAttribute(ORDERED)
                                 || element.textContent);

        if (status() !== "denied" && !get(ORDER + order.orderId)) {
            put(ORDER + order.orderId, Date.now());
            purchase(order);
        }
    }
});

const scanSoon = () => {
    dirty = true;
    scanning ||= setTimeout(scan, 100);
};

// -------------------------------------------------- half of it, for a second

// begins anew with an element that waits for its view
const rewatch = (element) => {
    const { id, context } = items.get(element);
    const waits = context && !context.viewed.has(id);

    seen.delete(element);
    watcher.unobserve(element);
    if (waits) {
        watcher.observe(element);
    }
    return waits;
};

const view = (element) => {
    const { id, context, position } = items.get(element);

    if (rewatch(element)) {
        context.viewed.add(id);
        rewatch(element);
        context.trackView(id, position);
    }
};

// what has been seen for long enough
const viewAll = () => {
    for (const [element, since] of seen) {
        if (performance.now() - since >= 1000) {
            view(element);
        }
    }
};

// The timer may come before a busy page tells what has left: a frame later it
// has.  And by the clock of a page, which is not exact, it may come early.
const viewSoon = () => setTimeout(() => requestAnimationFrame(() =>
    setTimeout(safe(viewAll))), 1100);

const watch = safe((entries) => {
    let more;

    for (const { target, time, isIntersecting, intersectionRatio } of entries) {
        if (isIntersecting && intersectionRatio >= .5) {
            if (!seen.has(target)) {
                seen.set(target, time);
                more = 1;
            }
        } else if (time - seen.get(target) >= 1000) {
            view(target);
        } else {
            seen.delete(target);
        }
    }
    if (more) {
        viewSoon();
    }
});

const visibility = () => {
    if (doc.hidden) {
        viewAll();
        hidden = [...seen.keys()];
        seen.clear();
    } else {
        hidden.forEach(rewatch);
        hidden = [];
    }
};

// -------------------------------------------------------------------- clicks

const cart = (button) => {
    const item = items.get(button.closest(`[${ITEM}]`));
    const id = button.getAttribute(CART) || item?.id;
    const here = item?.id === id && item.context && item;
    const boxed = here && button.closest(`[${SERVE}]`);
    const place = boxed ? here : carried(id) || here
        || live.find((group) => group.places.has(id))?.places.get(id);

    if (id && place) {
        place.context.trackAddToCart(id, place.position);
    }
};

const click = (event) => {
    const { target, type } = event;
    const button = target.closest(`[${CART}]`);

    if (type === "auxclick" && event.button !== 1) {
        return;
    }
    scan(true);
    if (button && (type === "submit") === (button.tagName === "FORM")) {
        if (type !== "auxclick" && !(button.type === "submit"
            && button.form?.matches(`[${CART}]`))) {
            cart(button);
        }
    } else if (type !== "submit" && !button) {
        const item = items.get(target.closest(`[${ITEM}]`));

        if (item?.context && !target.closest("[data-refine-ignore]")) {
            item.context.trackClick(item.id, item.position);
        }
    }
};

// ------------------------------------------- the serve ids of other requests

const noteAnswer = (id) => {
    const answer = { id };

    logged.add(id);
    answers.unshift(answer);
    answers.splice(20);
    return answer;
};

const readAnswers = () => {
    const original = fetch;
    const { prototype } = XMLHttpRequest;
    const { open } = prototype;
    const HEADER = "x-refine-serve-id";

    window.fetch = (...args) => {
        const promise = original(...args);

        promise.then(async (response) => {
            const id = response.headers.get(HEADER);

            if (id) {
                noteAnswer(id).text
                    = await response.clone().text().catch(() => null);
                scanSoon();
            }
        }).catch(() => {});
        return promise;
    };

    prototype.open = function (...args) {
        on(this, "load", () => {
            if (this.getAllResponseHeaders().includes(HEADER)) {
                noteAnswer(this.getResponseHeader(HEADER)).text
                    = JSON.stringify(this.response);
            }
        });
        return open.apply(this, args);
    };
};

const start = safe(() => {
    watcher = new IntersectionObserver(watch, { threshold: .5 });
    new MutationObserver(safe((changes) => {
        if (changes.some((change) => change.attributeName
            || [...change.addedNodes].some((node) => node.tagName))) {
            scanSoon();
        }
    })).observe(doc, {
        childList: true,
        subtree: true,
        attributes: true,
        attributeFilter: [ITEM, SERVE, "data-refine-serve-id", ORDERED]
    });
    on(doc, "click auxclick submit", click);

    const parsed = () => {
        dirty = true;
        scan(true);
        parsing = false;
    };

    if (doc.readyState === "loading") {
        on(doc, "DOMContentLoaded", parsed);
        scanSoon();
    } else {
        parsed();
    }
});

// --------------------------------------------------------------------- begin

safe(() => {
    window.Refine = Refine;
    window.refine = new Refine();

    on(window, "pagehide", () => {
        scan(true);
        beacon();
    });
    on(doc, "visibilitychange", () => {
        visibility();
        if (doc.hidden) {
            beacon();
        }
    });
    on(window, "online pageshow", (event) => {
        if (event.persisted !== false) {
            retryAt = 0;
            schedule(0);
        }
    });

    for (const key of keys(CLICK)) {
        carried(key.slice(CLICK.length)) || drop(key);
    }
    shown(() => {
        count = keys(EVENT).length;
        if (count) {
            schedule(1000);
        }
    });
    if (tag) {
        if (tag.dataset.refineAuto === "fetch") {
            readAnswers();
        }
        shown(start);
    }
})();
})();
