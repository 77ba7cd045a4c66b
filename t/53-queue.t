# What a worker holds for its queue: serve events over an absence of Redis, the
# counters, and how long it may keep the worker from going.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Upstream;
use Time::HiRes qw(sleep time);

our $CONFIG = <<'END';
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /s { refine_status; }
    location /r/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
    lingering_close off;
END

sub key { "refine:{${\catalog()}}:$_[0]" }

sub keep { redis('HSET', key('stats'), 'paused', 1) }

sub status { decode_json(get('/s')->{body})->{catalogs}{shop} }

sub back {
    my $n;
    wait_for(sub { post('/refine/collect',
                        encode_json(click('back' . ++$n)))->{status} == 204 },
             'back', 15);
}

# the most memory that the worker ever had, in KB, if that can be known

sub memory {
    open my $maps, '<', '/proc/' . (worker_pids())[0] . '/maps' or return 0;
    return 0 if grep { /libasan|memcheck/ } <$maps>;

    open my $in, '<', '/proc/' . (worker_pids())[0] . '/status' or return 0;
    return (join '', <$in>) =~ /^VmHWM:\s+(\d+)/m ? $1 : 0;
}

# accepted = sent + failed + dropped + queued + retrying

sub lawful {
    my ($m) = @_;

    my $dropped = 0;
    $dropped += $_ for values %{ $m->{dropped} };
    return $m->{accepted} == $m->{sent} + $m->{failed} + $dropped
                             + $m->{queued} + $m->{retrying};
}

# quits; returns after how many seconds the worker was gone

sub quit {
    my ($signal) = @_;

    my $pid = nginx_pid();
    my $start = time;
    kill $signal // 'QUIT', $pid;
    wait_for(sub { !kill 0, $pid }, 'gone', 15);
    return time - $start;
}

# the order of serves in the stream, by their query

sub served {
    return map { $_->{query} } grep { $_->{type} eq 'items_served' } events();
}

master_on();
workers(1);
run_tests();

__DATA__

=== TEST 1: serves are kept over an absence of Redis, and stored in order
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
reply('one', '{"results":[{"productId":"a"}]}');
redis_stop();
redis_start('--appendonly', 'yes', '--appenddirname', 'order');
keep();
back();
my $n = 0;
for my $how (\&redis_kill, \&redis_pause) {
    $how->();
    is(get('/r/one?q=' . ++$n)->{status}, 200, 'served all the same')
        for 1 .. 40;
    sleep 0.3;
    get('/r/one?q=' . ++$n) for 1 .. 20;
    redis_resume() if $how == \&redis_pause;
    redis_start('--appendonly', 'yes', '--appenddirname', 'order');
    get('/r/one?q=' . ++$n) for 1 .. 20;
    back();
    get('/r/one?q=' . ++$n) for 1 .. 5;
    wait_for(sub { unique(served()) == $n }, 'all are stored', 15);
}
is_deeply([unique(served())], [1 .. $n], 'in order');
my $at_least_once = served();
cmp_ok($at_least_once, '>=', $n);
is(scalar(unique(map { $_->{eventId} } events())), scalar(unique(served()))
   + grep({ $_->{type} eq 'click' } events()), 'under the same ids');
redis_stop();



