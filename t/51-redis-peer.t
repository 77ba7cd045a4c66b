# What other versions of Redis answer, and what none should: by a scripted one.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use RedisPeer;

our $CONFIG = <<'END';
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /s { refine_status; }
    location = /t { return 204; }
END

# the status of a POST with one click

sub try_one {
    our $number;
    post('/refine/collect', encode_json(click('t' . ++$number)))->{status};
}

sub trouble { log_lines(qr/\[(?:warn|error)\] .*refine: /) }

sub bulk { '$' . length($_[0]) . "\r\n$_[0]\r\n" }
sub rows { '*' . @_ . "\r\n" . join '', @_ }
sub entry { rows(bulk("$_[0]-0"), rows(bulk('e'), bulk(line($_[0])))) }
sub stream { rows(rows(bulk('events'), rows(@_))) }

sub wrapped {
    my ($text) = @_;

    return '-ERR Error running script (call to f_a2c6c1bdba3e1a3b6d5f3ca1c3de'
           . '5b5a8fd6bb1c): @user_script:13: @user_script: 13: -' . $text
           . " \r\n";
}

sub durable {
    my ($value) = get('/s')->{body} =~ /"durable":(\w+)/;

    return $value;
}

# how it answers after the worker has connected anew

sub again {
    my (%rules) = @_;

    peer_set(%rules, store => { close => 1 });
    peer_forget();
    is(try_one(), 503, 'the connection is lost');
    peer_set(%rules);
    back();
    wait_for(sub { peer_seen('info') >= 2 }, 'asked');
    return;
}

sub back { wait_for(sub { try_one() == 204 }, 'back', 15) }

run_tests();

__DATA__

=== TEST 1: AUTH with user and password, SELECT, the scripts
--- peer
    flush_interval 1h;
--- peer_url: shop:p%40ss@%s:/3
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
my ($new) = map { $_->[0] } peer_seen('auth');
my @seen = grep { $_->[0] == $new } peer_seen();
is_deeply([@{ $seen[0] }[1 .. 3]], ['auth', 'shop', 'p@ss']);
is_deeply([@{ $seen[1] }[1 .. 2]], ['select', '3']);
my ($after) = grep { $seen[$_][1] ne 'script' } 2 .. $#seen;
cmp_ok($after, '>', 10, 'loaded');
is($seen[$after][1], 'hdel', 'a write that changes nothing');



=== TEST 2: Redis 6.2 takes over: two elements, nil for what was deleted
--- peer
    flush_interval 50ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my $nothing = rows(bulk('0-0'), rows());
peer_set(
    attempts => [rows(":3\r\n", ":0\r\n", ":1\r\n")],
    xautoclaim => [
        rows(bulk('5-0'), rows()),
        rows(bulk('0-0'),
             rows(entry(1), "*-1\r\n", entry(2), "\$-1\r\n", entry(3))),
        rows(bulk('0-0'), rows("*-1\r\n", "*-1\r\n")),
        $nothing,
    ]);
wait_for(sub { delivered() == 2 }, 'delivered');
is_deeply([sort(delivered())], ['e1', 'e3'],
          'not what another one holds by now');
wait_for(sub { peer_seen('ack') }, 'acknowledged');
my ($ack) = peer_seen('ack');
is_deeply([@{ $ack }[6, 8]], ['1-0', '3-0']);
wait_for(sub { peer_seen('clean') == 2 }, 'the deleted ones are removed');
my @claims = peer_seen('xautoclaim');
is($claims[0][6], '0-0');
my ($second) = grep { $claims[$_][6] eq '5-0' } 0 .. $#claims;
ok(defined $second, 'goes on from the cursor');
is(scalar(trouble()), 0);



=== TEST 3: a group that is gone, in the words of 6.2
--- peer
    flush_interval 50ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my $nogroup = "NOGROUP No such key 'refine:{c}:events' or consumer group "
              . "'refine'";
peer_set(xautoclaim => "-$nogroup\r\n",
         xgroup => ["+OK\r\n", "-BUSYGROUP Consumer Group name already "
                               . "exists\r\n"],
         xreadgroup => ["-$nogroup\r\n", stream(entry(1)), "-$nogroup\r\n",
                        stream(entry(2)), "*-1\r\n"]);
wait_for(sub { delivered() == 2 }, 'delivered');
is(join(' ', map { "@$_[2 .. 6]" =~ s/\S+:events/KEY/r } peer_seen('xgroup')),
   join(' ', ('CREATE KEY refine 0 MKSTREAM') x 2),
   'made anew, or by another worker');
is(scalar(trouble()), 0);



=== TEST 4: and one that stays away
--- peer
    flush_interval 50ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
peer_set(xreadgroup => "-NOGROUP No such key\r\n");
wait_for(sub { peer_seen('xreadgroup') >= 10 }, 'asked for again');
cmp_ok(scalar(peer_seen('xgroup')), '<=',
       scalar(peer_seen('xreadgroup')) / 2 + 1, 'made once in each claim');
