# Living together: one nginx with lua, njs, headers-more, substitutions, brotli
# and everything of its own that touches a response, once without the module and
# once with refine_serve in every location.  All they answer to the same requests
# is the same, header by header and byte by byte, but for what the module adds:
# the first test says what that is, location by location.  The configuration is
# t/lib/living.conf, the comparison t/lib/Living.pm.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Compress::Zlib qw(memGzip memGunzip);
use Refine;
use Upstream;
use Living;

# what the upstreams have: the same files for the inner server and for upstream.py

our %content = (
    small => '{"results":[{"productId":"a","title":"A"},'
             . '{"productId":"b","title":"B"}],"totalResults":2}' . "\n",
    big   => '{"results":['
             . join(',', map { "{\"productId\":\"sku-$_\",\"title\":\"t$_ "
                               . 'x' x ($_ % 97) . " \xd1\x82\",\"price\":$_}" }
                             1 .. 2500)
             . '],"totalResults":2500}',
    empty => '',
    page  => "<html><head><title>title</title></head><body>\n"
             . "<!--#include virtual=\"/file/small.json\" -->\n"
             . "<!--# include virtual=\"/up/small?x=1\" wait=\"yes\" -->\n"
             . "<!--#if expr=\"\$arg_x = 1\" -->one<!--#else -->other<!--#endif -->\n"
             . "<!--#include virtual=\"/nothing-there\" -->"
             . "<!--#echo var=\"uri\" --> productId</body></html>\n",
    list  => "{\"results\":[<!--#include virtual=\"/up/small\" -->,\n"
             . "<!--#include virtual=\"/file/small.json\" -->,{\"productId\":\"c\"}]}\n",
    text  => "productId title\n" x 300,
    gif   => join('', map { chr } 0 .. 255) x 20,
);

sub files {
    my $www = scratch() . '/www';

    mkdir $_ for $www, "$www/dir", "$www/dir/inner";

    my %file = (
        'small.json' => $content{small}, 'big.json' => $content{big},
        'empty.json' => '', 'page.html' => $content{page},
        'list.json' => $content{list}, 't.txt' => $content{text},
        'x.gif' => $content{gif}, 'small.json.gz' => memGzip($content{small}),
        'before.txt' => "before\n", 'after.txt' => 'after',
        'users' => "shop:{PLAIN}key\n", 'dir/small.json' => $content{small},
        'broken.json' => '{"results":[{"productId":"a"},{"prod',
    );

    for my $name (sort keys %file) {
        open my $out, '>:raw', "$www/$name" or die "$name: $!";
        print {$out} $file{$name};
        close $out;
        utime 1700000000, 1700000000, "$www/$name" or die "$name: $!";
    }

    utime 1700000000, 1700000000, "$www/dir/inner";
    return;
}


