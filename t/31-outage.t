# Refine is away: the catalog backs off as a whole, one batch is tried at a
# time, nothing is lost and no retry is used up.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use POSIX 'strftime';

# an answer byte by byte, for headers that the mock would add by itself

sub raw {
    my ($status, @headers) = @_;

    return join '', map { "$_\r\n" } "HTTP/1.1 $status Told", @headers,
                                     'Content-Length: 0', '';
}

sub http_date {
    my @t = gmtime shift;
    my $day = (qw(Sun Mon Tue Wed Thu Fri Sat))[$t[6]];
    my $month = (qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec))[$t[4]];
    return "$day, " . strftime("%d $month %Y %H:%M:%S GMT", @t);
}

# seconds between the first two POSTs

sub gap { my @r = mock(); return $r[1]{time} - $r[0]{time} }

run_tests();

__DATA__

=== TEST 1: the same batch again, with the same key
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 503, times => 2);
collect(map { click($_) } 1 .. 5);
wait_for(sub { delivered() == 5 }, 'delivered in the end');
my @r = mock();
is(scalar @r, 3, 'three POSTs');
is(scalar unique(map { $_->{headers}{'Idempotency-Key'} } @r), 1);
is(join(' ', delivered()), 'e1 e2 e3 e4 e5');
wait_for(sub { events() == 0 }, 'acknowledged');
is(sent(), 5);
is(scalar dead(), 0);
is(scalar log_lines(qr/catalog "shop" backs off: Refine answered 503/), 1,
   'one line for the outage');
is(scalar log_lines(qr/catalog "shop" has recovered/), 1,
   'and one for its end');



=== TEST 2: every kind of outage
--- catalog
    flush_interval 50ms;
    max_retries 1;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $n = 0;
collect(click(++$n));
wait_for(sub { delivered() == 1 }, 'up');
for my $told ([status => 408], [status => 425], [status => 429],
              [status => 500], [status => 502], [status => 503],
              [status => 504], [drop => 1], [raw => "nonsense\r\n\r\n"],
              [raw => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
{
    my $posts = () = mock();
    mock_set(@$told, times => 1);
    collect(click(++$n));
    wait_for(sub { mock() > $posts }, "@$told");
    wait_for(sub { control('resume'); delivered() >= $n },
             "delivered after @$told");
}
is(scalar unique(delivered()), $n);
is(scalar dead(), 0);



=== TEST 3: a time-out
--- catalog
    flush_interval 50ms;
    delivery_timeout 300ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(hang => 1, times => 1);
collect(click(1));
wait_for(sub { delivered() == 1 }, 'delivered');
is(scalar log_lines(qr/backs off: no answer \(/), 1);



=== TEST 4: Retry-After in seconds
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 429, times => 1, headers => { 'Retry-After' => 2 });
collect(click(1));
wait_for(sub { delivered() == 1 }, 'delivered');
ok(gap() >= 1.95 && gap() < 3.5, 'not before it was asked for: ' . gap());



=== TEST 5: Retry-After as a date, by the clock of the server
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $clock = time - 86400;
mock_set(times => 1, raw => raw(503, 'Date: ' . http_date($clock),
                                'Retry-After: ' . http_date($clock + 2)));
collect(click(1));
wait_for(sub { delivered() == 1 }, 'delivered');
ok(gap() >= 1.95 && gap() < 3.5, 'two seconds: ' . gap());



=== TEST 6: retry_after in the body
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 429, times => 1,
         body => '{"status":429,"message":"slow down","retry_after":2}');
collect(click(1));
wait_for(sub { delivered() == 1 }, 'delivered');
ok(gap() >= 1.95 && gap() < 3.5, 'two seconds: ' . gap());



=== TEST 7: the reset of the rate limit, by the clock of the server
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $clock = int(time) + 86400;
mock_set(times => 1, raw => raw(429, 'Date: ' . http_date($clock),
                                'X-RateLimit-Limit: 100',
                                'X-RateLimit-Remaining: 0',
                                'X-RateLimit-Reset: ' . ($clock + 2)));
collect(click(1));
wait_for(sub { delivered() == 1 }, 'delivered');
ok(gap() >= 1.95 && gap() < 3.5, 'two seconds: ' . gap());



=== TEST 8: a wait of days is cut, and resume ends it
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 503, times => 1, headers => { 'Retry-After' => 864000 });
collect(click(1));
wait_for(sub { log_lines(qr/asked to wait for more than an hour/) }, 'logged');
my ($line) = log_lines(qr/backs off/);
my ($ms) = $line =~ /next try in (\d+) ms/;
ok($ms >= 3600000 && $ms <= 3606000, "an hour: $ms");
control('resume');
wait_for(sub { delivered() == 1 }, 'delivered at once');



=== TEST 9: an outage stops all but one, and uses up no retries
--- catalog
    flush_interval 50ms;
    batch_size 1;
    max_in_flight 4;
    max_retries 2;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(0));
wait_for(sub { delivered() == 1 }, 'up');
mock_set(status => 500, delay => 0.1);
collect(map { click($_) } 1 .. 30);
wait_for(sub { mock() > 4 }, 'tried');
for (1 .. 12) {
    my $posts = () = mock();
    wait_for(sub { control('resume'); mock() > $posts }, 'a probe');
}
my @times = map { $_->{time} } (mock())[5 .. 12];
is(scalar(grep { $times[$_] - $times[$_ - 1] < 0.09 } 1 .. $#times), 0,
   'one at a time');
mock_set();
wait_for(sub { control('resume'); unique(delivered()) == 31 },
         'all delivered');
is(scalar dead(), 0, 'none given up');
wait_for(sub { sent() == 31 }, 'all counted');
is(scalar log_lines(qr/backs off/), 1, 'one line');



=== TEST 10: Refine is not there at all when nginx starts
--- http_config
    refine_catalog shop {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK.not:/events;
        queue redis://unix:$TEST_NGINX_REDIS;
        flush_interval 50ms;
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
wait_for(sub { log_lines(qr/backs off: no answer/) }, 'noticed');
collect(click(2));
is(scalar events(), 2, 'kept');
is(scalar log_lines(qr/backs off/), 1);



=== TEST 11: Redis goes away and comes back while a POST is under way
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(delay => 1, times => 1);
collect(click(1));
wait_for(sub { mock() == 1 }, 'under way');
redis('CLIENT', 'KILL', 'TYPE', 'normal');
wait_for(sub { sent() == 1 }, 'acknowledged when it is back');
is(scalar events(), 0);
is(scalar(() = mock()), 1, 'sent once');



=== TEST 12: resume while a probe is under way: its failure does not undo it
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 503, times => 2, delay => 0.5,
         headers => { 'Retry-After' => 60 });
collect(click(1));
wait_for(sub { log_lines(qr/backs off/) }, 'an outage');
control('resume');
wait_for(sub { mock() == 2 }, 'a probe is under way');
control('resume');
wait_for(sub { delivered() == 1 }, 'the next one at once', 5);
wait_for(sub { sent() == 1 }, 'counted');
is(scalar log_lines(qr/backs off/), 1);



=== TEST 13: a wait of days in refusals of single events floods no log
--- catalog
    flush_interval 50ms;
    batch_size 1;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(0));
wait_for(sub { delivered() == 1 }, 'up');
mock_set(status => 422, headers => { 'Retry-After' => 864000 });
collect(map { click($_) } 1 .. 10);
wait_for(sub { dead() == 10 }, 'dead letters');
is(scalar log_lines(qr/asked to wait/), 0);
