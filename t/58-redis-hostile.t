# A hostile Redis, in clear and over TLS: whatever it sends, or does not, nothing
# is answered with 204 that it has not stored, and the next connection works.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Certificate;
use Delivery;
use RedisPeer;
use Time::HiRes 'time';

certificate('ca', '');
certificate('peer', 'ca', 'IP:127.0.0.1');

$ENV{TEST_NGINX_CERTS} = my $dir = scratch();
$ENV{TEST_NGINX_PEER} = peer_path();
peer_set();

our ($relay, $port);

# the scripted Redis behind TLS, with a fault, always at the same port

sub relay {
    my ($fault) = @_;

    stop_process('relay');
    unlink "$dir/relay.log";
    $relay = start_process('relay', ['/usr/bin/python3', 't/lib/tls_relay.py',
                                     "$dir/peer.crt", "$dir/peer.key",
                                     peer_path(), $port // 0, $fault // '']);

    wait_for(sub { open(my $in, '<', "$dir/relay.log") or return;
                   ($port) = map { /^port (\d+)/ } <$in>;
                   $port }, 'the relay listens');
    return $port;
}

relay();

# catalogs "plain0", "tls0" ..., for one that has failed is tried again later
# and later

sub http {
    my ($n, $timeout) = @_;

    my %queue = (plain => 'redis://unix:$TEST_NGINX_PEER',
                 tls => "rediss://127.0.0.1:$port"
                        . ' trusted_certificate=$TEST_NGINX_CERTS/ca.crt');
    my @names = map { ("plain$_", "tls$_") } 0 .. $n - 1;

    return join '', map { <<"END" } @names;
    refine_catalog $_ {
        organization_id o; catalog_id \$TEST_NGINX_CATALOG-$_; api_key k;
        endpoint http://unix:\$TEST_NGINX_MOCK:/events;
        queue $queue{s/\d//r};
        queue_timeout @{[$timeout // '1s']}; flush_interval 1h;
    }
END
}

sub config {
    my ($n) = @_;

    return join '', "location = /t { return 204; }\n",
                    map { "location = /$_ { refine $_; refine_collect; }\n" }
                    map { ("plain$_", "tls$_") } 0 .. $n - 1;
}

our $number = 0;

sub try_one {
    post("/$_[0]", encode_json(click('t' . ++$number)))->{status};
}

sub back {
    my ($name, $what) = @_;

    return wait_for(sub { try_one($name) == 204 }, "$name: $what: back", 40);
}

# lines of one catalog, or of all

sub trouble {
    my ($name) = @_;

    $name //= '\w+';
    return log_lines(qr/\[(?:warn|error)\] .*refine: catalog "$name": (?!.* may lose)/);
}

sub bulk { '$' . length($_[0]) . "\r\n$_[0]\r\n" }
sub rows { '*' . @_ . "\r\n" . join '', @_ }

run_tests();

__DATA__

=== TEST 1: byte by byte: it is slow, not wrong
--- http_config eval: main::http(1, '5s')
--- config eval: main::config(1)
--- request
GET /t
--- error_code: 204
--- check
for my $name (qw(plain0 tls0)) {
    peer_set(map { $_ => { raw => ":0\r\n", step => 1 } } qw(script hdel info));
    back($name, 'greeted');
    peer_set(store => { step => 1, raw => rows(bulk('1'), ":1\r\n", ":0\r\n",
                                               ":9\r\n") });
    is(try_one($name), 204, "$name: stored");
    peer_set();
}
is(scalar(trouble()), 0);



=== TEST 2: an answer to a store that ends in its midst, or never
--- http_config eval: main::http(10)
--- config eval: main::config(10)
--- request
GET /t
--- error_code: 204
--- check
my %reply = (
    'in a length' => { raw => '$', close => 1 },
    'in a text' => { raw => "*4\r\n\$100\r\n1111", close => 1 },
    'in an array' => { raw => "*4\r\n\$1\r\n1\r\n:1\r\n", close => 1 },
    'before its last byte' => { raw => rows(bulk('1'), ":1\r\n", ":0\r\n", ':9')
                                       . "\r", close => 1 },
    'before it begins' => { close => 1 },
    'never' => { hang => 1 },
    'in its midst, and hangs' => { raw => "*4\r\n\$1\r\n1" },
    'not at all: a line' => { raw => 'x' x 10_000, endless => 1 },
    'not at all: a text' => { raw => "+" . 'x' x 10_000, endless => 1 },
    'not at all: answers' => { raw => "+OK\r\n" x 1000, endless => 1 },
);
for my $kind ('plain', 'tls') {
    my $n = 0;
    for my $what (sort keys %reply) {
        my $name = $kind . $n++;
        back($name, 'greeted');
        my $before = () = trouble($name);
        my $start = time;
        peer_set("store\@$name}" => $reply{$what});
        is(try_one($name), 503, "$name: ends $what");
        cmp_ok(time - $start, '<', 8, 'in time');
        is(scalar(grep { try_one($name) != 503 } 1 .. 5), 0, 'nor are others');
        peer_set();
        back($name, $what);
        cmp_ok(trouble($name) - $before, '<', 15, 'not a line for each');
    }
}



=== TEST 3: nonsense instead of a greeting
--- http_config eval: main::http(8)
--- config eval: main::config(8)
--- request
GET /t
--- error_code: 204
--- check
my %reply = (
    'HTTP' => "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    'bytes' => join('', map { chr } 0 .. 255),
    'zeros' => "\0" x 5000,
    'a hole' => "\$9999999999999\r\n",
    'an end' => { close => 1 },
    'silence' => { hang => 1 },
    'a prompt' => "-ERR \x1b[31mlogin:\r\n",
    'without end' => { raw => '*' x 10_000, endless => 1 },
);
for my $kind ('plain', 'tls') {
    my $n = 0;
    for my $what (sort keys %reply) {
        my $name = $kind . $n++;
        back($name, 'greeted');
        peer_forget();
        peer_set(script => $reply{$what}, "store\@$name}" => { close => 1 });
        is(scalar(grep { try_one($name) != 503 } 1 .. 5), 0, "$name: $what");
        wait_for(sub { peer_seen('script') }, 'was greeted so');
        is(try_one($name), 503, 'is no greeting');
        peer_set();
        back($name, $what);
    }
}
is(scalar(log_lines(qr/[^\x20-\x7e\n]/)), 0, 'nothing raw in the log');



=== TEST 4: the stream below TLS is cut, or carries something else
--- http_config eval: main::http(1, '30s')
--- config eval: main::config(1)
--- request
GET /t
--- error_code: 204
--- check
for my $fault (qw(truncate noise)) {
    relay($fault);
    back('tls0', $fault);
    my $before = () = log_lines(qr/"tls0": redis \S+ is down: /);
    peer_set(store => "*4\r\n\$1\r\n");
    peer_forget();
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        POSIX::_exit(try_one('tls0') == 503 ? 0 : 1);
    }
    wait_for(sub { peer_seen('store') }, 'under way');
    kill 'USR1', $::relay;
    waitpid $pid, 0;
    is($?, 0, "$fault: 503 long before queue_timeout");
    wait_for(sub { log_lines(qr/"tls0": redis \S+ is down: /) > $before },
             "$fault: told");
    is(scalar(log_lines(qr/"tls0": .*timed out/)), 0);
    peer_set();
    back('tls0', $fault);
}
relay();
back('tls0', 'sound');



=== TEST 5: no handshake
--- http_config eval: main::http(4)
--- config eval: main::config(4)
--- request
GET /t
--- error_code: 204
--- check
my $n = 0;
for my $fault (qw(close garbage half hang)) {
    my $name = 'tls' . $n++;
    back($name, 'sound');
    relay($fault);
    is(scalar(grep { try_one($name) != 503 } 1 .. 50), 0, "$fault: 503");
    my $before = () = trouble($name);
    wait_for(sub { log_lines(qr/"$name": redis \S+ is down: /) }, 'told', 40);
    is(scalar(grep { try_one($name) != 503 } 1 .. 50), 0, "$fault: 503");
    cmp_ok(trouble($name) - $before, '<=', 2, 'no flood');
    relay();
    back($name, $fault);
}
is(try_one('plain0'), 204, 'the other one never noticed');



=== TEST 6: an answer that belongs to another store
--- http_config eval: main::http(1, '5s')
--- config eval: main::config(1)
--- request
GET /t
--- error_code: 204
--- check
for my $name (qw(plain0 tls0)) {
    back($name, 'greeted');
    peer_forget();
    peer_set(store => { raw => rows(bulk('11'), ":2\r\n", ":0\r\n", ":9\r\n") });
    is(try_one($name), 503, "$name: not taken for its own");
    is(scalar(log_lines(qr/"$name": redis .* is down: unexpected reply/)), 1);
    peer_set();
    back($name, 'on another connection');
    my @stores = grep { $_->[1] eq 'store' } peer_seen();
    isnt($stores[-1][0], $stores[0][0]);
}
