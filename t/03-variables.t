# $refine_serve_id, $refine_visitor_id, $refine_session_id, $refine_outcome and
# $refine_accept_encoding

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;

run_tests();

__DATA__

=== TEST 1: an id on first use, the same one for the upstream, here and in the log
--- catalog
    flush_interval 1h;
--- http_extra
    log_format refine '$uri $refine_serve_id';
    server {
        listen unix:$TEST_NGINX_SERVER_ROOT/up.sock;
        location / {
            refine off;
            default_type application/json;
            add_header X-Seen $http_x_serve;
            return 200 '{"results":[{"productId":"a"}],"totalResults":1}';
        }
    }
--- config
    location /p {
        access_log $TEST_NGINX_SERVER_ROOT/logs/ids.log refine;
        proxy_set_header X-Serve $refine_serve_id;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/up.sock;
        add_header X-Here "$refine_serve_id $refine_serve_id";

        location /p/search {
            refine_serve search;
            proxy_set_header X-Serve $refine_serve_id;
            proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/up.sock;
            add_header X-Here "$refine_serve_id $refine_serve_id";
        }
    }
--- request
GET /p/t
--- check
my $id = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
my %seen;
for my $path ('/p/a', '/p/b', '/p/search?q=x') {
    my $r = get($path);
    is($r->{status}, 200, $path);
    my $sent = $r->{headers}{'x-seen'};
    like($sent, qr/^$id$/, 'a UUIDv7 went upstream');
    is($r->{headers}{'x-here'}, "$sent $sent", 'and is the one seen here');
    is($r->{headers}{'x-refine-serve-id'},
       $path =~ /search/ ? $sent : undef, 'the header only with refine_serve');
    is($seen{$sent}++, 0, 'one for each request');
    wait_for(sub {
        open my $in, '<', "$Test::Nginx::Util::ServRoot/logs/ids.log" or return;
        grep { /\Q$sent\E$/ } <$in>;
    }, 'in the access log');
}
wait_for(sub { events() == 1 }, 'the serve is stored');
is($seen{ (events())[0]{eventId} }, 1, 'under the id that went upstream');



=== TEST 2: no id without a catalog
--- catalog
    flush_interval 1h;
--- config
    location = /t {
        refine off;
        return 200 "[$refine_serve_id][$refine_visitor_id][$refine_session_id]";
    }
--- request
GET /t
--- response_body chomp
[][][]



=== TEST 3: the ids of valid cookies, and nothing of others
--- catalog
    flush_interval 1h;
    visitor_cookie vid 1d;
    session_cookie sid;
--- config
    location = /t {
        return 200 "[$refine_visitor_id][$refine_session_id]";
    }
--- request
GET /t
--- more_headers
Cookie: vid=v_abcdefghijklmnopqrstuv; sid=s_0123456789ABCDEFGHIJKL
--- response_body chomp
[v_abcdefghijklmnopqrstuv][s_0123456789ABCDEFGHIJKL]
--- check
is(get('/t')->{body}, '[][]', 'no cookies, and none is minted');
is(get('/t')->{headers}{'set-cookie'}, undef);
is(get('/t', Cookie => 'vid=v_short; sid=x_0123456789ABCDEFGHIJKL')->{body},
   '[][]', 'malformed ones');
is(get('/t', Cookie => 'refine_vid=v_abcdefghijklmnopqrstuv')->{body}, '[][]',
   'the default name is not looked at');



=== TEST 4: the ids that collect mints are known to its log line
--- catalog
    flush_interval 1h;
--- http_extra
    log_format refine '$refine_outcome $refine_visitor_id $refine_session_id';
--- config
    access_log $TEST_NGINX_SERVER_ROOT/logs/minted.log refine;
    location = /collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $r = post('/collect', '{"type":"click","serveId":"s","itemId":"a","position":0}');
is($r->{status}, 204);
my ($vid) = $r->{headers}{'set-cookie'} =~ /refine_vid=(v_\w{22});/;
my ($sid) = $r->{headers}{'set-cookie'} =~ /refine_sid=(s_\w{22});/;
ok($vid && $sid, 'both were set');
post('/collect', 'no json');
my @lines;
wait_for(sub {
    open my $in, '<', "$Test::Nginx::Util::ServRoot/logs/minted.log" or return;
    @lines = <$in>;
    return @lines >= 3;
}, 'logged');
is($lines[0], "- - -\n", 'an ordinary request');
is($lines[1], "stored $vid $sid\n");
like($lines[2], qr/^rejected /);



=== TEST 5: $refine_accept_encoding leaves gzip, or takes the header away
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVER_ROOT/up.sock;
        location / { return 200 "[$http_accept_encoding]"; }
    }
--- config
    location = /plain {
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/up.sock;
    }
    location = /t {
        proxy_set_header Accept-Encoding $refine_accept_encoding;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/up.sock;
    }
    location = /value {
        return 200 "[$refine_accept_encoding]";
    }
--- request
GET /t
--- more_headers
Accept-Encoding: br, gzip
--- response_body chomp
[gzip]
--- check
is(get('/t', 'Accept-Encoding' => 'br')->{body}, '[]');
is(get('/t')->{body}, '[]');
is(get('/plain', 'Accept-Encoding' => 'gzip, br')->{body}, '[gzip, br]');
is(get('/value')->{body}, '[]');



=== TEST 6: in map, if, rewrite and subrequests
--- catalog
    flush_interval 1h;
--- http_extra
    map $refine_visitor_id $known { "" no; default yes; }
--- config
    location = /t {
        if ($refine_visitor_id) { return 200 "if $known"; }
        return 200 "else $known";
    }
    location = /rewritten {
        set $first $refine_serve_id;
        rewrite ^ /second;
    }
    location = /second {
        internal;
        return 200 "$first $refine_serve_id";
    }
    location = /ssi {
        ssi on;
        ssi_types text/plain;
        default_type text/plain;
        return 200 '<!--# echo var="refine_serve_id" --> <!--# include virtual="/sub" -->';
    }
    location = /sub { return 200 "$refine_serve_id"; }
--- request
GET /t
--- response_body chomp
else no
--- check
is(get('/t', Cookie => 'refine_vid=v_abcdefghijklmnopqrstuv')->{body}, 'if yes');
for ('/rewritten', '/ssi') {
    my ($one, $two) = split / /, get($_)->{body};
    like($one, qr/^[0-9a-f-]{36}$/, $_);
    is($one, $two, "$_: one id for a request");
}



=== TEST 7: what became of requests that nginx itself refuses
--- catalog
    flush_interval 1h;
--- http_extra
    log_format refine '$status $refine_outcome';
--- config
    access_log $TEST_NGINX_SERVER_ROOT/logs/refused.log refine;
    location = /c { refine_collect; client_max_body_size 10; }
    location = /denied { refine_collect; deny all; }
--- request
OPTIONS /c
--- error_code: 204
--- check
post('/c', 'x' x 11);
post('/denied', 'x');
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
print {$socket} "POST /c HTTP/1.1\r\nHost: localhost\r\n"
                . "Transfer-Encoding: chunked\r\n\r\nb\r\n", 'x' x 11;
like(<$socket>, qr/ 413 /);
my $log = '';
wait_for(sub {
    open my $in, '<', "$Test::Nginx::Util::ServRoot/logs/refused.log" or return;
    $log = join '', <$in>;
    return $log =~ tr/\n// == 4;
}, 'logged');
is($log, "204 -\n413 -\n403 -\n413 aborted\n");
