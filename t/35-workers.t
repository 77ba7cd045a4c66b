# Several workers, and the ends of workers: what one holds is neither lost nor
# sent twice without need, and none is held for over 10 s.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Time::HiRes 'time';

master_on();
workers(2);


# posts over many connections, so that each worker has some

sub spread { collect(click($_)) for @_ }

run_tests();

__DATA__

=== TEST 1: one probe at a time over all workers
--- catalog
    flush_interval 50ms;
    batch_size 1;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(scalar worker_pids(), 2);
mock_set(status => 503, delay => 0.15);
spread(1 .. 30);
for (1 .. 8) {
    my $posts = () = mock();
    wait_for(sub { control('resume'); mock() > $posts }, 'a probe');
}
my @t = map { $_->{time} } mock();
is(scalar(grep { $t[$_] - $t[$_ - 1] < 0.14 } 1 .. $#t), 0,
   'no two at the same time');
is(scalar log_lines(qr/backs off/), 1, 'one line of all workers');
mock_set();
wait_for(sub { control('resume'); unique(delivered()) == 30 }, 'delivered');
wait_for(sub { sent() == 30 }, 'counted once');
is(scalar log_lines(qr/has recovered/), 1);
is(scalar dead(), 0);



=== TEST 2: one flush an interval over all workers
--- catalog
    flush_interval 500ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $n = 0;
my $end = time + 3;
while (time < $end) {
    collect(click(++$n));
    select undef, undef, undef, 0.05;
}
wait_for(sub { delivered() == $n }, 'delivered');
my $posts = () = mock();
ok($posts >= 4 && $posts <= 8, "$posts POSTs in 3 s");
is(scalar unique(received()), $n, 'each once');



=== TEST 3: the prober is killed
--- catalog
    flush_interval 1h;
    claim_timeout 1s;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 503);
spread(1 .. 4);
flush_now();
wait_for(sub { log_lines(qr/backs off/) }, 'an outage');
my ($pid) = (log_lines(qr/backs off/))[0] =~ /(\d+)#/;
kill_workers($pid);
mock_set();
wait_for(sub { unique(delivered()) == 4 }, 'another one takes over', 15);
wait_for(sub { sent() == 4 }, 'counted once');



=== TEST 4: a worker is killed while it holds a claim
--- catalog
    flush_interval 100ms;
    claim_timeout 1s;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(0));
wait_for(sub { delivered() == 1 }, 'up');
mock_set(hang => 1, times => 1);
collect(map { click($_) } 1 .. 5);
wait_for(sub { received() == 6 }, 'under way');
kill_workers(worker_pids());
wait_for(sub { delivered() == 6 }, 'taken over');
my @r = mock();
is($r[2]{headers}{'Idempotency-Key'}, $r[1]{headers}{'Idempotency-Key'},
   'under the same key');
wait_for(sub { sent() == 6 }, 'counted once');
is(scalar events(), 0);



=== TEST 5: a claim is renewed while its POST takes longer than claim_timeout
--- catalog
    flush_interval 50ms;
    claim_timeout 1s;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(delay => 2.5, times => 1);
collect(click(1));
wait_for(sub { sent() == 1 }, 'delivered');
is(scalar received(), 1, 'once');



=== TEST 6: quit while a POST is under way
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(delay => 1, times => 1);
collect(click(1));
wait_for(sub { mock() == 1 }, 'under way');
my $pid = nginx_pid();
kill 'QUIT', $pid;
wait_for(sub { gone($pid) }, 'gone', 5);
is(sent(), 1, 'acknowledged before');
is(scalar events(), 0);



=== TEST 7: quit while a POST never ends
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(hang => 1, times => 1);
collect(click(1), click(2));
wait_for(sub { mock() == 1 }, 'under way');
my ($pid, $start) = (nginx_pid(), time);
kill 'QUIT', $pid;
wait_for(sub { gone($pid) }, 'gone', 12);
my $seconds = time - $start;
ok($seconds < 10, "within 10 s: $seconds");
is(scalar events(), 2, 'kept');
my $rows = redis('XPENDING', Refine::key('events'), 'refine', '-', '+', 10);
is(scalar(grep { $_->[2] >= 89000 } @$rows), 2,
   'given back: the next takeover has them at once');
is(scalar(grep { $_->[3] == 0 } @$rows), 2, 'the attempt does not count');



