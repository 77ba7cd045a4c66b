/* what t/lib/living.conf does with njs */

const json = '{"results":[{"productId":"j1"},{"productId":"j2"}],"totalResults":2}';

function say(r) {
    r.headersOut['Content-Type'] = 'application/json';
    r.headersOut['X-Js'] = ['1', '2'];
    r.return(200, json);
}

function pieces(r) {
    r.headersOut['Content-Type'] = 'application/json';
    r.status = 200;
    r.sendHeader();

    /* njs sends even what follows a HEAD */

    for (let i = 0; r.method != 'HEAD' && i < json.length; i += 7) {
        r.send(json.slice(i, i + 7));
    }

    r.finish();
}

async function sub(r) {
    const reply = await r.subrequest('/up/small', { args: 'x=1' });

    r.headersOut['Content-Type'] = 'application/json';
    r.return(reply.status, '{"results":[' + reply.responseText + ']}');
}

function redirect(r) {
    r.internalRedirect('/sub/big.json');
}

function named(r) {
    r.internalRedirect('@named');
}

function body(r) {
    r.headersOut['Content-Type'] = 'application/json';
    r.return(200, '{"results":[{"productId":"'
                  + (r.requestText || '').length + '"}]}');
}

function fail() {
    throw new Error('no');
}

function variable(r) {
    return '{"results":[{"productId":"' + r.method + '"}]}';
}

function header(r) {
    r.headersOut['X-Js-Length'] = String(r.headersOut['Content-Length']);
    delete r.headersOut['Content-Length'];
}

function seen(r) {
    r.headersOut['X-Js'] = String(r.status);
}

async function collect(r) {
    const reply = await r.subrequest('/collect/plain',
                                     { method: 'POST', body: r.requestText });

    r.return(reply.status, reply.responseText);
}

function filter(r, data, flags) {
    r.sendBuffer(data, flags);

    if (flags.last) {
        r.sendBuffer('\n', flags);
    }
}

export default { say, pieces, sub, redirect, named, body, fail, variable,
                 header, filter, seen, collect };
