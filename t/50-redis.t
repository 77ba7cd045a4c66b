# A real Redis in all its moods, survived without a reload, without a line in
# the log for each request, and with nothing lost that was answered with 204.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use IO::Select;
use Time::HiRes qw(sleep time);

our $CONFIG = <<'END';
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /s { refine_status; }
    location = /t { return 204; }
END

our $number = 0;

sub try_one { post('/refine/collect', encode_json(click('t' . ++$number)))->{status} }

sub trouble { log_lines(qr/\[(?:warn|error)\] .*refine: (?!.* may lose)/) }

sub back { wait_for(sub { try_one() == 204 }, 'back without a reload', 15) }

sub up { wait_for(sub { status()->{redis}{state} eq 'up' }, 'up', 15) }

sub status { decode_json(get('/s')->{body})->{catalogs}{shop} }

sub key { "refine:{${\catalog()}}:$_[0]" }

# what comes stays: at Redis's return a worker delivers what waits

sub keep { redis('HSET', key('stats'), 'paused', 1) }

# 200 requests fail, and nearly nothing is logged

sub no_flood {
    my ($what) = @_;

    my $before = () = trouble();
    my $other = 0;

    for (1 .. 200) {
        my $r = post('/refine/collect', encode_json(click('t' . ++$number)));
        $other++ if $r->{status} != 503 || !$r->{headers}{'retry-after'};
    }

    is($other, 0, "$what: 503 with Retry-After to all");

    my $lines = trouble() - $before;
    cmp_ok($lines, '<=', 2, "$what: at most two lines in the log");
    return;
}

# many POSTs at once over keep-alive connections while the code runs; the ids
# that were answered with 204

sub meanwhile {
    my ($seconds, $code) = @_;

    my $end = time + $seconds;
    my $pid = open(my $out, '-|') // die "fork: $!";

    if (!$pid) {
        my ($n, $stored) = (0, 0);

        # a busy machine gets longer for what there has to be

        while (time < $end || ($stored < 11 && time < $end + 20)) {
            my $id = 'm' . $number . '-' . ++$n;
            my $r = post('/refine/collect', encode_json(
                             [click("$id-a"), click("$id-b")]), Timeout => 5);
            next if !$r || $r->{status} != 204;
            print "$id\n";
            $stored++;
        }

        $| = 1;
        print '';
        POSIX::_exit(0) if close STDOUT;
    }

    $code->();
    my @ids = map { chomp; $_ } <$out>;
    close $out;
    $number++;
    return map { ("e$_-a", "e$_-b") } @ids;
}

run_tests();

__DATA__

=== TEST 1: 204 only after Redis has acknowledged all events of the request
--- catalog
    flush_interval 1h;
    queue_timeout 5s;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
my $old = events();
redis_pause();
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
my $body = encode_json([map { click($_) } 1 .. 50]);
print {$socket} "POST /refine/collect HTTP/1.1\r\nHost: localhost\r\n"
                . 'Content-Length: ' . CORE::length($body) . "\r\n\r\n$body";
ok(!IO::Select->new($socket)->can_read(0.7), 'no answer yet');
redis_resume();
like(scalar(CORE::readline($socket)), qr{^HTTP/1.1 204 });
is(scalar(events()) - $old, 50, 'all are there with the answer');



=== TEST 2: restarted with its data kept, then with its data gone
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
redis_stop();
redis_start('--appendonly', 'yes', '--appenddirname', 'kept');
keep();
back();
collect(map { click($_) } 1 .. 20);
redis_stop();
no_flood('stopped');
redis_start('--appendonly', 'yes', '--appenddirname', 'kept');
back();
my %there;
$there{$_->{eventId}}++ for events();
is(scalar(grep { $there{"e$_"} } 1 .. 20), 20, 'kept');
control('resume');
wait_for(sub { !events() }, 'delivered');
is(scalar(unique(delivered())), scalar(() = delivered()), 'each once');
keep();
collect(map { click($_) } 21 .. 30);
redis_kill();
redis_start();
keep();
back();
is(scalar(events()), 1, 'gone');
wait_for(sub { my $s = status(); $s->{accepted} == 1 && $s->{queued} == 1 },
         'the counters begin anew');
control('resume');
wait_for(sub { !events() }, 'delivered all the same');



=== TEST 3: kill -9 under load: nothing is lost that got its 204
--- catalog
    flush_interval 1h;
    queue_timeout 500ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my @aof = ('--appendonly', 'yes', '--appendfsync', 'always',
           '--appenddirname', 'always');
