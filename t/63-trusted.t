# Tests for refine_collect trusted: events of the shop's own servers, which say
# themselves who the visitor was.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Http2;
use Conf;
use JSON::PP;
use Compress::Zlib ();

our $PURCHASE = '{"type":"purchase","orderId":"o1","value":5,"currency":"EUR",'
    . '"items":[{"itemId":"a","quantity":1,"unitPrice":5}],"visitorId":"v1",'
    . '"sessionId":"s1","userId":"u1","context":{"ip":"192.0.2.17",'
    . '"userAgent":"the browser","bot":false,"prefetch":true}}';

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

# what a server of the shop sends

sub ours {
    my ($path, $body, %headers) = @_;
    return post($path, $body, 'X-Refine-Control' => 1, %headers);
}

sub rejected {
    my (%rejected) = @_;

    wait_for(sub {
        my $s = decode_json(get('/s')->{body})->{catalogs}{shop}{rejected};
        !CORE::grep { $s->{$_} != $rejected{$_} } keys %rejected
    }, encode_json(\%rejected), 5);
    return;
}

sub collect {
    return block('') . "refine shop; server { location /x { refine_collect $_[0]; } }";
}

conf_good("refine_collect $_", collect($_))
    for 'trusted', 'trusted=any', 'purchase trusted click';
conf_bad("refine_collect $_", collect($_),
         qq{invalid parameter "$_" of "refine_collect", allowed: items_served, }
         . 'click, view, add_to_cart, purchase, pixel, trusted and trusted=any')
    for 'trusted=', 'trusted=on', 'trusted=ANY', 'Trusted';
conf_bad("refine_collect $_", collect($_), 'duplicate parameter "trusted')
    for 'trusted trusted', 'trusted trusted=any', 'trusted=any trusted';
conf_bad("refine_collect $_", collect($_), '"pixel" and "trusted" of '
         . '"refine_collect" exclude each other, two locations can have them')
    for 'trusted pixel', 'pixel click trusted';
conf_bad('refine_collect pixel trusted=any', collect('pixel trusted=any'),
         '"pixel" and "trusted=any" of "refine_collect" exclude each other');

run_tests();

__DATA__

=== TEST 1: the event says who it was
--- catalog
    flush_interval 1h;
    user_id $arg_user;
    bot     1;
--- config
    location = /c { refine_collect trusted; }
--- request eval
"POST /c?user=no\n" . $main::PURCHASE
--- more_headers
X-Refine-Control: 1
Cookie: refine_vid=v_0123456789012345678901; refine_sid=s_0123456789012345678901
User-Agent: the server
Sec-Purpose: prefetch
--- error_code: 204
--- response_headers
! Set-Cookie
! X-Refine-Bot
! X-Refine-Anonymous
--- check
my ($event) = events();
is($event->{visitorId}, 'v1');
is($event->{sessionId}, 's1');
is($event->{userId}, 'u1', 'the configured one is not asked');
is_deeply($event->{context}, { ip => '192.0.2.0', userAgent => 'the browser',
                               prefetch => JSON::PP::true },
          'the address is anonymized');
is(ours('/c', $CLICK, Cookie => 'refine_vid=v_0123456789012345678901')->{status},
   204, 'nothing said');
($event) = (events())[1];
is($event->{$_}, undef, "no $_")
    for 'visitorId', 'sessionId', 'userId', 'context';
my $r = ours('/c', '[' . CORE::join(',', map { my $e = $PURCHASE;
             $e =~ s/"v1"/"v$_"/; $e } 2 .. 4) . ']');
