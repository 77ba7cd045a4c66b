# refine_serve: what of a response becomes an event.  The upstream answers with
# the bytes that reply() was given; /s/ and others proxy to it.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

run_tests();

__DATA__

=== TEST 1: a search is logged under the id in its header
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $body = '{"results":[{"productId":"a"},{"productId":"b"}],"totalResults":17}';
reply('one', $body);
my $r = get('/s/one?q=red+shoes%21');
is($r->{status}, 200);
is($r->{body}, $body, 'the body is unchanged');
like($r->{headers}{'x-refine-serve-id'},
     qr/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
     'a UUIDv7');
is($r->{headers}{'content-length'}, length $body, 'the length is kept');
is($r->{headers}{'set-cookie'}, undef, 'no cookie is set');
my $e = serve($r);
is($e->{type}, 'items_served');
is($e->{eventId}, $r->{headers}{'x-refine-serve-id'}, 'also the event id');
is($e->{surface}, 'search_results');
is($e->{source}, 'text-search');
is_deeply($e->{itemIds}, ['a', 'b']);
is($e->{totalResults}, 17);
is($e->{query}, 'red shoes!');
is($e->{metadata}, undef);
is($e->{visitorId}, undef, 'none is minted');
is($e->{sessionId}, undef);
is($e->{context}{ip}, '127.0.0.0', 'anonymized');
wait_for(sub { counted('serves:logged') == 1 }, 'counted');
is(scalar events(), 1);



=== TEST 2: the presets of recommendations and items
--- catalog
    flush_interval 1h;
