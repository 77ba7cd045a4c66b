# The endpoint over TLS: what is verified, and what is refused.  A CA and its
# certificates are made for the run.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Certificate;
use Delivery;

my $dir = scratch();


# a mock of its own for each certificate; its port becomes
# $TEST_NGINX_PORT_NAME

sub serve_tls {
    my ($name) = @_;

    my ($port) = another_mock("mock_$name", '--cert', "$dir/$name.crt",
                              '--cert-key', "$dir/$name.key", '127.0.0.1:0',
                              "unix:$dir/$name.sock");

    $ENV{'TEST_NGINX_PORT_' . uc $name} = $port;
    return;
}

certificate('ca', '');
certificate('good', 'ca', 'DNS:localhost');
certificate('other', 'ca', 'DNS:other.example');
certificate('expired', 'ca', 'DNS:localhost', -1);
certificate('self', '', 'DNS:localhost');

serve_tls($_) for qw(good other expired self);
$ENV{TEST_NGINX_CA} = "$dir/ca.crt";


# a catalog whose endpoint is the server with this certificate

sub http {
    my ($name, $more) = @_;

    return <<"END";
    refine_catalog shop {
        organization_id org_1; catalog_id \$TEST_NGINX_CATALOG; api_key k;
        endpoint https://localhost:\$TEST_NGINX_PORT_@{[uc $name]}/events;
        ssl_trusted_certificate \$TEST_NGINX_CA;
        queue redis://unix:\$TEST_NGINX_REDIS;
        flush_interval 50ms;
        $more
    }
    refine shop;
END
}


sub refused {
    my ($reason) = @_;

    collect(click(1));
    wait_for(sub { log_lines(qr/backs off: no answer \(/) }, 'refused');
    my ($line) = log_lines(qr/backs off: no answer \(/);
    like($line, $reason, 'the line says why');
    is(scalar events(), 1, 'the event stays');
    is(sent(), 0);
    return;
}

run_tests();

__DATA__

=== TEST 1: a good certificate
--- http_config eval
main::http('good', '')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { sent() == 1 }, 'delivered');
collect(click(2));
wait_for(sub { sent() == 2 }, 'delivered');
is(scalar log_lines(qr/backs off/), 0);



=== TEST 2: of another host
--- http_config eval
main::http('other', '')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
refused(qr/certificate/);



=== TEST 3: of another host, whose name is configured
--- http_config eval
main::http('other', 'ssl_name other.example;')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { sent() == 1 }, 'delivered');



=== TEST 4: expired
--- http_config eval
main::http('expired', '')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
refused(qr/certificate/);



=== TEST 5: self-signed
--- http_config eval
main::http('self', '')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
refused(qr/certificate/);



=== TEST 6: self-signed, and not verified
--- http_config eval
main::http('self', 'ssl_verify off;')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { sent() == 1 }, 'delivered');



=== TEST 7: a name that the CA did not certify is refused by ssl_name as well
--- http_config eval
main::http('good', 'ssl_name other.example;')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
refused(qr/certificate/);



=== TEST 8: sessions are resumed, a kept connection that was reset is replaced
--- http_config eval
main::http('good', '')
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $n = 0;
for my $told ([headers => { Connection => 'close' }], [], [stale => 'reset'],
              [stale => 'close'], [])
{
    another_mock_do(scratch() . '/good.sock', 'POST', 'set',
                    { catalog => catalog(), times => 1, @$told });
    collect(click(++$n));
    wait_for(sub { sent() == $n }, 'delivered');
}
my @r = @{ another_mock_do(scratch() . '/good.sock', 'GET',
                           'requests?catalog=' . catalog()) };
is(join(' ', map { $_->{resumed} ? 1 : 0 } @r), '0 1 1 1 1');
is(scalar unique(map { $_->{connection} } @r), 4, 'connections');
is(scalar log_lines(qr/backs off/), 0);