=== TEST 2: serves are kept when Redis is full, and stored without a request
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
reply('one', '{"results":[{"productId":"a"}]}');
back();
keep();
redis('CONFIG', 'SET', 'maxmemory', 1);
get("/r/one?q=$_") for 1 .. 30;
is(scalar(served()), 0);
redis('CONFIG', 'SET', 'maxmemory', 0);
wait_for(sub { served() == 30 }, 'stored by themselves');
is_deeply([served()], [1 .. 30], 'in order, once');
wait_for(sub { (stats()->{'events:items_served'} // 0) == 30 }, 'counted');



=== TEST 3: at most serve_buffer is kept, and what is not is counted
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my $items = join ',', map { '{"productId":"' . 'i' x 240 . "$_\"}" } 101 .. 300;
reply('wide', qq({"results":[$items]}));
back();
keep();
redis_kill();
get("/r/wide?q=$_") for 1 .. 100;
my $before = memory();
get("/r/wide?q=$_") for 101 .. 150;
cmp_ok(memory() - $before, '<', 1024, 'no KB more for the rest');
redis_start();
keep();
my ($stored, $lost);
wait_for(sub { $stored = served();
               $lost = stats()->{'skipped:serve_buffer'} // 0;
               $stored + $lost == 150 }, 'stored or counted', 20);
cmp_ok($stored, '>', 60, 'four megabytes of them');
cmp_ok($stored, '<', 100);
is_deeply([served()], [1 .. $stored], 'the first ones, in order');



=== TEST 4: a batch is wanted when it is full, not when much is under way
--- catalog
    flush_interval 1h;
    batch_size 10;
    max_in_flight 4;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
collect(map { click($_) } 1 .. 10);
wait_for(sub { sent() == 10 }, 'up');
mock_set(delay => 1.5);
collect(map { click($_) } 11 .. 20);
wait_for(sub { received() == 20 }, 'a full batch is sent');
for my $n (21 .. 29) {
    collect(click($n));
    sleep 0.11;
}
is(scalar(() = mock()), 2, 'nine more are none');
collect(click(30));
wait_for(sub { received() == 30 }, 'ten are');
is(scalar(() = mock()), 3);
wait_for(sub { sent() == 30 }, 'delivered');



=== TEST 5: quit while Redis takes nothing: not over 10 s
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
reply('one', '{"results":[{"productId":"a"}]}');
back();
redis('CONFIG', 'SET', 'maxmemory', 1);
get("/r/one?q=$_") for 1 .. 5;
my $seconds = quit();
cmp_ok($seconds, '<', 9.9, "$seconds s");
redis('CONFIG', 'SET', 'maxmemory', 0);



=== TEST 6: quit while a request waits for a Redis that hangs: not over 10 s
--- catalog
    flush_interval 1h;
    queue_timeout 60s;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
redis_pause();
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
my $body = encode_json(click(1));
print {$socket} "POST /refine/collect HTTP/1.1\r\nHost: localhost\r\n"
                . 'Content-Length: ' . CORE::length($body) . "\r\n\r\n$body";
sleep 0.3;
my $seconds = quit();
cmp_ok($seconds, '<', 9.9, "$seconds s");
like(scalar(CORE::readline($socket)), qr{^HTTP/1.1 503 }, 'it is answered');
redis_resume();



=== TEST 7: quit without a Redis
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
redis_kill();
get('/s');
my $seconds = quit();
cmp_ok($seconds, '<', 3, "$seconds s");



=== TEST 8: quit and stop: the last counters
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
sleep 1.1;
is(post('/refine/collect', 'x')->{status}, 400) for 1 .. 3;
quit('TERM');
is(stats()->{'rejected:not_json'}, 3, 'written in the end');



=== TEST 9: the law holds in every answer, whatever happens
--- catalog
    flush_interval 50ms;
    batch_size 7;
    claim_timeout 1s;
    queue_timeout 500ms;
    max_queue_size 300;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
reply('one', '{"results":[{"productId":"a"}]}');
back();
my ($n, $paused) = (0, 0);
my @trouble = (
    sub { mock_set(status => 503, times => 4) },
    sub { redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes') },
    sub { mock_set(status => 422, match => '"bad') },
    sub { redis('CONFIG', 'SET', 'maxmemory', 1) },
    sub { redis('CONFIG', 'SET', 'maxmemory', 0) },
    sub { redis('XGROUP', 'DESTROY', key('events'), 'refine') },
    sub { redis_pause() },
    sub { redis_resume() },
    sub { mock_set(drop => 1, times => 2) },
    sub { redis('SCRIPT', 'FLUSH') },
    sub { $paused = 1 },
    sub { $paused = 0 },
    sub { mock_set() },
);
my ($true, $false, $stale) = (0, 0, 0);
for my $do (@trouble) {
    $do->();
    my ($end, $least) = (time + 0.6, 6);
    while ($least-- > 0 || time < $end) {
        post('/refine/collect', encode_json(
            [map { click(++$n, $n % 50 ? () : (itemId => "bad$n")) } 1 .. 3]));
        get('/r/one?q=x');
        my $r = control($paused ? 'pause' : 'resume');
        my $m = decode_json($r->{body})->{catalogs}{shop};
        if ($m->{stale}) { $stale++ }
        elsif (lawful($m)) { $true++ }
        else { $false++; diag(encode_json($m)) }
        sleep 0.01;
    }
}
is($false, 0, "the law held $true times, $stale answers were stale");
cmp_ok($true, '>', 50);
wait_for(sub { control('resume'); my $m = status();
               !$m->{stale} && $m->{queued} + $m->{retrying} == 0 },
         'all is delivered', 20);
my $m = status();
ok(lawful($m));
cmp_ok($m->{sent}, '>', 50);
