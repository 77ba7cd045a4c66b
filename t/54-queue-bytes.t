# max_queue_bytes: the queue is limited in the memory of Redis, too.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;

our $CONFIG = <<'END';
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /s { refine_status; }
    location = /t { return 204; }
END

sub key { "refine:{${\catalog()}}:$_[0]" }

sub keep { redis('HSET', key('stats'), 'paused', 1) }

sub status { decode_json(get('/s')->{body})->{catalogs}{shop} }

# a click of about so many bytes, and the status it gets

sub wide { click($_[0], metadata => { a => 'x' x ($_[1] - 350) }) }

sub store { post('/refine/collect', encode_json(\@_))->{status} }

# what the module says the queue takes

sub size { (stats()->{bytes} // 0) + 64 * redis('XLEN', key('events')) }

run_tests();

__DATA__

=== TEST 1: 80 %, full, and not full any more
--- catalog
    flush_interval 1h;
    batch_size 10000;
    max_queue_bytes 100k;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
keep();
my $n = 0;
while ($n < 60 && store(wide($n, 2000)) == 204) { $n++ }
cmp_ok($n, '>', 40, "$n fit");
cmp_ok($n, '<', 54, 'and not many more');
my $size = size();
cmp_ok($size, '<=', 102400);
cmp_ok($size, '>', 100000);
is(store(map { wide($_, 2000) } 60 .. 69), 503, 'none of many');
is(redis('XLEN', key('events')), $n);
is(size(), $size, 'nothing of what was refused is counted');
is(scalar(log_lines(qr/holds (?:8[1-4]\d{3}) bytes, 80% of max_queue_bytes/)),
   1, 'a warning at 80 %');
wait_for(sub { log_lines(qr/is full/) }, 'told');
is(scalar(log_lines(qr/\[error\] .* is full: $size of max_queue_bytes 102400, /)),
   1, 'one line when it is full');
is(scalar(log_lines(qr/max_queue_size/)), 0, 'it is not the other limit');
my $r = post('/refine/collect', encode_json(wide(90, 2000)));
like($r->{headers}{'retry-after'}, qr/^[1-5]$/);
wait_for(sub { (status()->{rejected}{queue_bytes} || 0) == 12 }, 'counted');
is(status()->{rejected}{queue_full}, 0, 'not under the other limit');
is(control('resume')->{status}, 200);
wait_for(sub { flush_now(); !events() }, 'delivered');
is(store(wide(91, 2000)), 204, 'room again');
wait_for(sub { log_lines(qr/\[warn\] .* not full any more: \d+ of max_queue_b/) },
         'told');
wait_for(sub { flush_now(); !events() }, 'delivered');
conserved();



=== TEST 2: of the requests of one step each has room or not
--- catalog
    flush_interval 1h;
    max_queue_bytes 64k;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
keep();
is(store(wide(1, 60_000 / 20), map { wide($_, 3000) } 2 .. 18), 204);
is(store(map { wide($_, 3000) } 20 .. 25), 503, 'too large for the rest');
is(scalar(log_lines(qr/is full/)), 0, 'which does not make it full');
is(store(wide(30, 2000)), 204, 'a small one fits');
wait_for(sub { (status()->{rejected}{queue_bytes} || 0) == 6 }, 'counted');



=== TEST 3: the stream was trimmed by hand: what it held is not held any more
--- catalog
    flush_interval 1h;
    max_queue_bytes 64k;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
keep();
is(store(map { wide($_, 3000) } 1 .. 18), 204);
is(store(map { wide($_, 3000) } 20 .. 25), 503);
redis('XTRIM', key('events'), 'MAXLEN', 0);
cmp_ok(stats()->{bytes}, '>', 50_000);
is(store(map { wide($_, 3000) } 30 .. 40), 204, 'room again');
my ($length) = map { length $_->[1][1] }
               @{ redis('XRANGE', key('events'), '-', '+', 'COUNT', 1) };
is(stats()->{bytes}, 11 * $length, 'the bytes of what is there');
redis('DEL', key('stats'));
redis('HSET', key('stats'), 'bytes', -1_000_000);
is(store(map { wide($_, 3000) } 50 .. 59), 204);
redis('DEL', key('events'), key('stats'));



=== TEST 4: serves are counted as skipped
--- catalog
    flush_interval 1h;
    max_queue_bytes 64k;
--- http_extra
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        default_type application/json;
        location / { return 200 '{"results":[{"productId":"a"}]}'; }
    }
--- config
    location = /refine/collect { refine_collect; }
    location = /s { refine_status; }
    location = /t {
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        refine_serve search;
    }
--- request
GET /t
--- error_code: 200
--- check
keep();
is(store(map { wide($_, 3000) } 1 .. 20), 204);
for (1 .. 40) { last if store(wide(100 + $_, 500)) == 503 }
get('/t?q=' . 'x' x 500) for 1 .. 3;
wait_for(sub { (status()->{serves}{skipped}{queue_bytes} || 0) == 3 },
         'counted');



=== TEST 5: the estimate is near what Redis says
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
keep();
for my $n (1 .. 40) {
    store(map { wide(100 * $n + $_, 500) } 0 .. 99);
}
is(redis('XLEN', key('events')), 4000);
my $real = redis('MEMORY', 'USAGE', key('events'), 'SAMPLES', 0);
my $ratio = size() / $real;
ok($ratio > 0.85 && $ratio < 1.25, sprintf 'ratio %.2f', $ratio);
