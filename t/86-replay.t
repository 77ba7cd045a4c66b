# action=replay of refine_control: dead letters become events again, each once.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use POSIX ();
use Time::HiRes 'time';

# puts dead letters there as if they had been collected and given up; the text
# of the line is "from" on, with the number of the letter for NUMBER

sub letters {
    my ($reason, $from, $to, $line) = @_;

    $line //= line('NUMBER');
    redis('EVAL', <<'END', 2, map({ Refine::key($_) } 'dead', 'stats'),
for i = ARGV[1], ARGV[2] do
  redis.call('XADD', KEYS[1], '*', 'e', (ARGV[3]:gsub('NUMBER', i)), 'status',
             '422', 'reason', ARGV[4], 'attempts', '1')
end
redis.call('HINCRBY', KEYS[2], 'accepted', ARGV[2] - ARGV[1] + 1)
redis.call('HINCRBY', KEYS[2], 'failed', ARGV[2] - ARGV[1] + 1)
END
          $from, $to, $line, $reason);
    return;
}


sub replay {
    my ($more) = @_;

    my $r = control('replay' . ($more // ''), Timeout => 60);
    $r->{json} = decode_json($r->{body});
    return $r;
}


# answers of several at once, each by a process and connection of its own

sub replay_by {
    my ($n) = @_;

    my @pipes;

    for (1 .. $n) {
        pipe(my $in, my $out) or die "pipe: $!";
        my $pid = fork() // die "fork: $!";

        if ($pid == 0) {
            my $r = control('replay', Timeout => 60);
            print {$out} "$r->{status} $r->{body}";
            CORE::close($out);
            POSIX::_exit(0);
        }

        CORE::close($out);
        push @pipes, [$in, $pid];
    }

    return @pipes;
}


sub replayed {
    my ($pipe) = @_;

    my ($in, $pid) = @$pipe;
    my ($status, $body) = join('', CORE::readline($in)) =~ /(\d+) (.*)/s;
    waitpid $pid, 0;
    return ($status, decode_json($body));
}


sub length_of { redis('XLEN', Refine::key($_[0])) }

# the numbers of the events in the stream, and of those that Refine has got; of
# so many, with such long lines, that they are not decoded

sub numbers {
    my $rows = redis('XRANGE', Refine::key('events'), '-', '+');
    return sort { $a <=> $b } map { $_->[1][1] =~ /^\{"eventId":"e(\d+)"/ } @$rows;
}

sub received_numbers {
    my $r = request('GET', '/_mock/requests?catalog=' . catalog(), undef,
                    Socket => IO::Socket::UNIX->new(Peer => mock_path()));
    my @raw = $r->{body} =~ /\\"eventId\\": ?\\"e(\d+)\\"/g;
    return sort { $a <=> $b } @raw;
}

master_on();
workers(2);
run_tests();

__DATA__

=== TEST 1: 10,000 letters, by reason and then all; what is no event stays
--- catalog
    flush_interval 100ms;
--- config
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
letters("bad item $_", 1000 * $_ + 1, 1000 * $_ + 1000) for 0 .. 4;
letters('older than retry_window', 5001, 10000);
redis('XADD', Refine::key('dead'), '*', 'x', 'none');
redis('XADD', Refine::key('dead'), '*', 'e', '', 'reason', 'bad item 1');
redis('XADD', Refine::key('dead'), '*', 'e', '{"type":"click"}');
redis('XADD', Refine::key('dead'), '*', 'e', "\xff" x 5000, 'reason', '');
redis('XADD', Refine::key('dead'), '*', 'reason', 'bad item 1', 'e');

my $r = replay('&reason=bad+item%203');     # as curl encodes it, and others
is($r->{status}, 200);
is($r->{json}{replayed}, 1000, 'of one reason');
is($r->{json}{catalogs}{shop}{deadReplayed}, 1000);
is($r->{json}{catalogs}{shop}{dead}, 9004);
$r = replay('&reason=bad%2Bitem');
is($r->{json}{replayed}, 0, 'of none');
$r = replay('&reason=bad%20item&catalog=shop');
is($r->{json}{replayed}, 4000, 'by how it begins');
$r = replay();
is($r->{status}, 200);
is($r->{json}{replayed}, 5000, 'the rest');
is($r->{json}{catalogs}{shop}{dead}, 4, 'but for what is no event');
is(replay()->{json}{replayed}, 0, 'again');
wait_for(sub { sent() == 10_000 }, 'delivered', 30);
is(join(' ', received_numbers()), join(' ', 1 .. 10_000), 'each of them once');
is(stats()->{failed}, 10_000);
is(stats()->{accepted}, 20_000);
is(stats()->{'events:click'}, 10_000);
conserved();



=== TEST 2: the limits of the queue hold
--- catalog
    flush_interval 100ms;
    max_queue_size 250;
    max_queue_bytes 100k;
--- config
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
control('pause');
letters('bad', 1, 300);
my $r = replay();
is($r->{status}, 409);
is($r->{json}{error}, 'the queue is full by max_queue_size');
is($r->{json}{replayed}, 250);
is(length_of('dead'), 50, 'the rest stays');
is(replay()->{json}{replayed}, 0);
conserved();
control('resume');
wait_for(sub { sent() == 250 }, 'delivered');
control('pause');
letters('long', 301, 310, line('NUMBER', metadata => { note => 'x' x 20_000 }));
$r = replay('&reason=long');
is($r->{status}, 409);
is($r->{json}{error}, 'the queue is full by max_queue_bytes');
is($r->{json}{replayed}, 5);
control('resume');
wait_for(sub { replay(); sent() == 310 }, 'all in the end', 30);
is(length_of('dead'), 0);
conserved();



=== TEST 3: by two workers at once each letter goes once
--- catalog
    flush_interval 100ms;
--- config
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
control('pause');
letters('bad', 1, 10_000);
my ($sum, $some) = (0, 0);
for (replay_by(8)) {
    my ($status, $json) = replayed($_);
    is($status, 200);
    $sum += $json->{replayed};
    $some++ if $json->{replayed};
}
is($sum, 10_000, 'together');
cmp_ok($some, '>', 1, 'by more than one');
is(join(' ', numbers()), join(' ', 1 .. 10_000), 'each is there once');
is(length_of('dead'), 0);
conserved();



=== TEST 4: Redis is killed in the middle
--- catalog
    flush_interval 100ms;
--- config
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my @options = ('--appendonly', 'yes', '--appendfsync', 'always');
redis_stop();
redis_start(@options);
wait_for(sub { control('pause')->{status} == 200 }, 'Redis is back');
letters('bad', 1, 10_000, line('NUMBER', metadata => { note => 'x' x 3000 }));
my ($pipe) = replay_by(1);
my $end = time + 30;
0 while !length_of('events') && time < $end;
redis_kill();
redis_start(@options);
my ($status, $json) = replayed($pipe);
is($status, 503);
is($json->{error}, 'Redis did not confirm it');
wait_for(sub { length_of('events') =~ /^\d+\z/ }, 'Redis is back');
my $n = length_of('events');
cmp_ok($n, '>', 0, 'some are events');
is(length_of('dead'), 10_000 - $n, 'the others are not');
cmp_ok($n, '>=', $json->{replayed}, 'at least as many as was said');
cmp_ok($n, '<=', $json->{replayed} + 200, 'or one step more');
is(stats()->{dead_replayed}, $n);
conserved();
my $r;
wait_for(sub { $r = replay(); $r->{status} == 200 }, 'again', 30);
is($r->{json}{replayed}, 10_000 - $n, 'the rest');
is(join(' ', numbers()), join(' ', 1 .. 10_000), 'each is there once');
conserved();
redis_stop();
unlink glob scratch() . '/appendonlydir/*';
redis_start();



=== TEST 5: in a full Redis; a client that leaves
--- catalog
    flush_interval 100ms;
--- config
    location = /refine/control { refine_control; }
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(0));
wait_for(sub { sent() == 1 }, 'up');
letters('bad', 1, 1000);
redis('CONFIG', 'SET', 'maxmemory', 1);
is(post('/refine/collect', encode_json(click(1)))->{status}, 503, 'full');
my $r = replay();
is($r->{status}, 200);
is($r->{json}{replayed}, 1000);
wait_for(sub { sent() == 1001 }, 'delivered', 30);
redis('CONFIG', 'SET', 'maxmemory', 0);
letters('bad', 2001, 12_000);
for my $wait (0, 0.002, 0.02) {
    my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$socket} "POST /refine/control?action=replay HTTP/1.1\r\n"
                    . "Host: localhost\r\nX-Refine-Control: 1\r\n"
                    . "Content-Length: 0\r\n\r\n";
    $socket->flush;
    Time::HiRes::sleep($wait);
    CORE::close($socket);
}
wait_for(sub { $r = replay(); $r->{status} == 200 }, 'the rest by another one',
         30);
is(length_of('dead'), 0);
wait_for(sub { sent() == 11_001 }, 'delivered', 60);
is(scalar(() = received_numbers()), 11_001, 'each once');
conserved();



=== TEST 6: serves count again, of one catalog only that one
--- http_extra
    refine_catalog two {
        organization_id o; catalog_id b_$TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events; flush_interval 100ms;
        queue redis://unix:$TEST_NGINX_REDIS;
    }
--- catalog
    flush_interval 100ms;
--- config
    location = /refine/control { refine_control; }
    location = /refine/collect { refine_collect; }
    location = /two { refine two; refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(0));
wait_for(sub { sent() == 1 }, 'up');
my $serve = { type => 'items_served', serveId => 's"\\', itemIds => ['a'],
              surface => "h\x{f6}me \"page\"", source => 'plp' };
delete $serve->{serveId};
mock_set(status => 422, match => 'plp');
collect($serve, click(1, metadata => { type => 'view', note => '"type":"x"' },
                      itemId => 'plp'));
wait_for(sub { dead() == 2 }, 'dead letters');
mock_set(status => 200);
my $before = stats();
my ($label) = grep { /^served:/ } CORE::keys %$before;
is(replay('&catalog=two')->{json}{replayed}, 0);
is(replay('&catalog=shop')->{json}{replayed}, 2);
wait_for(sub { sent() == 3 }, 'delivered');
my $after = stats();
is($after->{$label}, 2, 'the same label');
is(scalar(grep { /^served:/ } CORE::keys %$after), 1);
is($after->{'events:items_served'}, 2);
is($after->{'events:click'}, 3);
is($after->{'events:view'}, undef);
is($after->{accepted}, 5);
conserved();
