# Tests for allow_origin: pages of other origins.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Http2;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

# all headers of a response that have to do with origins

sub cors {
    my ($response) = @_;

    my $headers = $response->{headers};
    return { map { $_ => $headers->{$_} }
             CORE::grep { /^access-control-|^vary$/ } keys %$headers };
}

sub answer_of {
    my ($origin) = @_;

    return {
        'vary' => 'Origin',
        'access-control-allow-origin' => $origin,
        'access-control-allow-credentials' => 'true',
        'access-control-expose-headers' => 'X-Refine-Dropped, '
            . 'X-Refine-Anonymous, X-Refine-Bot, Retry-After',
    };
}

sub preflight {
    my ($path, $origin, @headers) = @_;

    return request('OPTIONS', $path, undef, Host => 'shop.example',
                   Origin => $origin,
                   'Access-Control-Request-Method' => 'POST',
                   'Access-Control-Request-Headers' => 'content-type', @headers);
}

sub from {
    my ($origin, $body, @headers) = @_;
    return post('/c', $body, Host => 'shop.example', Origin => $origin, @headers);
}

run_tests();

__DATA__

=== TEST 1: an origin that is listed
--- catalog
    flush_interval 1h;
    allow_origin https://pages.example https://*.shop.example:8443
                 http://localhost:3000;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Host: shop.example
Origin: https://pages.example
--- error_code: 204
--- response_headers
Access-Control-Allow-Origin: https://pages.example
Access-Control-Allow-Credentials: true
Vary: Origin
Cache-Control: no-store
--- check
for my $origin ('https://pages.example', 'https://pages.example:443',
                'https://PAGES.example', 'https://a.shop.example:8443',
                'https://a.b.shop.example:8443', 'http://localhost:3000')
{
    my $r = from($origin, $CLICK);
    is($r->{status}, 204, $origin);
    is_deeply(cors($r), answer_of($origin), 'each header once');
    like($r->{headers}{'set-cookie'}, qr/^refine_vid=.*SameSite=Lax/);
}
is(scalar events(), 7);



=== TEST 2: an origin that is not
--- catalog
    flush_interval 1h;
    allow_origin https://pages.example https://*.shop.example:8443;
