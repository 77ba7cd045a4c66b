# Tests for where refine_collect, refine_status and refine_control may be reached
# from: internal redirects, error pages, subrequests; and what may stand beside
# them in a location.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

sub status { decode_json(get('/s')->{body})->{catalogs}{shop} }

# the same request in chunks, whose length nginx cannot know beforehand

sub chunked {
    my ($path, $body) = @_;

    my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
    printf {$socket} "POST %s HTTP/1.1\r\nHost: localhost\r\n"
        . "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
        $path, CORE::length $body, $body;
    $socket->flush;

    return CORE::readline($socket);
}

run_tests();

__DATA__

=== TEST 1: error pages do not replace the answers
--- catalog
    flush_interval 1h;
    max_queue_size 1;
--- config
    error_page 400 403 405 413 415 503 /error;
    location = /error { return 200 'a page'; }
    location = /c { refine_collect; client_max_body_size 1k; }
    location = /s { refine_status; }
    location = /x { refine_control; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my %answers = (
    400 => post('/c', 'x'),
    403 => post('/c', $CLICK, Origin => 'null'),
    405 => get('/c'),
    413 => post('/c', '[' . CORE::join(',', (1) x 101) . ']'),
    415 => post('/c', $CLICK, 'Content-Encoding' => 'br'),
    503 => post('/c', $CLICK),
);
for my $status (sort keys %answers) {
    is($answers{$status}{status}, $status);
    like($answers{$status}{body}, qr/^\{"accepted":0,"rejected":\[/);
}
is(post('/x', '')->{status}, 403);
is(post('/s', '')->{status}, 405);
is(post('/c', 'x' x 2000)->{body}, 'a page', 'what nginx refuses has a page');
like(chunked('/c', 'x' x 2000), qr/^HTTP\S+ (?:200|413) /);
wait_for(sub { status()->{rejected}{too_large} == 1 },
         'counted where the handler had begun');



=== TEST 2: by rewrite, try_files and error_page
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /r { rewrite ^ /c last; }
    location = /t { try_files /none @c; }
    location = /e { error_page 418 = @c; return 418; }
    location = /f { try_files /none /c; }
    location @c { refine_collect; }
    location = /s { refine_status; }
--- request
POST /r
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
for my $path ('/t', '/e', '/f') {
    is(post($path, $CLICK)->{status}, 204, $path);
    is(post($path, 'x')->{status}, 400, $path);
}
is(scalar events(), 4);
wait_for(sub { status()->{rejected}{not_json} == 3 }, 'counted');



=== TEST 3: mirrored requests are collected
--- catalog
    flush_interval 1h;
--- config
    location = /app { mirror /c; return 200 'app'; }
    location = /up {
        mirror /c;
        mirror_request_body on;
        client_body_buffer_size 1k;
        proxy_pass http://127.0.0.1:$server_port/end;
    }
    location = /end { return 200 'end'; }
    location = /c { internal; refine_collect; }
    location = /both { mirror /c; refine_collect; client_body_buffer_size 1k; }
    location = /s { refine_status; }
--- request
POST /up
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- response_body chomp
end
--- check
wait_for(sub { events() == 1 }, 'stored');
is((events())[0]{visitorId}, undef, 'no id is made that nobody is told');
is(post('/up', $CLICK, Cookie => 'refine_vid=v_' . 'x' x 22)->{headers}{'set-cookie'},
   undef);
wait_for(sub { events() == 2 }, 'stored');
is((events())[1]{visitorId}, 'v_' . 'x' x 22, 'one that is there is kept');
my $big = '[' . CORE::join(',', ($CLICK) x 100) . ']';
is(post('/up', $big)->{body}, 'end', 'from a file');
wait_for(sub { events() == 102 }, 'stored');
is(post('/up', 'x')->{body}, 'end', 'an error shows nowhere');
my $r = post('/both', $big);
is($r->{status}, 204, 'mirrored from collect to collect');
wait_for(sub { events() == 302 }, 'stored twice');
redis_pause();
$r = post('/up', $CLICK);
is($r->{body}, 'end', 'does not wait for Redis');
redis_resume();
is(post('/up', $CLICK)->{body}, 'end');
wait_for(sub { status()->{rejected}{not_json} == 1 }, 'counted');



=== TEST 4: as auth_request
--- catalog
    flush_interval 1h;
--- config
    location = /a { auth_request /c; return 200 'a'; }
    location = /b { auth_request /s; try_files /none @ok; }
    location = /d { auth_request /x; try_files /none @ok; }
    location = /g { auth_request /ok; refine_collect; }
    location = /no { auth_request /c; refine_collect; }
    location @ok { return 200 'ok'; }
    location = /ok { return 204; }
    location = /c { refine_collect; }
    location = /s { refine_status; }
    location = /x { refine_control; }
--- request
POST /g
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
is(post('/no', $CLICK)->{status}, 500, 'such a subrequest is a GET');
is(get('/b')->{status}, 200);
is(get('/d')->{status}, 500);
is(get('/d', 'X-Refine-Control' => 1)->{status}, 500);
is(scalar events(), 1);



=== TEST 5: in a page by SSI
--- catalog
    flush_interval 1h;
--- config
    ssi on;
    ssi_types text/plain;
    default_type text/plain;
    location = /page {
        return 200 '[<!--#include virtual="/c" -->][<!--#include virtual="/s" -->][<!--#include virtual="/x?action=flush" -->][<!--#include virtual="/s" -->]';
    }
    location = /one { return 200 '<!--#include virtual="/s" -->'; }
    location = /c { refine_collect; }
    location = /s { refine_status; }
    location = /x { refine_control; }
--- request
GET /page
--- response_body_like: (?s)^\[\{"accepted":0.*\}\n\]\[\{"version".*\}\n\]\[\{"error".*\}\n\]\[\{"version".*\}\n\]$
--- check
like(get('/one')->{body}, qr/^\{"version".*\}\n$/);
redis_pause();
for (1 .. 5) {
    my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$socket} "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n";
    $socket->flush;
    Time::HiRes::sleep(0.02);
    CORE::close($socket);
}
redis_resume();
like(get('/one')->{body}, qr/^\{"version".*\}\n$/, 'after clients that left');



=== TEST 6: parts of a location
--- catalog
    flush_interval 1h;
--- config
    location = /c {
        client_max_body_size 1k;
        if ($http_x_part) { set $part 1; }
        refine_collect;
    }
    location = /l {
        client_max_body_size 1k;
        limit_except POST { deny all; }
        refine_collect;
    }
    location = /any {
        if ($http_x_part) { set $part 1; }
        refine_status any;
    }
    location = /s { refine_status; }
    location = /stop { refine_collect; return 204; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
X-Part: 1
--- error_code: 204
--- check
is(post('/l', $CLICK)->{status}, 204);
is(get('/l')->{status}, 403, "nginx's own");
is(get('/any', 'X-Part' => 1, Host => 'shop.example')->{status}, 200);
is(post('/stop', $CLICK)->{status}, 204, 'return comes first');
is(scalar events(), 2);
is(post('/c', 'x' x 2000, 'X-Part' => 1)->{status}, 413);
is(post('/c', 'x' x 2000)->{status}, 413);
like(chunked('/l', 'x' x 2000), qr/ 413 /);
wait_for(sub { status()->{rejected}{too_large} == 3 }, 'counted in each');



=== TEST 7: one answer a location
--- config
    location = /c { proxy_pass http://127.0.0.1:1; refine_collect; }
--- must_die
--- error_log
"refine_collect" directive conflicts with another one that answers in this location
--- suppress_stderr



=== TEST 8: status and collect in one location
--- config
    location = /c { refine_collect; refine_status; }
--- must_die
--- error_log
"refine_status" directive conflicts with another one that answers in this location
--- suppress_stderr



=== TEST 9: control twice
--- config
    location = /c { refine_control; refine_control any; }
--- must_die
--- error_log
"refine_control" directive is duplicate
--- suppress_stderr
