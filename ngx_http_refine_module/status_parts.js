/*
 * The parts of a catalog on the live page of refine_status: each has a node,
 * and an update() that changes in it what is not the same any more.
 */

(function (s) {
    'use strict';

    var TYPES = [
        ['items_served', 'Served', 'served'], ['view', 'Viewed', 'view'],
        ['click', 'Clicked', 'click'], ['add_to_cart', 'Carted', 'cart'],
        ['purchase', 'Purchased', 'buy']
    ];

    var el = s.el, text = s.text, count = s.count;

    function sum(group) {
        return Object.keys(group).reduce(function (n, name) {
            return n + (typeof group[name] === 'number' ? group[name] : 0);
        }, 0);
    }

    function level(node, name) {
        node.classList.remove('good', 'warn', 'bad');
        if (name) {
            node.classList.add(name);
        }
    }

    /* nodes of list by key, made, changed, ordered and removed as needed */

    function keyed(parent, known, list, key, create, change) {
        var seen = {};

        list.forEach(function (row, i) {
            var k = '=' + key(row);

            if (!known[k]) {
                known[k] = create(row);
            }
            seen[k] = true;
            if (parent.children[i] !== known[k].node) {
                parent.insertBefore(known[k].node, parent.children[i] || null);
            }
            change(known[k], row);
        });
        Object.keys(known).forEach(function (k) {
            if (!seen[k]) {
                known[k].node.remove();
                delete known[k];
            }
        });
    }


    var TILES = [
        ['accepted', 'Accepted', function (m) { return m.accepted; }],
        ['queued', 'Queued', function (m) { return m.queued; },
         function (m) {
             return m.oldestAgeMs ? 'oldest ' + s.duration(m.oldestAgeMs)
                 : 'nothing waits';
         }],
        ['retrying', 'Retrying', function (m) { return m.retrying; },
         function () { return 'being sent'; }],
        ['sent', 'Sent', function (m) { return m.sent; }],
        ['failed', 'Failed', function (m) { return m.failed; },
         function (m) { return count(m.dead) + ' dead letters'; },
         function (m) { return m.dead ? 'bad' : ''; }],
        ['spooled', 'Spooled', function (m) { return m.spooled.events; },
         function (m) { return s.bytes(m.spooled.bytes) + ' on disk'; },
         function (m) {
             return m.spooled.events && m.redis.state !== 'none' ? 'warn' : '';
         }],
        ['duplicates', 'Duplicates', function (m) { return m.duplicates; }],
        ['dropped', 'Dropped', function (m) { return sum(m.dropped); }],
        ['rejected', 'Rejected', function (m) { return sum(m.rejected); }]
    ];

    function tiles() {
        var node = el('dl', { 'class': 'tiles' });
        var rows = TILES.map(function (spec) {
            var big = el('dd', { 'class': 'big', 'data-n': spec[0] });
            var sub = el('dd', { 'class': 'sub' });
            var tile = el('div', { 'class': spec[0] === 'spooled'
                                   ? 'tile fresh' : 'tile' },
                          el('dt', null, spec[1]), big, sub);

            node.append(tile);
            return { spec: spec, big: big, sub: sub, tile: tile };
        });

        return {
            node: node,
            update: function (m, now) {
                rows.forEach(function (row) {
                    var spec = row.spec, n = now.rates[spec[0]];

                    text(row.big, count(spec[2](m)));
                    text(row.sub, spec[3] ? spec[3](m)
                         : n === undefined ? '' : s.rate(n) + ' a second');
                    level(row.tile, spec[4] ? spec[4](m) : '');
                });
            }
        };
    }


    /* of what a step is a part, and how that is said */

    function ratio(i, n) {
        var of = ['', 'a serve', 'of views', 'of clicks', 'of carts'][i];

        if (i === 0 || !n[i - 1]) {
            return '';
        }
        return i === 1 ? s.rate(n[1] / n[0]) + ' ' + of
            : s.rate(100 * n[i] / n[i - 1]) + ' % ' + of;
    }

    function funnel(caption, key) {
        var body = el('tbody');
        var rows = TYPES.map(function (type) {
            var bar = s.bar(type[2]);
            var n = el('td', { 'class': 'n', 'data-n': key + type[0] });
            var part = el('td', { 'class': 'n dim' });

            body.append(el('tr', null, el('th', { scope: 'row' }, type[1]),
                           el('td', { 'class': 'bar' }, bar.node), n, part));
            return { bar: bar, n: n, part: part };
        });
        var node = el('div', { 'class': 'card' }, el('table', null,
            el('caption', null, caption),
            el('thead', { 'class': 'hide' }, el('tr', null,
                el('th', { scope: 'col' }, 'Step'), el('td'),
                el('th', { scope: 'col' }, 'Events'),
                el('th', { scope: 'col' }, 'Rate'))), body));

        return {
            node: node,
            update: function (n) {
                var max = Math.max.apply(null, n);

                rows.forEach(function (row, i) {
                    text(row.n, count(n[i]));
                    text(row.part, ratio(i, n));
                    row.bar.update(max ? n[i] / max : 0);
                });
            }
        };
    }

    /* a step and what it is of the one before, of the last that there was */

    function part(i, n) {
        var from = i - 1;

        while (from > 0 && !n[from]) {
            from--;
        }
        if (i === 0 || !n[i] || !n[from]) {
            return '';
        }
        return i === 1 ? s.rate(n[1] / n[0]) + ' a serve'
            : s.rate(100 * n[i] / n[from]) + ' %'
              + (from === i - 1 ? '' : ' of ' + TYPES[from][1].toLowerCase());
    }

    function surfaces(caption, key) {
        var body = el('tbody'), known = {};
        var none = el('p', { 'class': 'dim' }, 'Nothing was served yet.');
        var head = el('tr', null, el('th', { scope: 'col' },
                                     'Surface, source'));
        var node = el('div', { 'class': 'card scroll', role: 'region',
            tabindex: 0, 'aria-label': 'By surface and source: ' + caption },
            el('table', { 'class': 'names', 'data-t': key },
               el('caption', null, caption), el('thead', null, head), body),
            none);

        TYPES.forEach(function (type) {
            head.append(el('th', { scope: 'col', 'class': 'n' }, type[1]));
        });

        function name(value) {
            return el('bdi', null, value === '' ? '–' : value);
        }

        function create(row) {
            var bar = s.bar('served');
            var tr = el('tr', null,
                el('th', row.surface.trim() ? { scope: 'row' }
                    : { scope: 'row', 'aria-label': 'No name' },
                    name(row.surface), el('span', { 'class': 'dim' },
                                          name(row.source)), bar.node));
            var cells = TYPES.map(function () {
                var n = el('b'), of = el('span', { 'class': 'dim' });

                tr.append(el('td', { 'class': 'n' }, n, of));
                return { n: n, of: of };
            });

            return { bar: bar, cells: cells, node: tr };
        }

        return {
            node: node,
            update: function (list) {
                var all = list.reduce(function (n, row) {
                    return n + row.n[0];
                }, 0);

                none.hidden = list.length > 0;
                keyed(body, known, list, function (row) {
                    return row.key;
                }, create, function (made, row) {
                    made.cells.forEach(function (cell, i) {
                        text(cell.n, count(row.n[i]));
                        text(cell.of, part(i, row.n));
                    });
                    made.bar.update(all ? row.n[0] / all : 0);
                });
            }
        };
    }

    /* what was refused or left out, only where there is something */

    function reasons() {
        var body = el('tbody'), known = {};
        var none = el('p', { 'class': 'dim' }, 'Nothing was.');
        var table = el('table', null,
            el('caption', null, 'Refused, dropped or left out'),
            el('thead', null, el('tr', null,
                el('th', { scope: 'col' }, 'What'),
                el('th', { scope: 'col', 'class': 'n' }, 'In all'),
                el('th', { scope: 'col', 'class': 'n' }, 'Since opened'),
                el('th', { scope: 'col' }, 'Why'))), body);

        function read(m) {
            var list = [];

            Object.keys(s.reasons).forEach(function (group) {
                var from = group === 'skipped' ? m.serves.skipped
                    : m[group] || {};

                Object.keys(from).forEach(function (name) {
                    var known = s.reasons[group][name];

                    if (from[name] > 0 && (known || group === 'skipped'
                                           || group === 'rejected'))
                    {
                        list.push({ group: group, name: name, n: from[name],
                                    why: known || '' });
                    }
                });
            });
            return list;
        }

        return {
            node: el('div', { 'class': 'card scroll', role: 'region',
                tabindex: 0, 'aria-label': 'Refused, dropped or left out' },
                table, none),
            read: read,
            update: function (m, base) {
                var list = read(m);

                none.hidden = list.length > 0;
                keyed(body, known, list, function (row) {
                    return row.group + '.' + row.name;
                }, function (row) {
                    var n = el('td', { 'class': 'n', 'data-n': row.group + '.'
                                       + row.name });
                    var since = el('td', { 'class': 'n' });

                    return { n: n, since: since, node: el('tr', null,
                        el('th', { scope: 'row' }, s.groups[row.group] + ': '
                           + row.name.replace(/_/g, ' ')), n, since,
                        el('td', { 'class': 'dim' }, row.why)) };
                }, function (made, row) {
                    var was = base[row.group + '.' + row.name] || 0;

                    text(made.n, count(row.n));
                    text(made.since, count(Math.max(0, row.n - was)));
                });
            }
        };
    }


    /* Redis and Refine, the rate limit, the spool: a list of facts */

    function facts() {
        var left = s.bar('served');
        var node = el('table', null,
                      el('caption', null, 'Refine, Redis and the disk'));
        var out = {};

        function row(key, name, more) {
            out[key] = el('td', { 'data-n': key });
            node.append(el('tr', null, el('th', { scope: 'row' }, name),
                           out[key]));
            if (more) {
                out[key].append(out[key + 'Text'] = el('span'), more);
            }
        }

        row('answer', 'Last answer');
        row('error', 'Last error');
        row('next', 'Next attempt');
        row('rate', 'Rate limit left', left.node);
        row('redis', 'Redis');
        row('durable', 'Keeps what it has');
        row('bytes', 'Queue');
        row('spool', 'Spool');
        left.node.classList.add('meter');

        return {
            node: el('div', { 'class': 'card' }, node),
            update: function (m, now) {
                var refine = m.refine, rate = refine.rate;

                text(out.answer, refine.lastStatus || 'none yet, or none came');
                text(out.error, refine.lastError || 'none');
                text(out.next, refine.retryAt
                     ? 'in ' + s.duration(Math.max(0, refine.retryAt - now))
                     : refine.state === 'up' ? 'with the next flush'
                     : 'when there is an event');
                text(out.rateText, rate.limit === null
                     && rate.remaining === null ? 'not announced'
                     : count(rate.remaining) + ' of ' + count(rate.limit)
                       + (rate.reset && rate.reset * 1000 > now
                          ? ', new in ' + s.duration(rate.reset * 1000 - now)
                          : ''));
                left.node.toggleAttribute('hidden', !rate.limit);
                left.update(rate.limit ? rate.remaining / rate.limit : 0);
                text(out.redis, { up: 'up', down: 'down: does not answer',
                    none: 'none: the spool is the queue',
                    unknown: 'not asked yet' }[m.redis.state]
                    || m.redis.state);
                text(out.durable, m.redis.durable === true
                     ? 'yes: append-only file, no eviction'
                     : m.redis.durable === false
                     ? 'no: see above' : 'not known');
                text(out.bytes, s.bytes(m.bytes) + ' of events');
                text(out.spool, count(m.spooled.events) + ' events, '
                     + s.bytes(m.spooled.bytes) + ', '
                     + count(m.spooled.segments) + ' segments');
            }
        };
    }

    /* ---- the buttons ---- */

    var ACTIONS = [
        ['pause', 'Pause', 'stops delivery, not collection'],
        ['resume', 'Resume', 'ends a pause, and tries at once'],
        ['flush', 'Flush', 'sends what is queued now'],
        ['replay', 'Replay', 'puts the dead letters back into the queue']
    ];

    function outcome(action, answer, body) {
        var error = body && body.error;

        if (error) {
            return action[1] + ': ' + error
                + (answer === 202 ? '; delivery goes on' : '')
                + ' (' + answer + ')';
        }
        if (answer === 202) {
            return action[1] + ': not done yet, delivery goes on';
        }
        if (answer !== 200) {
            return action[1] + ': nginx answered ' + answer;
        }
        if (action[0] === 'replay') {
            return count(body.replayed) + (body.replayed === 1
                ? ' dead letter is' : ' dead letters are')
                + ' back in the queue';
        }
        return { pause: 'Delivery is paused', resume: 'Delivery goes on',
                 flush: 'All that was queued is sent' }[action[0]];
    }

    /* where(): the URI of refine_control; after(): the numbers have changed */

    function control(name, where, after) {
        var done = el('p', { 'class': 'done', role: 'status' });
        var node = el('div', { 'class': 'control', role: 'group',
                               'aria-label': 'Delivery of ' + name });
        var buttons = {};

        function send(action) {
            var all = Object.keys(buttons);

            all.forEach(function (b) { buttons[b].disabled = true; });
            text(done, action[1] + ' is under way');
            level(done, '');

            fetch(where() + '?action=' + action[0] + '&catalog='
                  + encodeURIComponent(name),
                  { method: 'POST', headers: { 'X-Refine-Control': '1' } })
            .then(function (answer) {
                return answer.json().catch(function () {
                    return null;
                }).then(function (body) {
                    text(done, outcome(action, answer.status, body));
                    level(done, answer.status < 300 ? '' : 'bad');
                });
            }).catch(function () {
                text(done, action[1] + ': nginx does not answer');
                level(done, 'bad');
            }).then(function () {
                all.forEach(function (b) { buttons[b].disabled = false; });
                buttons[action[0]].focus();
                after();
            });
        }

        ACTIONS.forEach(function (action) {
            var button = el('button', { type: 'button', title: action[2],
                'aria-label': action[1] + ' ' + name + ': ' + action[2] },
                action[1]);

            button.addEventListener('click', function () { send(action); });
            buttons[action[0]] = button;
            node.append(button);
        });
        return { node: node, done: done };
    }


    s.types = TYPES;
    s.sum = sum;
    s.level = level;
    s.keyed = keyed;
    s.parts = { tiles: tiles, funnel: funnel, surfaces: surfaces,
                reasons: reasons, facts: facts, control: control };
}(window.refineStatus));