sub upstreams {
    my $chunked = join('', map { sprintf "%x;x=y\r\n%s\r\n", length, $_ }
                               $content{big} =~ /(.{1,5000})/gs)
                  . "0\r\nX-Trailer: 1\r\n\r\n";
    my @json = ('Content-Type' => 'application/json; charset=utf-8');

    reply('small', $content{small}, ETag => '"s"', 'Accept-Ranges' => 'bytes',
          'Last-Modified' => 'Tue, 14 Nov 2023 22:13:20 GMT');
    reply('large', $content{big}, @json, 'X-Big' => '1', 'Set-Cookie' => 'a=b',
          'Set-Cookie' => 'c=d');
    reply('page', $content{page}, 'Content-Type' => 'text/html');
    reply('list', $content{list});
    reply('gif', $content{gif}, 'Content-Type' => 'image/gif');
    reply('chunked', $chunked, 'Transfer-Encoding' => 'chunked');
    reply('gzip', memGzip($content{big}), 'Content-Encoding' => 'gzip', ETag => '"g"');
    reply('not-gzip', $content{small}, 'Content-Encoding' => 'gzip');
    reply('deflate', $content{small}, 'Content-Encoding' => 'deflate');
    reply('none', '', '204 No Content', 'Content-Length' => undef);
    reply('empty', '');
    reply('public', $content{small}, 'Cache-Control' => 'public, max-age=600');
    reply('private', $content{small}, 'Cache-Control' => 'private, max-age=600');
    reply('vary', $content{small}, Vary => 'Accept-Encoding', Age => 7);
    reply('own', $content{small}, 'X-Refine-Serve-Id' => 'upstream-1');
    reply('cors', $content{small}, 'Access-Control-Allow-Origin' => '*',
          'Access-Control-Expose-Headers' => 'X-A');
    reply('accel', 'no', 'X-Accel-Redirect' => '/internal/big.json');
    reply('accel-named', 'no', 'X-Accel-Redirect' => '@named');
    reply('no-type', $content{small}, 'Content-Type' => undef);
    reply('broken', '{"results":[{"productId":"a"},', 'X-A' => 'b');
    reply('unbuffered', $content{big}, 'X-Accel-Buffering' => 'no');
    reply('part', substr($content{small}, 3, 6), '206 Partial Content',
          'Content-Range' => 'bytes 3-8/' . length $content{small});
    reply('unchanged', '', '304 Not Modified', ETag => '"s"', 'Content-Length' => undef);
    reply('moved', $content{small}, '302 Found', Location => 'http://bytes/next?a=b');
    reply("status-$_", "{\"results\":[{\"productId\":\"$_\"}]}", "$_ Text")
        for 201, 400, 404, 410, 500, 503;
    reply('auth-', '', 'X-User' => 'u');
    reply('auth-401', 'no', '401 No', 'WWW-Authenticate' => 'Basic realm="x"');
    reply('auth-403', 'no', '403 No');
    reply('auth-500', 'no', '500 No');
    reply('mirrored', $content{big});
    reply('mirrored-never', '');
    reply_raw('http10', "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
                        . $content{big});
    reply_raw('http09', $content{small});
    reply_raw('hints', "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
                       . "Content-Type: application/json\r\n\r\n$content{small}");
    reply_raw('nonsense', "nonsense\r\n\r\n");
    reply_raw('long', "HTTP/1.1 200 OK\r\nX-Long: " . 'x' x 20000 . "\r\n\r\n{}");
    return;
}


# the requests for one URI, by their names, as [text, methods, bytes to read]

sub one {
    my ($method, $uri, @more) = @_;

    return [ request_text($method, $uri, @more), [ $method ] ];
}


