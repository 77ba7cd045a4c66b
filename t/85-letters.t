# Dead letters: how many are kept, and what becomes one for its age while
# delivery fails.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;

our $DAY = 86_400_000;

# puts events into the stream as if they had been collected so long ago

sub aged {
    my ($ms, @n) = @_;

    my $time = redis('TIME');
    my $at = $time->[0] * 1000 - $ms;

    for (@n) {
        my $line = line($_);
        redis('XADD', Refine::key('events'), "$at-$_", 'e', $line);
        redis('HINCRBY', Refine::key('stats'), 'accepted', 1);
        redis('HINCRBY', Refine::key('stats'), 'bytes', length $line);
    }

    return;
}


sub status {
    return decode_json(get('/refine/status')->{body})->{catalogs}{shop};
}


# so many probes more have failed

sub failed_probes {
    my ($n) = @_;

    my $before = () = mock();
    wait_for(sub { control('resume'); mock() >= $before + $n },
             "$n probes fail", 30);
    return;
}

master_on();
run_tests();

__DATA__

=== TEST 1: beyond dead_letters the oldest goes, and is counted
--- catalog
    flush_interval 50ms;
    batch_size 1;
    max_in_flight 1;
    dead_letters 5;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/status { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(0));
wait_for(sub { sent() == 1 }, 'up');
mock_set(status => 422, match => '"bad"');
collect(map { click($_, itemId => 'bad') } 1 .. 8);
wait_for(sub { (stats()->{failed} // 0) == 8 }, 'given up');
is(join(' ', map { $_->{e}{eventId} } dead()), 'e4 e5 e6 e7 e8');
my $s = status();
is($s->{dead}, 5);
is($s->{deadTrimmed}, 3);
is($s->{failed}, 8);
conserved();



=== TEST 2: while delivery fails, what is older than retry_window is given up
--- catalog
    flush_interval 50ms;
    batch_size 30;
    max_retries 2;
    retry_window 1d;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 503);
redis('CONFIG', 'SET', 'maxmemory', 1);
redis('CONFIG', 'SET', 'maxmemory', 0);
aged(2 * $DAY, 1 .. 250);
aged($DAY / 2, 301 .. 310);
collect(click(401));
redis('CONFIG', 'SET', 'maxmemory', 1);
wait_for(sub { control('resume'); stats()->{failed} }, 'some are given up', 30);
wait_for(sub { stats()->{failed} == 250 }, 'all that are old, Redis being full');
redis('CONFIG', 'SET', 'maxmemory', 0);
my @dead = dead();
is(join(' ', map { $_->{e}{eventId} } @dead),
   join(' ', map { "e$_" } 1 .. 250), 'in order');
is(join(' ', unique(map { $_->{reason} } @dead)), 'older than retry_window');
is(join(' ', unique(map { $_->{status} } @dead)), 503);
my $tried = grep { $_->{attempts} > 0 } @dead;
cmp_ok($tried, '>', 0, 'some were tried');
cmp_ok($tried, '<', 200, 'not all');
is(scalar events(), 11, 'the others stay');
failed_probes(3);
is(stats()->{failed}, 250, 'so they do');
mock_set(status => 200);
control('resume');
wait_for(sub { sent() == 11 }, 'and are delivered');
my @old = grep { /^e([0-9]+)/ && $1 <= 250 } delivered();
is("@old", '', 'what is given up is not');
is(scalar log_lines(qr/events became dead letters, they were stored longer/), 1,
   'one line');
conserved();



=== TEST 3: what is old is delivered when delivery works; one failure is none
--- catalog
    flush_interval 50ms;
    retry_window 1d;
--- config
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 503, times => 2);
aged(2 * $DAY, 1 .. 20);
wait_for(sub { control('resume'); sent() == 20 }, 'delivered', 20);
is(scalar dead(), 0);
conserved();



=== TEST 4: in a pause nothing ages
--- catalog
    flush_interval 50ms;
    max_retries 1;
    retry_window 1d;
--- config
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(control('pause')->{status}, 200);
mock_set(status => 503);
aged(2 * $DAY, 1 .. 20);
is(control('resume')->{status}, 200);
failed_probes(4);
is(scalar dead(), 0, 'since the pause no day has gone by');
redis('HSET', Refine::key('stats'), 'resumed',
      redis('TIME')->[0] * 1000 - $DAY - 10_000);
wait_for(sub { stats()->{failed} }, 'now it has', 30);
wait_for(sub { dead() == 20 }, 'for all');
conserved();



=== TEST 5: nor in a hold, which a new key ends
--- catalog
    flush_interval 50ms;
    max_retries 1;
    retry_window 1d;
--- config
    location = /refine/status { refine_status; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 401);
aged(2 * $DAY, 1 .. 20);
wait_for(sub { status()->{refine}{state} eq 'held' }, 'held');
my $resumed;
wait_for(sub { $resumed = stats()->{resumed} }, 'the hold is noted');
mock_set(status => 503);
failed_probes(3);
is(status()->{refine}{state}, 'held', 'an outage does not end it');
is(scalar dead(), 0);
wait_for(sub { stats()->{resumed} > $resumed }, 'it is noted how long it lasts');
reload(sub { s/api_key          k;/api_key          k2;/ });
wait_for(sub { status()->{refine}{state} eq 'backoff' }, 'an outage', 20);
failed_probes(3);
is(scalar dead(), 0);
redis('DEL', Refine::key('stats'));
redis('HSET', Refine::key('stats'), 'accepted', 20);
wait_for(sub { control('resume'); dead() == 20 }, 'but for the hold', 30);



=== TEST 6: what another worker holds is left to it, until it is dead
--- catalog
    flush_interval 50ms;
    batch_size 10;
    max_retries 1;
    retry_window 1d;
    claim_timeout 3s;
--- config
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 503);
my $events = Refine::key('events');
is(control('pause')->{status}, 200);
redis('XGROUP', 'CREATE', $events, 'refine', 0, 'MKSTREAM');
aged(2 * $DAY, 1 .. 30);
redis('XREADGROUP', 'GROUP', 'refine', 'other', 'COUNT', 15, 'STREAMS', $events,
      '>');
is(control('resume')->{status}, 200);
redis('HDEL', Refine::key('stats'), 'resumed');
wait_for(sub { control('resume'); redis('HDEL', Refine::key('stats'), 'resumed');
               dead() }, 'given up', 30);
my @held = map { $_->[0] } grep { $_->[1] eq 'other' } pending();
is(join(' ', map { $_->{e}{eventId} } dead()),
   join(' ', map { "e$_" } 16 .. 30), 'what it does not hold');
is(scalar(@held), 15);
wait_for(sub { control('resume'); redis('HDEL', Refine::key('stats'), 'resumed');
               dead() == 30 }, 'after claim_timeout the rest', 30);
conserved();
