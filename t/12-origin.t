# Tests for who may post events: pages of the same host.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

run_tests();

__DATA__

=== TEST 1: the host of Origin is the one of Host
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Host: shop.example
Origin: https://shop.example
--- error_code: 204
--- check
my @good = (
    ['shop.example', 'http://shop.example'],
    ['shop.example', 'https://shop.example:8443'],
    ['shop.example:8080', 'https://shop.example'],
    ['shop.example:8080', 'http://shop.example:8081'],
    ['SHOP.example', 'https://shop.EXAMPLE'],
    ['shop.example.', 'https://shop.example'],
    ['shop.example', 'https://shop.example.'],
    ['127.0.0.1:1984', 'http://127.0.0.1'],
    ['[::1]:8080', 'http://[::1]'],
    ['[::1]', 'https://[::1]:8443'],
    ['xn--bcher-kva.example', 'https://xn--bcher-kva.example'],
);
for (@good) {
    my ($host, $origin) = @$_;
    my $r = post('/c', $CLICK, Host => $host, Origin => $origin);
    is($r->{status}, 204, "$origin for $host");
    is_deeply([grep { /^access-control|^vary/ } keys %{ $r->{headers} }], [],
              'needs no CORS headers');
}
is(scalar events(), 1 + @good);



=== TEST 2: every other origin is refused, and none reflected
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Host: shop.example
Origin: https://evil.example
--- error_code: 403
--- response_body_like: ^\{"accepted":0,"rejected":\[\{"index":null,"field":"","error":"Origin is not allowed
--- check
my @bad = (
    'null', '', 'https://', 'shop.example', '//shop.example', '://shop.example',
    'https://www.shop.example', 'https://shop.example.evil.example',
    'https://evilshop.example', 'https://shop.exampl', 'https://shop.example..',
    'https://evil.example:80/shop.example', 'https://shop.example/',
    'https://shop.example@evil.example', 'https://shop.example:80@evil.example',
    'https://evil.example#shop.example', 'https://shop.example:',
    'https://shop.example:x', 'https://shop.example:1:2', 'https://[shop.example]',
    'https://shop.example https://shop.example', 'https://[::1]',
);
for my $origin (@bad) {
    my $r = post('/c', $CLICK, Host => 'shop.example', Origin => $origin);
    is($r->{status}, 403, "'$origin'");
    is_deeply([grep { /^access-control|^set-cookie/ } keys %{ $r->{headers} }],
              [], 'neither CORS headers nor cookies');
    unlike(join("\n", %{ $r->{headers} }, $r->{body}), qr/evil/,
           'not reflected');
}
is(post('/c', $CLICK, Host => '[::1]', Origin => 'http://[::2]')->{status}, 403);
is(post('/c', $CLICK, Host => '[::1]', Origin => 'http://[::1')->{status}, 403);
is(post('/c', $CLICK, Host => 'shop.example',
        Origin => ['https://shop.example', 'https://shop.example'])->{status},
   403, 'two of them');
is(post('/c', $CLICK, Host => 'shop.example',
        Origin => ['https://shop.example', 'https://evil.example'])->{status},
   403);
is(scalar events(), 0);
my $s = decode_json(get('/s')->{body})->{catalogs}{shop};
is($s->{rejected}{origin}, 5 + @bad, 'counted');



=== TEST 3: no Origin at all
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
is(scalar events(), 1);



=== TEST 4: preflight
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
OPTIONS /c
--- more_headers
Host: shop.example
Origin: https://shop.example
Access-Control-Request-Method: POST
Access-Control-Request-Headers: content-type
--- error_code: 204
--- response_headers
Allow: POST, OPTIONS
Cache-Control: no-store
! Access-Control-Allow-Origin
--- check
my $r = request('OPTIONS', '/c', undef, Host => 'shop.example',
                Origin => 'https://evil.example',
                'Access-Control-Request-Method' => 'POST');
is($r->{status}, 403, 'of a foreign page');
is($r->{headers}{'access-control-allow-origin'}, undef);
is(request('OPTIONS', '/c')->{status}, 204, 'without Origin');
is(scalar events(), 0);



=== TEST 5: HTTP/1.0 without Host
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my $send = sub {
    my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$socket} $_[0];
    return CORE::join '', <$socket>;
};
my $length = CORE::length $CLICK;
like($send->("POST /c HTTP/1.0\r\nContent-Length: $length\r\n\r\n$CLICK"),
     qr{^HTTP/1.1 204 }, 'no Origin');
like($send->("POST /c HTTP/1.0\r\nOrigin: http://x\r\nContent-Length: $length\r\n"
             . "\r\n$CLICK"), qr{^HTTP/1.1 403 }, 'an Origin equals no host');
like($send->("POST /c HTTP/1.0\r\n\r\n"), qr{^HTTP/1.1 400 .*not JSON}s,
     'only a header');
is(scalar events(), 2);
