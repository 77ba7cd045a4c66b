# Tests for refine_status as Prometheus text: a strict parser reads it, it says
# what the JSON says, and the law of conservation holds in it.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Prometheus;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

sub status { decode_json(get('/s?format=json')->{body}) }

sub metrics {
    my $r = get($_[0] // '/s?format=prometheus');
    my $p = eval { Prometheus::parse($r->{body}) };
    ok($p, 'a strict parser takes it') or diag("$@\n$r->{body}");
    return $p // { metrics => {}, series => {} };
}

sub total {
    my $sum = 0;
    $sum += $_ for CORE::values %{ $_[0] };
    return $sum;
}

# accepted = sent + failed + dropped + queued + retrying

sub conserved {
    my ($p, $what) = @_;

    my %m = map { $_ => Prometheus::value($p, "refine_events_$_",
                                          catalog => 'shop') }
        qw(accepted_total sent_total failed_total queued retrying);
    my $dropped = Prometheus::values_by($p, 'refine_events_dropped_total',
                                        'reason', catalog => 'shop');

    is($m{accepted_total}, $m{sent_total} + $m{failed_total} + total($dropped)
                           + $m{queued} + $m{retrying}, "conserved: $what");
    return $m{accepted_total};
}

# every number of a catalog in the JSON is in the text, under its name

sub agree {
    my ($json, $p, $catalog) = @_;

    my %gauge = (queued => 'events_queued', retrying => 'events_retrying',
                 dead => 'dead_letters', bytes => 'queue_bytes');
    my %counter = (sent => 'events_sent', failed => 'events_failed',
                   accepted => 'events_accepted',
                   duplicates => 'events_duplicate',
                   deadTrimmed => 'dead_letters_trimmed',
                   deadReplayed => 'dead_letters_replayed');
    my %group = (rejected => [qw(rejected reason)],
                 dropped => [qw(events_dropped reason)],
                 events => [qw(events_stored type)],
                 posts => [qw(posts result)],
                 skipped => [qw(serves_skipped reason)],
                 pages => [qw(pages outcome)]);
    my %m = %$json;
    my $value = sub { Prometheus::value($p, "refine_$_[0]",
                                        catalog => $catalog) };

    is($value->($gauge{$_}), delete $m{$_}, $_) for sort CORE::keys %gauge;
    is($value->("$counter{$_}_total"), delete $m{$_}, $_)
        for sort CORE::keys %counter;

    my $serves = { %{ delete $m{serves} } };
    $m{skipped} = delete $serves->{skipped};

    for (sort CORE::keys %group) {
        my ($name, $label) = @{ $group{$_} };
        is_deeply(Prometheus::values_by($p, "refine_${name}_total", $label,
                                        catalog => $catalog),
                  delete $m{$_}, $_);
    }

    is($value->("serves_${_}_total"), $serves->{$_}, "serves.$_")
        for sort CORE::keys %$serves;

    my $spooled = { %{ delete $m{spooled} } };

    is($value->("spool_$_"), delete $spooled->{$_}, "spooled.$_")
        for qw(bytes events segments);
    is_deeply(Prometheus::values_by($p, 'refine_spool_total', 'kind', catalog => $catalog),
              $spooled, 'spooled');

    is($value->('stale'), (delete $m{stale}) ? 1 : 0, 'stale');
    is($value->('paused'), (delete $m{paused}) ? 1 : 0, 'paused');

    my $oldest = delete $m{oldestAgeMs};
    cmp_ok(abs($value->('queue_oldest_age_seconds') - $oldest / 1000), '<', 5,
           'oldestAgeMs');

    my ($redis, $refine) = (delete $m{redis}, delete $m{refine});

    for ([redis => $redis], [delivery => $refine]) {
        my ($name, $state) = ($_->[0], $_->[1]{state});
        my $states = Prometheus::values_by($p, "refine_${name}_state", 'state',
                                           catalog => $catalog);
        is_deeply([grep { $states->{$_} } CORE::keys %$states], [$state],
                  "$name is $state");
        is($value->("${name}_up"), $state eq 'unknown' ? undef
                                   : $state eq 'up' ? 1 : 0, "${name}_up");
    }

    is($value->('delivery_last_status'), $refine->{lastStatus}, 'lastStatus');

    my $rate = $refine->{rate};
    is($value->('rate_limit_requests'), $rate->{limit}, 'rate.limit');
    is($value->('rate_limit_remaining_requests'), $rate->{remaining},
       'rate.remaining');
    is($value->('rate_limit_reset_timestamp_seconds'), $rate->{reset},
       'rate.reset');

    is($value->('redis_durable'), !defined $redis->{durable} ? undef
                                  : $redis->{durable} ? 1 : 0, 'durable');

    my $surfaces = delete $m{surfaces};
    my $served = $p->{metrics}{refine_served_total}{samples} // [];

    is(scalar(grep { $_->{labels}{catalog} eq $catalog } @$served),
       scalar(@$surfaces), 'as many surfaces');
    is(Prometheus::value($p, 'refine_served_total', catalog => $catalog,
                         surface => $_->{surface}, source => $_->{source}),
       $_->{served}, "surface $_->{surface}") for @$surfaces;

    my $latency = delete $m{latency};

    for my $name (sort CORE::keys %$latency) {
        my $metric = $name eq 'lag' ? 'delivery_lag_seconds'
                                    : "${name}_duration_seconds";
        my $h = $latency->{$name};

        is($value->("${metric}_count"), $h->{count}, "$name: count");
        is($value->("${metric}_sum") * 1000, $h->{sumMs}, "$name: sum");
        is(Prometheus::value($p, "refine_${metric}_bucket",
                             catalog => $catalog, le => $_ / 1000),
           $h->{bucketsMs}{$_}, "$name: at most $_ ms")
            for sort CORE::keys %{ $h->{bucketsMs} };
    }

    is_deeply([CORE::keys %m], [], 'nothing else is in the JSON');
}

run_tests();

__DATA__

=== TEST 1: the parser forgives nothing
--- config
    location = /s { refine_status prometheus; }
--- request
GET /s
--- check
my $head = "# HELP refine_a_total A.\n# TYPE refine_a_total counter\n";
my $gauge = "# HELP refine_a A.\n# TYPE refine_a gauge\n";
my $histogram = "# HELP refine_h H.\n# TYPE refine_h histogram\n";
for ("${head}refine_a_total 1\n",
     "${head}refine_a_total{a=\"b\\\\\\\"\\n}\",b=\"\"} 1.5e3\n",
     "${gauge}refine_a{a=\"\xc3\xa4\"} -1\nrefine_a{a=\"b\"} NaN\n",
     "${histogram}refine_h_bucket{le=\"1\"} 1\nrefine_h_bucket{le=\"+Inf\"} 2\n"
     . "refine_h_sum 3\nrefine_h_count 2\n")
{
    ok(eval { Prometheus::parse($_) }, 'right') or diag("$_: $@");
}
my %wrong = (
    'empty' => '',
    'no line feed at the end' => "${head}refine_a_total 1",
    'an empty line' => "${head}\nrefine_a_total 1\n",
    'CR LF' => "${head}refine_a_total 1\r\n",
    'a comment' => "${head}# hello\nrefine_a_total 1\n",
    'no HELP' => "# TYPE refine_a gauge\nrefine_a 1\n",
    'no TYPE' => "# HELP refine_a A.\nrefine_a 1\n",
    'two HELP' => "# HELP refine_a A.\n${gauge}refine_a 1\n",
    'two TYPE' => "${gauge}# TYPE refine_a gauge\nrefine_a 1\n",
    'TYPE behind a sample' => "refine_a 1\n${gauge}",
    'no samples' => $gauge,
    'unknown type' => "# HELP refine_a A.\n# TYPE refine_a count\nrefine_a 1\n",
    'no _total' => "# HELP refine_a A.\n# TYPE refine_a counter\nrefine_a 1\n",
    'a gauge _total' => "# HELP refine_a_total A.\n"
                        . "# TYPE refine_a_total gauge\nrefine_a_total 1\n",
    'milliseconds' => "# HELP refine_a_ms A.\n# TYPE refine_a_ms gauge\n"
                      . "refine_a_ms 1\n",
    'two groups' => "${gauge}refine_a{a=\"1\"} 1\n${head}refine_a_total 1\n"
                    . "refine_a{a=\"2\"} 1\n",
    'a series twice' => "${gauge}refine_a{a=\"1\",b=\"\"} 1\n"
                        . "refine_a{b=\"\",a=\"1\"} 1\n",
    'a label twice' => "${gauge}refine_a{a=\"1\",a=\"2\"} 1\n",
    'a label name' => "${gauge}refine_a{a-b=\"1\"} 1\n",
    'a quote' => "${gauge}refine_a{a=\"1\"\"} 1\n",
    'an escape' => "${gauge}refine_a{a=\"\\t\"} 1\n",
    'a backslash at the end' => "${gauge}refine_a{a=\"\\\"} 1\n",
    'a line feed' => "${gauge}refine_a{a=\"\n\"} 1\n",
    'no UTF-8' => "${gauge}refine_a{a=\"\xff\"} 1\n",
    'no value' => "${gauge}refine_a\n",
    'a word' => "${gauge}refine_a null\n",
    'two values' => "${gauge}refine_a 1 2 3\n",
    'less than 0' => "${head}refine_a_total -1\n",
    'no +Inf' => "${histogram}refine_h_bucket{le=\"1\"} 1\nrefine_h_sum 1\n"
                 . "refine_h_count 1\n",
    'not cumulative' => "${histogram}refine_h_bucket{le=\"1\"} 2\n"
                        . "refine_h_bucket{le=\"+Inf\"} 1\nrefine_h_sum 1\n"
                        . "refine_h_count 1\n",
    'another count' => "${histogram}refine_h_bucket{le=\"+Inf\"} 1\n"
                       . "refine_h_sum 1\nrefine_h_count 2\n",
    'no sum' => "${histogram}refine_h_bucket{le=\"+Inf\"} 1\n"
                . "refine_h_count 1\n"
);
for (sort CORE::keys %wrong) {
    ok(!eval { Prometheus::parse($wrong{$_}) }, "wrong: $_");
}
metrics('/s');



=== TEST 2: nothing has happened
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /p { refine_status prometheus; }
--- request
GET /p
--- response_headers
Content-Type: text/plain; version=0.0.4; charset=utf-8
Cache-Control: no-store
X-Content-Type-Options: nosniff
--- check
my $p = metrics('/p');
agree(status()->{catalogs}{shop}, $p, 'shop');
conserved($p, 'nothing');
my ($nginx) = CORE::keys %{ Prometheus::values_by($p, 'refine_build_info',
                            'nginx', version => status()->{version}) };
like($nginx, qr/^\d+\.\d+\.\d+$/, 'the version of nginx');
is(Prometheus::value($p, 'refine_redis_up', catalog => 'shop'), 1);
is(Prometheus::value($p, 'refine_delivery_up', catalog => 'shop'), undef,
   'unknown is neither up nor down');
is(Prometheus::value($p, 'refine_queue_limit_events', catalog => 'shop'),
   1000000);
unlike(get('/p')->{body}, qr/api_key|"k"/, 'the key is not shown');



=== TEST 3: of everything something
--- catalog
    flush_interval 100ms;
    max_queue_size 20;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
    location = /off { refine off_; refine_collect; }
    location = /r {
        default_type application/json;
        refine_serve search items=json:results[].productId;
        return 200 '{"results":[{"productId":"a"},{"productId":"b"}]}';
    }
    location = /e { refine_serve search; return 404; }
--- http_extra
    refine_catalog off_ {
        organization_id o; catalog_id o_$TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events; flush_interval 1h;
        queue redis://unix:$TEST_NGINX_REDIS; enabled off;
    }
--- request
POST /c
[{"type":"click","serveId":"s1","itemId":"a","position":0},{"type":"view","serveId":"s1","itemId":"a","position":0},{"type":"click"}]
--- error_code: 200
--- check
post('/c', '{"type":"click","eventId":"e1","serveId":"s1","itemId":"a","position":0}')
    for 1 .. 2;
post('/c', 'x');
post('/off', $CLICK);
get('/r');
get('/e');
wait_for(sub { status()->{catalogs}{shop}{sent} == 4 }, 'sent');
post('/c', "[" . CORE::join(',', ($CLICK) x 30) . "]");
mock_set(status => 503, headers => { 'X-RateLimit-Limit' => '100',
         'X-RateLimit-Remaining' => '7',
         'X-RateLimit-Reset' => CORE::time + 60 });
post('/c', $CLICK);
wait_for(sub { status()->{catalogs}{shop}{refine}{state} eq 'backoff' },
         'an outage');
my ($json, $p);
wait_for(sub {
    $json = status();
    $p = Prometheus::parse(get('/s?format=prometheus')->{body});
    my $again = status();

    # what counts the retries aside, nothing is under way any more

    CORE::delete $_->{catalogs}{shop}{oldestAgeMs} for $json, $again;
    JSON::PP->new->canonical->encode($json->{catalogs})
    eq JSON::PP->new->canonical->encode($again->{catalogs})
    && ($json->{catalogs}{shop}{oldestAgeMs} = 0) == 0
    && Prometheus::value($p, 'refine_events_accepted_total',
                         catalog => 'shop') == 5
    && $json->{catalogs}{shop}{rejected}{queue_full}
    && $json->{catalogs}{off_}{dropped}{disabled}
}, 'both at one moment, when all is counted');
agree($json->{catalogs}{shop}, $p, 'shop');
agree($json->{catalogs}{off_}, $p, 'off_');
conserved($p, 'an outage');
my $m = $json->{catalogs}{shop};
is($m->{duplicates}, 1);
is($m->{serves}{logged}, 1);
is($m->{serves}{skipped}{status}, 1);
is($m->{rejected}{missing}, 1);
is($m->{rejected}{queue_full}, 30);
is($json->{catalogs}{off_}{dropped}{disabled}, 1);
is($m->{refine}{rate}{remaining}, 7);
cmp_ok(Prometheus::value($p, 'refine_delivery_retry_timestamp_seconds',
                         catalog => 'shop'), '>', CORE::time - 60);



=== TEST 4: through delivery, the law holds in every answer
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
my ($end, $last) = (Time::HiRes::time() + 3, 0);
while (Time::HiRes::time() < $end) {
    post('/c', "[$CLICK,$CLICK]");
    my $p = metrics();
    next if Prometheus::value($p, 'refine_stale', catalog => 'shop');
    my $n = conserved($p, 'under way');
    cmp_ok($n, '>=', $last, 'a counter never falls');
    $last = $n;
    Time::HiRes::sleep(0.1);
}
wait_for(sub {
    my $p = Prometheus::parse(get('/s?format=prometheus')->{body});
    my $sent = Prometheus::value($p, 'refine_events_sent_total',
                                 catalog => 'shop') // 0;
    $sent > 10 && $sent == Prometheus::value($p,
        'refine_events_accepted_total', catalog => 'shop')
}, 'all sent');
my $p = metrics();
is(Prometheus::value($p, 'refine_delivery_up', catalog => 'shop'), 1);
is(Prometheus::value($p, 'refine_delivery_last_status', catalog => 'shop'),
   200);



=== TEST 5: while Redis is away nothing of it is shown
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status prometheus; }
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
is(Prometheus::value(metrics('/s'), 'refine_events_accepted_total',
                     catalog => 'shop'), 1);