is($r->{status}, 204, 'several visitors in one request');
is(CORE::join(' ', map { $_->{visitorId} // '-' } events()), 'v1 - v2 v3 v4');
is(ours('/c', Compress::Zlib::memGzip($CLICK), 'Content-Encoding' => 'gzip')
   ->{status}, 204, 'gzip');



=== TEST 2: anonymize_ip off
--- catalog
    flush_interval 1h;
    anonymize_ip   off;
--- config
    location = /c { refine_collect trusted; }
--- request eval
"POST /c\n" . $main::PURCHASE
--- more_headers
X-Refine-Control: 1
--- error_code: 204
--- check
is((events())[0]{context}{ip}, '192.0.2.17');
(my $event = $PURCHASE) =~ s/192.0.2.17/2001:DB8::1/;
is(ours('/c', $event)->{status}, 204);
is((events())[1]{context}{ip}, '2001:db8::1');



=== TEST 3: what is wrong
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect trusted purchase; }
--- request
POST /c
[{"type":"click"},{"type":"purchase","visitorId":"a b"}]
--- more_headers
X-Refine-Control: 1
--- error_code: 400
--- check
my %bad = (
    '"v1"' => ['"a b"', 'visitorId'], '"s1"' => ['17', 'sessionId'],
    '"192.0.2.17"' => ['"localhost"', 'context.ip'],
    '"the browser"' => ['1', 'context.userAgent'],
    'false' => ['0', 'context.bot'], 'true' => ['"1"', 'context.prefetch'],
    '\\{"ip.*?\\}' => ['[]', 'context'], '"u1"' => ['1', 'userId'],
);
for my $right (sort keys %bad) {
    my ($wrong, $field) = @{ $bad{$right} };
    (my $event = $PURCHASE) =~ s/$right/$wrong/ or fail($right);
    my $r = ours('/c', $event);
    is($r->{status}, 400, $field);
    like($r->{body}, qr/"index":0,"field":"\Q$field\E","error":"must be /);
}
is(ours('/c', $CLICK)->{status}, 400, 'the type');
is(scalar events(), 0);



=== TEST 4: 500 events
--- catalog
    flush_interval 1h;
    batch_size     1000;
--- config
    location = /c { refine_collect trusted; }
    location = /u { refine_collect; }
    location = /s { refine_status; }
--- request eval
"POST /c\n[" . CORE::join(',', ($main::CLICK) x 500) . ']'
--- more_headers
X-Refine-Control: 1
--- error_code: 204
--- check
is(scalar events(), 500);
my $r = ours('/c', '[' . CORE::join(',', ($CLICK) x 501) . ']');
is($r->{status}, 413);
like($r->{body}, qr/"error":"more than 500 events"/);
$r = ours('/u', '[' . CORE::join(',', ($CLICK) x 101) . ']');
is($r->{status}, 413, 'elsewhere');
like($r->{body}, qr/"error":"more than 100 events"/);
is(scalar events(), 500);
rejected(too_many => 2);



=== TEST 5: guarded as control
--- catalog
    flush_interval 1h;
    allow_origin https://pages.example;
--- http_extra
    real_ip_header X-Real;
    set_real_ip_from 127.0.0.1;
--- config
    location = /c { refine_collect trusted; }
    location = /s { refine_status; }
    location = /f { proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/c;
                    proxy_set_header X-Forwarded-For $remote_addr; }
--- request eval
"POST /c\n" . $main::PURCHASE
--- error_code: 403
--- response_body
{"accepted":0,"rejected":[{"index":null,"field":"","error":"the header X-Refine-Control: 1 is missing"}]}
--- check
my @bad = (
    [Origin => 'https://evil.example'], [Origin => 'null'],
    [Origin => 'https://pages.example'], [Origin => 'http://localhost'],
    [Origin => ''],
    ['Sec-Fetch-Site' => 'cross-site'], ['Sec-Fetch-Site' => 'same-site'],
    ['X-Forwarded-For' => '127.0.0.1'], [Forwarded => 'for=127.0.0.1'],
    [Via => '1.1 proxy'], [Host => 'shop.example'], ['X-Real' => '192.0.2.1'],
    ['X-Refine-Control' => 0],
);
for my $headers (@bad) {
    my $r = ours('/c', $PURCHASE, @$headers);
    is($r->{status}, 403, encode_json($headers));
    is($r->{headers}{'access-control-allow-origin'}, undef);
    is($r->{headers}{'set-cookie'}, undef);
}
is(ours('/f', $PURCHASE)->{status}, 403, 'through a proxy');
is(scalar events(), 0);
is(ours('/c', $PURCHASE, 'X-Real' => '127.0.0.1')->{status}, 204);
is(ours('/c', $PURCHASE, Host => '127.0.0.1')->{status}, 204);
is(ours('/c', $PURCHASE, 'Sec-Fetch-Site' => 'none')->{status}, 204);
is(get('/c', 'X-Refine-Control' => 1)->{status}, 405, 'GET');
is(request('OPTIONS', '/c', undef, 'X-Refine-Control' => 1)->{status}, 204);
is(request('OPTIONS', '/c', undef, Origin => 'https://pages.example',
           'Access-Control-Request-Method' => 'POST')->{status}, 403,
   'no preflight passes');
is(scalar events(), 3);
rejected(untrusted => 3 + @bad, origin => 0, method => 1);



=== TEST 6: trusted=any
--- catalog
    flush_interval 1h;
    allow_origin https://pages.example;
--- config
    location = /c { refine_collect trusted=any; }
    location = /a { refine_collect trusted=any; deny all; }
    location = /s { refine_status; }
--- request eval
"POST /c\n" . $main::PURCHASE
--- more_headers
Host: shop.example
X-Forwarded-For: 192.0.2.1
--- error_code: 204
--- check
is((events())[0]{visitorId}, 'v1');
for my $origin ('null', '', 'https://shop.example', 'https://pages.example',
                ['https://pages.example', 'https://pages.example'])
{
    my $r = post('/c', $PURCHASE, Host => 'shop.example', Origin => $origin);
    is($r->{status}, 403, 'any Origin');
    like($r->{body}, qr/"error":"Origin must be absent, no page may send here"/);
    is($r->{headers}{'access-control-allow-origin'}, undef);
}
is(post('/a', $PURCHASE)->{status}, 403, 'access rules hold');
is(scalar events(), 1);
rejected(untrusted => 5);



=== TEST 7: consent
--- catalog
    flush_interval  1h;
    require_consent on;
    consent         $http_x_consent;
--- config
    location = /c { refine_collect trusted; }
    location = /s { refine_status; }
--- request eval
"POST /c\n" . $main::PURCHASE
--- more_headers
X-Refine-Control: 1
Sec-GPC: 1
DNT: 1
--- error_code: 204
--- response_headers
! X-Refine-Anonymous
--- check
is((events())[0]{visitorId}, 'v1', 'signals are not of the visitor, nor is silence');
my $r = ours('/c', $PURCHASE, 'X-Consent' => 'granted');
is($r->{status}, 204);
is((events())[1]{userId}, 'u1');
$r = ours('/c', $PURCHASE, 'X-Consent' => 'pending');
is($r->{status}, 204);
is($r->{headers}{'x-refine-anonymous'}, 'pending');
my $event = (events())[2];
is($event->{orderId}, 'o1');
is($event->{$_}, undef, "no $_") for 'visitorId', 'sessionId', 'userId';
is_deeply($event->{context}, { prefetch => JSON::PP::true });
$r = ours('/c', $PURCHASE, 'X-Consent' => 'denied',
          Cookie => 'refine_vid=v_0123456789012345678901');
is($r->{status}, 204);
is($r->{headers}{'x-refine-dropped'}, 'consent');
is($r->{headers}{'set-cookie'}, undef, 'no cookie is expired');
is(scalar events(), 3);
wait_for(sub {
    decode_json(get('/s')->{body})->{catalogs}{shop}{dropped}{consent} == 1
}, 'counted', 5);



=== TEST 8: the cookie of consent is not the visitor's
--- catalog
    flush_interval  1h;
    require_consent on;
--- config
    location = /c { refine_collect trusted; }
--- request eval
"POST /c\n" . $main::PURCHASE
--- more_headers
X-Refine-Control: 1
Cookie: refine_consent=denied
--- error_code: 204
--- response_headers
! X-Refine-Dropped
--- check
is((events())[0]{visitorId}, 'v1');



=== TEST 9: what is not trusted takes nothing of it
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request eval
"POST /c\n" . $main::PURCHASE
--- more_headers
X-Refine-Control: 1
User-Agent: a browser
--- error_code: 204
--- check
my ($event) = events();
like($event->{visitorId}, qr/^v_/);
like($event->{sessionId}, qr/^s_/);
is_deeply($event->{context}, { ip => '127.0.0.0', userAgent => 'a browser' });
(my $odd = $PURCHASE) =~ s/"v1"/{}/;
$odd =~ s/\{"ip.*?\}/17/ or fail('context');
is(post('/c', $odd)->{status}, 204, 'nor looks at it');



=== TEST 10: beside a request of a browser
--- catalog
    flush_interval 1h;
--- config
    location = /m { mirror /c; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/u; }
    location = /c { refine_collect trusted=any purchase; }
    location = /u { refine_collect purchase; }
--- request eval
"POST /m\n" . $main::PURCHASE
--- more_headers
Sec-GPC: 1
--- error_code: 204
--- response_headers
X-Refine-Anonymous: gpc
--- check
wait_for(sub { events() == 2 }, 'both are stored');
is(CORE::join(' ', sort map { $_->{visitorId} // '-' } events()), '- v1');



=== TEST 11: HTTP/2
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/h2.sock http2;
        location = /c { refine_collect trusted; }
        location = /a { refine_collect trusted=any; }
    }
--- config
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(h2(h2_client(),
      ['POST', '/c', $PURCHASE, 'x-refine-control' => 1],
      ['POST', '/c', $PURCHASE],
      ['POST', '/a', $PURCHASE],
      ['POST', '/a', $PURCHASE, origin => 'https://localhost']),
   '204 403 204 403');
is(scalar events(), 2);
