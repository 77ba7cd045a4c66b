# rediss://: a real Redis with TLS, its certificate verified, and what the log
# says when it is not.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Certificate;
use Delivery;
use IO::Socket::INET;

certificate('ca', '');
certificate('other_ca', '');
certificate('right', 'ca', 'DNS:localhost,DNS:redis.example,IP:127.0.0.1');
certificate('wrong', 'ca', 'DNS:other.example,IP:127.0.0.9');
certificate('expired', 'ca', 'DNS:localhost,IP:127.0.0.1', -1);
certificate('self', '', 'DNS:localhost,IP:127.0.0.1');
certificate('client', 'ca', 'DNS:nginx');
certificate('stranger', 'other_ca', 'DNS:nginx');

$ENV{TEST_NGINX_CERTS} = my $dir = scratch();

sub free_port {
    IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)->sockport;
}

our $port = free_port();

sub redis_tls {
    redis_stop();
    redis_start('--tls-port', $port, '--bind', '127.0.0.1',
                '--tls-ca-cert-file', "$dir/ca.crt",
                '--tls-cert-file', "$dir/$_[0].crt",
                '--tls-key-file', "$dir/$_[0].key",
                '--tls-auth-clients', $_[1] // 'no', @_[2 .. $#_]);
    return;
}

# from now on Redis shows this certificate, and wants one of its clients, or not

sub show {
    my ($name, $clients) = @_;

    my $answer = redis('CONFIG', 'SET', 'tls-cert-file', "$dir/$name.crt",
                       'tls-key-file', "$dir/$name.key",
                       'tls-auth-clients', $clients // 'no');
    die "Redis does not show $name: $answer" if $answer ne 'OK';
    redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    return;
}

# --- shows       what it shows when nginx starts: see show()
# --- before      Perl that runs before it starts

add_block_preprocessor(sub {
    my ($block) = @_;

    show(split ' ', $block->shows // 'right');
    eval $block->before . '; 1' or die $@ if defined $block->before;
});

# a block's catalogs, by their queues

sub http {
    my (%queue) = @_;

    return join '', map { <<"END" } sort keys %queue;
    refine_catalog $_ {
        organization_id org_1; catalog_id \$TEST_NGINX_CATALOG-$_; api_key k;
        endpoint http://unix:\$TEST_NGINX_MOCK:/events;
        queue $queue{$_}; flush_interval 1h;
    }
END
}

sub config {
    return join '', "location = /s { refine_status; }\n",
                    "location = /t { return 204; }\n",
                    map { "location = /$_ { refine $_; refine_collect; }\n" }
                        @_;
}

our $CA = 'trusted_certificate=$TEST_NGINX_CERTS/ca.crt';

our $number = 0;

sub try_one { post("/$_[0]", encode_json(click('t' . ++$number)))->{status} }

sub works {
    my ($name) = @_;

    return wait_for(sub { try_one($name) == 204 }, "$name: stored", 40);
}

sub trouble { log_lines(qr/\[(?:warn|error)\] .*refine: (?!.* may lose)/) }

# nothing is stored, the log says why, and that not often

sub refused {
    my ($name, $reason) = @_;

    wait_for(sub { log_lines(qr/refine: catalog "$name": .*$reason/) },
             "$name: told", 40);
    my $before = () = trouble();
    is(scalar(grep { try_one($name) != 503 } 1 .. 50), 0, "$name: 503");
    cmp_ok(trouble() - $before, '<=', 1, "$name: no flood");
    return;
}

# ends TLS in front of this Redis; the lines it prints are of tls_relay.py

sub relay {
    my ($name) = @_;

    stop_process('relay');
    unlink "$dir/relay.log";
    start_process('relay', ['/usr/bin/python3', 't/lib/tls_relay.py',
                            "$dir/$name.crt", "$dir/$name.key", redis_path()]);

    my $listens;
    wait_for(sub { ($listens) = map { /^port (\d+)/ } relayed() }, 'relay');
    return $listens;
}

sub relayed {
    open my $in, '<', "$dir/relay.log" or return;
    chomp(my @lines = <$in>);
    return @lines;
}

redis_tls('right');

{
    open my $out, '>', "$dir/password" or die $!;
    print $out "p\@ss word\n";
    close $out;
    chmod 0600, "$dir/password";
}

run_tests();

__DATA__

=== TEST 1: the address, the name and another name are verified
--- http_config eval
main::http(address => "rediss://127.0.0.1:$::port $::CA",
           name => "REDISS://localhost:$::port/2 $::CA",
           other => "rediss://127.0.0.1:$::port $::CA name=redis.example")
--- config eval
main::config(qw(address name other))
--- request
GET /t
--- error_code: 204
--- check
works($_) for qw(address name other);
my $catalog = catalog();
is(redis('XLEN', "refine:{$catalog-address}:events"), 1);
redis('SELECT', 2);
is(redis('XLEN', "refine:{$catalog-name}:events"), 1, 'in its database');
redis('SELECT', 0);
is(decode_json(get('/s')->{body})->{catalogs}{address}{redis}{state}, 'up');



=== TEST 2: a certificate for something else
--- http_config eval
main::http(address => "rediss://127.0.0.1:$::port $::CA")
--- config eval
main::config('address')
--- shows: wrong
--- request
GET /t
--- error_code: 204
--- check
refused('address', qr/is down: certificate is for another name/);
show('right');
works('address');
is(scalar(log_lines(qr/\[warn\] .* is up$/)), 1, 'told');



=== TEST 3: for something else: a name instead of an address
--- http_config eval
main::http(name => "rediss://localhost:$::port $::CA")
--- config eval
main::config('name')
--- shows: wrong
--- request
GET /t
--- error_code: 204
--- check
refused('name', qr/is down: certificate is for another name/);



=== TEST 4: name= is what counts, an address as well
--- http_config eval
main::http(right => "rediss://localhost:$::port $::CA name=127.0.0.9",
           named => "rediss://localhost:$::port $::CA name=other.example",
           address => "rediss://127.0.0.1:$::port $::CA name=localhost")
--- config eval
main::config(qw(right named address))
--- shows: wrong
--- request
GET /t
--- error_code: 204
--- check
works($_) for qw(right named);
refused('address', qr/is down: certificate is for another name/);



=== TEST 5: expired
--- http_config eval
main::http(expired => "rediss://127.0.0.1:$::port $::CA")
--- config eval
main::config('expired')
--- shows: expired
--- request
GET /t
--- error_code: 204
--- check
refused('expired', qr/is down: certificate has expired/);



=== TEST 6: self-signed
--- http_config eval
main::http(self => "rediss://127.0.0.1:$::port $::CA")
--- config eval
main::config('self')
--- shows: self
--- request
GET /t
--- error_code: 204
--- check
refused('self', qr/is down: certificate is self-signed/);



=== TEST 7: self-signed and trusted; without trusted_certificate= by nobody
--- http_config eval
main::http(trusted => "rediss://127.0.0.1:$::port"
                      . ' trusted_certificate=$TEST_NGINX_CERTS/self.crt',
           system => "rediss://127.0.0.1:$::port")
--- config eval
main::config('trusted', 'system')
--- shows: self
--- request
GET /t
--- error_code: 204
--- check
works('trusted');
refused('system', qr/is down: certificate is (?:self-signed|not signed)/);



=== TEST 8: a client certificate: right, missing, of a stranger
--- http_config eval
my $keys = sub { "certificate=\$TEST_NGINX_CERTS/$_[0].crt "
                 . "certificate_key=\$TEST_NGINX_CERTS/$_[0].key" };
main::http(right => "rediss://127.0.0.1:$::port $::CA " . $keys->('client'),
           missing => "rediss://127.0.0.1:$::port $::CA",
           stranger => "rediss://127.0.0.1:$::port $::CA "
                       . $keys->('stranger'))
--- config eval
main::config(qw(right missing stranger))
--- shows: right yes
--- request
GET /t
--- error_code: 204
--- check
works('right');
for my $name (qw(missing stranger)) {
    is(scalar(grep { try_one($name) != 503 } 1 .. 50), 0, "$name: 503");
}
wait_for(sub { log_lines(qr/TLS refused: a client certificate is required/) },
         'what is missing is told', 40);
wait_for(sub { log_lines(qr/TLS refused: the client certificate is not acc/) },
         'what is not accepted is told', 40);
cmp_ok(scalar(log_lines(qr/\[(?:warn|error)\] .*refine: (?!.* may lose)/)), '<=', 8,
       'no flood');
show('right');
works($_) for qw(missing stranger);



=== TEST 9: Redis is restarted, with another certificate
--- http_config eval
main::http(one => "rediss://127.0.0.1:$::port $::CA")
--- config eval
main::config('one')
--- request
GET /t
--- error_code: 204
--- check
works('one');
redis_tls('self');
refused('one', qr/is down: certificate is self-signed/);
redis_tls('right');
works('one');



=== TEST 10: the scheme is the wrong one
--- http_config eval
$::plain = main::free_port();
main::http(plain => "redis://127.0.0.1:$::port",
           tls => "rediss://127.0.0.1:$::plain $::CA")
--- config eval
main::config('plain', 'tls')
--- before
redis_tls('right', 'no', '--port', $::plain);
--- request
GET /t
--- error_code: 204
--- check
wait_for(sub { log_lines(qr/127\.0\.0\.1:$::port is down: closed before an answ/
                         . qr/er, does it want TLS \(rediss:..\)\?/) },
         'TLS without rediss://', 40);
wait_for(sub { log_lines(qr/127\.0\.0\.1:$::plain is down: TLS handshake/) },
         'rediss:// without TLS', 40);
is(scalar(grep { try_one('plain') != 503 } 1 .. 50), 0);
is(scalar(grep { try_one('tls') != 503 } 1 .. 50), 0);
cmp_ok(scalar(log_lines(qr/\[(?:warn|error)\] .*refine: (?!.* may lose)/)), '<=', 5,
       'no flood');
redis_tls('right');



=== TEST 11: a user of its own, the password from a file
--- http_config eval
main::http(user => "rediss://shop\@127.0.0.1:$::port $::CA "
                   . 'password=file:$TEST_NGINX_CERTS/password')
--- config eval
main::config('user')
--- request
GET /t
--- error_code: 204
--- check
redis('ACL', 'SETUSER', 'shop', 'on', '>wrong', '~refine:*', '+@all');
refused('user', qr/is down: WRONGPASS/);
redis('ACL', 'SETUSER', 'shop', '<wrong', '>p@ss word');
works('user');
is(scalar(log_lines(qr/p\@ss/)), 0, 'no password in the log');
redis('ACL', 'DELUSER', 'shop');



=== TEST 12: a wrong password, then a right that may not do all
--- http_config eval
main::http(one => "rediss://shop:p%40ss\@127.0.0.1:$::port $::CA")
--- config eval
main::config('one')
--- before
main::redis('ACL', 'SETUSER', 'shop', 'on', '>other', '~refine:*', '+@all');
--- request
GET /t
--- error_code: 204
--- check
refused('one', qr/is down: WRONGPASS/);
redis('ACL', 'SETUSER', 'shop', '<other', '>p@ss', '-script');
wait_for(sub { log_lines(qr/is down: NOPERM/) }, 'NOPERM is told', 40);
is(try_one('one'), 503);
redis('ACL', 'SETUSER', 'shop', '+script', '-xadd');
wait_for(sub { try_one('one');
               log_lines(qr/refuses to store .*(?:NOPERM|can't run this|ACL failure)/) },
         'so is a command that a script may not run', 40);
redis('ACL', 'SETUSER', 'shop', '+xadd');
works('one');
redis('ACL', 'DELUSER', 'shop');
refused('one', qr/is down: (?:closed|WRONGPASS|connection reset)/);
redis('ACL', 'SETUSER', 'shop', 'on', '>p@ss', '~refine:*', '+@all');
works('one');
is(scalar(log_lines(qr/p\@ss|p%40ss/)), 0, 'no password in the log');
redis('ACL', 'DELUSER', 'shop');



=== TEST 13: a password is wanted and none is configured
--- http_config eval
main::http(one => "rediss://127.0.0.1:$::port $::CA")
--- config eval
main::config('one')
--- before
redis('CONFIG', 'SET', 'requirepass', 'secret');
--- request
GET /t
--- error_code: 204
--- check
wait_for(sub { log_lines(qr/is down: NOAUTH/) }, 'NOAUTH is told', 40);
is(scalar(grep { try_one('one') != 503 } 1 .. 50), 0);
redis('AUTH', 'secret');
redis('CONFIG', 'SET', 'requirepass', '');
works('one');



=== TEST 14: the name of SNI, none for an address; sessions are resumed
--- http_config eval
$::relay = main::relay('right');
main::http(name => "rediss://localhost:$::relay $::CA",
           other => "rediss://127.0.0.1:$::relay $::CA name=redis.example",
           address => "rediss://127.0.0.1:$::relay $::CA")
--- config eval
main::config(qw(name other address))
--- request
GET /t
--- error_code: 204
--- check
my %names = (name => 'localhost', other => 'redis.example', address => 'None');
works($_) for keys %names;
for my $sni (values %names) {
    is(scalar(grep { $_ eq "resumed 0 name $sni" } relayed()), 1, "SNI: $sni");
}
redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
works($_) for keys %names;
for my $sni (values %names) {
    wait_for(sub { grep { $_ eq "resumed 1 name $sni" } relayed() },
             "resumed: $sni");
}
is(scalar(grep { /^resumed 0/ } relayed()), 3, 'each full handshake once');



=== TEST 15: connections are killed, then Redis; more than a TLS record
--- http_config eval
main::http(one => "rediss://127.0.0.1:$::port $::CA")
--- config eval
main::config('one')
--- request
GET /t
--- error_code: 204
--- check
works('one');
for (1 .. 3) {
    redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    try_one('one') for 1 .. 20;
    works('one');
}
redis_kill();
refused('one', qr/is down: /);
redis_tls('right');
works('one');
my @big = map { click("big$_", page => 'https://shop.example/' . 'x' x 2000) }
              1 .. 30;
is(post('/one', encode_json(\@big))->{status}, 204, 'more than a TLS record');