--- config
    location = /c { refine_collect pixel; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Host: shop.example
Origin: https://evil.example
--- error_code: 403
--- response_headers
Vary: Origin
! Access-Control-Allow-Origin
! Access-Control-Allow-Credentials
! Set-Cookie
--- response_body_like: Origin is not allowed, its host must be the one of Host, or it must be listed in allow_origin
--- check
my @bad = ('null', '', '*', 'https://*', 'http://pages.example',
    'https://pages.example:8443', 'https://pages.example.', 'pages.example',
    'https://pages.example.evil.example', 'https://evilpages.example',
    'https://a.pages.example', 'https://pages.example/', 'https://evil@pages.example',
    'https://pages.example https://pages.example', 'https://a.shop.example',
    'https://evil.example/.shop.example:8443', 'https://*.shop.example:8443',
    'https://evil.example#.shop.example:8443', 'https://.shop.example:8443',
    'https://evilshop.example:8443', 'null, null',
    ['https://pages.example', 'https://pages.example'],
    ['https://pages.example', 'https://evil.example'],
    ['https://shop.example', 'https://pages.example'], ['null', 'null']);
for my $origin (@bad) {
    for my $r (from($origin, $CLICK), preflight('/c', $origin),
               get("/c?e=$CLICK", Host => 'shop.example', Origin => $origin))
    {
        is($r->{status}, 403, encode_json([$origin]));
        is_deeply(cors($r), { vary => 'Origin' });
        is($r->{headers}{'set-cookie'}, undef);
    }
}
is(scalar events(), 0, 'nothing is stored');
wait_for(sub {
    decode_json(get('/s')->{body})->{catalogs}{shop}{rejected}{origin}
        == 1 + 3 * @bad
}, 'counted', 5);



=== TEST 3: preflight
--- catalog
    flush_interval 1h;
    allow_origin https://pages.example;
--- config
    location = /c { refine_collect; }
    location = /p { refine_collect pixel; }
--- request
OPTIONS /c
--- more_headers
Host: shop.example
Origin: https://pages.example
Access-Control-Request-Method: POST
Access-Control-Request-Headers: content-type
--- error_code: 204
--- check
my %all = (
    'vary' => 'Origin',
    'access-control-allow-origin' => 'https://pages.example',
    'access-control-allow-credentials' => 'true',
    'access-control-allow-methods' => 'POST, OPTIONS',
    'access-control-allow-headers' => 'Content-Type, Content-Encoding',
    'access-control-max-age' => '7200',
);
my $r = preflight('/c', 'https://pages.example');
is($r->{status}, 204);
is_deeply(cors($r), \%all);
is($r->{headers}{allow}, 'POST, OPTIONS');
is($r->{headers}{'cache-control'}, 'no-store');
is($r->{headers}{'set-cookie'}, undef, 'no cookie');
$r = preflight('/p', 'https://pages.example', 'Cookie' => 'refine_consent=denied');
is($r->{status}, 204);
is_deeply(cors($r), { %all, 'access-control-allow-methods'
                            => 'GET, HEAD, POST, OPTIONS' });
$r = preflight('/c', 'https://shop.example');
is($r->{status}, 204, 'of the same origin');
is_deeply(cors($r), { vary => 'Origin' }, 'needs none');
$r = request('OPTIONS', '/c', 'a body', Host => 'shop.example',
             Origin => 'https://pages.example');
is($r->{status}, 204, 'not a preflight');
is_deeply(cors($r), \%all);
is(scalar events(), 0);



=== TEST 4: every answer can be read
--- catalog
    flush_interval 1h;
    queue_timeout 100ms;
    allow_origin https://pages.example;
    bot $arg_bot;
--- config
    location = /c { refine_collect pixel; client_max_body_size 1k; }
--- request
POST /c
x
--- more_headers
Origin: https://pages.example
--- error_code: 400
--- response_headers
Access-Control-Allow-Origin: https://pages.example
Vary: Origin
--- check
my $origin = 'https://pages.example';
my $gone = sub {
    redis_pause();
    my $r = from($origin, $CLICK);
    redis_resume();
    return $r;
};
my %answers = (
    '200' => from($origin, "[$CLICK,1]"),
    '200 image' => get("/c?e=$CLICK", Host => 'shop.example', Origin => $origin),
    '204' => from($origin, $CLICK),
    '400' => from($origin, '[]'),
    '400 image' => get('/c', Host => 'shop.example', Origin => $origin),
    '405' => request('PUT', '/c', '', Host => 'shop.example', Origin => $origin),
    '413' => from($origin, '[' . CORE::join(',', (1) x 101) . ']'),
    '415' => from($origin, $CLICK, 'Content-Encoding' => 'br'),
    '503' => $gone->(),
);
for my $name (sort keys %answers) {
    is($answers{$name}{status}, CORE::substr($name, 0, 3));
    is_deeply(cors($answers{$name}), answer_of($origin), "headers of $name");
}
my $r = from($origin, $CLICK, Cookie => 'refine_consent=denied');
is($r->{headers}{'x-refine-dropped'}, 'consent');
is_deeply(cors($r), answer_of($origin));
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
printf {$socket} "POST /c HTTP/1.1\r\nHost: shop.example\r\nOrigin: %s\r\n"
    . "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
    $origin, 2000, 'x' x 2000;
$socket->flush;
my $text = CORE::join '', <$socket>;
like($text, qr{^HTTP/1.1 413 }, "nginx's own, once the body is being read");
like($text, qr/^Access-Control-Allow-Origin: \Q$origin\E\r$/m);



=== TEST 5: the same origin, and none
--- catalog
    flush_interval 1h;
    allow_origin https://pages.example http://shop.example:8080;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- response_headers
Vary: Origin
! Access-Control-Allow-Origin
--- check
for my $origin ('https://shop.example', 'http://shop.example',
                'https://shop.example:8443')
{
    my $r = from($origin, $CLICK);
    is($r->{status}, 204, $origin);
    is_deeply(cors($r), { vary => 'Origin' });
}
my $r = from('http://shop.example:8080', $CLICK);
is_deeply(cors($r), answer_of('http://shop.example:8080'),
          'listed, though its host is the same');
is(scalar events(), 5);



=== TEST 6: without allow_origin there is nothing of it
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
is_deeply(cors(from('https://shop.example', $CLICK)), {});
is_deeply(cors(from('https://pages.example', $CLICK)), {});
is_deeply(cors(preflight('/c', 'https://shop.example')), {});
is_deeply(cors(preflight('/c', 'https://pages.example')), {});



=== TEST 7: each catalog has its own list
--- http_extra
    refine_catalog other {
        organization_id org_1;
        catalog_id      other_$TEST_NGINX_CATALOG;
        api_key         k;
        endpoint        http://unix:$TEST_NGINX_MOCK:/events;
        queue           redis://unix:$TEST_NGINX_REDIS;
        flush_interval  1h;
        allow_origin    https://other.example;
    }
--- catalog
    flush_interval 1h;
    allow_origin https://pages.example;
--- config
    location = /c { refine_collect; }
    location = /o { refine other; refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Origin: https://other.example
--- error_code: 403
--- check
is(post('/o', $CLICK, Origin => 'https://other.example')->{status}, 204);
is(post('/o', $CLICK, Origin => 'https://pages.example')->{status}, 403);
is(from('https://pages.example', $CLICK)->{status}, 204);



=== TEST 8: HTTP/2 and keep-alive
--- catalog
    flush_interval 1h;
    allow_origin https://pages.example;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/h2.sock http2;
        location = /c { refine_collect; }
    }
--- config
    location = /c { refine_collect; }
--- request
OPTIONS /c
--- more_headers
Origin: https://pages.example
--- error_code: 204
--- check
my @origin = (origin => 'https://pages.example');
is(h2(h2_client(), ['OPTIONS', '/c', undef, @origin], ['POST', '/c', $CLICK, @origin],
      ['POST', '/c', $CLICK, origin => 'https://evil.example'],
      ['POST', '/c', $CLICK, origin => 'null']), '204 204 403 403');
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
my @keep = (Socket => $socket, Connection => 'keep-alive');
for my $n (1 .. 3) {
    is(request('OPTIONS', '/c', 'POST /c HTTP/1.1', @origin, @keep)->{status},
       204, "a preflight with a body $n");
    is(from('https://evil.example', 'POST /c HTTP/1.1', @keep)->{status}, 403);
    is(from('https://pages.example', $CLICK, @keep)->{status}, 204);
}
is(scalar events(), 4);
