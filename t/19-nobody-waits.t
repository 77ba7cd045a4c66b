# The shop's visitors wait neither for Redis nor for Refine: what hangs there delays
# no response, and what was logged meanwhile is stored and delivered later.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Upstream;

run_tests();

__DATA__

=== TEST 1: Redis hangs, and so does Refine
--- catalog
    flush_interval 50ms;
    queue_timeout 60s;
    delivery_timeout 60s;
    read_timeout 60s;
    max_in_flight 1;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $body = '{"results":[{"productId":"a"},{"productId":"b"}],"totalResults":2}';
reply('x', $body);
mock_set(hang => 1, times => 1);
collect(click(1));
wait_for(sub { scalar(() = mock()) == 1 }, 'a POST that gets no answer');

# a click waits for Redis alone

collect(click(2));

redis_pause();
my %ids;
for my $n (1 .. 20) {
    my $r = get('/s/x', Timeout => 30);
    is($r->{body}, $body, 'a search is answered');
    $ids{ $r->{headers}{'x-refine-serve-id'} // '' } = 1;
}
is(scalar(keys %ids), 20, 'each under its own id');
redis_resume();
wait_for(sub { events('"items_served"') == 20 }, 'all of them are stored');
is_deeply([sort map { $_->{serveId} } events('"items_served"')],
          [sort keys %ids]);
