# Tests for refine_status: the JSON, the law of conservation, Redis away.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use IO::Select;
use JSON::PP;
use POSIX ();

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

sub status { decode_json(get($_[0] // '/s')->{body}) }

# accepted = sent + failed + dropped + queued + retrying

sub conserved {
    my ($m, $what) = @_;

    my $dropped = 0;
    $dropped += $_ for values %{ $m->{dropped} };
    is($m->{accepted}, $m->{sent} + $m->{failed} + $dropped + $m->{queued}
                       + $m->{retrying}, "conserved: $what");
}

# how often the counters were read from Redis

sub reads { redis('INFO', 'commandstats') =~ /cmdstat_hgetall:calls=(\d+)/ ? $1 : 0 }

# starts a client that asks for the status so many times, as fast as it can;
# where it tells how many were answered with 200

sub ask {
    my ($times) = @_;

    pipe(my $in, my $out) or die "pipe: $!";

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        close $in;
        my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
        my $good = grep {
            my $r = request('GET', '/s', undef, Socket => $socket,
                            Connection => 'keep-alive');
            $r && $r->{status} == 200;
        } 1 .. $times;
        syswrite $out, $good;
        POSIX::_exit(0);
    }

    close $out;
    return { in => $in, pid => $pid };
}

# Posts clicks, one after the other, as long as this is true; the seconds that
# each took, in order, and how many were not answered with 204.

sub clicks {
    my ($more) = @_;

    my ($bad, @took) = (0);

    while ($more->(scalar @took)) {
        my $start = Time::HiRes::time();
        my $r = post('/c', $CLICK);
        push @took, Time::HiRes::time() - $start;
        $bad++ if !$r || $r->{status} != 204;
    }

    return $bad, sort { $a <=> $b } @took;
}

run_tests();

__DATA__

=== TEST 1: everything is there, also what is zero
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
--- request
GET /s
--- response_headers
Content-Type: application/json
Cache-Control: no-store
--- check
my $s = status();
like($s->{version}, qr/^\d+\.\d+\.\d+$/);
is_deeply([keys %{ $s->{catalogs} }], ['shop']);
my $m = $s->{catalogs}{shop};
for my $name (qw(queued sent failed retrying accepted duplicates dead bytes
                 oldestAgeMs deadTrimmed deadReplayed))
{
    is($m->{$name}, 0, $name);
}
my $zero = sub { +{ map { $_ => 0 } @_ } };
is_deeply($m->{rejected}, $zero->(qw(method origin untrusted encoding not_gzip
    too_large
    too_many not_json not_event type missing invalid duplicate_field queue_full
    queue_bytes unavailable aborted)));
is_deeply($m->{dropped}, $zero->(qw(disabled consent)));
is_deeply($m->{events}, $zero->(qw(items_served click view add_to_cart
                                   purchase)));
is($m->{serves}{logged}, 0);
is($m->{serves}{skipped}{cacheable}, 0);
is($m->{serves}{skipped}{serve_buffer}, 0);
is_deeply($m->{redis}, { state => 'up', durable => JSON::PP::false });
is($m->{refine}{state}, 'unknown', 'nothing was sent yet');
is($m->{refine}{lastStatus}, 0);
is($m->{refine}{lastError}, undef);
is_deeply($m->{refine}{rate},
          { limit => undef, remaining => undef, reset => undef });
ok(!$m->{paused});
ok(!$m->{stale});
conserved($m, 'nothing');
unlike(get('/s')->{body}, qr/api_key|"k"/, 'the key is not shown');



=== TEST 2: what was collected
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status json; }
    location = /c { refine_collect; }
--- request
POST /c
[{"type":"click","serveId":"s1","itemId":"a","position":0},{"type":"view","serveId":"s1","itemId":"a","position":0},{"type":"click"}]
--- error_code: 200
--- check
my $m = status()->{catalogs}{shop};
is($m->{accepted}, 2);
is($m->{queued}, 2);
is($m->{events}{click}, 1);
is($m->{events}{view}, 1);
is($m->{rejected}{missing}, 1);
cmp_ok($m->{bytes}, '>', 200);
conserved($m, 'queued');
post('/c', $CLICK);
wait_for(sub { status()->{catalogs}{shop}{queued} == 3 },
         'read again after a second', 3);
cmp_ok(status()->{catalogs}{shop}{oldestAgeMs}, '>', 500);



=== TEST 3: through delivery, the law holds in every answer
--- catalog
    flush_interval 100ms;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my $end = Time::HiRes::time() + 3;
while (Time::HiRes::time() < $end) {
    post('/c', "[$CLICK,$CLICK]");
    my $m = status()->{catalogs}{shop};
    conserved($m, "$m->{accepted} accepted") if !$m->{stale};
    Time::HiRes::sleep(0.1);
}
wait_for(sub {
    my $m = status()->{catalogs}{shop};
    $m->{sent} == $m->{accepted} && $m->{queued} == 0 && $m->{sent} > 10
}, 'all sent');
my $m = status()->{catalogs}{shop};
is($m->{refine}{state}, 'up');
is($m->{refine}{lastStatus}, 200);
is($m->{refine}{lastError}, undef);
is($m->{refine}{retryAt}, undef);
is($m->{bytes}, 0);
is($m->{oldestAgeMs}, 0);



=== TEST 4: Refine fails
--- catalog
    flush_interval 100ms;
--- config
    location = /s { refine_status; }
    location = /x { refine_control; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 503, headers => { 'X-RateLimit-Limit' => '100',
         'X-RateLimit-Remaining' => '0', 'X-RateLimit-Reset' => CORE::time + 60 });
post('/c', $CLICK);
wait_for(sub { status()->{catalogs}{shop}{refine}{state} eq 'backoff' },
         'an outage');
my $m = status()->{catalogs}{shop};
is($m->{refine}{lastStatus}, 503);
is($m->{refine}{lastError}, 'Refine answered 503');
cmp_ok($m->{refine}{retryAt}, '>', 1000 * (CORE::time - 60));
conserved($m, 'outage');
for my $told ([{ drop => 1 }, 'backoff', 0, qr/^no answer \(.*closed.*\)\z/],
              [{ status => 401 }, 'held', 401,
               qr/^Refine answered 401, check api_key\z/],
              [{ status => 500 }, 'held', 500, qr/^Refine answered 500\z/])
{
    my ($how, $state, $status, $error) = @$told;
    mock_set(%$how);
    my $refine;
    wait_for(sub {
        post('/x?action=resume', '', 'X-Refine-Control' => 1);
        $refine = status()->{catalogs}{shop}{refine};
        return ($refine->{lastError} // '') =~ $error;
    }, "the error of $state");
    is($refine->{state}, $state);
    is($refine->{lastStatus}, $status);
}



=== TEST 5: Redis is away
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
is(status()->{catalogs}{shop}{accepted}, 1);
redis_kill();
post('/c', $CLICK);
wait_for(sub { status()->{catalogs}{shop}{stale} }, 'stale');
my $m = status()->{catalogs}{shop};
is($m->{accepted}, 1, 'the last values');
is($m->{redis}{state}, 'down');
redis_start();
wait_for(sub { !status()->{catalogs}{shop}{stale} }, 'fresh again');
is(status()->{catalogs}{shop}{redis}{state}, 'up');



=== TEST 6: Redis does not answer; clients that do not wait
--- http_extra
    refine_catalog away {
        organization_id o; catalog_id c_$TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events; flush_interval 1h;
        queue redis://127.0.0.1:1;
    }
--- catalog
    flush_interval 1h;
    queue_timeout 500ms;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
is(status()->{catalogs}{shop}{accepted}, 1);
Time::HiRes::sleep(1.1);
redis_pause();
for (1 .. 10) {
    my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$socket} "GET /s HTTP/1.1\r\nHost: localhost\r\n\r\n";
    $socket->flush;
    Time::HiRes::sleep(0.01);
    CORE::close($socket);
}
my $start = Time::HiRes::time();
my $c = status()->{catalogs};
cmp_ok(Time::HiRes::time() - $start, '<', 2.5, 'not later than queue_timeout');
ok($c->{shop}{stale}, 'answered all the same');
is($c->{shop}{accepted}, 1, 'with the last values known');
ok($c->{away}{stale}, 'and of all catalogs');
redis_resume();
wait_for(sub { !status()->{catalogs}{shop}{stale} }, 'fresh again');



=== TEST 7: never seen a Redis
--- http_config
    refine_catalog shop {
        organization_id o; catalog_id $TEST_NGINX_CATALOG; api_key secret1;
        endpoint http://unix:$TEST_NGINX_MOCK:/events;
        queue redis://user:secret2@127.0.0.1:1/0;
    }
    refine shop;
--- config
    location = /s { refine_status; }
--- request
GET /s
--- response_body_like: "accepted":0,.*"stale":true
--- check
unlike(get('/s')->{body}, qr/secret/);



=== TEST 8: several catalogs
--- http_extra
    refine_catalog "b-2" {
        organization_id o; catalog_id b_$TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events; flush_interval 1h;
        queue redis://unix:$TEST_NGINX_REDIS;
    }
    refine_catalog away {
        organization_id o; catalog_id c_$TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events; flush_interval 1h;
        queue redis://127.0.0.1:1;
    }
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
    location = /b { refine b-2; refine_collect; }
--- request
POST /b
[{"type":"click","serveId":"s1","itemId":"a","position":0},{"type":"click","serveId":"s1","itemId":"a","position":0}]
--- error_code: 204
--- check
post('/c', $CLICK);
my $c = status()->{catalogs};
is(CORE::join(' ', sort keys %$c), 'away b-2 shop');
is($c->{shop}{accepted}, 1);
is($c->{'b-2'}{accepted}, 2);
ok(!$c->{shop}{stale});
ok($c->{away}{stale});



=== TEST 9: methods
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
--- request
POST /s
x
--- error_code: 405
--- response_headers
Allow: GET, HEAD
--- response_body
{"error":"the method must be GET or HEAD"}
--- check
my $r = request('HEAD', '/s');
is($r->{status}, 200);
cmp_ok($r->{headers}{'content-length'}, '>', 500);
is($r->{body}, '');
$r = request('GET', '/s', 'a body');
is($r->{status}, 200, 'a body is passed over');



=== TEST 10: pipelined, with bodies
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
--- request
GET /s
--- check
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
my $one = "GET /s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc";
print {$socket} $one x 9, "GET /s HTTP/1.0\r\nHost: localhost\r\n\r\n";
my $all = CORE::join '', CORE::readline($socket);
is(scalar(() = $all =~ m{^HTTP/1.1 200}mg), 10);



=== TEST 11: a parameter that is unknown
--- config
    location = /s { refine_status xml; }
--- must_die
--- error_log
invalid parameter "xml" of refine_status, it must be one of "json", "prometheus" and "html", "any", or "control=", each once
--- suppress_stderr



=== TEST 12: many who ask for the status cost Redis one read a second
--- http_extra
    keepalive_requests 10000;
--- catalog
    flush_interval 1h;
    queue_timeout 30s;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
--- request
GET /s
--- check
my ($bad, @alone) = clicks(sub { $_[0] < 100 });
is($bad, 0, 'clicks are taken while nobody asks');

my ($before, $start) = (reads(), Time::HiRes::time());
my @asking = map { ask(300) } 1 .. 4;
my $last = IO::Select->new($asking[-1]{in});
($bad, my @amid) = clicks(sub { $_[0] < 20 || !$last->can_read(0) });
my @answered = map { sysread $_->{in}, my $n, 9; $n } @asking;
my $seconds = Time::HiRes::time() - $start;
my $read = reads() - $before;
waitpid $_->{pid}, 0 for @asking;

is($bad, 0, 'clicks are taken while many ask');
is("@answered", '300 300 300 300', 'all who ask are answered');
cmp_ok($read, '<=', POSIX::ceil($seconds) + 1, 'a read a second, at most');

diag(sprintf '%d status requests a second; a click, half within: %.2f ms, '
             . 'without them %.2f ms', 1200 / $seconds,
     1000 * $amid[@amid / 2], 1000 * $alone[@alone / 2]);
wait_for(sub { status()->{catalogs}{shop}{accepted} == @alone + @amid },
         'and what is told is not older than a second or so');
