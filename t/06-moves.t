# The queue's Redis has a name: it is asked for at each connect, so a failover that
# moves the name is followed without a reload.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;

# a name server, and a port that two addresses have for a Redis each

our (undef, $dns) = another_mock('names', '127.0.0.1:0', 'dns:127.0.0.1:0');
our ($names) = map { /:(\d+)$/ ? $1 : () }
               grep { !/^dns/ } main::lines(scratch() . '/names.log');
our $port;
while (!$port || $port == http_port() || $port == $names) {
    my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1);
    $port = $s->sockport;
}
$ENV{TEST_NGINX_DNS} = $dns;
$ENV{TEST_NGINX_PORT} = $port;

sub lines {
    open my $in, '<', $_[0] or die "$_[0]: $!";
    return map { chomp; $_ } <$in>;
}

sub server {
    my ($n) = @_;

    start_process("redis$n", [ 'redis-server', '--port', $port,
        '--bind', "127.0.0.$n", '--save', '', '--dir', scratch(),
        '--protected-mode', 'no' ]);
    return;
}

# the answer to one inline command, its first line; '' when nobody listens

sub ask {
    my ($n, $command) = @_;

    my $s = IO::Socket::INET->new("127.0.0.$n:$port") or return '';
    print {$s} "$command\r\n";
    $s->flush;
    my $line = CORE::readline($s) // '';
    $line =~ s/\r\n\z//;
    return $line;
}

sub name_is {
    another_mock_do($names, 'POST', 'dns', { 'queue.test' => $_[0] });
    return;
}

sub status_of { post('/c', encode_json(click($_[0])))->{status} }

sub length_at { ask($_[0], 'XLEN refine:{' . catalog() . '}:events') }

run_tests();

__DATA__

=== TEST 1: a name that moves to another Redis
--- http_config
    resolver 127.0.0.1:$TEST_NGINX_DNS valid=1s ipv6=off;
    refine_catalog shop {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events;
        queue redis://queue.test:$TEST_NGINX_PORT;
        flush_interval 1h;
        queue_timeout 2s;
    }
    refine shop;
--- config
    location = /c { refine_collect; }
    location = /t { return 204; }
--- post_setup_server_root
main::server(1);
main::server(2);
main::name_is(undef);
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 503);    # so that what is stored stays there
wait_for(sub { ask($_, 'PING') eq '+PONG' }, "the Redis at 127.0.0.$_") for 1, 2;
is(status_of(1), 503, 'there is no such name yet');
name_is(['127.0.0.1']);
wait_for(sub { status_of(2) == 204 }, 'it appears', 20);
is(length_at(1), ':1');
is(length_at(2), ':0');

# the old one becomes a replica, as in a failover: it refuses, and is left

name_is(['127.0.0.2']);
is(ask(1, 'REPLICAOF 127.0.0.1 1'), '+OK');
wait_for(sub { status_of(3) == 204 }, 'the new one is found', 20);
is(length_at(2), ':1');
is(length_at(1), ':1');

# nobody is there any more, and it comes back elsewhere

stop_process('redis2', 'KILL');
wait_for(sub { status_of(4) == 503 }, 'gone');
is(ask(1, 'REPLICAOF NO ONE'), '+OK');
name_is(['127.0.0.2', '127.0.0.1']);
wait_for(sub { status_of(5) == 204 }, 'the other address is tried', 20);
is(length_at(1), ':2');
stop_process('redis1', 'KILL');
