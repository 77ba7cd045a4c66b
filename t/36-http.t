# What an endpoint may do with a POST: each odd answer is a success or an outage
# by the table of design.md, nothing is lost, and nothing is sent again that was
# answered with 2xx.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Time::HiRes 'time';
use feature 'state';

# one server at three addresses of the same port, a name server, nobody at
# 127.0.0.9

our ($plain, $dns) = another_mock('plain', '127.0.0.1:0', 'dns:127.0.0.1:0');
another_mock('plain2', "127.0.0.2:$plain");
another_mock('plain3', "127.0.0.3:$plain");
$ENV{TEST_NGINX_PLAIN} = $plain;
$ENV{TEST_NGINX_DNS} = $dns;


sub plain_set {
    another_mock_do($plain, 'POST', 'set', { catalog => catalog(), @_ });
    return;
}

sub plain {
    return @{ another_mock_do($plain, 'GET', 'requests?catalog=' . catalog()) };
}


# an event that is delivered by the answer that is told

sub passes {
    my ($what, %rule) = @_;

    state $n = 100;
    my ($posts, $sent) = (scalar(() = mock()), sent());
    my $lines = () = log_lines(qr/backs off|is held/);
    mock_set(times => 1, %rule);
    collect(click(++$n));
    wait_for(sub { sent() == $sent + 1 }, "$what: delivered");
    is(scalar(() = mock()), $posts + 1, "$what: in one POST");
    is(scalar log_lines(qr/backs off|is held/), $lines, "$what: no outage");
    return;
}


# one that is an outage for this reason, and delivered by the next POST

sub fails {
    my ($what, $reason, %rule) = @_;

    state $n = 200;
    my ($posts, $sent) = (scalar(() = mock()), sent());
    my $lines = () = log_lines(qr/backs off/);
    mock_set(times => 1, %rule);
    collect(click(++$n));
    wait_for(sub { log_lines(qr/backs off/) > $lines }, "$what: an outage");
    like((log_lines(qr/backs off/))[-1], qr/no answer \($reason/,
         "$what: $reason");
    wait_for(sub { control('resume'); sent() == $sent + 1 },
             "$what: delivered by another POST");
    my @r = (mock())[$posts .. $posts + 1];
    is($r[0]{headers}{'Idempotency-Key'}, $r[1]{headers}{'Idempotency-Key'},
       "$what: the same batch");
    is(scalar(() = mock()), $posts + 2, "$what: and no more");
    return;
}

run_tests();

__DATA__

=== TEST 1: answers of every shape
--- catalog
    flush_interval 20ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
passes('plain');
passes('chunks with extensions and trailers', keep => 1, pause => 0.02,
       raw => ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\n",
               "hel", "lo\r\n6\r", "\n world\r\n0\r\nT: 1\r\n", "\r\n"]);
passes('after the chunks');
passes('204', raw => "HTTP/1.1 204 No\r\n\r\n", keep => 1);
passes('no reason, no body',
       raw => "HTTP/1.1 202\r\nContent-Length: 0\r\n\r\n", keep => 1);