=== TEST 8: quit during an outage
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 503, headers => { 'Retry-After' => 60 });
collect(click(1));
wait_for(sub { log_lines(qr/backs off/) }, 'an outage');
my ($pid, $start) = (nginx_pid(), time);
kill 'QUIT', $pid;
wait_for(sub { gone($pid) }, 'gone', 12);
$seconds = time - $start;
ok($seconds < 5, "soon: $seconds");
my $rows = redis('XPENDING', Refine::key('events'), 'refine', '-', '+', 10);
is(scalar(grep { $_->[2] >= 89000 } @$rows), 1, 'given back');



=== TEST 9: reload while a POST is under way
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(delay => 1, times => 1);
collect(click(1));
wait_for(sub { mock() == 1 }, 'under way');
ok(reload() < 5, 'not held');
collect(click(2));
wait_for(sub { sent() == 2 }, 'both delivered');
is(scalar received(), 2, 'once');



=== TEST 10: idle connections to Redis and Refine hold no old worker
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
spread(1 .. 10);
wait_for(sub { sent() == 10 }, 'delivered');
my $seconds = reload();
ok($seconds < 5, "gone in $seconds s");
is(scalar log_lines(qr/open socket/), 0);



=== TEST 11: the state of delivery survives a reload, a new key ends a hold
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 401);
collect(click(1));
wait_for(sub { log_lines(qr/is held/) }, 'held');
mock_set();
my $posts = () = mock();
reload();
my $status;
wait_for(sub { ($status = control('flush')->{status}) != 503 },
         'the new worker has reached Redis');
is($status, 409, 'still held');
is(scalar(() = mock()), $posts);
mock_set(status => 401);
reload(sub { s/api_key          k;/api_key          l;/ or die 'no key' });
wait_for(sub { mock() > $posts }, 'tried with the new key at once');
is((mock())[-1]{headers}{REFINE_API_KEY}, 'l');
wait_for(sub { log_lines(qr/is held/) == 2 }, 'held anew');
mock_set();
reload(sub { s/api_key          l;/api_key          k;/ or die 'no key' });
wait_for(sub { delivered() == 1 }, 'delivered with the right one');



=== TEST 12: what Refine took once is remembered over a reload
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { delivered() == 1 }, 'delivered');
reload();
mock_set(status => 422, match => '"bad"');
collect(click(2, itemId => 'bad'));
wait_for(sub { dead() == 1 }, 'a dead letter, and no hold');
is(scalar log_lines(qr/is held/), 0);



=== TEST 13: it is not remembered of another endpoint
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { delivered() == 1 }, 'delivered');
mock_set(status => 422, match => '"bad"');
reload(sub { s{:/events;}{:/other;} or die 'no endpoint' });
collect(click(2, itemId => 'bad'));
wait_for(sub { log_lines(qr/is held: Refine answered 422/) }, 'held');
is(scalar dead(), 0);
reload(sub { s{:/other;}{:/events;} or die 'no endpoint' });
wait_for(sub { control('resume'); dead() == 1 }, 'the first one is known');
conserved();



=== TEST 14: in an outage only the probe is kept, and no attempt counts
--- catalog
    flush_interval 50ms;
    batch_size 1;
    max_retries 100;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(0));
wait_for(sub { delivered() == 1 }, 'up');
mock_set(status => 503, delay => 0.2);
collect(map { click($_) } 1 .. 20);
wait_for(sub { log_lines(qr/backs off/) }, 'an outage');
for (1 .. 5) {
    my $posts = () = mock();
    wait_for(sub { control('resume'); mock() > $posts }, 'a probe');
}
wait_for(sub { 1 == grep { $_->[3] > 0 } pending() }, 'one is being tried');
my @p = pending();
ok(@p > 1, 'of those that were claimed');
is(scalar(grep { $_->[3] == 0 && $_->[2] < 89_000 } @p), 0,
   'the others are there for whoever delivers next');
is((grep { $_->[3] > 0 } @p)[0][3], 1, 'in one attempt all the time');
mock_set();
wait_for(sub { control('resume'); sent() == 21 }, 'delivered');
conserved();



=== TEST 15: the prober is killed with a probe under way
--- catalog
    flush_interval 50ms;
    claim_timeout 1s;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 503, times => 1);
mock_set(hang => 1, times => 1, match => '"e1"');
mock_set(status => 503, times => 1, match => '"e1"');
collect(click(1));
wait_for(sub { control('resume'); mock() == 2 }, 'a probe hangs');
my ($pid) = (log_lines(qr/backs off/))[0] =~ /(\d+)#/;
kill_workers($pid);
wait_for(sub { control('resume'); sent() == 1 }, 'another worker probes', 15);
conserved();



