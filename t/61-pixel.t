# Tests for the parameters of refine_collect: the types of events that it takes,
# and events in a query string, answered with an image.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Http2;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';
our $CART = '{"type":"add_to_cart","serveId":"s1","itemId":"c"}';

# the pixel, as GIF89a has it

our $GIF = pack 'H*', '47494638396101000100800000000000ffffff21f90401000000002c'
                    . '000000000100010000020244010' . '03b';

sub enc { CORE::join('', map { sprintf '%%%02x', $_ } CORE::unpack('C*', $_[0])) }

# letters and digits stay, as encodeURIComponent() leaves them

sub component {
    my ($text) = @_;
    $text =~ s/([^A-Za-z0-9_.!~*'()-])/sprintf '%%%02X', CORE::ord $1/ge;
    return $text;
}

sub pixel {
    my ($text, @headers) = @_;
    return get('/c?e=' . component($text), @headers);
}

sub rejected {
    my (%rejected) = @_;

    wait_for(sub {
        my $s = decode_json(get('/s')->{body})->{catalogs}{shop}{rejected};
        !CORE::grep { $s->{$_} != $rejected{$_} } keys %rejected
    }, encode_json(\%rejected), 5);
    return;
}

run_tests();

__DATA__

=== TEST 1: only the types that are named
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect click add_to_cart; }
    location = /p { refine_collect purchase; }
    location = /s { refine_status; }
--- request
POST /c
[{"type":"click","serveId":"s1","itemId":"a","position":0},{"type":"view","serveId":"s1","itemId":"b","position":0},{"type":"add_to_cart","serveId":"s1","itemId":"c"}]
--- error_code: 200
--- response_body
{"accepted":2,"rejected":[{"index":1,"field":"type","error":"must be click or add_to_cart"}]}
--- check
is(CORE::join('', map { $_->{itemId} } events()), 'ac');
my $purchase = '{"type":"purchase","orderId":"1","value":1,"currency":"EUR",'
               . '"items":[{"itemId":"a","quantity":1,"unitPrice":1}]}';
is(post('/c', $purchase)->{status}, 400);
is(post('/p', $purchase)->{status}, 204);
my $r = post('/p', $CLICK);
is($r->{status}, 400);
is($r->{body}, '{"accepted":0,"rejected":[{"index":0,"field":"type",'
               . qq("error":"must be purchase"}]}\n));
is(post('/c', '{"type":"nothing"}')->{status}, 400);
is(get("/c?e=$CLICK")->{status}, 405, 'a type makes no pixel');
rejected(type => 4, method => 1);



=== TEST 2: an event in the query string
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect pixel; }
--- request eval
'GET /c?e=' . main::component($main::CLICK)
--- more_headers
User-Agent: mail reader
--- error_code: 200
--- response_headers
Content-Type: image/gif
Content-Length: 43
Cache-Control: no-store
! Last-Modified
! ETag
--- response_body eval
$main::GIF
--- check
my ($event) = events();
is($event->{itemId}, 'a', 'it is stored');
is($event->{context}{userAgent}, 'mail reader');
like($event->{visitorId}, qr/^v_/);
my $r = pixel($CLICK);
is(CORE::length($r->{body}), 43);
like($r->{headers}{'set-cookie'}, qr/^refine_vid=.*refine_sid=/, 'cookies');
is($r->{headers}{'cache-control'}, 'no-store', 'exactly one Cache-Control');
is(pixel($CLICK, Cookie => $r->{headers}{'set-cookie'} =~ /(refine_vid=[^;]*)/)
   ->{status}, 200);
is((events())[2]{visitorId}, (events())[1]{visitorId}, 'and they are read');
is(pixel("[$CLICK,$CART]")->{status}, 200, 'an array');
is(pixel(qq({"sentAt":1,"events":[$CART]}))->{status}, 200, 'an envelope');
is(scalar events(), 6);
is(post('/c', $CLICK)->{status}, 204, 'POST is answered as ever');
is(post('/c?e=x', $CLICK)->{status}, 204, 'its argument is not read');
is(pixel("[$CLICK,1]")->{status}, 200, 'some are refused');
is(scalar events(), 9);



