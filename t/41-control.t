# Tests for refine_control: flush, pause, resume, their answers and errors.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

sub control {
    my ($query, @headers) = @_;
    my $r = post("/x?$query", '', 'X-Refine-Control' => 1, Timeout => 40,
                 @headers);
    $r->{json} = eval { decode_json($r->{body}) };
    return $r;
}

sub delivered { my $n = 0; $n += @{ $_->{body}{events} } for mock(); $n }

run_tests();

__DATA__

=== TEST 1: flush answers when all that was stored before is sent
--- catalog
    flush_interval 1h;
--- config
    location = /x { refine_control; }
    location = /c { refine_collect; }
--- request
POST /x?action=flush
--- more_headers
X-Refine-Control: 1
--- error_code: 200
--- response_headers
Content-Type: application/json
Cache-Control: no-store
--- check
post('/c', "[$CLICK,$CLICK,$CLICK]") for 1 .. 10;
my $r = control('action=flush');
is($r->{status}, 200);
is(delivered(), 30, 'sent when it answers');
is(scalar events(), 0);
my $m = $r->{json}{catalogs}{shop};
is($m->{sent}, 30, 'the metrics are of now');
is($m->{queued}, 0);
is($m->{accepted}, 30);
is(control('action=flush')->{status}, 200, 'nothing to do');



=== TEST 2: 202 when it takes longer
--- catalog
    flush_interval 1h;
--- config
    location = /x { refine_control; }
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
mock_set(status => 503);
my $start = Time::HiRes::time();
my $r = control('action=flush&timeout=1');
is($r->{status}, 202);
cmp_ok(Time::HiRes::time() - $start, '>=', 0.9);
cmp_ok(Time::HiRes::time() - $start, '<', 5);
my $m = $r->{json}{catalogs}{shop};
is($m->{sent}, 0);
is($m->{queued} + $m->{retrying}, 1);
mock_set(status => 200);
$r = control('action=resume');
is($r->{status}, 200, 'resume ends the backoff');
is(control('action=flush&timeout=20')->{status}, 200);
is(delivered() > 0, 1 == 1);



=== TEST 3: pause stops delivery, never collection; resume starts it
--- catalog
    flush_interval 100ms;
--- config
    location = /x { refine_control; }
    location = /c { refine_collect; }
--- request
POST /x?action=pause
--- more_headers
X-Refine-Control: 1
--- error_code: 200
--- response_body_like: "paused":true
--- check
is(post('/c', $CLICK)->{status}, 204, 'collected');
Time::HiRes::sleep(0.7);
is(scalar mock(), 0, 'not delivered');
is(scalar events(), 1);
my $r = control('action=flush');
is($r->{status}, 409, 'flush while paused');
is($r->{json}{error}, 'delivery is paused');
ok($r->{json}{catalogs}{shop}{paused}, 'with the metrics');
$r = control('action=pause');
is($r->{status}, 200, 'again');
$r = control('action=resume');
is($r->{status}, 200);
ok(!$r->{json}{catalogs}{shop}{paused});
wait_for(sub { delivered() == 1 }, 'delivered');
is(control('action=resume')->{status}, 200, 'again');



=== TEST 4: held
--- catalog
    flush_interval 100ms;
--- config
    location = /x { refine_control; }
    location = /s { refine_status; }
    location = /c { refine_collect; }
--- request
POST /x?action=flush
--- more_headers
X-Refine-Control: 1
--- check
mock_set(status => 401);
post('/c', $CLICK);
wait_for(sub { decode_json(get('/s')->{body})->{catalogs}{shop}{refine}{state}
               eq 'held' }, 'held');
my $r = control('action=flush');
is($r->{status}, 409);
like($r->{json}{error}, qr/^delivery is held/);
mock_set(status => 200);
is(control('action=resume')->{status}, 200, 'resume probes at once');
wait_for(sub { delivered() >= 1 && events() == 0 }, 'delivered', 5);



=== TEST 5: Redis is away
--- catalog
    flush_interval 1h;
    queue_timeout 500ms;
--- config
    location = /x { refine_control; }
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
redis_kill();
for my $action (qw(flush pause resume replay)) {
    my $r = control("action=$action");
    is($r->{status}, 503, $action);
    like($r->{json}{error}, qr/Redis/);
    ok($r->{json}{catalogs}{shop}{stale});
}
redis_start();
wait_for(sub { control('action=flush')->{status} == 200 }, 'back');
redis_pause();
is(control('action=flush')->{status}, 503, 'Redis does not answer');
redis_resume();
wait_for(sub { control('action=flush')->{status} == 200 }, 'back');



=== TEST 6: what cannot be understood is not done
--- catalog
    flush_interval 1h;
