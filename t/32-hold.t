# Refine refuses for a reason that another try does not change: the catalog is
# held, one line says what to check, one batch is tried every minute.  A test
# does not wait for the minute: resume tries at once.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;

run_tests();

__DATA__

=== TEST 1: a wrong key
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
mock_set(status => 401);
collect(click(1));
wait_for(sub { log_lines(qr/is held: Refine answered 401, check api_key/) },
         'it says what to check');
collect(click($_)) for 2 .. 20;
is(control('flush')->{status}, 409, 'flush says no');
is(scalar events(), 20, 'all stay queued');
wait_for(sub { control('resume'); mock() >= 4 }, 'resume tries again');
is(scalar unique(received()), 1, 'always the same batch');
is(scalar log_lines(qr/is held/), 1, 'one line');
is(scalar log_lines(qr/\[error\].*is held/), 1, 'an error');
mock_set();
wait_for(sub { control('resume'); unique(delivered()) == 20 }, 'delivered');
is(scalar log_lines(qr/has recovered/), 1);
is(scalar dead(), 0);
is(scalar log_lines(qr/REFINE_API_KEY|api_key k/), 0, 'not the key');



=== TEST 2: every other refusal
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
my $n = 0;
for my $told ([301, 'redirects are not followed'],
              [302, 'redirects are not followed'],
              [307, 'redirects are not followed'],
              [403, 'check api_key, organization_id and catalog_id'],
              [404, 'check endpoint'], [405, 'check endpoint'],
              [409, 'check endpoint and api_key'], [415, 'check endpoint'])
{
    my ($status, $text) = @$told;
    mock_set(status => $status, times => 1,
             headers => { Location => '/elsewhere' });
    collect(click(++$n));
    wait_for(sub { log_lines(qr/is held: Refine answered $status, $text/) },
             "held by $status");
    wait_for(sub { control('resume'); delivered() == $n }, 'resumed');
}
is(scalar(grep { $_->{path} ne '/events' } mock()), 0, 'nowhere else');
is(scalar dead(), 0);



=== TEST 3: 400 before the first 2xx, then a batch that is set aside
--- catalog
    flush_interval 50ms;
    batch_size 8;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 400, match => '"bad"');
collect(map { click($_, $_ == 3 ? (itemId => 'bad') : ()) } 1 .. 8);
wait_for(sub { log_lines(qr/is held: Refine answered 400, check organiz/) },
         'held');
is(scalar events(), 8, 'nothing is given up');
collect(map { click($_) } 11 .. 18);
wait_for(sub { control('resume'); delivered() > 0 },
         'another event is tried in the end');
wait_for(sub { delivered() == 15 }, 'all others are delivered');
wait_for(sub { dead() == 1 }, 'one became a dead letter');
is((dead())[0]{e}{eventId}, 'e3');
is((dead())[0]{status}, 400);
is(scalar unique(delivered()), 15, 'each once');
is(scalar log_lines(qr/is held/), 1);
is(scalar log_lines(qr/became a dead letter/), 1);



=== TEST 4: 422 before the first 2xx
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
mock_set(status => 422, times => 1);
collect(click(1));
wait_for(sub { log_lines(qr/is held: Refine answered 422/) }, 'held');
control('resume');
wait_for(sub { delivered() == 1 }, 'delivered');
is(scalar dead(), 0);



=== TEST 5: twenty refusals of single events in a row
--- catalog
    flush_interval 50ms;
    batch_size 1;
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
mock_set(status => 422, body => '{"message":"no such catalog"}');
collect(map { click($_) } 1 .. 40);
wait_for(sub { log_lines(qr/is held: Refine answered 422/) }, 'held');
wait_for(sub { dead() >= 19 }, 'dead letters');
my ($posts, $dead) = (scalar(() = mock()), scalar(() = dead()));
is($dead, 19, 'and no more');
is(scalar events(), 21, 'the others stay queued');
is((dead())[0]{reason}, 'no such catalog');
mock_set();
wait_for(sub { control('resume'); unique(delivered()) == 22 }, 'delivered');
is(scalar dead(), 19);
is(stats()->{failed}, 19, 'counted as failed');
is(scalar log_lines(qr/became a dead letter/), 1, 'one line for all of them');



=== TEST 6: pause and resume
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
collect(click(0));
wait_for(sub { delivered() == 1 }, 'up');
is(control('pause')->{status}, 200);
collect(click($_)) for 1 .. 10;
is(control('flush')->{status}, 409);
is(scalar events(), 10, 'collected');
is(scalar received(), 1, 'not delivered');
is(control('resume')->{status}, 200);
wait_for(sub { delivered() == 11 }, 'delivered');



=== TEST 7: a pause that is ended on another machine
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
is(control('pause')->{status}, 200);
collect(click(1));
is(scalar received(), 0);
redis('HDEL', Refine::key('stats'), 'paused');
wait_for(sub { delivered() == 1 }, 'noticed');
redis('HSET', Refine::key('stats'), 'paused', 1);
collect(click(2));
collect(click(3));
redis('HDEL', Refine::key('stats'), 'paused');
wait_for(sub { delivered() == 3 }, 'noticed again');



=== TEST 8: a pause while POSTs are under way
--- catalog
    flush_interval 50ms;
    batch_size 2;
    max_in_flight 2;
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
mock_set(delay => 0.7, times => 1);
mock_set(delay => 0.7, status => 503, times => 1, match => '"e3"');
collect(map { click($_) } 1 .. 8);
wait_for(sub { received() == 5 }, 'two are under way');
is(control('pause')->{status}, 200);
wait_for(sub { sent() == 3 }, 'one of them is delivered');
wait_for(sub { my @p = pending(); @p == grep { $_->[2] >= 89_000 } @p },
         'the rest is given back');
is(scalar(grep { $_->[3] > 0 } pending()), 0, 'and no attempt counts');
is(scalar events(), 6);
is(scalar received(), 5, 'nothing is sent during the pause');
is(control('resume')->{status}, 200);
wait_for(sub { control('resume'); sent() == 9 }, 'delivered');
is(scalar unique(delivered()), 9);
is(scalar delivered(), 9, 'each once');
conserved();