redis_kill();
post('/c', $CLICK);
my $p;
wait_for(sub { $p = Prometheus::parse(get('/s')->{body});
               Prometheus::value($p, 'refine_stale', catalog => 'shop') },
         'stale');
is(Prometheus::value($p, 'refine_events_accepted_total', catalog => 'shop'),
   undef, 'no last values, which differ from worker to worker');
is(Prometheus::value($p, 'refine_redis_up', catalog => 'shop'), 0);
is(Prometheus::value($p, 'refine_redis_state', catalog => 'shop',
                     state => 'down'), 1);
redis_start();
wait_for(sub { $p = Prometheus::parse(get('/s')->{body});
               Prometheus::value($p, 'refine_stale', catalog => 'shop') eq '0' },
         'fresh again');
is(Prometheus::value($p, 'refine_redis_up', catalog => 'shop'), 1);
ok(defined Prometheus::value($p, 'refine_events_accepted_total',
                             catalog => 'shop'));



=== TEST 6: several catalogs, one of them has never seen a Redis
--- http_extra
    refine_catalog "b-2.x_" {
        organization_id o; catalog_id b_$TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events; flush_interval 1h;
        queue redis://unix:$TEST_NGINX_REDIS; max_queue_size 77;
    }
    refine_catalog away {
        organization_id o; catalog_id c_$TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events; flush_interval 1h;
        queue redis://127.0.0.1:1;
    }
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status prometheus; }
    location = /c { refine_collect; }
--- request
POST /c
[{"type":"click","serveId":"s1","itemId":"a","position":0}]
--- error_code: 204
--- check
my $p = metrics('/s');
my $by = sub { Prometheus::values_by($p, "refine_$_[0]", 'catalog') };
is_deeply($by->('events_accepted_total'), { shop => 1, 'b-2.x_' => 0 });
is_deeply($by->('stale'), { shop => 0, 'b-2.x_' => 0, away => 1 });
is($by->('queue_limit_events')->{'b-2.x_'}, 77);
is($by->('redis_up')->{shop}, 1);
ok(!$by->('redis_up')->{away}, 'not up');



=== TEST 7: no catalog at all
--- http_config
--- config
    location = /s { refine_status prometheus; }
    location = /j { refine_status; }
--- request
GET /j
--- response_body_like: "catalogs":\{\}
--- check
my $r = get('/s');
is($r->{status}, 200);
like($r->{headers}{'content-type'}, qr/^text\/plain/);
is_deeply([CORE::keys %{ metrics('/s')->{metrics} }], ['refine_build_info']);
