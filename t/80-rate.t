# The rate limit that Refine announces: shared by all workers, none of whose
# POSTs is over it, whatever others use of it.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Time::HiRes qw(sleep time);

master_on();
workers(4);


# POSTs by the window of the mock's limit, those of the first and last left out

sub windows {
    my %posts;
    $posts{ $_->{window} }++ for mock();
    my @n = sort { $a <=> $b } keys %posts;
    return map { $posts{$_} // 0 } $n[0] + 1 .. $n[-1] - 1;
}


sub rate {
    my $r = get('/refine/status');
    return decode_json($r->{body})->{catalogs}{shop}{refine}{rate};
}


# events from all sides until so many windows are over

sub load {
    my ($windows, $seconds) = @_;

    my ($n, $end) = (0, time + $seconds * ($windows + 1));

    while (time < $end) {
        my $r = post('/refine/collect', encode_json(click(++$n)));
        last if !$r || $r->{status} != 204;
        sleep 0.02;
    }

    return $n;
}

run_tests();

__DATA__

=== TEST 1: four workers, others use part of the limit: no 429
--- catalog
    flush_interval 20ms;
    batch_size 100;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/status { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(scalar worker_pids(), 4);
mock_set(rate => { limit => 40, window => 4, others => 24, skew => -86400 });
my $n = main::load(4, 4);
ok($n > 100, "$n events");
my @posts = mock();
my $first = $posts[0]{window};
is(scalar(grep { $_->{status} == 429 && $_->{window} > $first } @posts), 0,
   'not one POST was over the limit');
my @windows = main::windows();
ok(@windows >= 3, 'windows');
is(scalar(grep { $_ > 16 } @windows), 0, "what others leave: @windows");
is(scalar(grep { $_ < 4 } @windows), 0, 'and much of it');
my $rate = main::rate();
is($rate->{limit}, 40, 'the status has the limit');
like($rate->{remaining}, qr/^\d+$/, 'what remains');
ok(abs($rate->{reset} + 86400 - time) < 10, 'and the reset');
mock_set();
wait_for(sub { sent() == $n }, 'all is delivered', 20);
is(scalar unique(delivered()), $n, 'once');
conserved();



=== TEST 2: the share of it
--- catalog
    flush_interval 20ms;
    rate_share 10%;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(rate => { limit => 60, window => 4, seconds => 1, skew => 86400 });
my $n = main::load(3, 4);
is(scalar(grep { $_->{status} == 429 } mock()), 0, 'no POST over the limit');
my @windows = main::windows();
ok(@windows >= 2, 'windows');
is(scalar(grep { $_ > 6 } @windows), 0, "6 of 60: @windows");
is(scalar(grep { $_ < 2 } @windows), 0, 'spread over the window');
my @sizes = map { scalar @{ $_->{body}{events} } } mock();
my $largest = (sort { $a <=> $b } @sizes)[-1];
ok($largest > 5, "batches grow: $largest events");
mock_set();
wait_for(sub { sent() == $n }, 'all is delivered', 20);



=== TEST 3: catalogs of one organization share it
--- http_config
    refine_catalog one {
        organization_id org_1; catalog_id one_$TEST_NGINX_CATALOG;
        api_key k; flush_interval 20ms; rate_share 20%;
        endpoint http://unix:$TEST_NGINX_MOCK:/limited;
        queue redis://unix:$TEST_NGINX_REDIS;
    }
    refine_catalog two {
        organization_id org_1; catalog_id $TEST_NGINX_CATALOG;
        api_key k; flush_interval 20ms; rate_share 20%;
        endpoint http://unix:$TEST_NGINX_MOCK:/limited;
        queue redis://unix:$TEST_NGINX_REDIS;
    }
--- config
    location = /one { refine one; refine_collect; }
    location = /refine/collect { refine two; refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(catalog => undef, path => '/limited',
         rate => { limit => 40, window => 4 });
my ($n, $end) = (0, time + 12);
while (time < $end) {
    post($_, encode_json(click(++$n))) for '/one', '/refine/collect';
    sleep 0.02;
}
my %posts;
$posts{ $_->{window} }++ for mock(), mock('one_' . catalog());
my @last = (sort { $a <=> $b } keys %posts)[1 .. keys(%posts) - 2];
ok(@last >= 1, 'windows');
is(scalar(grep { $posts{$_} > 8 } @last), 0,
   "20% of 40 for both: @posts{@last}");
is(scalar(grep { $posts{$_} < 3 } @last), 0, 'and not much less');



=== TEST 4: nothing remains: all wait for the reset
--- catalog
    flush_interval 20ms;
    rate_share 100%;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(times => 1, headers => { 'X-RateLimit-Limit' => 100,
                                  'X-RateLimit-Remaining' => 0,
                                  'X-RateLimit-Reset' => 3 });
collect(click(1));
wait_for(sub { delivered() == 1 }, 'the first');
my $start = (mock())[0]{time};
collect(click($_)) for 2 .. 20;
wait_for(sub { delivered() == 20 }, 'the others');
my @r = mock();
my $gap = $r[1]{time} - $start;
ok($gap >= 2.9 && $gap < 6, "after the reset: $gap s");
is(scalar @r, 2, 'in one batch');
is(scalar log_lines(qr/backs off/), 0, 'and it was no outage');



=== TEST 5: a storm of 429
--- catalog
    flush_interval 20ms;
    batch_size 1;
    max_retries 1;
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
mock_set(status => 429, delay => 0.1, headers => { 'Retry-After' => 1 });
collect(click($_)) for 1 .. 40;
wait_for(sub { log_lines(qr/backs off: Refine answered 429/) }, 'an outage');
my $posts = () = mock();
ok($posts <= 1 + 4 * 4, "$posts: those that were under way, no more");
wait_for(sub { mock() >= $posts + 3 }, 'probes', 20);
my @t = map { $_->{time} } (mock())[$posts .. $posts + 2];
is(scalar(grep { $t[$_] - $t[$_ - 1] < 0.99 } 1 .. 2), 0,
   'one at a time, never earlier than asked for');
mock_set();
wait_for(sub { control('resume'); sent() == 41 }, 'all is delivered');
is(scalar dead(), 0, 'none is given up');
is(scalar log_lines(qr/backs off/), 1, 'one line');
conserved();



=== TEST 6: one flush an interval over four workers
--- catalog
    flush_interval 500ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $n = main::load(2, 1);
wait_for(sub { sent() == $n }, 'delivered');
my @t = map { $_->{time} } mock();
my $seconds = $t[-1] - $t[0];

# one more at each end, and one where the first or the last came late

ok(@t <= $seconds / 0.5 + 3, @t . " POSTs in $seconds s");
ok(@t >= 3, 'and not fewer than intervals');



=== TEST 7: it survives a reload
--- catalog
    flush_interval 20ms;
    rate_share 100%;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/status { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my %limits = ('X-RateLimit-Limit' => 100, 'X-RateLimit-Remaining' => 0,
              'X-RateLimit-Reset' => 86000);
mock_set(times => 1, headers => \%limits);
collect(click(1));
wait_for(sub { delivered() == 1 }, 'the first');
reload();
collect(click(2));
is(main::rate()->{limit}, 100);
my $reset = main::rate()->{reset};
ok(abs($reset - 86000 - time) < 60, 'the reset in seconds is shown as a time');
is(scalar events(), 1, 'it waits');
mock_set(status => 200);
reload(sub { s/api_key          k;/api_key          l;/ or die 'no key' });
wait_for(sub { sent() == 2 }, 'another key has another limit');
is(main::rate()->{limit}, undef);
