# Tests for the histograms of refine_status, and for its count of POSTs.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Prometheus;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

sub status { decode_json(get('/s')->{body})->{catalogs}{ $_[0] // 'shop' } }

sub latency { status()->{latency} }

# an event whose first POST has this result

sub post_with {
    my ($result, %rule) = @_;

    our $n;
    my ($ended, $before) = (sent() + dead(), status()->{posts}{$result});
    mock_set(times => 1, %rule);
    collect(click(++$n));
    wait_for(sub { status()->{posts}{$result} == $before + 1 }, $result);
    wait_for(sub { sent() + dead() > $ended || !control('resume') },
             "$result: done with");
    return;
}

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



=== TEST 4: POSTs by what came of them
--- http_extra
    refine_catalog nowhere {
        organization_id o; catalog_id n_$TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_SCRATCH/nobody:/events; flush_interval 100ms;
        queue redis://unix:$TEST_NGINX_REDIS;
    }
--- catalog
    flush_interval 100ms;
    read_timeout 2s;
--- config
    location = /s { refine_status; }
    location = /p { refine_status prometheus; }
    location = /n { refine nowhere; refine_collect; }
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is_deeply(status()->{posts}, { map { $_ => 0 } qw(2xx 3xx refused unauthorized
          not_found too_large busy other_4xx 5xx connection timeout closed
          invalid) }, 'none');
collect(click(0));
wait_for(sub { status()->{posts}{'2xx'} == 1 }, '2xx');
post_with('3xx', status => 302, headers => { Location => '/' });
post_with('refused', status => 422);
post_with('refused', status => 400);
post_with('unauthorized', status => 401);
post_with('unauthorized', status => 403);
post_with('not_found', status => 404);
post_with('too_large', status => 413);
post_with('busy', status => 408);
post_with('busy', status => 429);
post_with('other_4xx', status => 409);
post_with('5xx', status => 500);
post_with('5xx', status => 503);
post_with('timeout', hang => JSON::PP::true);
post_with('closed', raw => 'HTTP/1.1 2');
post_with('closed', raw => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}");
post_with('invalid', raw => "nonsense\r\n\r\n");
wait_for(sub { my $s = status(); !$s->{queued} && !$s->{retrying} }, 'all done');
my $sent = () = mock();
my ($posts, $all);
wait_for(sub { $posts = status()->{posts};
               $all = 0;
               $all += $_ for values %$posts;
               $all >= $sent }, 'the last one is counted');
is($all, $sent, 'each POST is counted, and once');
is($posts->{connection}, 0);
my $p = Prometheus::parse(get('/p')->{body});
is_deeply(Prometheus::values_by($p, 'refine_posts_total', 'result',
                                catalog => 'shop'), $posts, 'for Prometheus');
is(stats()->{'posts:not_found'}, 1, 'kept in Redis');
post('/n', $CLICK);
wait_for(sub { status('nowhere')->{posts}{connection} }, 'nobody to connect to');



=== TEST 5: how old events are when they are delivered
--- catalog
    flush_interval 1h;
    batch_size 10000;
--- config
    location = /s { refine_status; }
    location = /p { refine_status prometheus; }
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 200);
collect(map { click($_) } 1 .. 3);
redis('XADD', 'refine:{' . catalog() . '}:events', '*', 'e', line(4));
redis('XADD', 'refine:{' . catalog() . '}:events', '*', 'e',
      line(5, receivedAt => undef));
my $start = Time::HiRes::time();
wait_for(sub { Time::HiRes::time() > $start + 1.2 }, 'more than a second');
is(latency()->{lag}{count}, 0, 'not yet');
flush_now();
my $l;
wait_for(sub { $l = latency()->{lag}; $l->{count} == 4 }, 'those that say when');
is($l->{bucketsMs}{1000}, 0);
is($l->{bucketsMs}{3600000}, 3, 'within an hour');
is($l->{bucketsMs}{604800000}, 3, 'one is older than a week');
cmp_ok($l->{sumMs}, '>', 604800000);
is(stats()->{'lag_ms:inf'}, 1, 'kept in Redis');
my $p = Prometheus::parse(get('/p')->{body});
is(Prometheus::value($p, 'refine_delivery_lag_seconds_bucket',
                     catalog => 'shop', le => 3600), 3);
is(Prometheus::value($p, 'refine_delivery_lag_seconds_count',
                     catalog => 'shop'), 4);



=== TEST 6: both without Redis
--- no_queue
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
    location = /s { refine_status; }
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1), click(2));
wait_for(sub { my $s = status();
               $s->{latency}{lag}{count} == 2 && $s->{posts}{'2xx'} == 1 },
         'counted');
