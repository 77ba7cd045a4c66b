# A disk that takes 200 ms for whatever is asked of it does not hold up requests
# that have nothing to do with the spool, and nothing more is read than there is
# room for.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Load;
use IO::Socket::INET;
use JSON::PP;
use Time::HiRes qw(time sleep);

master_on();

my $shim = scratch() . '/slow_disk.so';

# the 99th of 100 times, of requests to a location without the module, while
# others store events

sub p99 {
    my $pid = fork // die;

    if (!$pid) {
        my $n = 0;
        my $end = time + 15;

        while (time < $end) {
            my $s = IO::Socket::INET->new('127.0.0.1:' . http_port()) or last;
            my $body = encode_json(click($$ . '_' . ++$n));
            print {$s} "POST /refine/collect HTTP/1.1\r\nHost: localhost\r\n"
                . 'Content-Length: ' . length($body) . "\r\nConnection: close\r\n\r\n$body";
            $s->flush;
            local $/;
            my $answer = <$s>;
        }

        kill 'KILL', $$;
    }

    sleep 0.3;

    my @times;

    for (1 .. 100) {
        my $from = time;
        get('/t');
        push @times, time - $from;
        sleep 0.005;
    }

    kill 'KILL', $pid;
    waitpid $pid, 0;
    return (sort { $a <=> $b } @times)[98];
}

sub restart {
    my (@preload) = @_;

    my $pid = nginx_pid();
    kill 'QUIT', $pid;
    wait_for(sub { gone($pid) }, 'it has ended', 20);

    local $ENV{LD_PRELOAD} = join ' ', grep { $_ } $ENV{TEST_NGINX_LD_PRELOAD}, @preload;
    is(system($Test::Nginx::Util::NginxBinary, '-p', $Test::Nginx::Util::ServRoot,
              '-c', $Test::Nginx::Util::ConfFile), 0, 'started again');
    wait_for(sub { my $r = get('/t'); $r && $r->{status} == 204 }, 'it runs', 20);
    return;
}

sub slow {
    is(system('cc', '-shared', '-fPIC', '-o', $shim, 't/lib/slow_disk.c', '-ldl'), 0, 'shim');
    restart($shim);
    return;
}

# a machine under load is slow by itself, but not for ever

sub not_held_up {
    my ($without) = reverse sort { $a <=> $b } map { p99() } 1 .. 3;
    slow();
    my $from = time;
    is(post('/refine/collect', encode_json(click('one')))->{status}, 204, 'stored');
    cmp_ok(time - $from, '>', 0.19, 'the disk is slow');
    my ($with, $best);

    for (1 .. 10) {
        $with = p99();
        $best = $with if !defined $best || $with < $best;
        last if $best <= $without + 0.005;
    }

    cmp_ok($best, '<=', $without + 0.005, 'p99 within 5 ms')
        or diag("with $with, without $without");
    restart();
    return;
}

# 100 of these, 600 KB, are what is read at a time: of such it keeps eight at
# most, while a batch of the first is under way

sub read_ahead {
    my $sent = sub { decode_json(get('/s')->{body})->{catalogs}{shop}{sent} };
    my ($n, $last) = (0, 0);

    slow();
    collect(click('warm'));
    wait_for(sub { $sent->() == 1 }, 'Refine is up');
    control('pause');
    my $url = 'http://localhost/' . 'x' x 1900;
    collect(map { click($n++, page => $url, referrer => $url,
                        metadata => { note => 'x' x 3000 }) } 1 .. 100) for 1 .. 10;
    mock_set(hang => JSON::PP::true, times => 1, match => '"e0"');
    control('resume');
    wait_for(sub { $sent->() > 300 }, 'others than the first', 60);
    wait_for(sub { my $was = $last; sleep 2; $was == ($last = $sent->()) }, 'then no more', 60);
    cmp_ok($last, '<=', 800, 'of eight, but the first batch');
    reload(undef, 30);
    wait_for(sub { $sent->() == $n + 1 }, 'all of them', 60);
    return;
}

# while there is always something to be written, what was is delivered as well

sub in_turn {
    slow();
    load_start(4);
    wait_for(sub { delivered() }, 'delivered meanwhile', 30);
    arrived([load_end()], least => 1);
    restart();
    return;
}

run_tests();

__DATA__

=== TEST 1: the spool while Redis is away
--- catalog
    flush_interval 1h;
    spool $TEST_NGINX_SCRATCH/spool 64m fsync=always;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
redis_kill();
not_held_up();



=== TEST 2: the spool as the queue
--- no_queue
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 64m fsync=interval;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
not_held_up();



=== TEST 3: it reads no more ahead than there is room for
--- no_queue
--- catalog
    flush_interval 100ms;
    delivery_timeout 60s;
    spool $TEST_NGINX_SCRATCH/spool 64m fsync=interval;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /s { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
read_ahead();



=== TEST 4: what is written all the time does not keep the rest from being read
--- no_queue
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 64m fsync=interval;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
in_turn();
