# Answers that are too much, or nearly nothing.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Time::HiRes 'time';


# KB of memory that a process has, all in all

sub memory {
    my ($pid) = @_;

    open my $in, '<', "/proc/$pid/status" or return;
    my ($kb) = join('', <$in>) =~ /^VmRSS:\s*(\d+)/m;
    return $kb;
}

run_tests();

__DATA__

=== TEST 1: a body of 100 MB: its status counts, the rest is not read
--- catalog
    flush_interval 20ms;
    delivery_timeout 60s;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(0));
wait_for(sub { sent() == 1 }, 'up');
my $pid = nginx_pid();
my $before = main::memory($pid);
mock_set(size => 100 * 1024 * 1024, times => 2);
collect(click(1));
wait_for(sub { sent() == 2 }, 'delivered');
collect(click(2));
wait_for(sub { sent() == 3 }, 'and once more');
my $more = main::memory($pid) - $before;
ok($more < 20_000, "$more KB more");
is(scalar(() = mock()), 3, 'each in one POST');
is(scalar log_lines(qr/backs off/), 0, 'no outage');
mock_set(size => 100 * 1024 * 1024, status => 503, times => 1);
collect(click(3));
wait_for(sub { log_lines(qr/backs off: Refine answered 503/) },
         'an outage is one however long it is');
wait_for(sub { control('resume'); sent() == 4 }, 'delivered');
my %connections = map { $_->{connection} => 1 } mock();
is(scalar keys %connections, 4, 'the connection is not used again');
conserved();



=== TEST 2: a body of 900 KB is read, and the connection kept
--- catalog
    flush_interval 20ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(size => 900 * 1024);
for my $n (1 .. 3) {
    collect(click($n));
    wait_for(sub { sent() == $n }, 'delivered');
}
my %connections = map { $_->{connection} => 1 } mock();
is(scalar keys %connections, 1);



=== TEST 3: a kept connection that ends after a byte of an answer
--- catalog
    flush_interval 20ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(stale => 'byte', times => 1);
collect(click(1));
wait_for(sub { sent() == 1 }, 'delivered');
collect(click(2));
wait_for(sub { log_lines(qr/backs off: no answer \(response is cut off\)/) },
         'it may have been taken: an outage, and not sent again at once');
wait_for(sub { control('resume'); sent() == 2 }, 'delivered');
conserved();



=== TEST 4: a kept connection that ends without a byte costs no attempt
--- catalog
    flush_interval 20ms;
    max_retries 1;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(stale => 'close', times => 1);
collect(click(1));
wait_for(sub { sent() == 1 }, 'delivered');
mock_set(status => 422, match => '"bad"');
collect(click(2, itemId => 'bad'));
wait_for(sub { dead() == 1 }, 'sent over a new connection, and refused');
is((dead())[0]{attempts}, 1, 'in its first attempt');
is((dead())[0]{status}, 422);
is(scalar log_lines(qr/backs off/), 0, 'no outage');
conserved();
