# What others had claimed: dead workers, many claims in good hands, events that
# are gone, attempts, and how much memory a claim takes.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Time::HiRes qw(sleep time);

our $CONFIG = <<'END';
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
END

sub key { "refine:{${\catalog()}}:$_[0]" }

# a backlog of n events that another consumer has claimed, before nginx can

sub claimed_by {
    my ($who, @numbers) = @_;

    redis('XGROUP', 'CREATE', key('events'), 'refine', 0, 'MKSTREAM');
    my $ids = redis('EVAL', <<'END', 1, key('events'), $who, map { line($_) } @numbers);
local ids = {}
for i = 2, #ARGV do
    ids[i - 1] = redis.call('XADD', KEYS[1], '*', 'e', ARGV[i])
end
redis.call('XREADGROUP', 'GROUP', 'refine', ARGV[1], 'COUNT', #ids,
           'STREAMS', KEYS[1], '>')
return ids
END
    redis('HINCRBY', key('stats'), 'accepted', scalar @$ids);
    return @$ids;
}

# as if they had been claimed so long ago

sub idle {
    my ($who, $ms, @ids) = @_;

    while (my @some = splice @ids, 0, 500) {
        redis('XCLAIM', key('events'), 'refine', $who, 0, @some, 'IDLE', $ms,
              'JUSTID');
    }

    return;
}

sub pause { redis('HSET', key('stats'), 'paused', 1) }

# the most memory that this nginx ever had, in KB, if that can be known

sub memory {
    open my $maps, '<', '/proc/' . nginx_pid() . '/maps' or return;
    return if grep { /libasan|memcheck/ } <$maps>;

    open my $in, '<', '/proc/' . nginx_pid() . '/status' or return;
    return (join '', <$in>) =~ /^VmHWM:\s+(\d+)/m ? $1 : ();
}

run_tests();

__DATA__

=== TEST 1: a dead worker's are taken over after claim_timeout, not before
--- catalog
    flush_interval 50ms;
    claim_timeout 4s;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my @dead = claimed_by('dead', 1 .. 20);
collect(click(100));
my $start;
wait_for(sub { $start = time; idle('dead', 0, @dead); delivered() },
         'what is new is not held up');
is_deeply([delivered()], ['e100']);
wait_for(sub { sent() == 21 }, 'taken over', 20);
cmp_ok(time - $start, '>', 3.9, 'not before');
is(scalar(unique(received())), scalar(() = received()), 'each once');
is(scalar(redis('XPENDING', key('events'), 'refine')->[0]), 0);



=== TEST 2: among thousands that are in good hands
--- catalog
    flush_interval 50ms;
    claim_timeout 1d;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
pause();
my @good = claimed_by('good', 1 .. 3000);
my @dead = claimed_by('dead', 4001 .. 4005);
my @more = claimed_by('good', 5001 .. 5500);
idle('dead', 86_400_000, @dead);
redis('HDEL', key('stats'), 'paused');
wait_for(sub { sent() == 5 }, 'found');
is_deeply([sort(delivered())], [map { "e$_" } 4001 .. 4005]);
my $rows = redis('XPENDING', key('events'), 'refine')->[3];
is_deeply($rows, [['good', 3500]], 'the others keep theirs');



=== TEST 3: many at once, in batches, each of them once
--- catalog
    flush_interval 50ms;
    claim_timeout 1d;
    batch_size 300;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
pause();
my @dead = claimed_by('dead', 1 .. 1000);
idle('dead', 86_400_000, @dead);
redis('HDEL', key('stats'), 'paused');
wait_for(sub { sent() == 1000 }, 'delivered');
is(scalar(unique(delivered())), 1000);
is(scalar(() = received()), 1000, 'once');
cmp_ok(scalar(() = mock()), '<=', 6, 'in batches');



=== TEST 4: deleted while it was claimed; an entry that is no event
--- catalog
    flush_interval 50ms;
    claim_timeout 1d;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