=== TEST 3: how the argument is written
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect pixel; }
--- request eval
'GET /c?_=1&e=' . main::enc($main::CLICK) . '&z=%&e2=3&ee=4&&e'
--- error_code: 200
--- check
my $named = sub {
    my ($name) = @_;
    return '{"type":"add_to_cart","serveId":"s1","itemId":"' . $name . '"}';
};
is(get('/c?e=' . $named->('plain'))->{status}, 200, 'not encoded');
is(get('/c?e=' . $named->('a+b'))->{status}, 200, 'a plus');
is(get('/c?e=' . $named->('a%2Bb'))->{status}, 200, 'an encoded plus');
is(get('/c?e=' . $named->('a%26b%3d%25%23'))->{status}, 200, 'separators');
is(get('/c?e=' . $named->('%C3%A4%c3%A4'))->{status}, 200, 'UTF-8');
is(get('/c?e=' . $named->('%5Cu00e4'))->{status}, 200, 'an escape of JSON');
is(get('/c?' . 'e=' . $named->('x') . '#e=1')->{status}, 200, 'a fragment');
is_deeply([map { $_->{itemId} } events()],
          ['a', 'plain', 'a b', 'a+b', 'a&b=%#', "\x{e4}\x{e4}", "\x{e4}", 'x']);



=== TEST 4: what is wrong with it
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect pixel view add_to_cart; }
    location = /s { refine_status; }
--- request
GET /c
--- error_code: 400
--- response_headers
Content-Type: application/json
Cache-Control: no-store
--- response_body
{"accepted":0,"rejected":[{"index":null,"field":"","error":"the argument \"e\" is missing: ?e=<URL-encoded JSON>"}]}
--- check
my %bad = (
    'x=1' => 'the argument', 'E=1' => 'the argument', 'e' => 'the argument',
    'ee=1' => 'the argument',
    'e=' => 'not JSON', 'e=x' => 'not JSON', 'e=%00' => 'not JSON',
    'e=%7B%22' => 'not JSON', 'e=%22%ff%22' => 'not JSON',
    'e=%' => '% without', 'e=%2' => '% without', 'e=%zz' => '% without',
    'e=[]%4' => '% without', 'e=%u00e4' => '% without',
    'e=[]' => 'no events', 'e=1' => 'must be an event',
    "e=$CART&e=$CART" => 'more than one argument',
    'e=&e=' => 'more than one argument',
    "e=$CLICK" => 'must be view or add_to_cart',
    'e={"type":"view"}' => 'is required',
);
for my $args (sort keys %bad) {
    my $r = get("/c?$args");
    is($r->{status}, 400, $args);
    like($r->{body}, qr/^\{"accepted":0,"rejected":\[.*\Q$bad{$args}\E/);
    is($r->{headers}{'content-type'}, 'application/json', 'no image');
    is($r->{headers}{'set-cookie'}, undef);
}
is(get('/c?e=[' . CORE::join(',', (1) x 101) . ']')->{status}, 413, 'too many');
is(get("/c?e=$CART", Origin => 'https://other')->{status}, 403, 'Origin');
is(get("/c?e=$CART", Origin => 'https://localhost')->{status}, 200);
is(get("/c?e=$CART", 'Content-Encoding' => 'br')->{status}, 415);
my $r = request('PUT', "/c?e=$CART", '');
is($r->{status}, 405);
is($r->{headers}{allow}, 'GET, HEAD, POST, OPTIONS');
like($r->{body}, qr/the method must be GET or POST/);
is(request('OPTIONS', '/c')->{headers}{allow}, 'GET, HEAD, POST, OPTIONS');
is(scalar events(), 1);
rejected(not_event => 14, not_json => 5, type => 1, missing => 1, origin => 1,
         method => 1, too_many => 1, encoding => 1);



=== TEST 5: HEAD
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect pixel; }
--- request eval
'HEAD /c?e=' . main::component($main::CLICK)
--- error_code: 200
--- response_headers
Content-Type: image/gif
Content-Length: 43
Cache-Control: no-store
! Set-Cookie
--- response_body
--- check
is(scalar events(), 0, 'nothing is stored');
is(request('HEAD', '/c')->{status}, 200, 'without an argument');
my $r = request('HEAD', '/c', undef, Origin => 'null');
is($r->{status}, 403);
is($r->{body}, '');



=== TEST 6: a query string of 64 KB
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect pixel; }
--- request eval
'GET /c?e=' . 'x' x 65536
--- error_code: 414
--- check
my $pad = sub { get('/c?e={"type":"add_to_cart","serveId":"s1","itemId":"a",'
                    . '"x":"' . 'x' x $_[0] . '"}')->{status} };
