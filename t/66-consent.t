# Consent in refine_collect: denied, pending, granted, absent.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';
our $FULL = '{"type":"click","serveId":"s1","itemId":"a","position":0,'
          . '"userId":"u_1","page":"https://shop.example/p?token=1#x",'
          . '"referrer":"https://search.example/?q=shoes","metadata":{"a":1}}';
our $V = 'v_0123456789abcdefghijAB';
our $S = 's_0123456789abcdefghijAB';
our $IDS = "refine_vid=$V; refine_sid=$S";

sub last_event { (events())[-1] }
sub click { post('/c', $CLICK, @_) }

sub consent {
    my ($value, $ids) = @_;
    return (Cookie => CORE::join '; ', $ids // (), "refine_consent=$value");
}

# accepted = sent + failed + dropped + queued + retrying, with nothing sent yet

sub law {
    my $stats = stats();
    my $dropped = 0;
    $dropped += $stats->{$_} for grep { /^dropped:/ } keys %$stats;
    return ($stats->{accepted} // 0) == $dropped + scalar events();
}

sub dropped { stats()->{'dropped:consent'} // 0 }

run_tests();

__DATA__

=== TEST 1: denied: nothing is stored, and said so
--- catalog
    flush_interval 1h;
--- http_extra
    log_format outcome '$refine_outcome';
--- config
    access_log logs/outcome.log outcome;
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Cookie: refine_consent=denied
--- error_code: 204
--- response_headers
X-Refine-Dropped: consent
! X-Refine-Anonymous
! X-Refine-Bot
! Set-Cookie
--- check
my $r = post('/c', "[$CLICK,$CLICK]", consent('0'));
is($r->{status}, 204, '0 is denied as well');
is($r->{headers}{'x-refine-dropped'}, 'consent');
is($r->{headers}{'set-cookie'}, undef);
wait_for(sub { dropped() == 3 }, 'each event is counted');
is(scalar events(), 0, 'nothing is stored');
is(stats()->{accepted}, 3, 'what is dropped counts as accepted');
like(get('/s')->{body},
     qr/"accepted":3,.*"dropped":\{"disabled":0,"consent":3\}/s,
     'in the status');
ok(law(), 'the law holds');
wait_for(sub {
    open my $in, '<', "$Test::Nginx::Util::ServRoot/logs/outcome.log";
    (grep { $_ eq "dropped\n" } <$in>) == 2
}, '$refine_outcome');



=== TEST 2: denied: an invalid event is refused all the same
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click"}
--- more_headers
Cookie: refine_consent=denied
--- error_code: 400
--- response_headers
! X-Refine-Dropped
! Set-Cookie
--- check
my $r = post('/c', "[$CLICK,7]", consent('denied', $IDS));
is($r->{status}, 200);
like($r->{body}, qr/"accepted":1,.*"index":1/);
is($r->{headers}{'x-refine-dropped'}, 'consent');
wait_for(sub { dropped() == 1 }, 'the valid one is counted');
is(scalar events(), 0);
ok(law(), 'the law holds');



=== TEST 3: denied: an event that was dropped is not known later
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request eval
"POST /c\n" . '{"eventId":"e1",' . CORE::substr($::CLICK, 1)
--- more_headers
Cookie: refine_consent=denied
--- error_code: 204
--- check
post('/c', '{"eventId":"e1",' . CORE::substr($CLICK, 1), consent('granted'));
is(last_event()->{eventId}, 'e1', 'it is stored once consent is there');
my $r = post('/c', '{"eventId":"e1",' . CORE::substr($CLICK, 1), consent('denied'));
is($r->{headers}{'x-refine-dropped'}, 'consent', 'no look into the table');
wait_for(sub { dropped() == 2 }, 'counted');



=== TEST 4: denied: the cookies that the request brought expire
--- catalog
    flush_interval 1h;
    visitor_cookie refine_vid 30d domain=shop.example;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Cookie: refine_vid=v_0123456789abcdefghijAB; refine_consent=denied; refine_sid=x
X-Forwarded-Proto: https
--- error_code: 204
--- raw_response_headers_like: Set-Cookie: refine_vid=; Max-Age=0; Domain=shop.example; Path=/; SameSite=Lax; HttpOnly; Secure\r\nSet-Cookie: refine_sid=; Max-Age=0; Path=/; SameSite=Lax; HttpOnly; Secure\r\n
--- check
is(click(consent('denied', "refine_sid=$S"))->{headers}{'set-cookie'},
   'refine_sid=; Max-Age=0; Path=/; SameSite=Lax; HttpOnly',
   'only one that was there');
is(click(consent('denied', 'other=1'))->{headers}{'set-cookie'}, undef);



=== TEST 5: pending: stored, without anything that says who it was
--- catalog
    flush_interval 1h;
    user_id $http_x_user;
    anonymize_ip off;
--- http_extra
    log_format ids '$refine_outcome|$refine_visitor_id|$refine_session_id';
--- config
    access_log logs/ids.log ids;
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Cookie: refine_consent=pending
--- error_code: 204
--- response_headers
X-Refine-Anonymous: pending
! X-Refine-Dropped
! Set-Cookie
--- check
my $r = post('/c', $FULL, consent('pending', $IDS), 'X-User' => 'u_2',
             'User-Agent' => 'Agent/1');
is($r->{status}, 204);
is($r->{headers}{'set-cookie'}, undef, 'no cookie is made, renewed or deleted');
my $e = last_event();
delete @$e{qw(eventId timestamp receivedAt)};
is_deeply($e, {
    type => 'click', serveId => 's1', itemId => 'a', position => 0,
    page => 'https://shop.example/p', referrer => 'https://search.example/',
    metadata => { a => 1 },
}, 'what is left');
my $all = CORE::join ' ', map { CORE::ref $_ ? $_->[1][1] : () }
          @{ redis('XRANGE', 'refine:{' . catalog() . '}:events', '-', '+') };
unlike($all, qr/$V|$S|u_1|u_2|127\.0|Agent|token|shoes|refine_consent/,
       'nowhere in what is stored');
wait_for(sub {
    open my $in, '<', "$Test::Nginx::Util::ServRoot/logs/ids.log";
    (grep { $_ eq "stored|-|-\n" } <$in>) == 2
}, 'the variables are empty');
ok(law(), 'the law holds');



=== TEST 6: granted: as ever
--- catalog
    flush_interval 1h;
    require_consent on;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Cookie: refine_consent=granted
--- error_code: 204
--- response_headers
! X-Refine-Anonymous
! X-Refine-Dropped
--- raw_response_headers_like: Set-Cookie: refine_vid=v_.*\r\nSet-Cookie: refine_sid=s_
--- check
my $r = post('/c', $FULL, consent('1', $IDS), 'User-Agent' => 'Agent/1');
like($r->{headers}{'set-cookie'}, qr/refine_vid=$V;.*refine_sid=$S;/);
my $e = last_event();
is($e->{visitorId}, $V);
is($e->{sessionId}, $S);
is($e->{userId}, 'u_1');
is($e->{page}, 'https://shop.example/p?token=1#x');
is_deeply($e->{context}, { ip => '127.0.0.0', userAgent => 'Agent/1' });



=== TEST 7: absent is granted, what is not understood is pending
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- response_headers
! X-Refine-Anonymous
--- raw_response_headers_like: Set-Cookie: refine_vid=
--- check
is(click(consent($_))->{headers}{'x-refine-anonymous'}, undef, "'$_'")
    for '', 'granted', '1';
is(click(consent($_))->{headers}{'x-refine-anonymous'}, 'pending', "'$_'")
    for 'pending', 'Granted', 'DENIED', 'yes', 'true', '2', '10', '00',
        'granted ,', '%31', 'grante', 'grantedd', 'denie', "\xff";
counts('dropped:consent', 0);
is(scalar(grep { exists $_->{visitorId} } events()), 4, 'only with consent');



=== TEST 8: require_consent: absent is pending
--- catalog
    flush_interval 1h;
    require_consent on;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- response_headers
X-Refine-Anonymous: pending
! Set-Cookie
--- check
is(click(consent(''))->{headers}{'x-refine-anonymous'}, 'pending', 'empty');
is(click(consent('denied'))->{headers}{'x-refine-dropped'}, 'consent');
is(last_event()->{visitorId}, undef);



=== TEST 9: consent from elsewhere
--- catalog
    flush_interval 1h;
    require_consent on;
    consent $shop_consent;
--- http_extra
    map $cookie_cmp $shop_consent {
        ~statistics:true   granted;
        ~statistics:false  denied;
    }
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Cookie: cmp={necessary:true,statistics:false}
--- error_code: 204
--- response_headers
X-Refine-Dropped: consent
--- check
is(click(Cookie => 'cmp={statistics:true}')->{headers}{'x-refine-anonymous'},
   undef);
ok(last_event()->{visitorId}, 'granted');
is(click(Cookie => 'cmp={marketing:true}')->{headers}{'x-refine-anonymous'},
   'pending', 'not asked for yet');
is(click(consent('granted'))->{headers}{'x-refine-anonymous'}, 'pending',
   'the default cookie does not count any more');



=== TEST 10: consent that is always the same
--- catalog
    flush_interval 1h;
    consent pending;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Cookie: refine_consent=granted
--- error_code: 204
--- response_headers
X-Refine-Anonymous: pending
! Set-Cookie



=== TEST 11: enabled off comes first
--- catalog
    flush_interval 1h;
    enabled off;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Cookie: refine_consent=denied; refine_sid=x
--- error_code: 204
--- response_headers
X-Refine-Dropped: disabled
! Set-Cookie
--- check
is(click(consent('pending'))->{headers}{'x-refine-anonymous'}, undef,
   'nothing is stored, so nothing is said of it');
wait_for(sub { (stats()->{'dropped:disabled'} // 0) == 2 }, 'counted');
counts('dropped:consent', 0);



=== TEST 12: a duplicate and a refusal say nothing of cookies
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request eval
"POST /c\n" . '{"eventId":"e1",' . CORE::substr($::CLICK, 1)
--- more_headers
Cookie: refine_consent=pending
--- error_code: 204
--- check
my $r = post('/c', '{"eventId":"e1",' . CORE::substr($CLICK, 1), consent('pending'));
is($r->{status}, 204);
is($r->{headers}{'x-refine-anonymous'}, 'pending');
is($r->{headers}{'set-cookie'}, undef);
is(scalar events(), 1);
$r = post('/c', 'x', consent('pending', $IDS));
is($r->{status}, 400);
is($r->{headers}{$_}, undef, $_) for 'set-cookie', 'x-refine-anonymous';



=== TEST 13: a mirror to another catalog goes by that one's rules
--- catalog
    flush_interval 1h;
--- http_extra
    refine_catalog other {
        organization_id  org_1;
        catalog_id       $TEST_NGINX_CATALOG-other;
        api_key          k;
        endpoint         http://unix:$TEST_NGINX_MOCK:/events;
        queue            redis://unix:$TEST_NGINX_REDIS;
        flush_interval   1h;
        require_consent  on;
        consent          $http_x_consent;
    }
--- config
    location = /c {
        refine_collect;
        mirror /other;
    }
    location = /other {
        internal;
        refine other;
        refine_collect;
    }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- response_headers
! X-Refine-Anonymous
--- raw_response_headers_like: Set-Cookie: refine_vid=v_
--- check
my $other = 'refine:{' . catalog() . '-other}';
my $lines = sub {
    map { $_->[1][1] } @{ redis('XRANGE', "$other:events", '-', '+') }
};
wait_for(sub { $lines->() == 1 }, 'the other has it');
unlike(($lines->())[0], qr/visitorId|context/, 'without identity');
ok(last_event()->{visitorId}, 'this one with it');
my $r = click('X-Consent' => 'denied', Cookie => $IDS);
like($r->{headers}{'set-cookie'}, qr/refine_vid=$V; Max-Age=31536000/,
     'what the other drops concerns it alone');
is($r->{headers}{'x-refine-dropped'}, undef);
wait_for(sub {
    (redis('HGET', "$other:stats", 'dropped:consent') // 0) == 1
}, 'it is dropped there');
is(scalar events(), 2);
is(scalar $lines->(), 1);



=== TEST 14: a mirror to another catalog goes by that one's cookies
--- catalog
    flush_interval 1h;
--- http_extra
    refine_catalog other {
        organization_id  org_1;
        catalog_id       $TEST_NGINX_CATALOG-other;
        api_key          k;
        endpoint         http://unix:$TEST_NGINX_MOCK:/events;
        queue            redis://unix:$TEST_NGINX_REDIS;
        flush_interval   1h;
        visitor_cookie   other_vid 30d;
        session_cookie   off;
    }
--- config
    location = /c {
        refine_collect;
        mirror /other;
    }
    location = /other {
        internal;
        refine other;
        refine_collect;
    }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- raw_response_headers_like: Set-Cookie: refine_vid=v_
--- check
my $last = sub {
    my ($n) = @_;
    my $lines = sub {
        redis('XRANGE', 'refine:{' . catalog() . '-other}:events', '-', '+')
    };
    wait_for(sub { @{ $lines->() } == $n }, 'the other has it');
    return $lines->()->[-1][1][1];
};
unlike($last->(1), qr/visitorId|sessionId/, 'what was made for this one');
click(Cookie => $IDS);
unlike($last->(2), qr/visitorId|sessionId/, 'what is in the cookies of this one');
my $o = 'v_' . 'o' x 22;
click(Cookie => "$IDS; other_vid=$o");
like($last->(3), qr/"visitorId":"$o"/, 'its own cookie');
is(last_event()->{visitorId}, $V, 'and that of this one');
