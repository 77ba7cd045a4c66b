# Serves under consent, GPC, DNT, prefetch, bots: no less than in refine_collect.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;
use Upstream;

our $V = 'v_0123456789abcdefghijAB';
our $S = 's_0123456789abcdefghijAB';
our $IDS = "refine_vid=$V; refine_sid=$S";
our $BODY = '{"results":[{"productId":"a"}]}';

run_tests();

__DATA__

=== TEST 1: denied: no serve, no id, and counted
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
    location = /status { refine_status; }
--- request
GET /t
--- error_code: 204
--- check
reply('one', $BODY);
my $r = get('/s/one?q=shoes', Cookie => "$IDS; refine_consent=denied");
is($r->{status}, 200);
is($r->{body}, $BODY, 'the body is unchanged');
is($r->{headers}{$_}, undef, $_)
    for 'set-cookie', 'x-refine-dropped', 'x-refine-anonymous';
no_serve($r, 'consent');
no_serve(get('/s/one', Cookie => 'refine_consent=0', 'Sec-GPC' => 1), 'consent');
is(scalar events(), 0);
is(stats()->{accepted} // 0, 0, 'what is skipped was never accepted');
is(stats()->{'dropped:consent'}, undef);
like(get('/status')->{body}, qr/"skipped":\{[^}]*"consent":2/, 'in the status');



=== TEST 2: denied: an id of the upstream's passes by, and other reasons stay
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my @denied = (Cookie => 'refine_consent=denied');
reply('own', $BODY, 'X-Refine-Serve-Id' => 'up1');
reply('html', 'x', 'Content-Type' => 'text/html');
is(get('/s/own', @denied)->{headers}{'x-refine-serve-id'}, 'up1');
skipped('consent', 1);
no_serve(get('/s/html', @denied), 'type');
is(scalar events(), 0);
is(serve(get('/s/own'))->{serveId}, 'up1', 'it is logged with consent');
is(stats()->{'skipped:consent'}, 1);



=== TEST 3: pending, GPC, DNT: logged without anything that says who it was
--- catalog
    flush_interval 1h;
    user_id $http_x_user;
    anonymize_ip off;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('one', $BODY);
for my $h (['Cookie', "$IDS; refine_consent=pending"], ['Sec-GPC', 1],
           ['DNT', 1])
{
    my %h = (Cookie => $IDS, @$h, 'X-User' => 'u_1', 'User-Agent' => 'Agent/1');
    my $r = get('/s/one?q=red+shoes', %h);
    my $e = serve($r);
    is($e->{query}, 'red shoes');
    is_deeply([sort keys %$e],
              [qw(eventId itemIds query receivedAt serveId source surface
                  timestamp type)], $h->[0]);
    is($r->{headers}{$_}, undef, "no $_")
        for 'set-cookie', 'x-refine-anonymous', 'x-refine-dropped';
}
my $all = CORE::join ' ', map { CORE::ref $_ ? $_->[1][1] : () }
          @{ redis('XRANGE', 'refine:{' . catalog() . '}:events', '-', '+') };
unlike($all, qr/$V|$S|u_1|127\.0|Agent/, 'nowhere in what is stored');
my $e = serve(get('/s/one', Cookie => "$IDS; refine_consent=granted",
                  'X-User' => 'u_1'));
is($e->{visitorId}, $V, 'granted');
is($e->{sessionId}, $S);
is($e->{userId}, 'u_1');



=== TEST 4: require_consent
--- catalog
    flush_interval 1h;
    require_consent on;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('one', $BODY);
is(serve(get('/s/one', Cookie => $IDS))->{visitorId}, undef);
is(serve(get('/s/one', Cookie => "$IDS; refine_consent=1"))->{visitorId}, $V);



=== TEST 5: consent of a request holds until its response has ended
--- catalog
    flush_interval 1h;
    consent $upstream_http_x_consent;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
        add_header X-Ids "$refine_visitor_id|" always;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('no', $BODY, 'X-Consent' => 'denied');
reply('yes', $BODY, 'X-Consent' => 'granted');
reply('later', $BODY, 'X-Consent' => 'pending');
my $r = get('/s/no', Cookie => $IDS);
no_serve($r, 'consent');
is($r->{headers}{'x-ids'}, '|');
$r = get('/s/later', Cookie => $IDS);
is($r->{headers}{'x-ids'}, '|');
is(serve($r)->{visitorId}, undef);
$r = get('/s/yes', Cookie => $IDS);
is($r->{headers}{'x-ids'}, "$V|");
is(serve($r)->{visitorId}, $V);



=== TEST 6: prefetched pages and bots are marked
--- catalog
    flush_interval 1h;
    bot $is_bot;
--- http_extra
    map $http_user_agent $is_bot { ~*bot 1; }
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('one', $BODY);
for my $h (['Sec-Purpose', 'prefetch;prerender'], ['Purpose', 'prefetch'],
           ['X-Moz', 'prefetch'])
{
    my $e = serve(get('/s/one', @$h));
    ok($e->{context}{prefetch}, "$h->[0]: $h->[1]");
    is($e->{context}{bot}, undef);
}
my $r = get('/s/one', 'User-Agent' => 'Googlebot');
my $e = serve($r);
ok($e->{context}{bot});
is($e->{context}{prefetch}, undef);
is($r->{headers}{'x-refine-bot'}, undef, 'the response gets only its id');
$e = serve(get('/s/one', 'User-Agent' => 'Googlebot', DNT => 1, Purpose => 'prefetch'));
is_deeply($e->{context}, { bot => JSON::PP::true, prefetch => JSON::PP::true });
is(serve(get('/s/one', 'User-Agent' => 'Mozilla'))->{context}{bot}, undef);



=== TEST 7: what was settled with the header holds at the end
--- catalog
    flush_interval 1h;
    consent $consent;
--- http_extra
    map $upstream_response_time $consent {
        volatile;
        -        granted;
        default  denied;
    }
    log_format ids '$consent $refine_visitor_id';
--- config
    access_log logs/ids.log ids;
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('one', $BODY);
my $e = serve(get('/s/one', Cookie => $IDS));
is($e->{visitorId}, $V);
wait_for(sub {
    open my $in, '<', "$Test::Nginx::Util::ServRoot/logs/ids.log";
    (grep { $_ eq "denied $V\n" } <$in>) == 1
}, 'the variable agrees with the event');
