/*
 * The live page of refine_status: reads the JSON of the same location every
 * two seconds and shows it.  status_plot.js draws, status_words.js says what
 * is wrong.
 */

(function (s) {
    'use strict';

    var EVERY = 2000, HIDDEN = 10000, PATIENCE = 10000, KEEP = 15 * 60000;

    var TYPES = s.types;
    var STEPS = ['served', 'viewed', 'clicked', 'carted', 'purchased'];
    var el = s.el, text = s.text, sum = s.sum, level = s.level;
    var keyed = s.keyed, parts = s.parts;
    var cards = {};
    var page = {
        span: 5 * 60000, look: null, frozen: false, timer: null, shift: 0,
        control: null, probed: null, seen: null, opened: Date.now()
    };

    function $(id) {
        return document.getElementById(id);
    }


    /* ---- what is kept of each reading ---- */

    function sample(m, t) {
        var n = {
            accepted: m.accepted, sent: m.sent, failed: m.failed,
            duplicates: m.duplicates, dropped: sum(m.dropped),
            rejected: sum(m.rejected), spooled: m.spooled.stored
        };

        TYPES.forEach(function (type) {
            n[type[0]] = m.events[type[0]];
        });
        return { t: t, n: n, rates: {}, stale: m.stale, gap: false,
                 queued: m.queued, retrying: m.retrying,
                 spool: m.spooled.events, age: m.oldestAgeMs,
                 post: s.cells(m.latency.post),
                 store: s.cells(m.latency.store),
                 lag: s.cells(m.latency.lag) };
    }

    /* a second's worth, over the last four or so: workers read once a second */

    function rates(list, now) {
        var i, from = null, seconds;

        for (i = list.length - 1; i >= 0; i--) {
            if (list[i].gap || list[i].stale || now.t - list[i].t > 15000) {
                break;
            }
            from = list[i];
            if (now.t - from.t >= 3500) {
                break;
            }
        }
        if (!from || now.stale) {
            return;
        }
        seconds = (now.t - from.t) / 1000;
        Object.keys(now.n).forEach(function (name) {
            now.rates[name] = Math.max(0, now.n[name] - from.n[name]) / seconds;
        });
    }

    function between(now, from) {
        return now.map(function (cell, i) {
            return { to: cell.to, n: Math.max(0, cell.n - from[i].n) };
        });
    }

    function rateOf(name) {
        return function (sampled) {
            var n = sampled.rates[name];

            return n === undefined ? null : n;
        };
    }

    function fieldOf(name) {
        return function (sampled) {
            return sampled.stale && name !== 'spool' ? null : sampled[name];
        };
    }


    /* ---- a catalog ---- */

    function series(list, value) {
        return list.map(function (row) {
            return { name: row[1], color: row[2], dash: row[3],
                     value: value(row[0]) };
        });
    }

    function plots(onlook) {
        return {
            types: s.lines('Events a second, by type',
                series(TYPES, rateOf), { format: s.rate }, onlook),
            delivery: s.lines('Delivery, events a second',
                series([['accepted', 'accepted', 'served', '5 3'],
                        ['sent', 'sent', 'buy'],
                        ['failed', 'failed', 'bad']], rateOf),
                { format: s.rate }, onlook),
            depth: s.lines('Queue depth, events',
                series([['queued', 'queued', 'served'],
                        ['retrying', 'retrying', 'cart'],
                        ['spool', 'spooled', 'click', '5 3']], fieldOf),
                { format: s.rate, whole: true, area: true }, onlook),
            age: s.lines('Age of the oldest event',
                series([['age', 'oldest', 'view']], fieldOf),
                { format: s.duration, area: true, least: 1000 }, onlook),
            lag: s.bars('From received to taken by Refine', 'view'),
            post: s.bars('How long Refine takes to answer', 'buy'),
            store: s.bars('How long Redis takes to store', 'served')
        };
    }

    function create(name) {
        var card = {
            name: name, samples: [], base: null, seen: null, told: null,
            notes: {}, pills: el('div', { 'class': 'pills' }),
            problems: el('div'), log: el('ol', { 'class': 'log' }),
            tiles: parts.tiles(), facts: parts.facts(),
            reasons: parts.reasons(),
            plots: plots(looked),
            control: parts.control(name, function () {
                return page.control;
            }, poll),
            now: parts.funnel('Since this page was opened', 'opened.'),
            all: parts.funnel('Since the counters began', 'events.'),
            nowBy: parts.surfaces('Since this page was opened', 'opened'),
            allBy: parts.surfaces('Since the counters began', 'all')
        };
        var title = el('h2', null, el('bdi', null, name));
        var four = el('div', { 'class': 'grid four' });
        var three = el('div', { 'class': 'grid' });

        Object.keys(card.plots).forEach(function (p, i) {
            (i < 4 ? four : three).append(card.plots[p].node);
        });
        card.control.node.hidden = true;
        card.node = el('section', { 'class': 'catalog', 'data-catalog': name,
            'aria-label': 'Catalog ' + name },
            el('div', { 'class': 'title' }, title, card.pills,
               card.control.node, card.control.done),
            card.problems, card.tiles.node, four, three,
            el('h3', { 'class': 'part' }, 'From served to purchased'),
            el('div', { 'class': 'grid two' }, card.now.node, card.all.node),
            el('h3', { 'class': 'part' }, 'By surface and source'),
            el('div', { 'class': 'grid two' }, card.nowBy.node,
               card.allBy.node),
            el('div', { 'class': 'grid two' }, card.facts.node,
               card.reasons.node),
            el('details', { 'class': 'card', 'aria-label': 'History of ' + name },
               el('summary', null, 'What has happened since this page was '
                  + 'opened'), card.log));
        return card;
    }


    function note(problem) {
        var title = el('b'), words = el('span');

        return { title: title, words: words,
                 node: el('p', { 'class': 'note' }, title, words) };
    }

    /* names the states for the log and the screen reader, when they change */

    function happened(card, states, problems) {
        var told = states.map(function (row) { return row.text; }).join(', ');

        problems.forEach(function (problem) {
            if (problem.level === 'bad') {
                told += '. ' + problem.title;
            }
        });
        if (told === card.told) {
            return;
        }
        if (card.told !== null) {
            text($('said'), card.name + ': ' + told);
        }
        card.told = told;
        card.log.prepend(el('li', null, el('time', null, s.clock(Date.now())),
                            ' ' + told));
        while (card.log.children.length > 50) {
            card.log.lastChild.remove();
        }
    }

    /* the steps of each surface and source, the most served first */

    function bySurface(m, base) {
        return m.surfaces.map(function (row) {
            var key = row.surface + '\u0000' + row.source;
            var was = base && base[key];

            return { key: key, surface: row.surface, source: row.source,
                     order: row.served,
                     n: STEPS.map(function (step, i) {
                         return was ? Math.max(0, row[step] - was[i])
                             : row[step];
                     }) };
        }).sort(function (a, b) {
            return b.order - a.order;
        });
    }

    /* what "since opened" is counted from */

    function base(card, m, now) {
        var b = { n: now.n, surfaces: {}, reasons: {} };

        bySurface(m).forEach(function (row) {
            b.surfaces[row.key] = row.n;
        });
        card.reasons.read(m).forEach(function (row) {
            b.reasons[row.group + '.' + row.name] = row.n;
        });
        return b;
    }

    function update(card, m, t) {
        var now = sample(m, t), list = card.samples, states, problems;
        var last = list[list.length - 1];

        now.gap = card.missed || (last && t - last.t > 30000);
        card.missed = false;
        if (last && !now.stale && now.n.accepted < last.n.accepted) {
            now.gap = true;              /* the counters began anew */
            card.base = null;
        }
        rates(now.gap ? [] : list, now);
        list.push(now);
        while (list[0].t < t - KEEP) {
            list.shift();
        }
        if (!m.stale) {
            card.seen = t;
        }
        if (!card.base || (card.loose && !m.stale)) {
            card.base = base(card, m, now);
            card.loose = m.stale;
        }

        card.node.classList.toggle('old', m.stale);
        card.control.node.hidden = !page.control;

        states = s.states(m);
        if (states.map(JSON.stringify).join() !== card.shown) {
            card.shown = states.map(JSON.stringify).join();
            card.pills.replaceChildren.apply(card.pills, states.map(
                function (row) {
                    return el('span', { 'class': 'pill ' + row.level },
                              row.text);
                }));
        }
        problems = s.problems(m, t + page.shift,
                              card.seen === null ? null : t - card.seen);
        keyed(card.problems, card.notes, problems, function (row) {
            return row.level + row.title;
        }, note, function (made, row) {
            level(made.node, row.level);
            text(made.title, row.title);
            text(made.words, row.text);
        });
        happened(card, states, problems);

        card.tiles.update(m, now);
        card.facts.update(m, t + page.shift);
        card.all.update(TYPES.map(function (type) {
            return m.events[type[0]];
        }));
        card.now.update(TYPES.map(function (type) {
            return Math.max(0, m.events[type[0]] - card.base.n[type[0]]);
        }));
        card.allBy.update(bySurface(m));
        card.nowBy.update(bySurface(m, card.base.surfaces));
        card.reasons.update(m, card.base.reasons);
        draw(card);
    }

    function latency(plot, list, from, name) {
        var now = list[list.length - 1][name], shown, cells;

        shown = list.filter(function (sampled) { return sampled.t >= from; });
        cells = between(now, shown[0][name]);
        if (cells.some(function (cell) { return cell.n > 0; })) {
            plot.update(cells, 'in the time shown');
        } else {
            plot.update(now, 'since the counters began');
        }
    }

    /* the time since the page was opened, up to what was chosen */

    function begin(to) {
        return to - Math.min(page.span, Math.max(60000, to - page.opened));
    }

    function draw(card) {
        var list = card.samples, to = list[list.length - 1].t;
        var view = { samples: list, from: begin(to), to: to,
                     end: page.frozen ? s.clock(to) : 'now', look: null };

        if (page.look !== null) {
            view.look = list.reduce(function (best, sampled) {
                return Math.abs(sampled.t - page.look)
                    < Math.abs(best.t - page.look) ? sampled : best;
            });
        }
        ['types', 'delivery', 'depth', 'age'].forEach(function (name) {
            card.plots[name].update(view);
        });
        latency(card.plots.lag, list, view.from, 'lag');
        latency(card.plots.post, list, view.from, 'post');
        latency(card.plots.store, list, view.from, 'store');
    }

    function redraw() {
        Object.keys(cards).forEach(function (name) {
            draw(cards[name]);
        });
        slider();
    }


    /* ---- the time shown ---- */

    var tools = {};

    function latest() {
        var names = Object.keys(cards), list;

        if (!names.length) {
            return Date.now();
        }
        list = cards[names[0]].samples;
        return list[list.length - 1].t;
    }

    /* t: where a plot is looked at; null: now */

    function looked(t) {
        var step = EVERY / 2;

        if (t !== null && latest() - t < step) {
            t = null;
        }
        if (t !== page.look) {
            page.look = t;
            redraw();
        }
    }

    function slider() {
        var to = latest(), ago;

        if (page.look !== null && page.look < begin(to)) {
            page.look = null;
        }
        ago = page.look === null ? 0 : Math.round((to - page.look) / 1000);
        tools.range.min = -Math.round((to - begin(to)) / 1000);
        tools.range.value = -ago;
        text(tools.out, ago ? s.clock(page.look) : 'now');
        s.attr(tools.range, 'aria-valuetext', ago
               ? s.duration(ago * 1000) + ' ago, at ' + s.clock(page.look)
               : 'now');
    }

    function freeze() {
        page.frozen = !page.frozen;
        s.attr(tools.freeze, 'aria-pressed', page.frozen);
        if (page.frozen) {
            clearTimeout(page.timer);
            live('', 'Frozen');
            redraw();
        } else {
            poll();
        }
    }

    function build() {
        var windows = el('fieldset', { 'class': 'windows' },
                         el('legend', { 'class': 'hide' }, 'Time shown'));
        var node = $('tools');

        [1, 5, 15].forEach(function (minutes) {
            var input = el('input', { type: 'radio', name: 'span',
                                      value: minutes });

            input.checked = minutes * 60000 === page.span;
            input.addEventListener('change', function () {
                page.span = minutes * 60000;
                redraw();
            });
            windows.append(el('label', null, input,
                              el('span', null, minutes + ' min')));
        });

        tools.freeze = el('button', { type: 'button', 'aria-pressed': 'false' },
                          'Freeze');
        tools.freeze.addEventListener('click', freeze);

        tools.range = el('input', { type: 'range', max: 0, step: 1,
            'aria-label': 'Point in time at which the plots are read' });
        tools.range.addEventListener('input', function () {
            looked(+tools.range.value ? latest() + tools.range.value * 1000
                                      : null);
        });
        tools.out = el('output', null, 'now');

        node.append(tools.freeze, windows, el('div', { 'class': 'look' },
            el('span', { 'class': 'dim', 'aria-hidden': 'true' }, 'Look at'),
            tools.range, tools.out));
        node.hidden = false;
        slider();
    }


    /* ---- reading ---- */

    function live(name, words) {
        var node = $('live');

        level(node, name);
        text(node, words);
    }

    /* whether refine_control can be used from here: 405 is its answer to GET */

    function probe(uri) {
        uri = uri && uri.split('/').map(encodeURIComponent).join('/');
        if (page.probed === uri) {
            return;
        }
        page.probed = uri;
        page.control = null;
        if (!uri) {
            return;
        }
        fetch(uri, { method: 'GET', cache: 'no-store' }).then(function (a) {
            if (a.status === 405 && page.probed === uri) {
                page.control = uri;
                Object.keys(cards).forEach(function (name) {
                    cards[name].control.node.hidden = false;
                });
            }
        }).catch(function () {
            page.probed = null;
        });
    }

    function show(body, date) {
        var t = Date.now(), parent = $('catalogs');

        page.shift = date ? Date.parse(date) - t : 0;
        if (Math.abs(page.shift) < 2000) {
            page.shift = 0;
        }
        page.seen = t;
        page.version = body.version;
        text($('foot'), 'ngx_http_refine_module ' + body.version
             + ', opened at ' + s.clock(page.opened) + ', read at '
             + s.clock(t) + '.');
        probe(body.control || '');

        keyed(parent, cards, Object.keys(body.catalogs), String, create,
              function (card, name) {
                  update(card, body.catalogs[name], t);
              });
        if (!Object.keys(cards).length) {
            problem('warn', 'There is no catalog',
                    'The configuration has no refine_catalog.');
        } else {
            problem(null);
        }
        parent.classList.remove('old');
        slider();
    }

    function problem(name, title, words) {
        var node = $('notes');

        if (!name) {
            node.replaceChildren();
            return;
        }
        if (node.textContent !== title + words) {
            node.replaceChildren(el('p', { 'class': 'note ' + name },
                                    el('b', null, title), words));
        }
    }

    function failed(words) {
        Object.keys(cards).forEach(function (name) {
            cards[name].missed = true;
        });
        $('catalogs').classList.add('old');
        live('bad', 'No answer');
        problem('bad', 'The status cannot be read', words
            + (page.seen === null ? '' : ' The values below are the last '
               + 'ones, read at ' + s.clock(page.seen) + '.'));
    }

    function wait() {
        clearTimeout(page.timer);
        if (!page.frozen) {
            page.timer = setTimeout(poll, document.hidden ? HIDDEN : EVERY);
        }
    }

    function poll() {
        var abort = new AbortController(), timer;

        clearTimeout(page.timer);
        if (page.busy) {
            return;
        }
        page.busy = true;
        timer = setTimeout(function () { abort.abort(); }, PATIENCE);

        fetch(location.pathname + '?format=json',
              { cache: 'no-store', signal: abort.signal })
        .then(function (answer) {
            return answer.json().catch(function () {
                return {};
            }).then(function (body) {
                if (answer.ok && body.catalogs) {
                    show(body, answer.headers.get('Date'));
                    live(page.frozen ? '' : 'good',
                         page.frozen ? 'Frozen' : 'Live');
                } else {
                    failed('nginx answered ' + answer.status
                           + (body.error ? ': ' + body.error : '') + '.');
                }
            });
        }, function () {
            failed('nginx does not answer: check that it runs, and its error '
                   + 'log.');
        }).catch(function (error) {
            failed('This page does not understand the answer (' + error.message
                   + '): after an upgrade of the module, load it again.');
        }).then(function () {
            clearTimeout(timer);
            page.busy = false;
            wait();
        });
    }

    document.addEventListener('visibilitychange', function () {
        if (!document.hidden && !page.frozen) {
            poll();
        }
    });

    text($('host'), location.host);
    build();
    poll();
}(window.refineStatus));
