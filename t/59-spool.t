# Tests for the spool: what Redis does not take is kept on the disk, and goes to
# Redis when that takes events again.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use File::Path qw(make_path remove_tree);
use JSON::PP;

sub one {
    my ($n, @headers) = @_;

    return post('/c', encode_json(click($n)), @headers);
}

sub spooled {
    my ($r, $why) = @_;

    is($r->{status}, 204, $why);
    is($r->{headers}{'x-outcome'}, 'spooled', 'outcome');
}

sub is_spooled { ($_[0]{headers}{'x-outcome'} // '') eq 'spooled' }

sub shop { decode_json(get('/s')->{body})->{catalogs}{shop} }

sub segments { my @files = glob scratch() . '/spool/*:' . catalog() . '/*.spool';
               @files }

sub ids { [ map { "e$_" } @_ ] }

run_tests();

__DATA__

=== TEST 1: Redis is killed, and comes back
--- catalog
    flush_interval 500ms;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
    location = /c { refine_collect; add_header X-Outcome $refine_outcome; }
    location = /s { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my @stat = stat scratch() . '/spool';
is($stat[2] & 0777, 0700, 'its mode');
redis_kill();
wait_for(sub { shop()->{redis}{state} eq 'down' }, 'away');
spooled(one($_)) for 1 .. 20;
my @files = segments();
is(scalar @files, 1, "a segment");
is((stat $files[0])[2] & 0777, 0600, 'its mode');
wait_for(sub { shop()->{spooled}{events} == 20 }, 'shown while Redis is away');
is(shop()->{spooled}{segments}, 1);
ok(shop()->{stale});
like(get('/s?format=prometheus')->{body},
     qr/^refine_spool_events\{catalog="shop"\} 20$/m, 'for Prometheus');
redis_start();
wait_for(sub { delivered() == 20 }, 'all of them');
is_deeply([delivered()], ids(1 .. 20), 'in order');
wait_for(sub { segments() == 0 }, 'the segment is deleted');
wait_for(sub { my $s = shop(); $s->{spooled}{events} == 0 && $s->{spooled}{stored} }, 'none left');
my $s = shop();
is($s->{accepted}, 20, 'accepted when drained');
is($s->{events}{click}, 20);
is($s->{spooled}{stored}, 20, 'counted');
is($s->{spooled}{$_}, 0, $_) for qw(failed torn damaged bytes segments);
is(one(7)->{status}, 204);
is(one(21)->{status}, 204);
is(stats()->{accepted}, 21, 'an id that was spooled is known');
is(scalar log_lines(qr/they go to the spool/), 1, 'one line');
is(scalar log_lines(qr/20 events of the spool are in redis now/), 1);



=== TEST 2: slower than queue_timeout
--- catalog
    flush_interval 500ms;
    queue_timeout 300ms;
    spool $TEST_NGINX_SCRATCH/spool 16m fsync=always;
--- config
    location = /c { refine_collect; add_header X-Outcome $refine_outcome; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0,"eventId":"e0"}
--- error_code: 204
--- check
redis_pause();
spooled(one($_)) for 1 .. 5;
redis_resume();
wait_for(sub { my %seen = map { $_ => 1 } delivered(); keys %seen == 6 },
         'all of them');
wait_for(sub { segments() == 0 }, 'the segment is deleted');



=== TEST 3: a full Redis, a replica, a password that was changed
--- catalog
    flush_interval 1h;
    spool $TEST_NGINX_SCRATCH/spool 16m fsync=off;
--- config
    location = /c { refine_collect; add_header X-Outcome $refine_outcome; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0,"eventId":"e0"}
--- error_code: 204
--- check
redis('CONFIG', 'SET', 'maxmemory', 1);
spooled(one(1), 'OOM');
spooled(one(2), 'OOM');
redis('CONFIG', 'SET', 'maxmemory', 0);
wait_for(sub { stats()->{accepted} == 3 }, 'drained');
redis('REPLICAOF', '127.0.0.1', 1);
spooled(one(3), 'READONLY');
redis('REPLICAOF', 'NO', 'ONE');
wait_for(sub { stats()->{accepted} == 4 }, 'drained');
redis('CONFIG', 'SET', 'requirepass', 'secret');
redis('AUTH', 'secret');
redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
wait_for(sub { is_spooled(one(4)) }, 'NOAUTH');
redis('CONFIG', 'SET', 'requirepass', '');
wait_for(sub { stats()->{accepted} == 5 }, 'drained');
redis('RENAME', 'refine:{' . catalog() . '}:events', 'elsewhere');
redis('SET', 'refine:{' . catalog() . '}:events', 'x');
spooled(one(5), 'WRONGTYPE');
redis('DEL', 'refine:{' . catalog() . '}:events');
redis('RENAME', 'elsewhere', 'refine:{' . catalog() . '}:events');
wait_for(sub { stats()->{accepted} == 6 }, 'drained');



=== TEST 4: a queue that is full is told, and what is on the disk waits
--- catalog
    flush_interval 1h;
    batch_size 10000;
    max_queue_size 5;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
    location = /c { refine_collect; add_header X-Outcome $refine_outcome; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0,"eventId":"e0"}
--- error_code: 204
--- check
redis('CONFIG', 'SET', 'maxmemory', 1);
spooled(one($_)) for 1 .. 8;
redis('CONFIG', 'SET', 'maxmemory', 0);
wait_for(sub { stats()->{accepted} == 5 }, 'as many as fit');
my $r = one(9);
is($r->{status}, 503);
like($r->{body}, qr/the queue is full/);
is(stats()->{accepted}, 5);
redis('HSET', 'refine:{' . catalog() . '}:stats', 'resumed', 0);
redis('XTRIM', 'refine:{' . catalog() . '}:events', 'MAXLEN', 0);
wait_for(sub { stats()->{accepted} == 9 }, 'the rest');
is_deeply([map { $_->{eventId} } events()], ids(5 .. 8));
wait_for(sub { segments() == 0 }, 'the segment is deleted');



=== TEST 5: serves go to the disk as well, not to memory
--- catalog
    flush_interval 1h;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
    location = /r {
        default_type application/json;
        return 200 '{"results":[{"productId":"a"}],"totalResults":1}';
        refine_serve search surface=s$arg_n;
    }
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request
GET /r?n=0
--- response_headers_like
X-Refine-Serve-Id: .+
--- check
redis_kill();
wait_for(sub { shop()->{redis}{state} eq 'down' }, 'away');
get("/r?n=$_") for 1 .. 5;
wait_for(sub { shop()->{spooled}{events} == 5 }, 'spooled');
redis_start();
wait_for(sub { my @e = map { @{ $_->{body}{events} } } mock(); @e >= 5 }, 'delivered');
my @e = map { @{ $_->{body}{events} } } mock();
is_deeply([map { $_->{surface} // '' } @e], [map { "s$_" } 1 .. 5]);
my %served = map { $_->{surface} => $_->{served} } @{ shop()->{surfaces} };
is_deeply(\%served, { map { ("s$_" => 1) } 1 .. 5 }, 'counted by surface');
is(stats()->{'events:items_served'}, 5);



=== TEST 6: its limit: 503, until there is room again
--- catalog
    flush_interval 1h;
    spool $TEST_NGINX_SCRATCH/spool 1m;
--- config
    location = /c { refine_collect; add_header X-Outcome $refine_outcome; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0,"eventId":"e0"}
--- error_code: 204
--- check
redis_kill();
wait_for(sub { shop()->{redis}{state} eq 'down' }, 'away');
my ($n, $r) = (0);
my $page = 'https://shop.example/' . 'p' x 1900;
while ($n < 1000) {
    $r = post('/c', encode_json([map { click(100 * $n + $_, page => $page) } 1 .. 20]));
    last if $r->{status} != 204;
    $n++;
}
is($r->{status}, 503, "refused after $n");
ok($r->{headers}{'retry-after'}, 'Retry-After');
cmp_ok($n, '>', 15);
my $size = 0;
$size += -s for segments();
cmp_ok($size, '<=', 1024 * 1024, 'not more than allowed');
is(one('x')->{status}, 503, 'at once');
is(scalar log_lines(qr/\[error\] .*the spool .* is full/), 1, 'one line');
is(scalar log_lines(qr/\[warn\] .*the spool .* holds \d+ bytes, 80% of its limit/), 1);
redis_start();
wait_for(sub { (stats()->{accepted} // 0) == 20 * $n }, 'drained');
wait_for(sub { segments() == 0 }, 'deleted');
redis_kill();
wait_for(sub { is_spooled(one('y')) }, 'it takes events again');
is(scalar log_lines(qr/\[warn\] .*the spool takes events again/), 1);



=== TEST 7: the disk does not take it: 503, until it does
--- catalog
    flush_interval 500ms;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
    location = /c { refine_collect; add_header X-Outcome $refine_outcome; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0,"eventId":"e0"}
--- error_code: 204
--- check
redis_kill();
wait_for(sub { shop()->{redis}{state} eq 'down' }, 'away');
my ($dir) = glob scratch() . '/spool/*' . catalog();
rename $dir, "$dir-away" or die;
is(one($_)->{status}, 503) for 1 .. 5;
is(scalar log_lines(qr/\[error\] .*the spool .* does not take events, .*\(\) failed \(2: No such file/), 1, 'one line');
rename "$dir-away", $dir or die;
wait_for(sub { is_spooled(one(6)) }, 'it takes them again');
is(scalar log_lines(qr/\[warn\] .*the spool takes events again/), 1);
redis_start();
wait_for(sub { my %seen = map { $_ => 1 } delivered(); $seen{e6} }, 'delivered');
my $s;
wait_for(sub { $s = shop(); $s->{spooled}{stored} }, 'counted');
cmp_ok($s->{spooled}{failed}, '>=', 1);
cmp_ok($s->{rejected}{unavailable}, '>=', 5);



=== TEST 8: damaged segments are read as far as they are sound
--- catalog
    flush_interval 500ms;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
    location = /c { refine_collect; add_header X-Outcome $refine_outcome; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0,"eventId":"e0"}
--- error_code: 204
--- check
redis_kill();
wait_for(sub { shop()->{redis}{state} eq 'down' }, 'away');
spooled(one($_)) for 1 .. 9;
my ($file) = segments();
open my $f, '+<', $file or die;
my $text = do { local $/; <$f> };
my $at = index $text, '"e5"';
cmp_ok($at, '>', 0);
seek $f, $at, 0;
print $f 'xxxx';
close $f;
open $f, '>', scratch() . '/spool/refine:' . catalog() . '/00000000000001-1-1.spool' or die;
print $f 'not a segment' x 100;
close $f;
redis_start();
wait_for(sub { my %seen = map { $_ => 1 } delivered(); keys %seen == 8 }, 'delivered');
is_deeply([delivered()], ids(1 .. 4, 6 .. 9));
wait_for(sub { segments() == 0 }, 'deleted');
my $s;
wait_for(sub { $s = shop(); $s->{spooled}{torn} }, 'counted');
is($s->{spooled}{torn}, 1, 'torn');
is($s->{spooled}{damaged}, 1, 'damaged');
like(join('', log_lines(qr/was damaged/)),
     qr/the spool .* was damaged: [01] torn ends and [01] places within were left out/);



=== TEST 9: Redis is away when nginx starts
--- catalog
    flush_interval 500ms;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
    location = /c { refine_collect; add_header X-Outcome $refine_outcome; }
    location = /t { return 204; }
--- post_setup_server_root
Refine::redis_kill();
--- request
GET /t
--- error_code: 204
--- check
is(scalar(log_lines(qr/redis .* is up/)), 0, 'it was never there');
spooled(one($_)) for 1 .. 3;
redis_start();
wait_for(sub { delivered() == 3 }, 'delivered');
