# What a browser says in headers: Sec-GPC, DNT, prefetch; and bots.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';
our $IDS = 'refine_vid=v_0123456789abcdefghijAB; '
         . 'refine_sid=s_0123456789abcdefghijAB';

sub last_event { (events())[-1] }
sub click { post('/c', $CLICK, @_) }

run_tests();

__DATA__

=== TEST 1: Sec-GPC
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0,"userId":"u","page":"http://h/?a"}
--- more_headers
Sec-GPC: 1
Cookie: refine_vid=v_0123456789abcdefghijAB; refine_consent=granted
User-Agent: Agent/1
--- error_code: 204
--- response_headers
X-Refine-Anonymous: gpc
! Set-Cookie
--- check
my $e = last_event();
is_deeply([sort keys %$e],
          [qw(eventId itemId page position receivedAt serveId timestamp type)],
          'no visitor, user, session, address or agent, though he has agreed');
is($e->{page}, 'http://h/');
for my $value ('0', '', '11', 'true', '?1', '1;x') {
    my $r = click('Sec-GPC' => $value, Cookie => $IDS);
    is($r->{headers}{'x-refine-anonymous'}, undef, "'$value' does not count");
    like($r->{headers}{'set-cookie'}, qr/refine_vid=/);
    ok(last_event()->{visitorId});
}



=== TEST 2: DNT
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
DNT: 1
Cookie: refine_sid=s_0123456789abcdefghijAB
--- error_code: 204
--- response_headers
X-Refine-Anonymous: dnt
! Set-Cookie
--- check
is(last_event()->{sessionId}, undef);
is(last_event()->{context}, undef);
for my $value ('0', '', 'null', 'unspecified') {
    my $r = click(DNT => $value, Cookie => $IDS);
    is($r->{headers}{'x-refine-anonymous'}, undef, "'$value' does not count");
    ok(last_event()->{visitorId});
}
is(click(Dnx => 1)->{headers}{'x-refine-anonymous'}, undef, 'another header');



=== TEST 3: which reason is named
--- catalog
    flush_interval 1h;
    require_consent on;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
DNT: 1
Sec-GPC: 1
--- error_code: 204
--- response_headers
X-Refine-Anonymous: gpc
--- check
is(click(DNT => 1)->{headers}{'x-refine-anonymous'}, 'dnt', 'before pending');
is(click('Sec-GPC' => 1)->{headers}{'x-refine-anonymous'}, 'gpc');
is(click()->{headers}{'x-refine-anonymous'}, 'pending');
my $r = click('Sec-GPC' => 1, DNT => 1, Cookie => 'refine_consent=denied');
is($r->{headers}{'x-refine-dropped'}, 'consent', 'denied comes first');
is($r->{headers}{'x-refine-anonymous'}, undef);
is(scalar events(), 4);



=== TEST 4: the variables
--- catalog
    flush_interval 1h;
--- config
    location = /t {
        return 200 '$refine_visitor_id|$refine_session_id';
    }
--- request
GET /t
--- more_headers
Sec-GPC: 1
Cookie: refine_vid=v_0123456789abcdefghijAB; refine_sid=s_0123456789abcdefghijAB
--- response_body chomp
|
--- check
my $both = 'v_0123456789abcdefghijAB|s_0123456789abcdefghijAB';
is(get('/t', Cookie => $IDS)->{body}, $both);
is(get('/t', Cookie => "$IDS; refine_consent=granted")->{body}, $both);
is(get('/t', Cookie => "$IDS; refine_consent=denied")->{body}, '|');
is(get('/t', Cookie => "$IDS; refine_consent=pending")->{body}, '|');
is(get('/t', Cookie => $IDS, DNT => 1)->{body}, '|');



=== TEST 5: a value seen early does not decide for the event
--- catalog
    flush_interval 1h;
    consent $consent;
--- config
    set $consent granted;
    location = /c {
        set $early $refine_visitor_id;
        set $consent denied;
        refine_collect;
    }
    location = /d {
        set $consent '';
        set $early $refine_visitor_id;
        set $consent pending;
        add_header X-Early $early always;
        add_header X-Late "$refine_visitor_id|" always;
        refine_collect;
    }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- response_headers
X-Refine-Dropped: consent
--- check
my $r = post('/d', $CLICK, Cookie => $IDS);
is($r->{headers}{'x-refine-anonymous'}, 'pending');
is($r->{headers}{'x-early'}, 'v_0123456789abcdefghijAB');
is($r->{headers}{'x-late'}, '|', 'the ids are gone with the consent');
is($r->{headers}{'set-cookie'}, undef, 'and are not renewed');
is(last_event()->{visitorId}, undef);



=== TEST 6: a prefetch is marked, whatever the header
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
X-Moz: prefetch
--- error_code: 204
--- check
ok(last_event()->{context}{prefetch});
for my $h (['Sec-Purpose', 'prefetch'], ['Sec-Purpose', 'prefetch;prerender'],
           ['Purpose', 'prefetch'], ['Purpose', 'PREFETCH'])
{
    click(@$h);
    ok(last_event()->{context}{prefetch}, "$h->[0]: $h->[1]");
}
for my $h (['X-Moz', 'preview'], ['Purpose', ''], ['X-Mox', 'prefetch'],
           ['Porpose', 'prefetch'], ['Sec-Porpose', 'prefetch'])
{
    click(@$h);
    is(last_event()->{context}{prefetch}, undef, "$h->[0]: $h->[1]");
}
click('Sec-Purpose' => 'prefetch', DNT => 1);
is_deeply(last_event()->{context}, { prefetch => JSON::PP::true },
          'an anonymous one, too');



=== TEST 7: a bot is marked, stored, and told so
--- catalog
    flush_interval 1h;
    bot $is_bot;
--- http_extra
    map $http_user_agent $is_bot {
        ~*bot    1;
        Crawler  yes;
        Zero     0;
        Zeros    00;
    }
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
User-Agent: Googlebot/2.1
--- error_code: 204
--- response_headers
X-Refine-Bot: 1
--- check
ok(last_event()->{context}{bot});
is(last_event()->{context}{userAgent}, 'Googlebot/2.1');
for my $agent ('Crawler', 'Zeros') {
    is(click('User-Agent' => $agent)->{headers}{'x-refine-bot'}, 1, $agent);
    ok(last_event()->{context}{bot});
}
for my $agent ('Zero', 'Mozilla', '') {
    is(click('User-Agent' => $agent)->{headers}{'x-refine-bot'}, undef,
       "'$agent'");
    is(last_event()->{context}{bot}, undef);
}
my $r = click('User-Agent' => 'bot', 'Sec-GPC' => 1);
is($r->{headers}{'x-refine-bot'}, 1);
is($r->{headers}{'x-refine-anonymous'}, 'gpc');
is_deeply(last_event()->{context}, { bot => JSON::PP::true });
$r = post('/c', 'x', 'User-Agent' => 'bot');
is($r->{headers}{'x-refine-bot'}, undef, 'not where nothing is stored');
is(scalar events(), 7);