passes('byte by byte', pause => 0.002, keep => 1,
       raw => [split //, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]);
passes('100 and 103 before', pause => 0.02, keep => 1,
       raw => ["HTTP/1.1 100 Continue\r\n\r\n",
               "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
               "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
my %connections = map { $_->{connection} => 1 } mock();
is(scalar keys %connections, 1, 'all over one connection');
passes('until the connection ends', pause => 0.02,
       raw => ["HTTP/1.1 200 OK\r\n\r\n", "until ", "close"]);
passes('HTTP/1.0', raw => "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
passes('Connection: close', headers => { Connection => 'close' });
passes('a body of 3 MB', body => 'y' x 3_000_000);
passes('more than the answer',
       raw => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 No\r\n");
passes('plain again');
is(scalar dead(), 0);
conserved();



=== TEST 2: what is no answer
--- catalog
    flush_interval 20ms;
    delivery_timeout 1s;
    max_retries 9;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
passes('up');
my $ok = "HTTP/1.1 200 OK\r\n";
fails('garbage', 'not an HTTP/1.x response', raw => "\0\1garbage");
fails('HTTP/0.9', 'not an HTTP/1.x response', raw => "<p>200 OK</p>");
fails('HTTP/2', 'not an HTTP/1.x response', raw => "HTTP/2 200\r\n\r\n");
fails('a status line cut off', 'response is cut off', raw => "HTTP/1.1 2");
fails('a header cut off', 'response is cut off', raw => "${ok}Content-Le");
fails('a body cut off', 'response is cut off',
      raw => "${ok}Content-Length: 100\r\n\r\nxxx");
fails('a chunk cut off', 'response is cut off',
      raw => "${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nab");
fails('no last chunk', 'response is cut off',
      raw => "${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
fails('a broken chunk', 'invalid chunk',
      raw => "${ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n");
fails('two lengths', 'invalid Content-Length',
      raw => "${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab");
fails('101', 'unexpected status',
      raw => "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n");
fails('100 alone', 'response is cut off',
      raw => "HTTP/1.1 100 Continue\r\n\r\n");
fails('huge headers', 'too large header', raw => $ok . "X: y\r\n" x 20_000);
fails('a huge header', 'too large header', raw => $ok . 'X: ' . 'y' x 100_000);
passes('closing', headers => { Connection => 'close' });
fails('nothing', 'closed by peer', drop => 1);
my $start = time;
fails('a byte at a time for ever', 'timed out', pause => 0.3,
      raw => ["${ok}Content-Length: 100\r\n\r\n", ('x') x 5]);
fails('headers for ever', 'timed out', pause => 0.3,
      raw => [$ok, ("X: y\r\n") x 5]);
fails('silence', 'timed out', pause => 1.5, raw => ['', '']);
my $seconds = time - $start;
ok($seconds > 2.7 && $seconds < 8, "each ended by delivery_timeout: $seconds");
is(scalar dead(), 0);
is(scalar log_lines(qr/has recovered/), scalar log_lines(qr/backs off/));
conserved();



=== TEST 3: over TCP: kept connections that the server has closed
--- http_config
    refine_catalog shop {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG; api_key k;
        endpoint http://127.0.0.1:$TEST_NGINX_PLAIN/events;
        queue redis://unix:$TEST_NGINX_REDIS;
        flush_interval 20ms;
    }
    refine shop;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $n = 0;
for my $told ([], [], [stale => 'close'], [], [stale => 'reset'], [],
              [raw => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], [])
{
    plain_set(@$told, times => 1);
    collect(click(++$n));
    wait_for(sub { sent() == $n }, "delivered: @$told");
}
my ($last, $i) = (0, -1);
is(join(' ', map { $i += $_ != $last; $last = $_; $i }
             map { $_->{connection} } plain()),
   '0 0 0 1 1 2 2 3', 'another connection, at once, where one had ended');
is(scalar log_lines(qr/backs off/), 0, 'and no outage');
plain_set(stale => 'close', times => 1);
collect(click(++$n));
wait_for(sub { sent() == $n }, 'delivered');
plain_set(drop => 1, times => 1);
collect(click(++$n));
wait_for(sub { log_lines(qr/backs off: no answer \(closed by peer/) },
         'the second time it is an outage');
wait_for(sub { control('resume'); sent() == $n }, 'delivered');
is(scalar(() = plain()), $n + 1, 'each event once, but for the dropped one');
conserved();



=== TEST 4: an answer before the request was read
--- http_config
    refine_catalog shop {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG; api_key k;
        endpoint http://127.0.0.1:$TEST_NGINX_PLAIN/early;
        queue redis://unix:$TEST_NGINX_REDIS;
        flush_interval 1h;
    }
    refine shop;
--- config
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
backlog(map { line($_, metadata => { note => 'x' x 4000 }) } 1 .. 100);
plain_set(early => 1, path => '/early', status => 503, times => 1, delay => 1);
flush_now();
wait_for(sub { log_lines(qr/backs off/) }, 'an outage');
like((log_lines(qr/backs off/))[0], qr/Refine answered 503|connection reset/);
wait_for(sub { control('resume'); sent() == 100 }, 'delivered');
conserved();



=== TEST 5: the first address is dead, the next one is tried
--- http_config
    resolver 127.0.0.1:$TEST_NGINX_DNS ipv6=off;
    refine_catalog shop {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG; api_key k;
        endpoint http://two.test:$TEST_NGINX_PLAIN/events;
        queue redis://unix:$TEST_NGINX_REDIS;
        flush_interval 20ms;
    }
    refine shop;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
another_mock_do($plain, 'POST', 'dns',
                { 'two.test' => ['127.0.0.9', '127.0.0.1'] });
plain_set(headers => { Connection => 'close' });
for my $n (1 .. 12) {
    collect(click($n));
    wait_for(sub { sent() == $n }, 'delivered');
}
is(scalar log_lines(qr/backs off/), 0, 'in whatever order they come');
is((plain())[0]{headers}{Host}, "two.test:$plain");



=== TEST 6: a name that appears, and then moves
--- http_config
    resolver 127.0.0.1:$TEST_NGINX_DNS valid=1s ipv6=off;
    refine_catalog shop {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG; api_key k;
        endpoint http://moves.test:$TEST_NGINX_PLAIN/events;
        queue redis://unix:$TEST_NGINX_REDIS;
        flush_interval 20ms;
    }
    refine shop;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- post_setup_server_root
main::another_mock_do($main::plain, 'POST', 'dns',
                      { 'moves.test' => undef });
--- request
GET /t
--- error_code: 204
--- check
my $n = 1;
collect(click($n));
wait_for(sub { log_lines(qr/backs off: no answer \(host not found/) },
         'no such name');
another_mock_do($plain, 'POST', 'dns', { 'moves.test' => ['127.0.0.1'] });
plain_set(headers => { Connection => 'close' });
wait_for(sub { control('resume'); sent() == 1 }, 'it appears');
another_mock_do($plain, 'POST', 'dns', { 'moves.test' => ['127.0.0.3'] });
wait_for(sub {
    my $seen = () = plain();
    collect(click(++$n));
    wait_for(sub { sent() == $n }, 'delivered');
    return $seen == plain();
}, 'and is followed without a reload');
is(scalar log_lines(qr/backs off/), 1);



=== TEST 7: all that is wrong with the way to the endpoint
--- http_config
    refine_catalog shop {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG; api_key k;
        endpoint http://127.0.0.9:$TEST_NGINX_PLAIN/events;
        queue redis://unix:$TEST_NGINX_REDIS;
        flush_interval 20ms;
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
wait_for(sub { log_lines(qr/backs off: no answer \(connection refused\)/) },
         'refused');
collect(click(2));
is(scalar events(), 2, 'kept');
is(scalar log_lines(qr/\[error\]/), 0, 'one line, and no error of the core');
