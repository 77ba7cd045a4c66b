# Tests for cookies, user id, address and user agent.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';
our $V = 'v_0123456789abcdefghijAB';
our $S = 's_0123456789abcdefghijAB';

sub last_event { (events())[-1] }
sub click { post('/c', $CLICK, @_) }

run_tests();

__DATA__

=== TEST 1: ids are minted with the first event
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- raw_response_headers_like: Set-Cookie: refine_vid=v_[0-9A-Za-z]{22}; Max-Age=31536000; Path=/; SameSite=Lax; HttpOnly\r\nSet-Cookie: refine_sid=s_[0-9A-Za-z]{22}; Max-Age=1800; Path=/; SameSite=Lax; HttpOnly\r\n
--- check
my $r = click();
my $cookies = $r->{headers}{'set-cookie'};
my ($v) = $cookies =~ /refine_vid=([^;]+)/;
my ($s) = $cookies =~ /refine_sid=([^;]+)/;
is(last_event()->{visitorId}, $v, 'the event has the new id');
is(last_event()->{sessionId}, $s);
isnt((events())[0]{visitorId}, $v, 'each visitor has another');
$r = click(Cookie => "a=b; refine_vid=$v; refine_sid=$s; c=d");
like($r->{headers}{'set-cookie'}, qr/refine_vid=\Q$v\E; Max-Age=31536000;.*refine_sid=\Q$s\E; Max-Age=1800;/,
     'both are renewed');
is(last_event()->{visitorId}, $v);
is(last_event()->{sessionId}, $s);
$r = click(Cookie => "refine_vid=$v");
is(last_event()->{visitorId}, $v, 'the session has expired, the visitor has not');
like(last_event()->{sessionId}, qr/^s_/);
isnt(last_event()->{sessionId}, $s);



=== TEST 2: a malformed cookie is replaced
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
for my $bad ('', 'x', 'v_short', 'v_' . 'x' x 23, 's_' . 'x' x 22,
             'v_' . 'x' x 21 . '-', 'v_' . 'x' x 20 . '"}', "V_" . 'x' x 22)
{
    my $r = click(Cookie => "refine_vid=$bad; refine_sid=$S");
    like(last_event()->{visitorId}, qr/^v_[0-9A-Za-z]{22}$/, "'$bad'");
    my $v = last_event()->{visitorId};
    like($r->{headers}{'set-cookie'}, qr/refine_vid=$v;/, 'is replaced');
    is(last_event()->{sessionId}, $S, 'the other one stays');
}



=== TEST 3: cookies only with an event that was taken
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status any; }
--- request
POST /c
{"type":"click"}
--- error_code: 400
--- raw_response_headers_unlike: Set-Cookie
--- check
for my $r (post('/c', 'x'), get('/c'), request('OPTIONS', '/c'), get('/s'),
           click(Origin => 'null'))
{
    is($r->{headers}{'set-cookie'}, undef, "not with $r->{status}");
}
my $r = post('/c', "[$CLICK,7]");
is($r->{status}, 200);
like($r->{headers}{'set-cookie'}, qr/refine_vid=.*refine_sid=/, 'in part');
$r = post('/c', '{"eventId":"e1",' . CORE::substr($CLICK, 1)) for 1, 2;
is($r->{status}, 204);
like($r->{headers}{'set-cookie'}, qr/refine_vid=.*refine_sid=/, 'a duplicate');



=== TEST 4: names, lifetimes, domains
--- catalog
    flush_interval 1h;
    visitor_cookie vid 30d domain=shop.example;
    session_cookie sid domain=.shop.example;
    session_timeout 10m;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- raw_response_headers_like: Set-Cookie: vid=v_[0-9A-Za-z]{22}; Max-Age=2592000; Domain=shop.example; Path=/; SameSite=Lax; HttpOnly\r\nSet-Cookie: sid=s_[0-9A-Za-z]{22}; Max-Age=600; Domain=.?shop.example; Path=/; SameSite=Lax; HttpOnly\r\n
--- check
click(Cookie => "vid=$V; sid=$S; refine_vid=v_" . 'z' x 22);
is(last_event()->{visitorId}, $V);
is(last_event()->{sessionId}, $S);



=== TEST 5: cookies that are off
--- catalog
    flush_interval 1h;
    visitor_cookie off;
    session_cookie off;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- raw_response_headers_unlike: Set-Cookie
--- check
click(Cookie => "refine_vid=$V; refine_sid=$S");
is(last_event()->{visitorId}, undef);
is(last_event()->{sessionId}, undef);



=== TEST 6: Secure by what the client used
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
X-Forwarded-Proto: https
--- error_code: 204
--- raw_response_headers_like: (?s)vid=.*; HttpOnly; Secure\r\n.*sid=.*; HttpOnly; Secure\r\n
--- check
for my $proto ('HTTPS', 'https, http', 'https,http') {
    like(click('X-Forwarded-Proto' => $proto)->{headers}{'set-cookie'},
         qr/Secure.*Secure/, $proto);
}
for my $proto ('http', 'http, https', '', 'httpss', 'ftp') {
    unlike(click('X-Forwarded-Proto' => $proto)->{headers}{'set-cookie'},
           qr/Secure/, "'$proto'");
}
unlike(click()->{headers}{'set-cookie'}, qr/Secure/, 'no TLS');



=== TEST 7: cookie_secure on
--- catalog
    flush_interval 1h;
    cookie_secure on;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- raw_response_headers_like: (?s)HttpOnly; Secure\r\n.*HttpOnly; Secure\r\n



