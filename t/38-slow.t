# Whoever is slow on the way to an answer: each wait has an end, whatever keeps
# the others from ending; and connections that have grown old all at once.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use IO::Socket::INET;
use Time::HiRes 'time';

our ($plain, $dns) = another_mock('plain', '127.0.0.1:0', 'dns:127.0.0.1:0');
$ENV{TEST_NGINX_DNS} = $dns;

# takes connections, and nobody reads from them

our $mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 100,
                                  Proto => 'tcp') or die "listen: $!";
$ENV{TEST_NGINX_MUTE} = $mute->sockport;


# the seconds from now until the outage whose line in the log matches

sub outage {
    my ($reason) = @_;

    my $start = time;
    wait_for(sub { log_lines(qr/backs off: no answer \($reason\)/) },
             "an outage: $reason");
    return time - $start;
}

run_tests();

__DATA__

=== TEST 1: a server that reads, ever so slowly: delivery_timeout
--- http_config
    refine_catalog shop {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/sip;
        queue redis://unix:$TEST_NGINX_REDIS;
        flush_interval 1h; send_timeout 2s; delivery_timeout 3s;
    }
    refine shop;
--- config
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
backlog(line(1, metadata => { note => 'x' x 8_000_000 }));
mock_set(path => '/sip', sip => 32768, pause => 0.05, times => 1);
my $start = time;
flush_now();
main::outage('timed out');
my $seconds = time - $start;
ok($seconds >= 2.9, "not earlier: $seconds s");
is(scalar(() = mock()), 0, 'it has not read all of it');
wait_for(sub { control('resume'); sent() == 1 }, 'delivered');
conserved();



=== TEST 2: one that takes connections, and never a TLS handshake
--- http_config
    refine_catalog shop {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG; api_key k;
        endpoint https://127.0.0.1:$TEST_NGINX_MUTE/events;
        queue redis://unix:$TEST_NGINX_REDIS;
        flush_interval 20ms; connect_timeout 500ms;
    }
    refine shop;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
main::outage('TLS handshake timed out');
is(scalar events(), 1);



=== TEST 3: one that takes the request, and never answers: read_timeout
--- http_config
    refine_catalog shop {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG; api_key k;
        endpoint http://127.0.0.1:$TEST_NGINX_MUTE/events;
        queue redis://unix:$TEST_NGINX_REDIS;
        flush_interval 20ms; read_timeout 500ms;
    }
    refine shop;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
my $seconds = main::outage('timed out');
ok($seconds < 10, "delivery_timeout would be 30 s: $seconds s");
is(scalar events(), 1);



=== TEST 4: a name server that is silent for longer than delivery_timeout
--- http_config
    resolver 127.0.0.1:$TEST_NGINX_DNS;
    refine_catalog shop {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG; api_key k;
        endpoint http://mute.test:$TEST_NGINX_MUTE/events;
        queue redis://unix:$TEST_NGINX_REDIS;
        flush_interval 20ms; delivery_timeout 1s;
    }
    refine shop;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- post_setup_server_root
main::another_mock_do($main::plain, 'POST', 'dns',
                      { 'mute.test' => 'silence' });
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
my $seconds = main::outage('timed out');
ok($seconds < 10, "resolver_timeout would be 30 s: $seconds s");
is(scalar events(), 1);



=== TEST 5: four connections that have ended, each with a POST on its way
--- catalog
    flush_interval 1h;
    batch_size 1;
    max_in_flight 4;
    max_retries 1;
--- config
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(stale => 'close', times => 4, delay => 0.5);
backlog(map { line($_) } 1 .. 4);
flush_now();
wait_for(sub { sent() == 4 }, 'delivered');
is(scalar unique(map { $_->{connection} } mock()), 4, 'over four connections');
mock_set(delay => 0.5, times => 4);
backlog(map { line($_) } 5 .. 8);
flush_now();
wait_for(sub { sent() == 8 }, 'delivered');
is(scalar unique(map { $_->{connection} } mock()), 8, 'over four new ones');
is(scalar(() = mock()), 8, 'once');
is(scalar log_lines(qr/backs off/), 0, 'no outage');
conserved();
