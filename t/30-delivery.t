# Delivery when all is well: the POST, batches by number, bytes and interval.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;

run_tests();

__DATA__

=== TEST 1: the POST
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $before = time * 1000 - 1000;
collect(click(1), click(2));
wait_for(sub { received() == 2 }, 'delivered');
my ($r) = mock();
is($r->{path}, '/events');
is($r->{status}, 200, 'the mock found nothing to complain of');
my %h = %{ $r->{headers} };
is($h{REFINE_API_KEY}, 'k');
is($h{'Content-Type'}, 'application/json');
like($h{'User-Agent'}, qr{^ngx_http_refine_module/\d+\.\d+\.\d+$});
like($h{'Idempotency-Key'}, qr/^[0-9a-f]{64}$/);
is($h{'Content-Length'}, length $r->{raw});
ok(defined $h{Host}, 'a Host header');
is(join(' ', sort keys %{ $r->{body} }),
   'catalogId events organizationId sentAt');
is($r->{body}{organizationId}, 'org_1');
is($r->{body}{catalogId}, catalog());
ok($r->{body}{sentAt} > $before && $r->{body}{sentAt} <= time * 1000 + 1000,
   'sentAt in milliseconds');
is(join(' ', map { $_->{eventId} } @{ $r->{body}{events} }), 'e1 e2');
is($r->{body}{events}[0]{itemId}, 'i1');
wait_for(sub { events() == 0 }, 'acknowledged');
is(sent(), 2, 'counted as sent');
is(stats()->{accepted}, 2);
is(scalar dead(), 0);
is(scalar log_lines(qr{refine: catalog "shop" is up}), 1, 'one line says so')
    or diag(log_lines(qr{refine:}));



=== TEST 2: batch_size, and one connection for many batches
--- catalog
    flush_interval 1h;
    batch_size 10;
    max_in_flight 1;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(map { click($_) } 1 .. 35);
wait_for(sub { received() == 35 }, 'no interval is waited for');
is(join(' ', map { scalar @{ $_->{body}{events} } } mock()), '10 10 10 5');
is(join(' ', received()), join(' ', map { "e$_" } 1 .. 35), 'in order');
my %connections = map { $_->{connection} => 1 } mock();
is(scalar keys %connections, 1, 'kept alive');
my %keys = map { $_->{headers}{'Idempotency-Key'} => 1 } mock();
is(scalar keys %keys, 4, 'a key for each batch');



=== TEST 3: fewer than a batch wait for the interval
--- catalog
    flush_interval 700ms;
    batch_size 10;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { received() == 1 }, 'the first one');
collect(click($_)) for 2 .. 5;
wait_for(sub { received() == 5 }, 'the others');
my @r = mock();
is(scalar @r, 2, 'in one batch');
my $gap = $r[1]{time} - $r[0]{time};
ok($gap > 0.6 && $gap < 1.5, "an interval later ($gap s)");



=== TEST 4: at most 512 KB in a batch
--- catalog
    flush_interval 1h;
    batch_size 500;
--- config
    location = /refine/collect { refine_collect; client_max_body_size 2m;
                                 client_body_buffer_size 2m; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $note = 'x' x 3500;
collect(map { click($_, metadata => { note => $note }) }
            $_ * 50 + 1 .. $_ * 50 + 50) for 0 .. 5;
flush_now();
wait_for(sub { received() == 300 }, 'delivered');
my @sizes = map { length $_->{raw} } mock();
ok(@sizes >= 3 && @sizes <= 12, 'in ' . @sizes . ' POSTs');
is(scalar(grep { $_ > 512 * 1024 + 200 } @sizes), 0, "sizes: @sizes");
is(scalar(unique(received())), 300);



=== TEST 5: max_in_flight
--- catalog
    flush_interval 1h;
    batch_size 1;
    max_in_flight 3;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { received() == 1 }, 'one');
mock_set(delay => 0.3);
collect(map { click($_) } 2 .. 10);
wait_for(sub { received() == 10 }, 'all');
my @times = map { $_->{time} } mock();
my @starts = map { int(($_ - $times[1]) / 0.25) } @times[1 .. 9];
my %groups; $groups{$_}++ for @starts;
is(join(' ', map { $groups{$_} } sort { $a <=> $b } keys %groups), '3 3 3',
   'three at a time');



=== TEST 6: the queue's backlog is delivered at start, by its interval
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- post_setup_server_root
for my $n (1 .. 1200) {
    Refine::redis('XADD', 'refine:{' . Refine::catalog() . '}:events', '*', 'e',
                  Delivery::line($n));
}
--- request
GET /t
--- error_code: 204
--- check
wait_for(sub { received() == 1200 }, 'delivered');
is(scalar(unique(received())), 1200, 'each once');
wait_for(sub { events() == 0 }, 'acknowledged');



=== TEST 7: what is no event of this module becomes a dead letter at once
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- post_setup_server_root
Refine::redis('XADD', 'refine:{' . Refine::catalog() . '}:events', '*',
              'e', '"x"');
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { received() == 1 }, 'the others are delivered');
wait_for(sub { redis('XLEN', Refine::key('dead')) == 1 }, 'dead letter');
my %row = @{ redis('XRANGE', Refine::key('dead'), '-', '+')->[0][1] };
is($row{e}, '"x"');
like($row{reason}, qr/not an event/);



=== TEST 8: two catalogs do not wait for each other
--- http_config
    refine_catalog one {
        organization_id org_1; catalog_id one_$TEST_NGINX_CATALOG;
        api_key k; flush_interval 50ms;
        endpoint http://unix:$TEST_NGINX_MOCK:/one;
        queue redis://unix:$TEST_NGINX_REDIS;
    }
    refine_catalog two {
        organization_id org_2; catalog_id $TEST_NGINX_CATALOG;
        api_key k; flush_interval 50ms;
        endpoint http://unix:$TEST_NGINX_MOCK:/two?a=b;
        queue redis://unix:$TEST_NGINX_REDIS;
    }
--- config
    location = /one { refine one; refine_collect; }
    location = /two { refine two; refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $one = "one_" . catalog();
mock_set(catalog => $one, hang => 1);
is(post('/one', encode_json(click(1)))->{status}, 204);
wait_for(sub { mock($one) == 1 }, 'one hangs');
is(post('/two', encode_json(click(2)))->{status}, 204);
wait_for(sub { received() == 1 }, 'two delivers');
is((mock())[0]{path}, '/two?a=b');
is((mock())[0]{body}{organizationId}, 'org_2');



=== TEST 9: an event of over 512 KB goes alone, in its place
--- catalog
    flush_interval 1h;
    max_in_flight 1;
--- config
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
backlog(map { line($_, $_ == 3 ? (metadata => { note => 'x' x 600_000 }) : ()) }
            1 .. 5);
flush_now();
wait_for(sub { sent() == 5 }, 'delivered');
is(join(' ', map { join '+', map { $_->{eventId} } @{ $_->{body}{events} } }
             mock()), 'e1+e2 e3 e4+e5');
conserved();