=== TEST 8: cookie_secure off
--- catalog
    flush_interval 1h;
    cookie_secure off;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
X-Forwarded-Proto: https
--- error_code: 204
--- raw_response_headers_unlike: Secure



=== TEST 9: a configured user id wins
--- catalog
    flush_interval 1h;
    user_id $http_x_user;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0,"userId":"self"}
--- more_headers
X-User: u "42"
--- error_code: 204
--- check
is(last_event()->{userId}, 'u "42"');
post('/c', '{"userId":"self",' . CORE::substr($CLICK, 1));
is(last_event()->{userId}, 'self', 'an empty one does not');
click('X-User' => 'x' x 129);
is(last_event()->{userId}, undef, 'one that is too long is left out');
post('/c', '{"userId":"self",' . CORE::substr($CLICK, 1), 'X-User' => 'x' x 129);
is(last_event()->{userId}, undef, "and does not make room for the event's own");



=== TEST 10: the address is anonymized before it is stored
--- catalog
    flush_interval 1h;
--- config
    set_real_ip_from 127.0.0.0/8;
    real_ip_header X-Real;
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my %addr = (
    '203.0.113.77'                    => '203.0.113.0',
    '::ffff:203.0.113.77'             => '203.0.113.0',
    '2001:db8:1:2:3:4:5:6'            => '2001:db8:1::',
    '2001:db8::1'                     => '2001:db8::',
    'fe80::1'                         => 'fe80::',
    '255.255.255.254'                 => '255.255.255.0',
);
for my $addr (sort keys %addr) {
    click('X-Real' => $addr, 'X-Forwarded-For' => '9.9.9.9');
    is(last_event()->{context}{ip}, $addr{$addr}, $addr);
}
click('X-Forwarded-For' => '9.9.9.9', Forwarded => 'for=9.9.9.9');
is(last_event()->{context}{ip}, '127.0.0.0', "only realip's result counts");
my $all = CORE::join ' ', map { CORE::ref $_ ? $_->[1][1] : () }
          @{ redis('XRANGE', 'refine:{' . catalog() . '}:events', '-', '+') };
unlike($all, qr/113\.77|9\.9\.9|5:6/, 'nowhere in what is stored');



=== TEST 11: anonymize_ip off
--- catalog
    flush_interval 1h;
    anonymize_ip off;
--- config
    set_real_ip_from 127.0.0.0/8;
    real_ip_header X-Real;
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
is(last_event()->{context}{ip}, '127.0.0.1');
click('X-Real' => '2001:db8:1:2:3:4:5:6');
is(last_event()->{context}{ip}, '2001:db8:1:2:3:4:5:6');
click('X-Real' => '::ffff:203.0.113.77');
is(last_event()->{context}{ip}, '203.0.113.77');



=== TEST 12: over a unix socket there is no address
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/u.sock;
        location = /c { refine_collect; }
    }
--- config
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $r = click(Socket => IO::Socket::UNIX->new(
                  Peer => "$Test::Nginx::Util::ServRoot/u.sock"));
is($r->{status}, 204);
is(last_event()->{context}{ip}, undef);



=== TEST 13: a prefetch is marked
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Sec-Purpose: prefetch;prerender
--- error_code: 204
--- check
ok(last_event()->{context}{prefetch});
click(Purpose => 'Prefetch');
ok(last_event()->{context}{prefetch});
click(Purpose => 'preview', 'Sec-Purpose' => '');
ok(!last_event()->{context}{prefetch});



=== TEST 14: the variables
--- catalog
    flush_interval 1h;
--- http_extra
    log_format ids '$refine_visitor_id $refine_session_id $status';
--- config
    access_log logs/ids.log ids;
    location = /c { refine_collect; }
    location = /t { return 200 '$refine_visitor_id|$refine_session_id'; }
--- request
GET /t
--- response_body chomp
|
--- check
is(get('/t', Cookie => "refine_vid=$V; refine_sid=$S")->{body}, "$V|$S");
is(get('/t', Cookie => "refine_vid=x")->{body}, '|', 'nothing is minted');
click();
my $e = last_event();
wait_for(sub {
    open my $in, '<', "$Test::Nginx::Util::ServRoot/logs/ids.log";
    grep { $_ eq "$e->{visitorId} $e->{sessionId} 204\n" } <$in>
}, 'the minted ids are logged');



=== TEST 15: no answer but a Set-Cookie of collect has an id in it
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/up.sock;
        location / {
            default_type application/json;
            return 200 '{"results":[{"productId":"a"}]}';
        }
    }
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
    location = /search {
        refine_serve search;
        proxy_pass http://unix:$TEST_NGINX_SERVROOT/up.sock;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $seen = sub {
    my ($r) = @_;
    return CORE::join "\n", %{ $r->{headers} }, $r->{body};
};
for my $cookie ('', "refine_vid=$V; refine_sid=$S", 'refine_vid=v_x') {
    for my $r (get('/search', Cookie => $cookie), get('/s', Cookie => $cookie),
               post('/c', 'x', Cookie => $cookie),
               click(Cookie => $cookie, Origin => 'null'))
    {
        unlike($seen->($r), qr/[vs]_[0-9A-Za-z]{22}|set-cookie/, "'$cookie'");
    }
}
wait_for(sub { events() == 3 }, 'serves');
is(CORE::join(' ', map { $_->{visitorId} // '-' } events()), "- $V -");
