# Acknowledgements of batches of which somebody else has taken some events: each
# is counted once, and by the one who has removed it.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;

run_tests();

__DATA__

=== TEST 1: some of the batch were acknowledged by another worker
--- catalog
    flush_interval 1h;
    batch_size 500;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
backlog(map { line($_, metadata => { note => 'x' x $_ }) } 1 .. 450);
mock_set(delay => 3, times => 1);
flush_now();
wait_for(sub { pending() == 450 }, 'claimed');
my @rows = @{ redis('XRANGE', Refine::key('events'), '-', '+') };
for my $row (@rows[3, 150, 151, 449]) {
    is(redis('XACK', Refine::key('events'), 'refine', $row->[0]), 1);
    redis('XDEL', Refine::key('events'), $row->[0]);
    redis('HINCRBY', Refine::key('stats'), 'sent', 1);
    redis('HINCRBY', Refine::key('stats'), 'bytes', -length $row->[1][1]);
}
wait_for(sub { redis('XLEN', Refine::key('events')) == 0 }, 'delivered');
conserved();
is(sent(), 450, 'each is counted once');
is(scalar pending(), 0, 'nothing is left with anybody');



=== TEST 2: some were given to nobody: the group was made anew
--- catalog
    flush_interval 1h;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
backlog(map { line($_) } 1 .. 120);
mock_set(delay => 3, times => 1);
flush_now();
wait_for(sub { pending() == 120 }, 'claimed');
redis('XGROUP', 'DESTROY', Refine::key('events'), 'refine');
redis('XGROUP', 'CREATE', Refine::key('events'), 'refine', '0');
wait_for(sub { redis('XLEN', Refine::key('events')) == 0 }, 'delivered');
conserved();
is(sent(), 120);



=== TEST 3: some were deleted by hand
--- catalog
    flush_interval 1h;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
backlog(map { line($_) } 1 .. 120);
mock_set(delay => 3, times => 1);
flush_now();
wait_for(sub { pending() == 120 }, 'claimed');
my @rows = @{ redis('XRANGE', Refine::key('events'), '-', '+') };
redis('XDEL', Refine::key('events'), map { $_->[0] } @rows[5 .. 9]);
wait_for(sub { redis('XLEN', Refine::key('events')) == 0 }, 'delivered');
wait_for(sub { sent() == 115 }, 'what was removed by hand was not sent');
is(stats()->{bytes}, 0, 'and takes no bytes any more');
is(scalar pending(), 0);