=== TEST 16: worker_shutdown_timeout is no outage, the rest is given back
--- main_config
    worker_shutdown_timeout 2s;
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { sent() == 1 }, 'up');
mock_set(hang => 1, times => 1);
collect(click(2));
wait_for(sub { mock() == 2 }, 'a POST hangs');
my $seconds = reload();
ok($seconds < 4, "the old workers are gone in $seconds s");
wait_for(sub { sent() == 2 }, 'the new ones deliver');
is(scalar log_lines(qr/backs off/), 0, 'no outage');
conserved();



=== TEST 17: reloads under load
--- catalog
    flush_interval 50ms;
    batch_size 20;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my ($n, $reloads, $next, %stored) = (0, 0, time);
while ($reloads < 10 || time < $next) {
    if (time >= $next) {
        kill 'HUP', nginx_pid();
        $reloads++;
        $next = time + 0.3;
    }
    my $r = post('/refine/collect', encode_json(click(++$n)));
    $stored{"e$n"} = 1 if $r && $r->{status} == 204;
}
ok(keys %stored > $n * 0.9, "stored: " . keys(%stored) . " of $n");
wait_for(sub { events() == 0 && worker_pids() == 2 }, 'all is delivered', 20);
my %delivered = map { $_ => 1 } delivered();
is(scalar(grep { !$delivered{$_} } keys %stored), 0, 'nothing is lost');
my %key;
for my $r (mock()) {
    $key{$_->{eventId}}{ $r->{headers}{'Idempotency-Key'} } = 1
        for @{ $r->{body}{events} };
}
is(scalar(grep { keys %$_ > 1 } values %key), 0,
   'what was sent again was sent under the same key');
is(scalar log_lines(qr/backs off|is held/), 0, 'none of it is an outage');
conserved();



=== TEST 18: reloads in quick succession: the last configuration counts
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { sent() == 1 }, 'up');
for my $key (1 .. 6) {
    open my $in, '<', $Test::Nginx::Util::ConfFile or die $!;
    local $_ = join '', <$in>;
    s/api_key          \w+;/api_key          k$key;/ or die 'no key';
    open my $out, '>', "$Test::Nginx::Util::ConfFile.new" or die $!;
    print $out $_;
    close $out;

    # a reload under way may be reading the file

    CORE::rename "$Test::Nginx::Util::ConfFile.new",
                 $Test::Nginx::Util::ConfFile or die $!;
    kill 'HUP', nginx_pid();
    select undef, undef, undef, 0.02 * $key;
}
reload(sub { s/api_key          \w+;/api_key          k;/ or die 'no key' });
collect(click(2));
wait_for(sub { sent() == 2 }, 'delivered');
is((mock())[-1]{headers}{REFINE_API_KEY}, 'k');



=== TEST 19: another build of the module at a reload
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { sent() == 1 }, 'up');
mock_set(delay => 1, times => 1);
collect(click(2));
wait_for(sub { mock() == 2 }, 'a POST is under way');
my $copy = scratch() . '/copy.so';
is(system('cp', $ENV{TEST_NGINX_LOAD_MODULES}, $copy), 0, 'copied');
reload(sub { s/load_module [^;]+;/load_module $copy;/ or die 'no module' });
collect(click(3));
wait_for(sub { sent() == 3 }, 'delivered');
is(scalar received(), 3, 'once');
reload();
collect(click(4));
wait_for(sub { sent() == 4 }, 'delivered');
conserved();



=== TEST 20: delivered, and under way, while Redis is away for long
--- catalog
    flush_interval 50ms;
    batch_size 1;
    queue_timeout 500ms;
    claim_timeout 3s;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my @aof = ('--appendonly', 'yes', '--appendfsync', 'always',
           '--appenddirname', 'away');
redis_stop();
redis_start(@aof);
wait_for(sub { post('/refine/collect', encode_json([click(1)]))->{status}
               == 204 }, 'stored');
wait_for(sub { sent() == 1 }, 'up');
mock_set(delay => 2, times => 4);
mock_set(delay => 8, times => 4);
spread(2 .. 9);
wait_for(sub { received() == 9 }, 'under way');
redis_kill();
sleep 3.5;
redis_start(@aof);
wait_for(sub { sent() == 9 }, 'sent', 30);
is(scalar(() = received()), 9, 'each once');
conserved();
redis_stop();