is($pad->(8000), 200, 'nearly 8k');
is($pad->(8192), 414);
is(scalar events(), 1);



=== TEST 7: the limit is large_client_header_buffers
--- catalog
    flush_interval 1h;
--- http_extra
    large_client_header_buffers 4 80k;
--- config
    location = /c { refine_collect pixel; }
--- request eval
'GET /c?e=' . $main::CLICK . '&x=' . 'x' x 65536
--- error_code: 200
--- check
is(get('/c?e=[' . CORE::join(',', ($CLICK) x 101) . ']')->{status}, 413);
is(get('/c?e=[' . CORE::join(',', ($CLICK) x 100) . ']')->{status}, 200);
is(scalar events(), 101);



=== TEST 8: consent, GPC and what is dropped
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect pixel; }
--- request eval
'GET /c?e=' . $main::CLICK
--- more_headers
Cookie: refine_consent=denied
--- error_code: 200
--- response_headers
Content-Type: image/gif
X-Refine-Dropped: consent
--- check
is(scalar events(), 0);
my $r = pixel($CLICK, 'Sec-GPC' => 1);
is($r->{status}, 200);
is($r->{headers}{'x-refine-anonymous'}, 'gpc');
is($r->{headers}{'set-cookie'}, undef);
is((events())[0]{visitorId}, undef);



=== TEST 9: Redis is away
--- catalog
    flush_interval 1h;
    queue_timeout 100ms;
--- config
    location = /c { refine_collect pixel; }
--- request eval
'GET /c?e=' . $main::CLICK
--- error_code: 200
--- check
redis_pause();
my $r = pixel($CLICK);
redis_resume();
is($r->{status}, 503);
is($r->{headers}{'content-type'}, 'application/json');
like($r->{headers}{'retry-after'}, qr/^[1-5]$/);



=== TEST 10: a body, keep-alive, HTTP/2, subrequests
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/h2.sock http2;
        location = /c { refine_collect pixel; }
    }
--- config
    location = /c { refine_collect pixel; }
    location = /m { mirror /c; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/ok; }
    location = /ok { return 204; }
--- request
GET /ok
--- error_code: 204
--- check
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
my @keep = (Socket => $socket, Connection => 'keep-alive');
my $uri = '/c?e=' . component($CLICK);
is(request('GET', $uri, 'GET /other HTTP/1.1', @keep)->{status}, 200, 'a body');
is(request('GET', '/c', 'GET /other HTTP/1.1', @keep)->{status}, 400);
is(request('HEAD', '/c', 'GET /other HTTP/1.1', @keep)->{status}, 200);
is(request('GET', $uri, 'x' x 100_000, @keep)->{status}, 200, 'a large one');
is(request('GET', $uri, undef, @keep)->{body}, $GIF);
is(scalar events(), 3);
is(h2(h2_client(), ['GET', $uri], ['GET', '/c'], ['GET', $uri, 'body'],
      ['HEAD', $uri], ['GET', $uri]), '200 400 200 200 200', 'HTTP/2');
is(scalar events(), 6);
is(get('/m?e=' . component($CLICK))->{status}, 204, 'mirrored');
wait_for(sub { events() == 7 }, 'and stored');
