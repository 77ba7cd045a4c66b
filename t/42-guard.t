# Tests for who may see the status and use the control.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use IO::Socket::IP;
use JSON::PP;

sub control { post('/x?action=resume', '', @_) }
our @C = ('X-Refine-Control' => 1);

# a free port where this machine has IPv6, else 0

our $PORT6 = do {
    my $socket = IO::Socket::IP->new(LocalHost => '::', V6Only => 0,
                                     Listen => 1);
    $socket && IO::Socket::IP->new(LocalHost => '::1', Listen => 1)
        ? $socket->sockport : 0;
};

run_tests();

__DATA__

=== TEST 1: from this machine
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/u.sock;
        location = /s { refine_status; }
        location = /x { refine_control; }
    }
--- config
    location = /s { refine_status; }
    location = /x { refine_control; }
--- request
GET /s
--- check
for my $host ('localhost', 'LOCALHOST', 'localhost:8080', '127.0.0.1',
              '127.0.0.1:1984', '10.1.2.3', '[::1]', '[::1]:80')
{
    is(get('/s', Host => $host)->{status}, 200, $host);
    is(control(@C, Host => $host)->{status}, 200);
}
my $unix = sub { IO::Socket::UNIX->new(
                     Peer => "$Test::Nginx::Util::ServRoot/u.sock") };
is(get('/s', Socket => $unix->())->{status}, 200, 'a unix socket');
is(control(@C, Socket => $unix->())->{status}, 200);



=== TEST 2: under another name (DNS rebinding)
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /x { refine_control; }
--- request
GET /s
--- more_headers
Host: shop.example
--- error_code: 403
--- response_body
{"error":"Host must be localhost or an IP address"}
--- check
for my $host ('evil.example', 'localhost.evil.example', '127.0.0.1.evil.example',
              '1.2.3', '[shop.example]', 'localhos')
{
    my $r = get('/s', Host => $host);
    ok($r->{status} == 403 || $r->{status} == 400, $host);
    $r = control(@C, Host => $host);
    ok($r->{status} == 403 || $r->{status} == 400);
}
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
print {$socket} "GET /s HTTP/1.0\r\n\r\n";
like(CORE::readline($socket), qr/ 403 /, 'no Host at all');
$socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
print {$socket} "GET http://shop.example/s HTTP/1.1\r\nHost: localhost\r\n\r\n";
like(CORE::readline($socket), qr/ 403 /, 'the name of the request line counts');



=== TEST 3: through a proxy on this machine
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/pp.sock proxy_protocol;
        location = /s { refine_status; }
    }
--- config
    location = /s { refine_status; }
    location = /x { refine_control; }
    location = /p/ {
        proxy_pass http://127.0.0.1:$server_port/s;
        proxy_set_header Host localhost;
        proxy_set_header X-Forwarded-For $remote_addr;
    }
--- request
GET /s
--- more_headers
X-Forwarded-For: 127.0.0.1
--- error_code: 403
--- response_body
{"error":"not answered through a proxy (X-Forwarded-For, Forwarded or Via)"}
--- check
for my $header (['X-Forwarded-For', '1.2.3.4'], ['Forwarded', 'for=127.0.0.1'],
                ['Via', '1.1 x'], ['x-forwarded-for', ''])
{
    is(get('/s', @$header)->{status}, 403, $header->[0]);
    is(control(@C, @$header)->{status}, 403);
}
is(get('/p/')->{status}, 403, 'a real one');
my $socket = IO::Socket::UNIX->new(
                 Peer => "$Test::Nginx::Util::ServRoot/pp.sock");
print {$socket} "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"
                . "GET /s HTTP/1.1\r\nHost: localhost\r\n\r\n";
like(CORE::readline($socket), qr/ 403 /, 'PROXY protocol');



=== TEST 4: realip does not make a stranger local, nor the reverse
--- catalog
    flush_interval 1h;
--- config
    set_real_ip_from 127.0.0.0/8;
    real_ip_header X-Real;
    location = /s { refine_status; }
    location = /x { refine_control; }
--- request
GET /s
--- more_headers
X-Real: 203.0.113.7
--- error_code: 403
--- response_body
{"error":"only answered on loopback and unix sockets"}
--- check
is(control(@C, 'X-Real' => '2001:db8::1')->{status}, 403);
is(control(@C, 'X-Real' => '::1')->{status}, 200);



=== TEST 6: any
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status any; }
    location = /x { refine_control any; }
--- request
GET /s
--- more_headers
Host: shop.example
X-Forwarded-For: 203.0.113.7
--- check
is(control(@C, Host => 'shop.example', Via => '1.1 x')->{status}, 200);
is(control(Host => 'shop.example')->{status}, 403, 'the rest holds');
is(control(@C, Origin => 'https://other')->{status}, 403);



=== TEST 7: what a page of another site cannot send
--- catalog
    flush_interval 1h;
--- config
    location = /x { refine_control; }
--- request
POST /x?action=pause
--- error_code: 403
--- response_body
{"error":"the header X-Refine-Control: 1 is missing"}
--- check
is(control('X-Refine-Control' => $_)->{status}, 403, "'$_'")
    for '', '0', '2', '11', 'true';
for my $origin ('null', 'http://evil.example', 'http://localhost:81', '',
                'http://localhost/', 'localhost', 'http://localhost.')
{
    my $r = control(@C, Origin => $origin);
    is($r->{status}, 403, "Origin '$origin'");
    like($r->{body}, qr/Origin must be absent/);
}
is(control(@C, Origin => 'http://localhost')->{status}, 200);
is(control(@C, Host => 'localhost:8080', Origin => 'http://localhost:8080')
   ->{status}, 200, 'with the port');
is(control(@C, Host => 'localhost:8080', Origin => 'http://localhost')
   ->{status}, 403, 'of another port');
for my $site ('cross-site', 'same-site', '', 'None', 'x') {
    my $r = control(@C, 'Sec-Fetch-Site' => $site);
    is($r->{status}, 403, "Sec-Fetch-Site '$site'");
    like($r->{body}, qr/Sec-Fetch-Site must be absent/);
}
is(control(@C, 'Sec-Fetch-Site' => $_)->{status}, 200, $_)
    for 'none', 'same-origin';
is(stats()->{paused}, undef, 'nothing was done');



=== TEST 8: access rules do not open it
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; allow all; }
--- request
GET /s
--- more_headers
Host: shop.example
--- error_code: 403



=== TEST 9: IPv6, and IPv4 on a socket for both
--- catalog
    flush_interval 1h;
--- http_extra eval
!$main::PORT6 ? '' : "
    server {
        listen [::]:$main::PORT6 ipv6only=off;
        location = /s { refine_status; }
        location = /x { refine_control; }
    }"
--- config
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
SKIP: {
    skip 'this machine has no IPv6', 4 if !$PORT6;
    for my $host ('::1', '127.0.0.1') {
        my $to = sub { IO::Socket::IP->new(PeerHost => $host,
                                           PeerPort => $PORT6) };
        is(get('/s', Socket => $to->())->{status}, 200, $host);
        is(control(@C, Socket => $to->())->{status}, 200);
    }
}
