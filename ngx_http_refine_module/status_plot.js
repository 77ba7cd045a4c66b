/*
 * Plots and small DOM helpers of the live page of refine_status.  Everything
 * that was read is put in as text, never as markup.
 */

(function (root) {
    'use strict';

    var SVG = 'http://www.w3.org/2000/svg';
    var TIMES = [500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 6e5, 12e5, 18e5,
                 36e5, 72e5, 216e5, 432e5, 864e5];
    var number = new Intl.NumberFormat('en');

    function add(node, children) {
        children.forEach(function (child) {
            if (child !== null && child !== undefined) {
                node.append(child);
            }
        });
        return node;
    }

    function make(node, attributes, children) {
        Object.keys(attributes || {}).forEach(function (name) {
            node.setAttribute(name, attributes[name]);
        });
        return add(node, children);
    }

    function el(name, attributes) {
        return make(document.createElement(name), attributes,
                    [].slice.call(arguments, 2));
    }

    function svg(name, attributes) {
        return make(document.createElementNS(SVG, name), attributes,
                    [].slice.call(arguments, 2));
    }

    /* only what has changed, so that a screen reader is left in peace */

    function text(node, value) {
        value = String(value);
        if (node.textContent !== value) {
            node.textContent = value;
        }
    }

    function attr(node, name, value) {
        if (node.getAttribute(name) !== String(value)) {
            node.setAttribute(name, value);
        }
    }


    function count(n) {
        return typeof n === 'number' ? number.format(n) : '–';
    }

    /* three digits that mean something */

    function rate(n) {
        if (n === null || n === undefined || !isFinite(n)) {
            return '–';
        }
        if (n >= 10000) {
            return number.format(Math.round(n / 100) / 10) + ' k';
        }
        if (n >= 100) {
            return number.format(Math.round(n));
        }
        if (n >= 10) {
            return n.toFixed(1).replace(/\.0$/, '');
        }
        return n.toFixed(2).replace(/\.?0+$/, '');
    }

    function duration(ms) {
        var s;

        if (ms === null || ms === undefined || !isFinite(ms)) {
            return '–';
        }
        if (ms < 1000) {
            return Math.round(ms) + ' ms';
        }
        s = ms / 1000;
        if (s < 10) {
            return s.toFixed(1).replace(/\.0$/, '') + ' s';
        }
        if (s < 120) {
            return Math.round(s) + ' s';
        }
        if (s < 7200) {
            return Math.floor(s / 60) + ' min';
        }
        if (s < 172800) {
            return (s / 3600).toFixed(1).replace(/\.0$/, '') + ' h';
        }
        return Math.floor(s / 86400) + ' days';
    }

    function bytes(n) {
        var units = ['B', 'KB', 'MB', 'GB', 'TB'], i = 0;

        while (n >= 1000 && i < units.length - 1) {
            n /= 1024;
            i++;
        }
        return (i ? rate(n) : count(n)) + ' ' + units[i];
    }

    function clock(t) {
        var d = new Date(t);

        return [d.getHours(), d.getMinutes(), d.getSeconds()].map(
            function (n) { return (n < 10 ? '0' : '') + n; }).join(':');
    }


    /* a top of the scale that divides well by its number of lines */

    function scale(max, whole, times) {
        var steps = [1, 2, 2.5, 5, 10], power, step, i;

        for (i = 0; times && i < TIMES.length; i++) {
            if (TIMES[i] * 4 >= max) {
                return { top: Math.ceil(max / TIMES[i]) * TIMES[i],
                         step: TIMES[i] };
            }
        }

        if (!(max > 0)) {
            return { top: whole ? 2 : 1, step: whole ? 1 : 0.5 };
        }
        power = Math.pow(10, Math.floor(Math.log10(max / 3)));
        for (i = 0; i < steps.length; i++) {
            step = steps[i] * power;
            if (step * 4 >= max) {
                break;
            }
        }
        if (whole && step < 1) {
            step = 1;
        }
        return { top: Math.ceil(max / step - 1e-9) * step, step: step };
    }

    /* draws again when the width has changed */

    function sized(node, draw) {
        var width = 0;

        if (root.ResizeObserver) {
            new ResizeObserver(function () {
                if (node.clientWidth !== width) {
                    width = node.clientWidth;
                    draw();
                }
            }).observe(node);
        }
    }


    /*
     * A line for each of series: {name, color, value(sample)}.  options:
     * format(n), whole, area; least, of times: what the scale has at least.  update(view)
     * has the samples and where the plot begins, ends and is looked at;
     * onlook(t) is told where the pointer is, or null.
     */

    function lines(title, series, options, onlook) {
        var picture = svg('svg', { role: 'img', height: 150 });
        var legend = el('ul', { 'class': 'legend' });
        var node = el('figure', { 'class': 'card' }, el('h3', null, title),
                      picture, legend);
        var view = null;

        series.forEach(function (s) {
            s.out = el('b', null, '–');
            legend.append(el('li', null,
                svg('svg', { 'aria-hidden': 'true' },
                    svg('path', { d: 'M0 5h16', 'class': 'l ' + s.color,
                                  'stroke-dasharray': s.dash || 'none' })),
                s.name, ' ', s.out));
        });

        function at(sample, s) {
            var n = sample ? s.value(sample) : null;

            return typeof n === 'number' && isFinite(n) ? n : null;
        }

        function path(shown, s, x, y) {
            var d = '', area = '', from = null, last = null;

            shown.forEach(function (sample) {
                var n = at(sample, s);

                if (n === null || sample.gap) {
                    if (from !== null) {
                        area += 'V' + y(0) + 'H' + from + 'z';
                    }
                    from = null;
                    if (n === null) {
                        return;
                    }
                }
                last = x(sample.t);
                if (from === null) {
                    d += 'M';
                    area += 'M';
                    from = last;
                } else {
                    d += 'L';
                    area += 'L';
                }
                d += last + ' ' + y(n);
                area += last + ' ' + y(n);
            });
            if (from !== null) {
                area += 'V' + y(0) + 'H' + from + 'z';
            }
            return { line: d, area: area };
        }

        function draw() {
            var w = picture.clientWidth, h = 150;
            var left = 42, right = 6, top = 8, bottom = 20;
            var shown, max, grid, kept, x, y, i, n, look;

            if (!view || !w) {
                return;
            }
            shown = view.samples.filter(function (sample) {
                return sample.t >= view.from;
            });
            max = options.least || 0;
            shown.forEach(function (sample) {
                series.forEach(function (s) {
                    max = Math.max(max, at(sample, s) || 0);
                });
            });
            grid = scale(max, options.whole, options.least);

            x = function (t) {
                return +(left + (w - left - right) * (t - view.from)
                         / (view.to - view.from)).toFixed(1);
            };
            y = function (v) {
                return +(h - bottom - (h - top - bottom) * v
                         / grid.top).toFixed(1);
            };

            kept = [];
            for (n = 0; n <= grid.top + grid.step / 2; n += grid.step) {
                kept.push(svg('path', { 'class': 'rule',
                    d: 'M' + left + ' ' + y(n) + 'H' + (w - right) }));
                kept.push(svg('text', { x: left - 6, y: y(n) + 4,
                    'text-anchor': 'end' }, options.format(n)));
            }
            for (i = 0; i < 3; i++) {
                n = view.to - (view.to - view.from) * (2 - i) / 2;
                kept.push(svg('text', { x: x(n), y: h - 4, 'text-anchor':
                    ['start', 'middle', 'end'][i] },
                    i === 2 ? view.end : clock(n)));
            }
            series.forEach(function (s) {
                var d = path(shown, s, x, y);

                if (options.area && d.area) {
                    kept.push(svg('path', { 'class': 'a f-' + s.color,
                                            d: d.area }));
                }
                kept.push(svg('path', { 'class': 'l ' + s.color, d: d.line,
                                'stroke-dasharray': s.dash || 'none' }));
            });

            look = view.look || view.samples[view.samples.length - 1];
            if (view.look && look.t >= view.from) {
                kept.push(svg('path', { 'class': 'cursor', d: 'M' + x(look.t)
                    + ' ' + top + 'V' + (h - bottom) }));
            }
            series.forEach(function (s) {
                n = at(look, s);
                if (n !== null && look.t >= view.from) {
                    kept.push(svg('circle', { r: 3.5, cx: x(look.t), cy: y(n),
                        'class': 'd ' + s.color + ' f-' + s.color }));
                }
            });

            picture.replaceChildren.apply(picture, kept);
        }

        function told() {
            var look = view.look || view.samples[view.samples.length - 1];

            series.forEach(function (s) {
                var n = at(look, s);

                text(s.out, n === null ? '–' : options.format(n));
            });
            attr(picture, 'aria-label', title + '. '
                + (view.look ? 'At ' + clock(look.t) : 'Now') + ': '
                + series.map(function (s) {
                    return s.name + ' ' + s.out.textContent;
                }).join(', '));
        }

        function pointed(event) {
            var box = picture.getBoundingClientRect();
            var part = (event.clientX - box.left - 42) / (box.width - 48);

            if (view) {
                onlook(view.from + (view.to - view.from)
                       * Math.min(1, Math.max(0, part)));
            }
        }

        picture.addEventListener('pointermove', pointed);
        picture.addEventListener('pointerdown', pointed);
        picture.addEventListener('pointerleave', function () { onlook(null); });
        sized(picture, draw);

        return {
            node: node,
            update: function (v) {
                view = v;
                told();
                draw();
            }
        };
    }


    /* the bounds of a histogram and what is in each, the last without one */

    function cells(histogram) {
        var last = 0, list = [];

        Object.keys(histogram.bucketsMs).map(Number).sort(
            function (a, b) { return a - b; }
        ).forEach(function (bound) {
            var n = histogram.bucketsMs[bound];

            list.push({ to: bound, n: n - last });
            last = n;
        });
        list.push({ to: Infinity, n: histogram.count - last });
        return list;
    }

    /* about: within a bucket evenly; null when there is nothing */

    function quantile(list, q) {
        var all = list.reduce(function (sum, c) { return sum + c.n; }, 0);
        var want = all * q, sum = 0, from = 0, i;

        for (i = 0; all && i < list.length; i++) {
            if (sum + list[i].n >= want && list[i].n) {
                return list[i].to === Infinity ? Infinity
                    : from + (list[i].to - from) * (want - sum) / list[i].n;
            }
            sum += list[i].n;
            from = list[i].to;
        }
        return null;
    }

    function upto(ms, list) {
        if (ms === Infinity) {
            return 'over ' + duration(list[list.length - 2].to);
        }
        return duration(ms);
    }

    /* how long something took, a bar a bucket */

    function bars(title, color) {
        var picture = svg('svg', { role: 'img', height: 150 });
        var half = el('b', null, '–'), most = el('b', null, '–');
        var when = el('span');
        var node = el('figure', { 'class': 'card' },
            el('h3', null, title), picture,
            el('ul', { 'class': 'legend' }, el('li', null, 'half within ', half),
               el('li', null, '95 % within ', most), el('li', null, when)));
        var list = null;

        function draw() {
            var w = picture.clientWidth, h = 150, left = 42, top = 8;
            var bottom = 20, width, grid, kept, max;

            if (!list || !w) {
                return;
            }
            width = (w - left - 6) / list.length;
            max = Math.max.apply(null, list.map(function (c) { return c.n; }));
            grid = scale(max, true);
            kept = [];

            [0, grid.top].forEach(function (n) {
                var y = h - bottom - (h - top - bottom) * n / grid.top;

                kept.push(svg('path', { 'class': 'rule', d: 'M' + left + ' '
                                        + y + 'H' + (w - 6) }));
                kept.push(svg('text', { x: left - 6, y: y + 4,
                    'text-anchor': 'end' }, rate(n)));
            });
            list.forEach(function (c, i) {
                var tall = (h - top - bottom) * c.n / grid.top;
                var x = left + i * width;

                if (c.n && tall < 1.5) {
                    tall = 1.5;
                }
                kept.push(svg('rect', { 'class': 'f-' + color, rx: 1.5,
                    x: (x + 1.5).toFixed(1), width: (width - 3).toFixed(1),
                    y: (h - bottom - tall).toFixed(1),
                    height: tall.toFixed(1) }));
                if (i % 3 === 0) {
                    kept.push(svg('text', { x: x + width / 2, y: h - 4,
                        'text-anchor': 'middle' },
                        c.to === Infinity ? 'more' : duration(c.to)));
                }
            });
            picture.replaceChildren.apply(picture, kept);
        }

        sized(picture, draw);

        return {
            node: node,
            update: function (cellsNow, span) {
                list = cellsNow;
                text(half, upto(quantile(list, 0.5), list));
                text(most, upto(quantile(list, 0.95), list));
                text(when, span);
                attr(picture, 'aria-label', title + '. Half within '
                     + half.textContent + ', 95 % within ' + most.textContent
                     + ', ' + span);
                draw();
            }
        };
    }

    /* a part of a whole; hidden from screen readers: a number stands beside */

    function bar(color) {
        var fill = svg('rect', { 'class': 'f-' + color, rx: 3, height: '100%' });

        return {
            node: svg('svg', { 'aria-hidden': 'true' },
                svg('rect', { 'class': 'f-soft', rx: 3, width: '100%',
                              height: '100%' }), fill),
            update: function (part) {
                attr(fill, 'width', (part > 0 ? Math.max(1, Math.min(1, part)
                                     * 100).toFixed(1) : 0) + '%');
            }
        };
    }

    root.refineStatus = {
        el: el, svg: svg, text: text, attr: attr,
        count: count, rate: rate, duration: duration, bytes: bytes,
        clock: clock,
        lines: lines, bars: bars, bar: bar, cells: cells
    };
}(window));
