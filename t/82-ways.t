# The ways to an endpoint: IPv6, names with several addresses, name servers that
# do not answer, addresses that nobody answers at, and servers that do not read.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use IO::Socket::INET;
use Socket 'SO_RCVBUF';
use IO::Socket::IP;
use Time::HiRes 'time';

our $has_ipv6 = !!IO::Socket::IP->new(LocalHost => '::1', Listen => 1);
our ($plain, $dns) = another_mock('plain', '127.0.0.1:0', 'dns:127.0.0.1:0');

# where there is no IPv6 its tests run over what is there: 127.0.0.4

our $six = $has_ipv6 ? '[::1]' : '127.0.0.4';
another_mock('six', "$six:$plain");

$ENV{TEST_NGINX_PLAIN} = $plain;
$ENV{TEST_NGINX_DNS} = $dns;
$ENV{TEST_NGINX_SIX} = $six;

# 127.0.0.5 accepts no connection any more: its queue is full; 127.0.0.6 takes
# connections and reads nothing

our $full = IO::Socket::INET->new(LocalAddr => '127.0.0.5', Proto => 'tcp',
                                  LocalPort => $plain, Listen => 1)
    or die "127.0.0.5: $!";
listen $full, 0;
our @waiting = map {
    IO::Socket::INET->new(PeerAddr => '127.0.0.5', PeerPort => $plain,
                          Blocking => 0)
} 1 .. 4;
our $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.6', Proto => 'tcp',
                                  LocalPort => $plain, Listen => 100,
                                  Sockopts => [[SO_RCVBUF, 4096]])
    or die "127.0.0.6: $!";


sub plain {
    return @{ another_mock_do($plain, 'GET', 'requests?catalog=' . catalog()) };
}

sub plain_set {
    another_mock_do($plain, 'POST', 'set', { catalog => catalog(), @_ });
    return;
}

sub names {
    another_mock_do($plain, 'POST', 'dns', { @_ });
    return;
}


sub http {
    my ($endpoint, $more, $resolver) = @_;

    $resolver //= 'valid=1s';

    return <<"END";
    resolver 127.0.0.1:\$TEST_NGINX_DNS $resolver;
    refine_catalog shop {
        organization_id org_1; catalog_id \$TEST_NGINX_CATALOG; api_key k;
        endpoint http://$endpoint:\$TEST_NGINX_PLAIN/events;
        queue redis://unix:\$TEST_NGINX_REDIS;
        flush_interval 20ms;
        $more
    }
    refine shop;
END
}

run_tests();

__DATA__

=== TEST 1: an address of IPv6
--- http_config eval
main::http('$TEST_NGINX_SIX', '')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { sent() == 1 }, 'delivered');
is(scalar log_lines(qr/backs off/), 0);
is(scalar(() = main::plain()), 0, 'not to another one');
conserved();



=== TEST 2: a name with an address of IPv6 only
--- http_config eval
main::http('six.test', '')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- post_setup_server_root
(my $address = $main::six) =~ s/[\[\]]//g;
main::names('six.test' => [$address]);
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { sent() == 1 }, 'delivered');
is(scalar log_lines(qr/backs off/), 0);



=== TEST 3: the first address never answers, the next one is tried
--- http_config eval
main::http('full.test', 'connect_timeout 300ms;')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- post_setup_server_root
main::names('full.test' => ['127.0.0.5', '127.0.0.1']);
--- request
GET /t
--- error_code: 204
--- check
main::plain_set(headers => { Connection => 'close' });
my $slow = 0;
for my $n (1 .. 12) {
    my $start = time;
    collect(click($n));
    wait_for(sub { sent() == $n }, 'delivered');
    $slow += time - $start > 0.25;
}
ok($slow >= 1, "$slow of 12 came after a time-out");
is(scalar log_lines(qr/backs off/), 0, 'none of which is an outage');



=== TEST 4: no address answers
--- http_config eval
main::http('none.test', 'connect_timeout 300ms;')
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- post_setup_server_root
main::names('none.test' => ['127.0.0.5', '127.0.0.9', '127.0.0.10']);
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { log_lines(qr/backs off: no answer \(connection (?:refused|timed out)\)/) },
         'an outage');
# the next attempt may be under way already

my $outage;
my @first = grep { !($outage ||= /backs off/) } log_lines(qr/./);
is(scalar(grep { /connect\(\) .*127\.0\.0\.(?:9|10)/ } @first), 2,
   'after all of them')
    or diag(log_lines(qr/connect|refine/));
main::names('none.test' => ['127.0.0.1']);
wait_for(sub { control('resume'); sent() == 1 }, 'another address', 15);
conserved();



=== TEST 5: a name server that does not answer
--- http_config eval
main::http('silent.test', '', 'valid=1s; resolver_timeout 1s')
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- post_setup_server_root
main::names('silent.test' => 'silence');
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { log_lines(qr/backs off: no answer \(host lookup timed out\)/) },
         'an outage');
main::names('silent.test' => ['127.0.0.1']);
wait_for(sub { control('resume'); sent() == 1 }, 'it answers', 20);
conserved();



=== TEST 6: a name server that fails
--- http_config eval
main::http('failing.test', '', 'valid=1s; resolver_timeout 1s')
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- post_setup_server_root
main::names('failing.test' => 'failure');
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { log_lines(qr/backs off: no answer \(host (?:not found|lookup timed out)\)/) },
         'an outage');
main::names('failing.test' => ['127.0.0.1']);
wait_for(sub { control('resume'); sent() == 1 }, 'it works again', 20);
conserved();



=== TEST 7: a server that takes no byte of a batch
--- http_config eval
main::http('127.0.0.6', 'send_timeout 300ms; delivery_timeout 60s;')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- post_setup_server_root
# more than the kernel takes without the server
Delivery::backlog(Delivery::line(1, metadata => { note => 'x' x 8_000_000 }));
--- request
GET /t
--- error_code: 204
--- check
wait_for(sub { log_lines(qr/backs off: no answer \(sending timed out\)/) },
         'an outage', 20);
is(scalar events(), 1, 'which keeps the event');
