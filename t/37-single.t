# A single process (master_process off), which has neither a graceful quit nor
# an init_process at a reconfiguration (after which nginx itself accepts no
# connections): nothing is lost all the same.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;

master_process_enabled(0);


sub start_again {
    local $ENV{LD_PRELOAD} = $ENV{TEST_NGINX_LD_PRELOAD} // '';

    is(system($Test::Nginx::Util::NginxBinary, '-p',
              $Test::Nginx::Util::ServRoot, '-c',
              $Test::Nginx::Util::ConfFile),
       0, 'nginx starts again');
    wait_for(sub { my $r = get('/t'); $r && $r->{status} == 204 }, 'it runs');
    return;
}

run_tests();

__DATA__

=== TEST 1: quit while a POST hangs, then a start
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
collect(click(1));
wait_for(sub { sent() == 1 }, 'up');
mock_set(hang => 1, times => 1);
collect(click(2), click(3));
wait_for(sub { mock() == 2 }, 'a POST hangs');
my $pid = nginx_pid();
kill 'QUIT', $pid;
wait_for(sub { gone($pid) }, 'gone', 5);
is(scalar events(), 2, 'kept');
is(scalar log_lines(qr/backs off/), 0, 'no outage');
start_again();
wait_for(sub { sent() == 3 }, 'taken over');
my @r = mock();
is($r[2]{headers}{'Idempotency-Key'}, $r[1]{headers}{'Idempotency-Key'},
   'under the same key');
conserved();



=== TEST 2: reconfigured while a POST is under way
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
mock_set(delay => 0.5, times => 1);
collect(click(2));
wait_for(sub { mock() == 2 }, 'a POST is under way');
kill 'HUP', nginx_pid();
wait_for(sub { log_lines(qr/reconfiguring/) }, 'reconfigured');
wait_for(sub { sent() == 2 }, 'delivered');
is(scalar delivered(), 2, 'each once');
my $pid = nginx_pid();
kill 'QUIT', $pid;
wait_for(sub { gone($pid) }, 'gone', 5);
conserved();
