# Tests for the histograms of refine_status.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Prometheus;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

sub latency { decode_json(get('/s')->{body})->{catalogs}{shop}{latency} }

run_tests();

__DATA__

=== TEST 1: requests stored, and POSTs answered, quick and slow
--- catalog
    flush_interval 100ms;
    queue_timeout 10s;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
wait_for(sub { my $l = latency();
               $l->{store}{count} == 1 && $l->{post}{count} == 1 },
         'one of each');
post('/c', "[$CLICK,$CLICK]");
wait_for(sub { latency()->{store}{count} == 2 }, 'a request counts once');

my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
redis_pause();
print {$socket} "POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
    . length($CLICK) . "\r\n\r\n$CLICK";
$socket->flush;
is(get('/c')->{status}, 405, 'nginx has read what came before');
my $start = Time::HiRes::time();
wait_for(sub { Time::HiRes::time() > $start + 1.2 }, 'more than a second');
redis_resume();
like(scalar CORE::readline($socket), qr/204/, 'stored late');

my $l;
wait_for(sub { $l = latency(); $l->{store}{count} == 3 }, 'counted');
cmp_ok($l->{store}{bucketsMs}{1000}, '<', 3, 'not among those of up to 1 s');
is($l->{store}{bucketsMs}{30000}, 3);
cmp_ok($l->{store}{sumMs}, '>=', 1100);
cmp_ok($l->{store}{sumMs}, '<', 30000);
my $p = Prometheus::parse(get('/s?format=prometheus')->{body});
is(Prometheus::value($p, 'refine_store_duration_seconds_bucket',
                     catalog => 'shop', le => 1), $l->{store}{bucketsMs}{1000});
is(Prometheus::value($p, 'refine_store_duration_seconds_bucket',
                     catalog => 'shop', le => '+Inf'), 3);
is(stats()->{'store_ms:sum'}, $l->{store}{sumMs}, 'kept in Redis');



=== TEST 2: an answer that refuses counts, no answer does not
--- catalog
    flush_interval 100ms;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 401);
post('/c', $CLICK);
wait_for(sub { latency()->{post}{count} == 1 }, 'an answer');
redis_kill();
my $r = post('/c', $CLICK);
is($r->{status}, 503);
redis_start();
wait_for(sub { my $s = decode_json(get('/s')->{body})->{catalogs}{shop};
               !$s->{stale} && $s->{rejected}{unavailable} == 1 },
         'counted as refused');
is(latency()->{store}{count}, 0, 'what was not answered has no time');



=== TEST 3: no calls to Redis when there is nothing to count
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
--- request
GET /c
--- error_code: 405
--- check
sub calls { redis('INFO', 'commandstats') =~ /evalsha:calls=(\d+)/ ? $1 : 0 }
wait_for(sub { (stats()->{'rejected:method'} // 0) == 1 },
         'counted without being asked');
my ($n, $start) = (calls(), Time::HiRes::time());
wait_for(sub { Time::HiRes::time() > $start + 2.5 }, 'more than two ticks');
is(calls(), $n, 'none');
