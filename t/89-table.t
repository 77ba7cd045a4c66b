# The table of answers, row by row: what the files on outages (31), holds (32),
# splitting (33), TLS (34) and age (85) leave out.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Time::HiRes qw(sleep time);

master_on();
workers(2);

add_block_preprocessor(sub {
    my ($block) = @_;

    $block->set_value('request', 'GET /t');
    $block->set_value('error_code', '204');
    $block->set_value('config', <<'END');
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /refine/status { refine_status; }
    location = /t { return 204; }
END
});


sub refine {
    return decode_json(get('/refine/status')->{body})->{catalogs}{shop}{refine};
}

run_tests();

__DATA__

=== TEST 1: every 2xx acknowledges
--- catalog
    flush_interval 50ms;
--- check
my $n = 0;
for my $status (201, 202, 203, 204, 207, 226, 299) {
    mock_set();
    mock_set(status => $status);
    collect(click(++$n));
    wait_for(sub { sent() == $n }, "by $status");
    is(refine()->{lastStatus}, $status);
}
is(scalar(() = mock()), $n, 'each was sent once');
conserved();



=== TEST 2: every other refusal holds, and nothing is given up
--- catalog
    flush_interval 50ms;
--- check
collect(click(0));
wait_for(sub { sent() == 1 }, 'up');
my $n = 0;
for my $status (300, 303, 304, 308, 402, 406, 410, 414, 418, 426, 428, 431, 451,
                499)
{
    mock_set(status => $status, times => 1);
    collect(click(++$n));
    wait_for(sub { refine()->{lastStatus} == $status }, "answered $status");
    is(refine()->{state}, 'held', 'held');
    like(refine()->{lastError}, qr/^Refine answered $status, /);
    wait_for(sub { control('resume'); sent() == $n + 1 }, 'resumed');
}
is(scalar dead(), 0);
conserved();



=== TEST 3: every other failure is an outage
--- catalog
    flush_interval 50ms;
    max_retries 1;
--- check
collect(click(0));
wait_for(sub { sent() == 1 }, 'up');
my $n = 0;
for my $status (501, 505, 507, 520, 599) {
    mock_set(status => $status, times => 1);
    collect(click(++$n));
    wait_for(sub { refine()->{lastStatus} == $status || sent() == $n + 1 },
             "answered $status");
    wait_for(sub { control('resume'); sent() == $n + 1 }, 'delivered');
    wait_for(sub { refine()->{state} eq 'up' }, 'up again');
}
is(scalar log_lines(qr/backs off: Refine answered/), $n, 'each an outage');
is(scalar log_lines(qr/is held/), 0);
is(scalar dead(), 0, 'of whatever length');
conserved();



=== TEST 4: a single event gets 413 before anything got 2xx
--- catalog
    flush_interval 50ms;
--- check
mock_set(status => 413, times => 1);
collect(click(1));
wait_for(sub { refine()->{state} eq 'held' }, 'held');
is(refine()->{lastError}, 'Refine answered 413, check the request size that '
                          . 'the endpoint allows');
is(scalar dead(), 0);
wait_for(sub { control('resume'); sent() == 1 }, 'resumed');
conserved();



=== TEST 5: 400 after a 2xx: in halves, without a wait
--- catalog
    flush_interval 50ms;
--- check
collect(click(0));
wait_for(sub { sent() == 1 }, 'up');
mock_set(status => 400, match => '"bad"',
         body => '{"status":400,"message":"position"}');
collect(map { click($_, $_ == 77 ? (itemId => 'bad') : ()) } 1 .. 100);
wait_for(sub { dead() == 1 && sent() == 100 }, 'one dead letter');
is((dead())[0]{e}{eventId}, 'e77');
is((dead())[0]{status}, 400);
is((dead())[0]{reason}, 'position');
is(refine()->{state}, 'up', 'no hold, no backoff');
is(scalar log_lines(qr/backs off|is held/), 0);
conserved();



=== TEST 6: all workers wait as long as one was asked to
--- catalog
    flush_interval 50ms;
    batch_size 1;
--- check
collect(click($_)) for 1 .. 10;
wait_for(sub { sent() == 10 }, 'up');
mock_set(status => 429, times => 1, headers => { 'Retry-After' => 3 });
collect(click(11));
wait_for(sub { refine()->{lastStatus} == 429 }, 'told to wait');
collect(click($_)) for 12 .. 30;
wait_for(sub { sent() == 30 }, 'delivered', 20);
my @posts = mock();
my ($i) = grep { $posts[$_]{status} == 429 } 0 .. $#posts;
cmp_ok($posts[$i + 1]{time} - $posts[$i]{time}, '>=', 3, 'none before');
conserved();
