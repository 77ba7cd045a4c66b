/*
 * What the live page of refine_status says: in words what is wrong, what to
 * check, and what has been left out and why.
 */

(function (status) {
    'use strict';

    /* by group and name, as in the JSON; docs/operations.md says more */

    status.reasons = {
        rejected: {
            method: 'neither POST nor OPTIONS: a crawler, or a broken client',
            origin: 'sent by a page of another origin: see allow_origin',
            untrusted: 'not from a server of the shop: the answer says why',
            encoding: 'compressed by something else than gzip',
            not_gzip: 'said to be gzip, but is not, or is damaged',
            too_large: 'over client_max_body_size: send less at once',
            too_many: 'too many events at once',
            not_json: 'not JSON: the answer says where',
            not_event: 'without an event',
            type: 'of a type that is unknown, or not taken there',
            missing: 'a required field is missing: mend the client',
            invalid: 'a field has a wrong value: mend the client',
            duplicate_field: 'a field is given twice: mend the client',
            queue_full: 'the queue is full: max_queue_size is reached',
            queue_bytes: 'the queue is full: max_queue_bytes is reached',
            unavailable: 'neither Redis nor the spool took them',
            aborted: 'the body did not arrive: browsers close'
        },
        dropped: {
            disabled: 'dropped because of enabled off',
            consent: 'dropped because the visitor has denied consent'
        },
        serves: {
            cut: 'logged, but over 1000 items or 64 KB of them',
            not_utf8: 'values left out that are not text',
            left_out: 'filters, sorts and metadata left out: too large',
            body_unread: 'logged without what body: selectors read'
        },
        skipped: {
            condition: 'if= is empty or 0',
            status: 'the status is not 200',
            method: 'HEAD, not GET',
            range: 'a range of the response',
            type: 'not JSON: is refine_serve in the right location?',
            too_large: 'over max_length',
            not_json: 'empty or broken JSON: mend the application',
            not_gzip: 'said to be gzip, but is not, or is damaged',
            not_search: 'no list of hits: is format= right?',
            encoding: 'compressed by something else than gzip: set '
                      + 'Accept-Encoding to $refine_accept_encoding',
            cacheable: 'a shared cache may store it: Cache-Control: private '
                       + 'if each visitor shall get an id',
            aborted: 'the response did not get to its end',
            consent: 'the visitor has denied consent',
            disabled: 'enabled is off',
            serve_buffer: 'lost: too many waited for Redis and the spool',
            queue_full: 'lost: max_queue_size is reached',
            queue_bytes: 'lost: max_queue_bytes is reached',
            internal: 'lost for want of memory: see the error log'
        },
        posts: {
            '3xx': 'a redirect, which is never followed: check endpoint',
            'refused': '400 or 422: the dead letters say what for',
            'unauthorized': '401 or 403: check api_key',
            'not_found': '404 or 405: check endpoint',
            'too_large': '413: batches become smaller by themselves',
            'busy': '408, 425 or 429: if often, lower rate_share',
            'other_4xx': 'another 4xx: check endpoint and api_key',
            '5xx': 'trouble of Refine, or of a single event',
            'connection': 'no connection: the name, the network, TLS',
            'timeout': 'no answer in time: the network, or Refine is slow',
            'closed': 'the connection ended before the answer did',
            'invalid': 'the answer was not HTTP: check endpoint'
        },
        pages: {
            condition: 'if= of refine_inject is empty or 0',
            no_transform: 'Cache-Control: no-transform forbids it',
            encoding: 'compressed by something else than gzip: set '
                      + 'Accept-Encoding to $refine_accept_encoding',
            not_gzip: 'said to be gzip, but is not, or is damaged'
        },
        spooled: {
            failed: 'the disk, or its share of it (spool), was full',
            torn: 'segments cut short by a crash',
            damaged: 'places that were not as they had been written'
        }
    };

    status.groups = {
        pages: 'Pages left as they are',
        posts: 'POSTs to Refine',
        rejected: 'Refused by collect', dropped: 'Dropped on purpose',
        serves: 'Serves', skipped: 'Responses not logged', spooled: 'Spool'
    };


    /* what to check when Refine has answered so */

    function check(refine) {
        var code = refine.lastStatus;

        if (!code) {
            return 'Check that the endpoint is right and can be reached from '
                + 'this machine: its name, the firewall, a proxy, its '
                + 'certificate (ssl_verify).';
        }
        if (code === 401) {
            return 'Check api_key: is it the right one, and still valid?';
        }
        if (code === 403) {
            return 'Check api_key, organization_id and catalog_id: the key '
                + 'may not be for this catalog.';
        }
        if (code === 404 || code === 405) {
            return 'Check endpoint: there is nothing of that name, or not for '
                + 'events.';
        }
        if (code === 408 || code === 429 || code === 425) {
            return 'Nothing to do: Refine asks for patience. If it happens '
                + 'often, lower rate_share or ask for a higher limit.';
        }
        if (code === 413) {
            return 'Batches are made smaller by themselves; check the request '
                + 'size that the endpoint allows.';
        }
        if (code === 400 || code === 422) {
            return 'Check organization_id, catalog_id and endpoint.';
        }
        if (code >= 300 && code < 400) {
            return 'Redirects are not followed: check endpoint.';
        }
        if (code >= 500) {
            return 'Refine itself has trouble. Nothing to do here; if it '
                + 'lasts, ask Refine.';
        }
        return 'Check endpoint and api_key.';
    }

    function next(refine, now) {
        if (!refine.retryAt) {
            return 'The next attempt is under way, or waits for an event.';
        }
        return 'Next attempt in '
            + status.duration(Math.max(0, refine.retryAt - now)) + '.';
    }


    /* without what to check, which is said at length here */

    function sentence(words) {
        words = words.replace(/^(Refine answered \d+), .*/, '$1');
        return words.charAt(0).toUpperCase() + words.slice(1) + '.';
    }

    function events(n) {
        return status.count(n) + (n === 1 ? ' event' : ' events');
    }

    /*
     * What is wrong with a catalog: rows {level, title, text}.  m: its JSON;
     * now: by the server's clock; seen: ms since Redis answered, or null.
     */

    status.problems = function (m, now, seen) {
        var list = [], refine = m.refine, why;

        function say(level, title, words) {
            list.push({ level: level, title: title, text: words });
        }

        if (m.stale) {
            say('bad', 'Redis does not answer',
                (seen === null
                 ? 'What it knows is shown as last read by this worker, or as '
                   + '0 if it never was. '
                 : 'The values are the last ones, read '
                   + status.duration(seen) + ' ago. ')
                + 'Meanwhile events go to the spool on this machine ('
                + events(m.spooled.events) + ' now), and to Redis when it is '
                + 'back; where the spool is off or full they are refused with '
                + '503. Check that Redis runs and takes connections, the '
                + 'address and password in queue, and the error log.');

        } else if (m.spooled.events && m.redis.state !== 'none') {
            say('warn', 'Events wait on the disk',
                events(m.spooled.events) + ' in the spool: Redis did not take '
                + 'them. They move to Redis by themselves when it does; if '
                + 'they do not, look for its error (OOM, READONLY, NOAUTH) in '
                + 'the error log.');
        }

        why = refine.lastError ? sentence(refine.lastError) + ' ' : '';

        if (m.paused) {
            say('warn', 'Delivery is paused',
                'Somebody has sent pause to refine_control. Events are still '
                + 'collected, and wait in the queue: ' + events(m.queued)
                + '. Resume starts delivery again, on all machines.');
        }

        if (refine.state === 'held') {
            say('bad', 'Delivery is held: Refine refuses it',
                why + check(refine) + ' Nothing is lost: events stay in the '
                + 'queue. One attempt is made each minute. '
                + next(refine, now) + ' When the cause is mended and nginx '
                + 'reloaded, Resume makes one at once.');

        } else if (refine.state === 'backoff') {
            say('warn', 'Refine is away: delivery waits',
                why + check(refine) + ' Nothing is lost: events stay in the '
                + 'queue until retry_window. ' + next(refine, now));

        } else if (refine.lastError) {
            say('warn', 'The last batch was not taken',
                why + check(refine) + ' It is tried again, in parts if need '
                + 'be.');
        }

        if (refine.state === 'up' && !m.paused && !m.stale
            && m.oldestAgeMs > 120000)
        {
            say('warn', 'Delivery does not keep up',
                'The oldest event has waited '
                + status.duration(m.oldestAgeMs) + '. '
                + (refine.rate.remaining === 0
                   ? 'The rate limit is used up: ask Refine for a higher one, '
                     + 'or raise rate_share.'
                   : 'Raise batch_size or max_in_flight, or look at how long '
                     + 'Refine takes to answer.'));
        }

        if (m.dead) {
            say('warn', status.count(m.dead) + (m.dead === 1 ? ' dead letter'
                                                : ' dead letters'),
                'Refine refused these events one by one, or they were older '
                + 'than retry_window. Each has its reason beside it: XREVRANGE '
                + 'of the key that ends in :dead. Mend the cause, then Replay '
                + 'puts them back into the queue.');
        }

        if (m.deadTrimmed) {
            say('bad', 'Dead letters were removed',
                status.count(m.deadTrimmed) + ' of them are gone for good, '
                + 'because over dead_letters were kept.');
        }

        if (m.redis.durable === false) {
            say('warn', 'Redis may lose what it has acknowledged',
                'It has no append-only file, or may evict keys when it is '
                + 'full. Set appendonly to yes and maxmemory-policy to '
                + 'noeviction.');
        }

        return list;
    };


    /* the state of a catalog as pills: {level, text} */

    status.states = function (m) {
        var redis = {
            up: ['good', 'Redis up'], down: ['bad', 'Redis down'],
            none: ['idle', 'No Redis: spool'],
            unknown: ['idle', 'Redis not asked yet']
        };
        var refine = {
            up: ['good', 'Refine up'],
            backoff: ['warn', 'Refine away: waits'],
            held: ['bad', 'Refine refuses: held'],
            unknown: ['idle', 'Nothing sent yet']
        };
        var list = [];

        function pill(pair) {
            if (pair) {
                list.push({ level: pair[0], text: pair[1] });
            }
        }

        pill(refine[m.refine.state]);
        pill(m.stale && m.redis.state === 'up'
             ? ['bad', 'Redis does not answer'] : redis[m.redis.state]);
        if (m.paused) {
            pill(['warn', 'Paused']);
        }
        if (m.stale) {
            pill(['bad', 'Last values known']);
        }
        return list;
    };
}(window.refineStatus));