pause();
my @dead = claimed_by('dead', 1 .. 10);
my $strange = redis('XADD', key('events'), '*', 'f', 'x');
redis('XREADGROUP', 'GROUP', 'refine', 'dead', 'COUNT', 1, 'STREAMS',
      key('events'), '>');
redis('XADD', key('events'), '*', 'f', 'y');
redis('XDEL', key('events'), @dead[2, 5]);
idle('dead', 86_400_000, @dead, $strange);
redis('HDEL', key('stats'), 'paused');
wait_for(sub { sent() == 8 }, 'the rest is delivered');
wait_for(sub { redis('XPENDING', key('events'), 'refine')->[0] == 0 },
         'nothing is left pending');
wait_for(sub { redis('XLEN', key('events')) == 0 }, 'and nothing is there');
is(scalar(log_lines(qr/removed 1 entries without an event/)), 1);



=== TEST 5: attempts are counted over takeovers
--- catalog
    flush_interval 50ms;
    claim_timeout 1d;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { sent() == 1 }, 'up');
pause();
sleep 0.2;
mock_set(status => 422, match => '"bad"');
redis('XADD', key('events'), '*', 'e', line(2, itemId => 'bad'));
redis('HINCRBY', key('stats'), 'accepted', 1);
my $ids;
for my $who (qw(one two three)) {
    $ids //= redis('XREADGROUP', 'GROUP', 'refine', $who, 'COUNT', 1, 'STREAMS',
                   key('events'), '>')->[0][1][0][0];
    redis('XCLAIM', key('events'), 'refine', $who, 0, $ids) if $who ne 'one';
}
idle('three', 86_400_000, $ids);
redis('HDEL', key('stats'), 'paused');
wait_for(sub { dead() == 1 }, 'a dead letter');
is((dead())[0]{attempts}, 4, 'three, and this one');



=== TEST 6: claims of large events take little memory
--- catalog
    flush_interval 50ms;
    claim_timeout 1d;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
pause();
my $before = memory();
my $large = 'x' x 240_000;
redis('XGROUP', 'CREATE', key('events'), 'refine', 0, 'MKSTREAM');
redis('XADD', key('events'), '*', 'e', line($_, metadata => { a => $large }))
    for 1 .. 400;
redis('XREADGROUP', 'GROUP', 'refine', 'dead', 'COUNT', 100, 'STREAMS',
      key('events'), '>');
my @dead = map { $_->[0] } @{ redis('XPENDING', key('events'), 'refine', '-',
                                    '+', 100) };
idle('dead', 86_400_000, @dead);
redis('HDEL', key('stats'), 'paused');
wait_for(sub { sent() == 400 }, 'delivered', 30);
my $after = memory();
if (defined $after) {
    cmp_ok($after - $before, '<', 48_000, 'below 48 MB for 96 MB');
}



=== TEST 7: acknowledged after an absence of Redis, and not delivered again
--- catalog
    flush_interval 50ms;
    queue_timeout 500ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
redis_stop();
redis_start('--appendonly', 'yes', '--appendfsync', 'always',
            '--appenddirname', 'ack');
for my $how (0, 1) {
    my $n = $how * 10;
    mock_set(delay => 1, times => 1);
    wait_for(sub { post('/refine/collect', encode_json(
                   [map { click($n + $_) } 1 .. 3]))->{status} == 204 },
             'stored');
    wait_for(sub { received() == $how * 3 + 3 }, 'under way');
    $how ? redis_pause() : redis_kill();
    sleep 1.8;
    $how ? redis_resume()
         : redis_start('--appendonly', 'yes', '--appendfsync', 'always',
                       '--appenddirname', 'ack');
    wait_for(sub { sent() == $how * 3 + 3 }, 'counted', 15);
    is(scalar(events()), 0);
}
is(scalar(() = received()), 6, 'each once');
conserved();
redis_stop();