redis_stop();
redis_start(@aof);
keep();
back();
my @ids = meanwhile(2.5, sub {
    for (1 .. 2) {
        sleep 0.5;
        redis_kill();
        sleep 0.2;
        redis_start(@aof);
    }
});
cmp_ok(scalar(@ids), '>', 20, scalar(@ids) . ' events got a 204');
back();
my %there;
$there{$_->{eventId}}++ for events();
is(scalar(grep { !$there{$_} } @ids), 0, 'all of them are there');
is(scalar(grep { $_ > 1 } values %there), 0, 'once');
my %pair;
$pair{s/-[ab]$//r}++ for grep { /-[ab]$/ } keys %there;
is(scalar(grep { $_ != 2 } values %pair), 0, 'requests as a whole');
redis_stop();



=== TEST 4: stopped: 503 after queue_timeout, then at once
--- catalog
    flush_interval 1h;
    queue_timeout 700ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
redis_pause();
my $start = time;
my $r = post('/refine/collect', encode_json(click(1)));
my $took = time - $start;
is($r->{status}, 503);
like($r->{headers}{'retry-after'}, qr/^[1-5]$/);
ok($took > 0.5 && $took < 5, "told after $took s");
no_flood('stopped');
redis_resume();
back();



=== TEST 5: max_queue_size
--- catalog
    flush_interval 1h;
    batch_size 10000;
    max_queue_size 40;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
collect(map { click($_) } 1 .. 30);
my $r = post('/refine/collect', encode_json([map { click($_) } 31 .. 41]));
is($r->{status}, 503, 'no room for all of them');
is(scalar(events()), 30, 'none of them is stored');
collect(map { click($_) } 42 .. 51);
no_flood('full');
is(scalar(events()), 40);
is(scalar(log_lines(qr/holds 40 events, 80% of max_queue_size/)), 1);
ok(scalar(log_lines(qr/is full: \d+ of max_queue_size 40/)), 'told');
wait_for(sub { my $n = status()->{rejected}{queue_full} || 0; $n >= 200 },
         'counted');
wait_for(sub { flush_now(); !events() }, 'delivered');
is(try_one(), 204, 'room again');
wait_for(sub { log_lines(qr/is not full any more: 1 of max_queue_size 40/) },
         'told');



=== TEST 6: no memory left: events are refused, but a full Redis drains
--- catalog
    flush_interval 1h;
    batch_size 100;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
is(try_one(), 204);
wait_for(sub { flush_now(); sent() == 1 }, 'Refine takes events');
control('pause');
my $used = sub { redis('INFO', 'memory') =~ /^used_memory:(\d+)/m ? $1 : 0 };
my $before = $used->();
for my $n (0, 100) {
    collect(map { click($n + $_, metadata => { a => 'x' x 3000 }) } 1 .. 90);
}
mock_set(status => 422, match => '"eventId":"e1"');
redis('CONFIG', 'SET', 'maxmemory', int(($before + $used->()) / 2));
no_flood('OOM');
is(control('resume')->{status}, 200, 'resumed');
my $left = events();
cmp_ok($left, '>=', 100);
wait_for(sub { flush_now(); !events() }, 'drained', 20);
my $s = stats();
is($s->{sent}, 180);
is($s->{failed}, 1, 'dead letters can be written');
wait_for(sub { try_one() == 204 }, 'its memory is free again');
redis('CONFIG', 'SET', 'maxmemory', 0);



=== TEST 7: READONLY, NOREPLICAS, MISCONF
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
redis('REPLICAOF', '127.0.0.1', '1');
no_flood('READONLY');
redis('REPLICAOF', 'NO', 'ONE');
back();
redis('CONFIG', 'SET', 'min-replicas-to-write', 1);
no_flood('NOREPLICAS');
redis('CONFIG', 'SET', 'min-replicas-to-write', 0);
back();
my $folder = scratch() . '/bad';
redis_stop();
redis_start('--dbfilename', 'bad', '--save', '3600 1000000');
CORE::mkdir $folder;
back();
redis('BGSAVE');
wait_for(sub { redis('INFO', 'persistence')
               =~ /rdb_last_bgsave_status:err/ }, 'cannot save');
no_flood('MISCONF');
CORE::rmdir $folder;
redis('BGSAVE');
wait_for(sub { redis('INFO', 'persistence')
               =~ /rdb_last_bgsave_status:ok/ }, 'can save');
back();
redis_stop();



=== TEST 8: NOAUTH while it runs
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
redis('CONFIG', 'SET', 'requirepass', 'secret');
redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
no_flood('NOAUTH');
is(scalar(log_lines(qr/is down: .*(?:NOAUTH|closed|reset)/)), 1);
redis('AUTH', 'secret');
redis('CONFIG', 'SET', 'requirepass', '');
back();



=== TEST 9: LOADING
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
redis_stop();
redis_start('--dbfilename', 'loading.rdb');
redis('SET', "k$_", $_) for 1 .. 300;
keep();
back();
my $queued = events();
redis('SAVE');
redis_kill();
redis_start('--dbfilename', 'loading.rdb', '--key-load-delay', 10000,
            '--loading-process-events-interval-bytes', 1024);
my $loading = 0;
for (1 .. 50) {
    $loading++ if (redis('PING') // '') =~ /LOADING/;
    try_one();
}
cmp_ok($loading, '>', 0, 'loading');
back();
cmp_ok(scalar(events()), '>', $queued, 'kept');
cmp_ok(scalar(trouble()), '<=', 4);
redis_stop();



=== TEST 10: over TCP with user, password and database; a wrong password
--- http_config eval
my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1);
$::port = $s->sockport;
my $catalog = sub {
    my ($name, $user) = @_;
    return "refine_catalog $name { organization_id o; catalog_id $name;"
           . " api_key k; flush_interval 1h; queue_timeout 500ms;"
           . " endpoint http://unix:\$TEST_NGINX_MOCK:/events;"
           . " queue redis://$user\@127.0.0.1:$::port/3; }\n";
};
$catalog->('right', 'shop:p%40ss') . $catalog->('wrong', 'shop:other')
    . $catalog->('nobody', 'gone:p%40ss')
--- config
    location = /right { refine right; refine_collect; }
    location = /wrong { refine wrong; refine_collect; }
    location = /nobody { refine nobody; refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
redis_stop();
redis_start('--port', $::port, '--bind', '127.0.0.1');
redis('ACL', 'SETUSER', 'shop', 'on', '>p@ss', '~refine:*', '+@all');
my $click = encode_json(click(1));
wait_for(sub { post('/right', $click)->{status} == 204 }, 'stored');
redis('SELECT', 3);
is(redis('XLEN', 'refine:{right}:events'), 1, 'in database 3');
redis('SELECT', 0);
for my $name (qw(wrong nobody)) {
    is(scalar(grep { post("/$name", $click)->{status} != 503 } 1 .. 100), 0);
}
cmp_ok(scalar(trouble()), '<=', 6);
redis('ACL', 'SETUSER', 'shop', '>other');
wait_for(sub { post('/wrong', $click)->{status} == 204 }, 'right by now', 15);
redis('ACL', 'SETUSER', 'shop', '-xadd');
is(post('/right', encode_json(click($_)))->{status}, 503, 'NOPERM') for 5 .. 9;
redis('ACL', 'SETUSER', 'shop', '+xadd');
is(post('/right', encode_json(click(10)))->{status}, 204);
is(scalar(log_lines(qr/p\@ss|p%40ss|other/)), 0, 'no password in the log');
redis_stop();



=== TEST 11: the group is destroyed, all is flushed, while events pass
--- catalog
    flush_interval 50ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my $k = key('events');
for my $do (['XGROUP', 'DESTROY', $k, 'refine'], ['FLUSHALL'], ['DEL', $k],
            ['SCRIPT', 'FLUSH'], ['DEL', key('stats')])
{
    my $n = ++$number;
    mock_set(delay => 0.3, times => 1);
    collect(click("a$n"));
    wait_for(sub { grep { $_ eq "ea$n" } received() }, 'under way');
    redis(@$do);
    redis('SCRIPT', 'FLUSH');
    collect(click("b$n"));
    wait_for(sub { grep { $_ eq "eb$n" } delivered() }, "after @$do");
    wait_for(sub { !events() }, 'acknowledged');
}
is(status()->{redis}{state}, 'up');
is(scalar(trouble()), 0, 'not a word');
is(control('pause')->{status}, 200);
redis('SCRIPT', 'FLUSH');
is(control('resume')->{status}, 200);
redis('SCRIPT', 'FLUSH');
is(get('/s')->{status}, 200);



=== TEST 12: keys of another type
--- catalog
    flush_interval 50ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
for my $name (qw(events stats)) {
    redis('DEL', key($name));
    redis('SET', key($name), 'x');
    no_flood("a string as $name");
    redis('DEL', key($name));
    back();
}
