# Tests for what a browser is told while events cannot be stored.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

sub click { post('/c', $CLICK, @_) }

sub refused {
    my ($r, $why) = @_;

    is($r->{status}, 503, $why);
    like($r->{headers}{'retry-after'}, qr/^[1-5]$/, 'Retry-After');
    is($r->{headers}{'cache-control'}, 'no-store');
    is($r->{headers}{'content-type'}, 'application/json');
    is($r->{headers}{'set-cookie'}, undef, 'no cookie');
    like($r->{body}, qr/^\{"accepted":0,"rejected":\[\{"index":null,"field":"","error":"nothing can be stored now/);
}

run_tests();

__DATA__

=== TEST 1: Redis is killed, and comes back
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
redis_kill();
refused(click(), 'Redis is away');
refused(click(), 'and still is');
is(post('/c', '{"type":"click"}')->{status}, 400,
   'what is wrong is told all the same');
is(post('/c', "x")->{status}, 400);
redis_start();
wait_for(sub { click()->{status} == 204 }, 'back without a reload');
my $s = decode_json(get('/s')->{body})->{catalogs}{shop};
cmp_ok($s->{rejected}{unavailable}, '>=', 2, 'counted');



=== TEST 2: no line in the log for each request
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
redis_kill();
click() for 1 .. 50;
cmp_ok(scalar(log_lines(qr/\[(?:warn|error)\] .*refine: (?!.* may lose)/)), '<=', 3);
redis_start();
wait_for(sub { click()->{status} == 204 }, 'back');



=== TEST 3: slower than queue_timeout
--- catalog
    flush_interval 1h;
    queue_timeout 300ms;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
redis_pause();
my $start = Time::HiRes::time();
refused(click(), 'Redis does not answer');
cmp_ok(Time::HiRes::time() - $start, '<', 2, 'told in time');
redis_resume();
wait_for(sub { click()->{status} == 204 }, 'back');



=== TEST 4: many wait, some go away, all is well
--- catalog
    flush_interval 1h;
    queue_timeout 1s;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
redis_pause();
my $text = "POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
           . CORE::length($CLICK) . "\r\n\r\n$CLICK";
my @sockets = map {
    my $s = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$s} $text;
    $s
} 1 .. 40;
Time::HiRes::sleep(0.2);
close $sockets[$_ * 2] for 0 .. 9;
CORE::shutdown($sockets[$_ * 2 + 1], 1) for 0 .. 4;
redis_resume();
for my $i (1, 3, 5, 39) {
    like(CORE::readline($sockets[$i]), qr{^HTTP/1.1 204 }, "request $i");
}
is(scalar events(), 41, 'every event is stored, those of the gone too');
redis_pause();
@sockets = map {
    my $s = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$s} $text;
    $s
} 1 .. 40;
Time::HiRes::sleep(0.2);
close $sockets[$_ * 2] for 0 .. 9;
like(CORE::readline($sockets[1]), qr{^HTTP/1.1 503 }, 'the deadline');
like(CORE::readline($sockets[39]), qr{^HTTP/1.1 503 });
redis_resume();
wait_for(sub { click()->{status} == 204 }, 'back');



=== TEST 5: Redis has no memory left
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
redis('CONFIG', 'SET', 'maxmemory', '1');
refused(click(), 'OOM');
redis('CONFIG', 'SET', 'maxmemory', '0');
wait_for(sub { click()->{status} == 204 }, 'back');



=== TEST 6: Redis has become a replica
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
redis('REPLICAOF', '127.0.0.1', '1');
refused(click(), 'READONLY');
redis('REPLICAOF', 'NO', 'ONE');
wait_for(sub { click()->{status} == 204 }, 'back');



=== TEST 7: nginx starts and answers without Redis
--- post_setup_server_root
main::redis_kill();
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 503
--- response_headers_like
Retry-After: [1-5]
--- check
is(scalar(log_lines(qr/redis .* is up/)), 0, 'it was never there');
redis_start();
wait_for(sub { click()->{status} == 204 }, 'works when it is there');
is(scalar events(), 1);