sub variants {
    my ($uri, $etag, $date) = @_;

    my $get = request_text('GET', $uri, Connection => 'keep-alive');
    my $last = request_text('GET', $uri);

    return (
        get => one('GET', $uri),
        head => one('HEAD', $uri),
        'http/1.0' => one('GET', $uri, version => '1.0', Connection => undef),
        'http/1.0 keep-alive' => [
            request_text('GET', $uri, version => '1.0', Connection => 'keep-alive')
            . request_text('HEAD', $uri, version => '1.0'), [ 'GET', 'HEAD' ] ],
        'http/0.9' => [ request_text('GET', $uri, version => '0.9'), [ '0.9' ] ],
        (map { ("encoding $_" => one('GET', $uri, 'Accept-Encoding' => $_)) }
             'gzip', 'gzip, deflate, br', 'br', 'identity', 'gzip;q=0', '*'),
        'head gzip' => one('HEAD', $uri, 'Accept-Encoding' => 'gzip'),
        (map { ("range $_" => one('GET', $uri, Range => $_)) }
             'bytes=0-9', 'bytes=5-', 'bytes=-7', 'bytes=0-0,4-9,-3',
             'bytes=99999999-', 'bytes=x', 'bytes=0-'),
        'range gzip' => one('GET', $uri, Range => 'bytes=2-9', 'Accept-Encoding' => 'gzip'),
        'range head' => one('HEAD', $uri, Range => 'bytes=2-9'),
        (map { ("if-range $_" => one('GET', $uri, Range => 'bytes=1-3', 'If-Range' => $_)) }
             $etag, $date, '"other"'),
        (map { ("if-none-match $_" => one('GET', $uri, 'If-None-Match' => $_)) }
             $etag, "W/$etag", "\"x\", $etag", '*', '"other"'),
        'if-none-match head' => one('HEAD', $uri, 'If-None-Match' => $etag),
        'if-none-match gzip' => one('GET', $uri, 'If-None-Match' => $etag,
                                    'Accept-Encoding' => 'gzip'),
        (map { ("if-modified-since $_" => one('GET', $uri, 'If-Modified-Since' => $_)) }
             $date, 'Mon, 01 Jan 2001 00:00:00 GMT', 'x'),
        'if-match' => one('GET', $uri, 'If-Match' => '"other"'),
        'if-unmodified-since' => one('GET', $uri, 'If-Unmodified-Since' =>
                                     'Mon, 01 Jan 2001 00:00:00 GMT'),
        post => one('POST', $uri, body => 'a=b'),
        'post json' => one('POST', $uri, body => $content{small},
                           'Content-Type' => 'application/json'),
        'post large' => one('POST', $uri, body => $content{text} x 3),
        'post chunked' => one('POST', $uri, 'Transfer-Encoding' => 'chunked',
                              body => "3\r\na=b\r\n0\r\nX: y\r\n\r\n"),
        'post expect' => one('POST', $uri, body => 'a=b', Expect => '100-continue'),
        (map { (lc $_ => one($_, $uri)) } 'OPTIONS', 'DELETE', 'PATCH', 'TRACE', 'XYZ'),
        put => one('PUT', $uri, body => 'put'),
        origin => one('GET', $uri, Origin => 'https://shop.example'),
        gpc => one('GET', $uri, 'Sec-GPC' => '1', DNT => '1', Cookie => 'refine_vid=v_1'),
        'no host' => one('GET', $uri, Host => undef),
        'a long line' => one('GET', "$uri?q=" . '%20' x 700),
        pipelined => [ $get x 3 . $last, [ ('GET') x 4 ] ],
        'pipelined mixed' => [
            join('', map { request_text(@$_, Connection => 'keep-alive') }
                     [ 'HEAD', $uri ], [ 'GET', $uri, Range => 'bytes=0-3' ],
                     [ 'GET', $uri, 'If-None-Match' => '*' ],
                     [ 'POST', $uri, body => 'x=y' ])
            . $last, [ 'HEAD', 'GET', 'GET', 'POST', 'GET' ] ],
        'left at once' => [ $last, [], 1 ],
        'left in the middle' => [ $last, [], 3000 ],
    );
}


# The variants for each URI, all of them or those named.

sub all_same { return compare([], @_) }

sub some_same { return compare(@_) }