--- config
    location = /rec {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve recommendations;
    }
    location = /items {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve items surface=home_page source=visitor-recs;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $body = '{"serveId":"x","results":[{"productId":"a"}],"totalResults":9}';
reply($_, $body) for 'rec', 'items';
my $e = serve(get('/rec?productId=p%2F1&q=no'));
is($e->{surface}, 'product_page');
is($e->{source}, 'similar-items');
is_deeply($e->{itemIds}, ['a']);
is($e->{metadata}{anchorId}, 'p/1');
is($e->{query}, undef);
is($e->{totalResults}, undef);
$e = serve(get('/items?q=no&productId=no'));
is($e->{surface}, 'home_page');
is($e->{source}, 'visitor-recs');
is($e->{query}, undef);
is($e->{metadata}, undef);



=== TEST 3: every value can be set, by variables or from the response
--- catalog
    flush_interval 1h;
--- config
    location = /a {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search surface=s-$arg_s source=json:meta.engine
                     items=json:data.hits[].sku total=json:data.n
                     query=json:meta.q anchor=x$arg_a;
    }
    location = /b {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search items=json:[][] total=$arg_n query=$arg_x$arg_q;
    }
    location = /c {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve items surface=$arg_none source=json:none
                     items=json:groups[].list[].id;
    }
    location = /d {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve recommendations surface=$arg_none source=json:none;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('a', '{"meta":{"q":"caf\u00e9","engine":"v2"},"data":{"n":3,'
           . '"hits":[{"sku":"1"},{"sku":"2"}]}}');
my $e = serve(get('/a?s=top&a=7'));
is($e->{surface}, 's-top');
is($e->{source}, 'v2');
is_deeply($e->{itemIds}, ['1', '2']);
is($e->{totalResults}, 3);
is($e->{query}, "caf\x{e9}");
is($e->{metadata}{anchorId}, 'x7');

reply('b', '[["p"],[],["q","r"],"s",{"t":"u"}]');
$e = serve(get('/b?n=12&x=a%20&q=b'));
is_deeply($e->{itemIds}, ['p', 'q', 'r']);
is($e->{totalResults}, 12);
is($e->{query}, 'a%20b', 'more than one argument is not decoded');
is(serve(get('/b?n=1e2'))->{totalResults}, 100);
is(serve(get("/b?n=$_"))->{totalResults}, undef, "total $_")
    for '', 'x', '-1', '1.5', '0x10', 'inf', 'nan', '99999999999999999999',
        '1' x 40, '5,6';

reply('c', '{"groups":[{"list":[{"id":"a"}]},{"list":[]},{"list":[{"id":"b"},'
           . '{"no":1},{"id":"c"}]}]}');
$e = serve(get('/c'));
is_deeply($e->{itemIds}, ['a', 'b', 'c']);
is($e->{surface}, 'unknown', 'what comes to nothing');
is($e->{source}, 'unknown');
reply('d', '{"results":[{"productId":"a"}]}');
$e = serve(get('/d'));
is($e->{surface}, 'product_page', "the type's, where it has one");
is($e->{source}, 'similar-items');
$e = serve(get('/d?none=x'));
is($e->{surface}, 'x');



=== TEST 4: ids: numbers, repeats, and what is none
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search items=json:r[];
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my @cases = (
    ['[]', []],
    ['["a","b","a","c","b"]', ['a', 'b', 'c'], 'repeats count once'],
    ['[1,-2,3.50,1e3,1]', ['1', '-2', '3.50', '1e3'], 'numbers as written'],
    ['[12,"12"]', ['12'], 'number and string alike'],
    ['[null,true,false,{"a":1},["x"],"z"]', ['z'], 'other kinds'],
    ['["",' . '"' . 'x' x 256 . '","' . 'y' x 257 . '"]', ['x' x 256], 'length'],
    ['["' . "\xc3\xa9" x 128 . '","' . "\xc3\xa9" x 128 . 'x"]',
     ["\x{e9}" x 128], 'length in bytes'],
    ['["' . '\\u00e9' x 128 . '","' . '\\u00e9' x 129 . '"]',
     ["\x{e9}" x 128], 'length unescaped'],
    ['["a\\nb","a\\u0000b","a\\tb","\\u007f","c"]', ['c'], 'controls'],
    ['["\\ud800","\\udc00x","\\ud83d\\ude00"]', ["\x{1f600}"], 'surrogates'],
    ['["a\\"b\\\\c\\/d<>&"]', ['a"b\\c/d<>&'], 'escapes'],
);
for my $case (@cases) {
    my ($json, $ids, $what) = @$case;
    reply('ids', "{\"r\":$json,\"totalResults\":0}");
    my $e = serve(get('/s/ids'));
    is_deeply($e->{itemIds}, $ids, $what || $json);
    is($e->{totalResults}, 0);
    is($e->{metadata}, undef);
}



=== TEST 5: a search without results is a serve
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
for my $body ('{"results":[],"totalResults":0}', '{}', '[]', "null\n", '"x"') {
    reply('none', $body);
    my $e = serve(get('/s/none?q=nothing'));
    is_deeply($e->{itemIds}, [], $body);
    is($e->{query}, 'nothing');
}



=== TEST 6: beyond 1000 items or 64 KB of ids it is cut, marked and counted
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search items=json:r[];
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $list = sub { '{"r":[' . join(',', map { "\"$_\"" } @_) . '],"totalResults":5000}' };
reply('n1000', $list->(1 .. 1000, 500, 1 .. 1000));
my $e = serve(get('/s/n1000'));
is_deeply($e->{itemIds}, [1 .. 1000], '1000 with repeats are not cut');
is($e->{metadata}, undef);
reply('n1001', $list->(1 .. 1001, 2000));
$e = serve(get('/s/n1001'));
is_deeply($e->{itemIds}, [1 .. 1000], 'cut');
is_deeply($e->{metadata}, { truncated => JSON::PP::true() });
is($e->{totalResults}, 5000, 'what follows is read');
my @long = map { sprintf '%0256d', $_ } 1 .. 300;
reply('long', $list->(@long[0 .. 255]));
$e = serve(get('/s/long'));
is_deeply($e->{itemIds}, [@long[0 .. 255]], '64 KB');
is($e->{metadata}, undef);
reply('long', $list->(@long[0 .. 255], 'x', 'y'));
$e = serve(get('/s/long'));
is_deeply($e->{itemIds}, [@long[0 .. 255]], 'over 64 KB');
is_deeply($e->{metadata}, { truncated => JSON::PP::true() });
wait_for(sub { counted('serves:logged') == 4 }, 'logged');
counts('serves:cut', 2, 'counted once a serve');



=== TEST 7: text that is not UTF-8 is left out and counted, long text is cut
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /json {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search query=json:q surface=json:s;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('q', '{"results":[{"productId":"a"}]}');
my $bad = 0;
for my $q ('%ff', 'a%c3', '%c0%80', '%ed%a0%80', '%f5%80%80%80', 'a%00b') {
    my $e = serve(get("/s/q?q=$q"));
    is($e->{query}, undef, "q=$q");
    is_deeply($e->{itemIds}, ['a']);
    $bad++;
}
wait_for(sub { counted('serves:not_utf8') >= $bad }, 'counted');
counts('serves:not_utf8', $bad);
is(serve(get('/s/q?q=100%25+%zz+%4'))->{query}, '100% %zz %4', 'a lone %');
is(serve(get('/s/q?q=a%0d%0ab'))->{query}, "a\r\nb", 'control characters');
is(serve(get('/s/q?q='))->{query}, undef, 'empty');
is(serve(get('/s/q?q=' . 'x' x 1024))->{query}, 'x' x 1024);
is(serve(get('/s/q?q=' . 'x' x 1025))->{query}, 'x' x 1024, 'cut');
is(serve(get('/s/q?q=x' . '%c3%a9' x 600))->{query}, 'x' . "\x{e9}" x 511,
   'cut between two characters');
reply('json', '{"q":"' . 'y' x 1500 . '","s":"' . "\xe2\x82\xac" x 30 . '"}');
my $e = serve(get('/json'));
is($e->{query}, 'y' x 1024);
is($e->{surface}, "\x{20ac}" x 21, '64 bytes at most');
reply('json', '{"q":"a\\ud800","s":"b\\u0000"}');
$e = serve(get('/json'));
is($e->{query}, undef);
is($e->{surface}, 'search_results');
wait_for(sub { counted('serves:not_utf8') == $bad + 2 }, 'counted');



=== TEST 8: inheritance, off, and no catalog
--- catalog
    flush_interval 1h;
--- config
    location /a {
        refine_serve search;
        location /a/in { proxy_pass http://unix:$TEST_NGINX_UPSTREAM:/x; }
        location /a/off {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM:/x;
            refine_serve off;
        }
        location /a/none {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM:/x;
            refine off;
        }
    }
    location /s/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', '{"results":[{"productId":"a"}]}', 'X-Refine-Serve-Id' => undef);
is_deeply(serve(get('/a/in'))->{itemIds}, ['a'], 'inherited');
for my $path ('/a/off', '/a/none', '/s/x') {
    my $r = get($path);
    is($r->{status}, 200, $path);
    is($r->{headers}{'x-refine-serve-id'}, undef, "nothing in $path");
}
is(scalar events(), 1);



=== TEST 9: cookies that came are the identity, broken ones are not
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', '{"results":[]}');
my ($v, $s) = ('v_' . 'aB3' x 7 . 'z', 's_' . 'Q' x 22);
my $r = get('/s/x', Cookie => "a=b; refine_vid=$v; refine_sid=$s",
            'User-Agent' => "agent\xff", 'Sec-Purpose' => 'prefetch;prerender');
is($r->{headers}{'set-cookie'}, undef);
my $e = serve($r);
is($e->{visitorId}, $v);
is($e->{sessionId}, $s);
is($e->{context}{userAgent}, "agent\x{fffd}");
ok($e->{context}{prefetch}, 'prefetch is marked');
$e = serve(get('/s/x', Cookie => "refine_vid=x$v; refine_sid=s_short"));
is($e->{visitorId}, undef);
is($e->{sessionId}, undef);



=== TEST 10: requests on one connection, and HTTP/2
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_HTML_DIR/h2.sock http2;
        location /s/ {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
            refine_serve search;
        }
    }
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $ids = sub { join ',', map { "{\"productId\":\"$_[0]-$_\"}" } 1 .. 40 };
reply("k$_", '{"results":[' . $ids->("k$_") . ']}') for 1 .. 3;
my $port = http_port();
my $out = `curl -s -D - http://127.0.0.1:$port/s/k1 http://127.0.0.1:$port/s/k2 http://127.0.0.1:$port/s/k3`;
my @id = $out =~ /X-Refine-Serve-Id: (\S+)/gi;
is(scalar @id, 3, 'three ids');
wait_for(sub { events() == 3 }, 'three serves');
my %by = map { $_->{serveId} => $_ } events();
for my $n (1 .. 3) {
    is_deeply($by{$id[$n - 1]}{itemIds}, [map { "k$n-$_" } 1 .. 40], "serve $n");
}
my $sock = "$Test::Nginx::Util::HtmlDir/h2.sock";
$out = join '', map {
    `curl -s -D - --http2-prior-knowledge --unix-socket $sock http://localhost/s/k$_`
} 1, 2;
@id = $out =~ /x-refine-serve-id: (\S+)/g;
is(scalar @id, 2, 'HTTP/2');
wait_for(sub { events() == 5 }, 'logged');
%by = map { $_->{serveId} => $_ } events();
is_deeply($by{$id[1]}{itemIds}, [map { "k2-$_" } 1 .. 40]);