--- config
    location = /x { refine_control; }
    location = /c { refine_collect; }
--- request
POST /x
--- more_headers
X-Refine-Control: 1
--- error_code: 400
--- response_body
{"error":"action must be given: flush, pause, resume or replay"}
--- check
post('/c', $CLICK);
my %bad = (
    'action='                          => 'action must be flush, pause, resume or replay',
    'action=stop'                      => 'action must be flush, pause, resume or replay',
    'action=Flush'                     => 'action must be flush, pause, resume or replay',
    'action'                           => 'action must be flush, pause, resume or replay',
    'action=flush&action=pause'        => 'action must not be given twice',
    'action=flush&catalog='            => 'catalog must be the name of a refine_catalog',
    'action=flush&catalog=other'       => 'catalog must be the name of a refine_catalog',
    'action=flush&catalog=sho'         => 'catalog must be the name of a refine_catalog',
    'action=flush&catalog=shop&catalog=shop' => 'catalog must not be given twice',
    'action=flush&timeout='            => 'timeout must be from 1 to 300 seconds',
    'action=flush&timeout=0'           => 'timeout must be from 1 to 300 seconds',
    'action=flush&timeout=301'         => 'timeout must be from 1 to 300 seconds',
    'action=flush&timeout=-1'          => 'timeout must be from 1 to 300 seconds',
    'action=flush&timeout=x'           => 'timeout must be from 1 to 300 seconds',
    'action=pause&timeout=5'           => 'timeout is only for action=flush',
    'action=replay&timeout=5'          => 'timeout is only for action=flush',
    'action=flush&reason=x'            => 'reason is only for action=replay',
    'action=replay&reason='            => q(reason must be the beginning of a dead letter's reason),
    'action=replay&reason=x&reason=x'  => 'reason must not be given twice',
    'action=flush&verbose=1'           => 'only the parameters action, catalog, reason and timeout are known',
);
for my $query (sort keys %bad) {
    my $r = control($query);
    is($r->{status}, 400, $query);
    is($r->{body}, qq({"error":"$bad{$query}"}\n));
}
is(scalar events(), 1, 'nothing was sent');
is(control('action=%66lush&&catalog=%73hop&timeout=10s')->{status}, 200,
   'escaped');
is(scalar events(), 0);



=== TEST 7: one of several catalogs
--- http_extra
    refine_catalog two {
        organization_id o; catalog_id b_$TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events; flush_interval 1h;
        queue redis://unix:$TEST_NGINX_REDIS;
    }
--- catalog
    flush_interval 1h;
--- config
    location = /x { refine_control; }
    location = /c { refine_collect; }
    location = /b { refine two; refine_collect; }
--- request
POST /b
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
post('/c', $CLICK);
my $r = control('action=flush&catalog=two');
is($r->{status}, 200);
is($r->{json}{catalogs}{two}{sent}, 1);
is($r->{json}{catalogs}{shop}{sent}, 0);
is(scalar events(), 1);
$r = control('action=pause&catalog=shop');
ok($r->{json}{catalogs}{shop}{paused});
ok(!$r->{json}{catalogs}{two}{paused});
is(control('action=flush&catalog=two')->{status}, 200);
is(control('action=flush')->{status}, 409, 'one of them is paused');
is(control('action=resume')->{status}, 200);
is(control('action=flush')->{status}, 200);
is(scalar events(), 0);



=== TEST 8: a client that does not wait
--- catalog
    flush_interval 1h;
--- config
    location = /x { refine_control; }
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
mock_set(status => 503);
for my $action ('flush', 'pause', 'resume', 'replay', 'flush') {
    for my $wait (0, 0.01, 0.1) {
        my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
        print {$socket} "POST /x?action=$action HTTP/1.1\r\nHost: localhost\r\n"
            . "X-Refine-Control: 1\r\nContent-Length: 0\r\n\r\n";
        $socket->flush;
        Time::HiRes::sleep($wait);
        CORE::close($socket);
    }
}
Time::HiRes::sleep(0.3);
mock_set(status => 200);
is(control('action=resume')->{status}, 200);
is(control('action=flush')->{status}, 200);



=== TEST 9: methods
--- catalog
    flush_interval 1h;
--- config
    location = /x { refine_control; }
--- request
GET /x?action=pause
--- more_headers
X-Refine-Control: 1
--- error_code: 405
--- response_headers
Allow: POST
--- check
is(get('/x?action=pause')->{status}, 405);
is(stats()->{paused}, undef, 'nothing was done');



=== TEST 10: a parameter that is unknown
--- config
    location = /x { refine_control json; }
--- must_die
--- error_log
invalid parameter "json" of refine_control, it must be "any"
--- suppress_stderr