is(scalar(() = mock()), 0);



=== TEST 5: Redis goes away between two parts of a claim
--- peer
    flush_interval 50ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
peer_set(xreadgroup => [stream(map { entry($_) } 1 .. 16), { close => 1 },
                        "*-1\r\n"]);
wait_for(sub { delivered() == 16 }, 'what came in the first is delivered');
wait_for(sub { peer_seen('ack') }, 'and acknowledged');
my ($more) = grep { $_->[6] != 16 } peer_seen('xreadgroup');
is($more->[6], 256, 'many are asked for once it is known how long they are');



=== TEST 6: refusals in the words of 6.2 and of 7: no line for each request
--- peer
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
for my $text ("OOM command not allowed when used memory > 'maxmemory'.",
              'MISCONF Redis is configured to save RDB snapshots, but it is '
              . 'currently unable to persist to disk.',
              'NOREPLICAS Not enough good replicas to write.')
{
    my ($name) = $text =~ /^(\w+)/;
    peer_forget();
    peer_set(store => [wrapped($text), "-$text\r\n", wrapped($text)]);
    is(scalar(grep { try_one() != 503 } 1 .. 30), 0, "503 at $name");
    is(scalar(peer_seen('hdel')), 0, 'the connection is kept');
    peer_set();
    is(try_one(), 204, 'back at once');
}
is(scalar(trouble()), 1, 'one line');
like((trouble())[0], qr/refuses to store .*OOM command not allowed/);



=== TEST 7: a Redis that cannot serve is left, tried again, and not flooded
--- peer
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
my %text = (
    READONLY => "READONLY You can't write against a read only replica.",
    LOADING => 'LOADING Redis is loading the dataset in memory',
    NOAUTH => 'NOAUTH Authentication required.',
    MASTERDOWN => 'MASTERDOWN Link with MASTER is down.',
    MOVED => 'MOVED 3999 127.0.0.1:6381',
);
for my $name (sort keys %text) {
    my $before = () = trouble();
    my $plain = "-$text{$name}\r\n";
    peer_forget();
    peer_set(store => wrapped($text{$name}), script => $plain,
             hdel => $plain);
    is(scalar(grep { try_one() != 503 } 1 .. 200), 0, "503 at $name");
    is(scalar(trouble()) - $before, 1, 'one line');
    like((trouble())[-1], qr/is down: .*$name /);
    cmp_ok(scalar(peer_seen('store')), '<=', 1, 'asked once');
    cmp_ok(scalar(peer_seen('script')), '<', 200, 'no storm');
    peer_set();
    back();
}



=== TEST 8: AUTH is refused, and the password is not logged
--- peer_says eval
{ auth => "-ERR unknown command `AUTH`, with args beginning with: `shop`, "
          . "`s3cret`, \r\n" }
--- peer
    flush_interval 1h;
--- peer_url: shop:s3cret@%s
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
wait_for(sub { log_lines(qr/is down: ERR unknown command/) }, 'told');
peer_set(auth => "-WRONGPASS invalid username-password pair or user is "
                 . "disabled.\r\n");
is(scalar(grep { try_one() != 503 } 1 .. 200), 0, 'nothing is stored');
cmp_ok(scalar(trouble()), '<=', 2, 'two lines at most');
peer_set();
back();
is(scalar(log_lines(qr/s3cret/)), 0);



=== TEST 9: replies that cannot be
--- peer
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
my $deep = "*1\r\n" x 2000 . ":1\r\n";
my %reply = (
    'garbage' => "HTTP/1.1 400 Bad Request\r\n\r\n",
    'cut off' => { raw => "*3\r\n:1\r\n:", close => 1 },
    'closed' => { close => 1 },
    'too few' => "*1\r\n:1\r\n",
    'nil' => "*-1\r\n",
    'a number' => ":5\r\n",
    'a text' => "+OK\r\n",
    'strings' => rows(bulk('1'), bulk('1'), bulk('0')),
    'more answers than requests' => rows(bulk('11'), (":1\r\n") x 3),
    'an answer that is unknown' => rows(bulk('x'), (":1\r\n") x 3),
    'a string of terabytes' => "\$9999999999999\r\n",
    'two billion elements' => "*2147483647\r\n",
    'a negative length' => "*-7\r\n",
    'deep' => $deep,
    'a strange error' => "-ERR \x1b[31m\x01\x7f" . "\xff" x 300 . "\r\n",
    'an error that is empty' => "-\r\n",
);
for my $name (sort keys %reply) {
    peer_set(map { $_ => $reply{$name} } qw(store metrics));
    is(try_one(), 503, $name);
    get('/s');
    peer_set();
    back();
}
is(scalar(log_lines(qr/\x1b|\xff/)), 0, 'nothing raw in the log');