sub compare {
    my ($wanted, @uris) = @_;

    for my $uri (@uris) {
        my $header = @$wanted ? {} : header($uri);
        my @variants = variants($uri, $header->{etag} // '"e"', $header->{'last-modified'}
                                // 'Tue, 14 Nov 2023 22:13:20 GMT');
        my %variant = @variants;
        my @names = @$wanted ? @$wanted : grep { !ref } @variants;
        my @differ = grep { length } map { same("$uri, $_", @{ $variant{$_} }) } @names;

        is(scalar @differ, 0, $uri) or diag(@differ[0 .. ($#differ > 2 ? 2 : $#differ)]);
    }

    return;
}


our @few = ('get', 'head', 'http/1.0', 'encoding gzip', 'range bytes=5-', 'pipelined',
            'if-none-match *', 'left in the middle', 'get');

our @more = (@few, 'http/0.9', 'head gzip', 'range bytes=0-0,4-9,-3', 'range bytes=99999999-',
             'range gzip', 'if-range "other"', 'if-none-match "other"', 'post json', 'options',
             'origin', 'encoding gzip, deflate, br');

# the locations of living.conf, by what they need behind them

sub locations {
    my ($regex) = @_;

    open my $in, '<', 't/lib/living.conf' or die "living.conf: $!";
    return grep { m{$regex} && !m{^/collect/} } map { m{^ {8}location (?:= )?(/\S+)} ? $1 : () } <$in>;
}


our @without = (without => {});
our @first = (with => { load => 'first', serve => 'search' });
our @last = (with => { load => 'last', serve => 'search' });

# What the module makes of a GET in each location: the items it logs, or why it
# adds no id; "not_json" gets an id and is not logged.  All others are "a b".
# It reads what sub, subs, addition, SSI, gunzip and the filters of njs and lua
# have made of a body, inflates what came in gzip, and does not see what gzip,
# brotli and charset make of it.

our %made = (
    '/dav/small.json' => 'status',         '/internal/small.json' => 'status',
    '/basic/small.json' => 'status',       '/deny/small.json' => 'status',
    '/nobody/small.json' => 'status',      '/limit-page/small.json' => 'status',
    '/redirect/small.json' => 'status',    '/index' => 'status',
    '/auth' => 'status',                   '/mirrored' => 'status',
    '/return-204' => 'status',             '/return-301' => 'status',
    '/return-404' => 'status',             '/lua/error' => 'status',
    '/lua/exit' => 'status',               '/js/throw' => 'status',
    '/gif' => 'type',                      '/stub' => 'type',
    '/encoded' => 'encoding',              '/headers/small.json' => 'cacheable',
    '/return-444' => 'nothing',            '/lua-broken/small.json' => 'nothing',

    '/sub/small.json' => 'not_json',       '/rewrite/small.json' => 'not_json',
    '/js/redirect' => 'not_json',          '/lua-whole/small.json' => 'not_json',
    '/around/small.json' => 'not_json',    '/around-up/small.json' => 'not_json',
    '/all/small.json' => 'not_json',

    '/sub-last/small.json' => '',          '/subs/small.json' => '',
    '/Sub-up/small' => '',                 '/lua-filter/small.json' => '',
    '/lua/capture' => '',                  '/js/sub' => '',

    '/try/small.json' => 'sku-1 and 999 more',
    '/lua/exec' => 'sku-1 and 999 more',   '/Lua/flush' => 'p1 and 50 more',
    '/echo' => 'echo',                     '/echo-unbuffered' => 'echo',
    '/return' => 'r',                      '/lua/say' => 'none',
    '/lua/length' => 'l',                  '/lua/body' => 'file',
    '/js/say' => 'j1 j2',                  '/Js/pieces' => 'j1 j2',
    '/js/body' => '0',
);


sub made {
    my ($uri, $event, $id) = @_;

    return $made{$uri} =~ /^(?:status|type|encoding|cacheable|nothing)$/
           ? $made{$uri} : 'no id' if !$id;
    return 'not_json' if !$event;

    my @items = @{ $event->{itemIds} };

    return @items > 3 ? "$items[0] and $#items more" : "@items";
}


# the names of the headers that one response has and another has not

sub added {
    my ($with, $without) = map { $_->{headers} } @_;

    return join ' ', grep { !exists $without->{$_} } sort keys %$with;
}


our @upstream_locations = grep { !/around/ } locations(
    qr{^/(?:up|Unbuffered.*|Buffers|second|mirror|cache-stale|accel|lua-log|.*-up)/$});

our $CLICK = '{"type":"click","serveId":"s1","itemId":"from-x","position":0}';

add_block_preprocessor(sub {
    my ($block) = @_;

    $block->set_value('config', 'location = /t { return 204; }');
    $block->set_value('request', 'GET /t');
    $block->set_value('error_code', 204);
    files();
    upstreams();
});

run_tests();

__DATA__

=== TEST 1: what the module adds, and what it logs
--- check
living(@without, @first);
my %upstream = map { $_ => 1 } @upstream_locations;
my @uris = map { !m{/$} ? $_ : $upstream{$_} ? "${_}small" : "${_}small.json" } locations(qr{^/});
my (%id, %reason);
cmp_ok(scalar @uris, '>', 100, 'many locations');
for my $uri (@uris) {
    my ($without, $with) = map { answered($_, 'GET', $uri, Origin => 'https://shop.example') }
                               'without', 'with';
    my $id = $id{$uri} = $with->{headers}{'x-refine-serve-id'};
    my $expected = $made{$uri} // 'a b';
    my $names = $expected =~ /^(?:status|type|encoding|cacheable|nothing)$/ ? ''
              : $uri =~ /^.cors-bare/ ? 'access-control-expose-headers x-refine-serve-id'
              : 'x-refine-serve-id';
    is(added($with, $without), $names, "$uri: what is added");
    is(added($without, $with), '', "$uri: what is missing");
    is($with->{headers}{'access-control-expose-headers'},
       $uri =~ m{^/cors/} ? 'X-One, X-Refine-Serve-Id' : 'X-Refine-Serve-Id', "$uri: exposed")
        if $uri =~ /^.cors/;
    $reason{$expected}++ if !$id || $expected eq 'not_json';
}
my $n = grep { defined $id{$_} && ($made{$_} // '') ne 'not_json' } @uris;
cmp_ok($n, '>', 80, 'many serves');
wait_for(sub { served('with') >= $n && stored('with') >= $n }, 'all are logged');
is(served('with'), $n, 'and no other');
my %event = map { $_->{serveId} => $_ } stored('with');
is(scalar keys %event, $n, 'each under an id of its own');
for my $uri (grep { defined $id{$_} } @uris) {
    is(made($uri, $event{$id{$uri}}, $id{$uri}), $made{$uri} // 'a b', "$uri: what is logged");
}
for my $reason ('status', 'type', 'encoding', 'cacheable', 'not_json') {
    ok($reason{$reason}, "there is one for $reason") or next;
    wait_for(sub { (counters('with')->{"skipped:$reason"} // 0) >= $reason{$reason} }, $reason);
    is(counters('with')->{"skipped:$reason"}, $reason{$reason}, "skipped: $reason");
}
living_end();



=== TEST 2: files, and what is done to them
--- check
living(@without, @last);
my $full = qr{^/(?:file|gzip|gunzip|brotli|ssi|ssi-sendfile|sub|subs|around|all|cache|cache-gzip|headers|cors|Slice|js-filter|lua-filter|lua-whole|auth|directio|threads)/$};
all_same(map { "${_}small.json" } locations($full));
some_same(\@more, map { "${_}small.json" } grep { !/$full/ } locations(qr{^/.*/$}));
some_same(['get', 'head', 'encoding gzip', 'range bytes=5-', 'left in the middle', 'get'],
          map { my $at = $_; map { "$at$_" } 'big.json', 'page.html', 'list.json' }
              grep { !m{^/(?:limit|nobody)} } locations(qr{^/.*/$}));
some_same(['get', 'head', 'pipelined mixed', 'encoding gzip'],
          map { my $at = $_; map { "/$at$_" }
                'file', 'gzip', 'ssi', 'around', 'sub', 'all', 'cache', 'js-filter',
                'lua-whole', 'Slice' }
              '/empty.json', '/t.txt', '/x.gif', '/missing.json', '/', '', '/dir',
              '/dir/small.json', '/broken.json');
wait_for(sub { served('with') > 1000 }, 'it does serve');
living_end();



=== TEST 3: upstreams of all kinds
--- check
living(@without, @first);
our @upstreams = ('small', 'large', 'page', 'list', 'gif', 'chunked', 'gzip', 'not-gzip', 'deflate',
                  'none', 'empty', 'public', 'private', 'vary', 'own', 'cors', 'accel',
                  'accel-named', 'no-type', 'broken', 'unbuffered', 'part', 'unchanged', 'moved',
                  (map { "status-$_" } 201, 400, 404, 410, 500, 503), 'http10', 'http09',
                  'hints', 'nonsense', 'long', 'absent');
all_same('/up/small', '/Unbuffered/small', '/cache-stale/small', '/Sub-up/small');
some_same(['get', 'head', 'http/1.0', 'encoding gzip', 'range bytes=5-', 'if-none-match *', 'get'],
          map { my $at = $_; map { "$at$_" } @upstreams } @upstream_locations);
some_same(['get', 'encoding gzip'],
          map { my $at = $_; map { "$at$_" } 'small?step=1', 'list?step=1', 'page?step=3',
                                             'chunked?step=977', 'large?step=4099' }
              '/up/', '/Unbuffered/', '/Unbuffered11/', '/Buffers/', '/Sub-up/', '/Ssi-up/',
              '/Js-up/', '/cache-stale/step-');
some_same(['get', 'http/1.0', 'head'],
          map { my $at = $_; map { "$at$_" } 'small?cut=20', 'small?cut=150', 'large?cut=100000',
                                             'chunked?cut=150000', 'gzip?cut=3000' }
              '/up/', '/cache-stale/', '/error-up/');
some_same(['get'], '/cache-stale/private?bypass=1', '/cache-stale/public?no=1');
wait_for(sub { served('with') > 300 }, 'it does serve');
living_end();



=== TEST 4: contents, phases, errors and redirects
--- check
living(@without, @last);
some_same([@more, 'post', 'put', 'no host', 'post large', 'post expect', 'delete', 'xyz'],
          grep { !m{/$|^/auth$|^/mirrored$|^/Js/pieces} } locations(qr{^/}));
some_same(['get', 'http/1.0', 'encoding gzip', 'post', 'range bytes=5-', 'left at once'], '/Js/pieces');
all_same('/auth/small.json?auth=401', '/auth-page/small.json?auth=403', '/satisfy/small.json?auth=401',
         '/error-file/none', '/error-named/none', '/try-named/x', '/lua/say?id=a%22b');
some_same(\@few, map { ("/auth/big.json?auth=$_", "/auth-page/big.json?auth=$_",
                        "/satisfy/list.json?auth=$_", "/all/big.json?auth=$_") }
                     401, 403, 500, 'none');
some_same(\@few, map { ("/error-$_/none", "/error-$_/big.json") }
                     'file', '200', 'named', 'redirect');
some_same(\@few, '/if/big.json?gzip=1', '/if/big.json?none=1', '/lua-access/big.json?no=1',
          '/lua-status/none', '/dir/', '/nowhere', '/%00', '/..', '//file//small.json',
          '/file/small.json/x');

# what the upstream gets of a request
some_same(['get', 'head', 'post', 'post json', 'post large', 'post chunked', 'post expect',
           'encoding gzip', 'gpc', 'http/1.0'],
          '/echo', '/echo-unbuffered', '/up/echo', '/mirror/echo', '/Unbuffered11/echo?a=b');
is(same('too large', request_text('POST', '/echo', body => 'x' x 70000), ['POST']), '',
   'too large');

# a request that the client does not end
my $half = request_text('POST', '/echo', body => 'x', 'Content-Length' => 100);
is(same('half a body', $half, ['POST'], 0), '', 'half a body');

# HTTP that is none
for my $text ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET /file/small.json HTTP/3.0\r\n\r\n",
              "POST /js/body HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
              "GET /file/small.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: "
              . 'y' x 40000 . "\r\n\r\n",
              "GET /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\n",
              "CONNECT shop:80 HTTP/1.1\r\nHost: x\r\n\r\n") {
    my $differ = same(substr($text, 0, 40), $text, ['GET']);
    is($differ, '', substr($text, 0, 20));
}
wait_for(sub { served('with') > 300 }, 'it does serve');
living_end();



=== TEST 5: HTTP/2
--- check
living(@without, @first);
my @uris = ((map { my $at = $_; map { "$at$_" } 'small.json', 'big.json', 'list.json', 'missing.json' }
                 grep { !m{^/(?:limit|rate|lua-broken)} } locations(qr{^/.*/$})),
            (map { ("${_}small", "${_}gzip") } @upstream_locations),
            grep { !m{/$|^/auth$|^/mirrored$|^/return-444} } locations(qr{^/}));
my @differ;
for my $options ([], ['compressed'], ['head'], ['range = 3-9'], ['header = "If-None-Match: *"'],
                 ['data = "a=b"'], ['header = "Origin: https://x.example"']) {
    my @wanted = @$options && $options->[0] !~ /compressed/ ? grep { !/big|list/ } @uris : @uris;
    push @differ, same_http2(map { [ $_, @$options ] } @wanted);
}
is(scalar @differ, 0, 'HTTP/2') or diag(@differ[0 .. ($#differ > 3 ? 3 : $#differ)]);
wait_for(sub { served('with') > 300 }, 'it does serve');
living_end();



=== TEST 6: loaded, and not used
--- check
living(@without, unused => { load => 'first' });
some_same(\@few, (map { "${_}list.json" } locations(qr{^/(?!limit).*/$})),
          grep { !m{/$|^/auth$|^/mirrored$|^/Js/pieces} } locations(qr{^/}));
my @differ = same_http2(map { [ "${_}small.json" ] } grep { !/lua-broken/ } locations(qr{^/.*/$}));
is("@differ", '', 'HTTP/2');
living_end();



=== TEST 7: collecting beside the others
--- check
living(@last);
my @click = ('Content-Type' => 'text/plain', body => $CLICK);
my $r = answered('with', 'POST', '/collect/plain', @click);
is($r->{status}, 204, 'plain');
is(join(' ', sort keys %{ $r->{headers} }), 'cache-control connection date server set-cookie');
is($r->{headers}{'cache-control'}, 'no-store');
like($r->{headers}{'set-cookie'}, qr/^refine_vid=v_.*, refine_sid=s_/);
my @stored = ('from-x');

# each stores once, and what was sent but where lua changed that
for my $at ('auth', 'mirror', 'read', 'need', 'filters', 'headers', 'conn', 'by-lua', 'by-js',
            'by-exec', 'limit') {
    $r = answered('with', 'POST', "/collect/$at", @click);
    is($r->{status}, 204, "$at: 204");
    is($r->{body}, '', "$at: no body");
    push @stored, 'from-x';
    wait_for(sub { stored('with') == @stored }, "$at: stored");
}
is(answered('with', 'POST', '/collect/set', @click)->{status}, 204, 'set');
push @stored, 'lua-x';

# a body too large for its buffer, and one in chunks
my $many = '[' . join(',', ($CLICK) x 40) . ']';
for my $at ('plain', 'mirror', 'read', 'need', 'conn') {
    is(answered('with', 'POST', "/collect/$at", body => $many)->{status}, 204, "$at: many");
    my $chunked = sprintf "%x\r\n%s\r\n0\r\n\r\n", length $CLICK, $CLICK;
    is(answered('with', 'POST', "/collect/$at", body => $chunked,
                'Transfer-Encoding' => 'chunked')->{status}, 204, "$at: chunked");
    push @stored, ('from-x') x 41;
}

# what the others refuse never comes to be read
is(answered('with', 'POST', '/collect/limit', @click)->{status}, 503, 'limit_req');
is(answered('with', 'POST', '/collect/auth?auth=403', @click)->{status}, 403, 'auth_request');
is(answered('with', 'POST', '/collect/deny', @click)->{status}, 403, 'lua');

# what they do to its answers
$r = answered('with', 'POST', '/collect/headers', @click);
is_deeply([ @{ $r->{headers} }{'x-more', 'x-one', 'x-js', 'x-lua', 'cache-control', 'server'} ],
          [ 204, 1, 204, 1, 'no-store, max-age=3600', undef ], 'headers');
my @some = (body => "[$CLICK,{}]");
$r = answered('with', 'POST', '/collect/filters', @some);
is($r->{status}, 200, 'filters: 200');
like($r->{body}, qr/^before\n\{"ACCEPTED":1,"rejected":\[\{"index":1,.*\}\]\}\n\z/, 'filters: 1 of 2');
my $body = $r->{body};
$r = answered('with', 'POST', '/collect/filters', @some, 'Accept-Encoding' => 'gzip');
is($r->{headers}{'content-encoding'}, 'gzip', 'filters: gzip');
is(memGunzip($r->{body}), $body, 'filters: the same');
push @stored, ('from-x') x 3;

is_deeply([ map { $_->{itemId} } stored('with') ], \@stored, 'all of it is stored, and no more');
is(counters('with')->{accepted}, scalar @stored, 'and counted, and no serve');
living_end();
