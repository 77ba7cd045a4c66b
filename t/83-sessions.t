# TLS sessions: the second connection to an endpoint needs no full handshake, in
# either version, and a server that has forgotten them is no failure.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;

my $dir = scratch();

open STDERR_SAVED, '>&', \*STDERR;
open STDERR, '>', "$dir/openssl.log";
system('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 30,
       '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost',
       '-keyout', "$dir/key", '-out', "$dir/crt") == 0 or die 'openssl';
open STDERR, '>&', \*STDERR_SAVED;

$ENV{TEST_NGINX_CA} = "$dir/crt";


sub serve {
    my ($name, $port, @options) = @_;

    return (another_mock($name, '--cert', "$dir/crt", '--cert-key', "$dir/key",
                         @options, "127.0.0.1:$port", "unix:$dir/$name.sock"))[0];
}

$ENV{TEST_NGINX_PORT_12} = serve('tls12', 0, '--tls', '1.2');
our $port13 = $ENV{TEST_NGINX_PORT_13} = serve('tls13', 0, '--tls', '1.3');


sub tls {
    my ($name, $method, $path, %data) = @_;

    return another_mock_do(scratch() . "/$name.sock", $method, $path,
                           $method eq 'POST'
                           ? { catalog => catalog(), %data } : undef);
}


# each over a connection of its own: whether its session was resumed

sub resumed {
    my ($name, $from, $to) = @_;

    tls($name, 'POST', 'set', headers => { Connection => 'close' });

    for my $n ($from .. $to) {
        collect(click($n));
        wait_for(sub { sent() == $n }, 'delivered');
    }

    my $r = tls($name, 'GET', 'requests?catalog=' . catalog());
    return join ' ', map { $_->{resumed} ? 1 : 0 } @$r;
}

sub http {
    my ($version, $more) = @_;

    return <<"END";
    refine_catalog shop {
        organization_id org_1; catalog_id \$TEST_NGINX_CATALOG; api_key k;
        endpoint https://localhost:\$TEST_NGINX_PORT_$version/events;
        ssl_trusted_certificate \$TEST_NGINX_CA;
        queue redis://unix:\$TEST_NGINX_REDIS;
        flush_interval 20ms;
        $more
    }
    refine shop;
END
}

run_tests();

__DATA__

=== TEST 1: TLS 1.2
--- http_config eval
main::http(12, '')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(main::resumed('tls12', 1, 4), '0 1 1 1');
is(scalar log_lines(qr/backs off/), 0);



=== TEST 2: TLS 1.3, whose tickets come after the handshake
--- http_config eval
main::http(13, '')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(main::resumed('tls13', 1, 4), '0 1 1 1');
is(scalar log_lines(qr/backs off/), 0);



=== TEST 3: a server that has forgotten its sessions
--- http_config eval
main::http(13, '')
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(main::resumed('tls13', 1, 2), '0 1');
stop_process('tls13');
unlink scratch() . '/tls13.log';
is(main::serve('tls13', $main::port13, '--tls', '1.3'), $main::port13);
is(main::resumed('tls13', 3, 5), '0 1 1', 'a full handshake, then resumed');
is(scalar log_lines(qr/backs off/), 0, 'and no outage');
conserved();



=== TEST 4: a connection that is kept needs no handshake at all
--- http_config eval
main::http(12, 'max_in_flight 1;')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
for my $n (1 .. 5) {
    collect(click($n));
    wait_for(sub { sent() == $n }, 'delivered');
}
my $r = main::tls('tls12', 'GET', 'requests?catalog=' . catalog());
is(scalar unique(map { $_->{connection} } @$r), 1);