=== TEST 10: one reply too many
--- peer
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
my ($connection) = map { $_->[0] } (peer_seen('store'))[-1];
peer_set(store => rows(bulk('1'), ":1\r\n", ":0\r\n", ":9\r\n") . "+OK\r\n");
is(try_one(), 204, 'its own reply counts');
peer_set();
back();
isnt((peer_seen('store'))[-1][0], $connection,
     'a connection that is out of step is not used again');



=== TEST 11: what delivery and control get
--- peer
    flush_interval 50ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my @bad = ("*0\r\n", "*-1\r\n", ":1\r\n", "+OK\r\n", "-ERR what\r\n",
           "*2\r\n\$1\r\nx\r\n*-1\r\n", "*3\r\n:0\r\n:0\r\n:0\r\n",
           rows(rows(bulk('k'))), rows(rows(bulk('k'), ":1\r\n")),
           stream(":1\r\n", rows(), rows(bulk('1-0'), "*-1\r\n")),
           stream(map { entry($_) } 1 .. 2000),
           rows(bulk('0-0'), ":1\r\n"), rows(bulk('9' x 100), rows()),
           rows(bulk('0-0'), rows(":1\r\n", rows(), rows(bulk('1-0')),
                rows(bulk('1-0'), rows(bulk('e'))),
                rows(bulk('1-0'), rows(bulk('e'), ":1\r\n")),
                rows(bulk('1-0'), rows(bulk('f'), bulk('x'))))),
           rows(bulk('0-0'), rows(map { entry($_) } 1 .. 600)),
           { raw => "*2\r\n:0", close => 1 });
for my $name (qw(xautoclaim hget xreadgroup metrics)) {
    peer_forget();
    peer_set($name => [@bad, $bad[0]]);
    wait_for(sub { get('/s') if $name eq 'metrics';
                   peer_seen($name) >= @bad || $name eq 'metrics' },
             "$name: all of it", 30);
    is(get('/s')->{status}, 200);
}
peer_set(pause => ['+OK' . "\r\n", "*-1\r\n", { close => 1 }]);
is(control('pause')->{status} >= 200, 1) for 1 .. 3;
peer_set();
back();
is(scalar(() = mock()), 0, 'nothing was sent');
cmp_ok(scalar(trouble()), '<', 20);



=== TEST 12: acknowledgements are kept until a Redis has them
--- peer
    flush_interval 50ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
peer_set(xreadgroup => [stream(entry(1)), "*-1\r\n"], ack => [{ close => 1 }, { close => 1 },
         wrapped('OOM command not allowed'),
         wrapped("READONLY You can't write"), "-MOVED 3999 127.0.0.1:6381\r\n", ":1\r\n"]);
wait_for(sub { peer_seen('ack') == 6 }, 'tried until it is done', 30);
Time::HiRes::sleep(0.3);
is(scalar(peer_seen('ack')), 6, 'and no more');
is(scalar(() = mock()), 1, 'sent once');



=== TEST 13: INFO: what says nothing of the settings is no reason for anything
--- peer
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my %reply = (
    'no string' => ":1\r\n",
    'nothing' => "\$-1\r\n",
    'an error' => "-ERR unknown command 'INFO'\r\n",
    'forbidden' => "-NOPERM this user has no permissions to run the 'info' "
                   . "command\r\n",
    'an array' => rows("+aof_enabled:0\r\n", "+maxmemory_policy:allkeys-x\r\n"),
    'empty' => bulk(''),
    'the end of it' => bulk('aof_enabled:'),
    'without a line' => bulk("\n" x 15 . ':' x 15),
    'NUL' => bulk("\0aof_enabled:0\r\nmaxmemory_policy:allkeys-lru"),
    'another word' => bulk("xaof_enabled:0\r\nxmaxmemory_policy:allkeys-lru"),
    'only half of it' => bulk("aof_enabled:1\r\n"),
);
for my $name (sort keys %reply) {
    again(info => $reply{$name});
    is(durable(), 'null', $name);
    is(try_one(), 204, "$name: stored");
}
is(scalar(log_lines(qr/may lose events|answered with an error/)), 0);
peer_set(map { $_ => { close => 1 } } qw(store info));
try_one();
wait_for(sub { peer_seen('info') >= 3 }, 'tried again');
peer_set();
back();
is(scalar(log_lines(qr/may lose events/)), 0, 'a lost connection is no setting');



=== TEST 14: INFO: half of it is enough to tell; a text that is no policy
--- peer_says eval
{ info => main::bulk("# Persistence\r\naof_enabled:0\r\n") }
--- peer
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
back();
is(durable(), 'false');
again(info => bulk("aof_enabled:1\r\nmaxmemory_policy:allkeys-\x1b[31m\xff"
                   . 'x' x 300 . "\r\n"));
is(durable(), 'false');
is(scalar(log_lines(qr/may lose events: maxmemory-policy is allkeys-\?\[/)), 1);
is(scalar(log_lines(qr/\x1b|\xff|x{100}/)), 0, 'nothing raw, and it is cut');
again(info => bulk("aof_enabled:1\r\nmaxmemory_policy:noeviction"));
is(durable(), 'true');
