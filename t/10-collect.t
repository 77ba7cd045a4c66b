# Tests for refine_collect: methods, the forms of a body, the answers.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

run_tests();

__DATA__

=== TEST 1: a click is stored before the answer
--- catalog
    flush_interval 1h;
--- config
    location = /refine/collect { refine_collect; }
--- request
POST /refine/collect
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- response_headers
Cache-Control: no-store
--- check
is(scalar events(), 1);
is((events())[0]{type}, 'click');
is((events())[0]{itemId}, 'a');
is(stats()->{accepted}, 1);
my $r = post('/refine/collect',
             '{"type":"click","serveId":"s1","itemId":"b","position":1}');
is($r->{status}, 204);
is($r->{body}, '');
is($r->{headers}{'content-length'}, undef, '204 has no length');
is($r->{headers}{'cache-control'}, 'no-store', 'exactly one Cache-Control');
is(scalar events(), 2, 'stored when the answer is there');



=== TEST 2: one event, an array, an envelope
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
[{"type":"click","serveId":"s1","itemId":"a","position":0},{"type":"view","serveId":"s1","itemId":"b","position":1}]
--- error_code: 204
--- check
is(post('/c', '{"sentAt":' . int(1000 * CORE::time) . ',"events":['
        . '{"type":"add_to_cart","serveId":"s1","itemId":"c"}]}')->{status},
   204, 'envelope');
is(post('/c', '{"events":[{"type":"add_to_cart","serveId":"s1",'
        . '"itemId":"d"}]}')->{status}, 204, 'without sentAt');
is(post('/c', " \n[{\"type\":\"add_to_cart\",\"serveId\":\"s1\","
        . "\"itemId\":\"e\"}]\r\n\t ")->{status}, 204, 'blanks around');
is(CORE::join('', map { $_->{itemId} } events()), 'abcde');
is(stats()->{accepted}, 5);



=== TEST 3: any content type, or none
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Content-Type: text/plain;charset=UTF-8
--- error_code: 204
--- check
for my $type ('application/json', 'application/x-www-form-urlencoded',
              'multipart/form-data; boundary=x', 'application/octet-stream',
              'text/html', 'nonsense')
{
    is(post('/c', '{"type":"click","serveId":"s1","itemId":"a","position":0}',
            'Content-Type' => $type)->{status}, 204, $type);
}
is(scalar events(), 7);



=== TEST 4: some events are refused, the others are stored
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
[{"type":"click","serveId":"s1","itemId":"a","position":0},{"type":"click","serveId":"s1","itemId":"b","position":-1},7,{"type":"view","serveId":"s1","itemId":"c","position":2}]
--- error_code: 200
--- response_headers
Content-Type: application/json
Cache-Control: no-store
--- response_body_like: ^\{"accepted":2,"rejected":\[\{"index":1,"field":"position","error":"[^"]+"\},\{"index":2,"field":"","error":"[^"]+"\}\]\}$
--- check
is(CORE::join('', map { $_->{itemId} } events()), 'ac');
is(stats()->{accepted}, 2);
wait_for(sub {
    post('/c', '{"type":"click","serveId":"s1","itemId":"z","position":0}');
    (stats()->{'rejected:invalid'} // 0) == 1
    && (stats()->{'rejected:not_event'} // 0) == 1
}, 'each is counted under its reason');



=== TEST 5: nothing valid
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
[{"type":"click"},{"type":"nothing"}]
--- error_code: 400
--- response_body_like: ^\{"accepted":0,"rejected":\[\{"index":0,.*\},\{"index":1,"field":"type",.*\}\]\}$
--- check
is(scalar events(), 0);
my $r = post('/c', '{"type":"click","serveId":"s1","itemId":"","position":0}');
is($r->{status}, 400, 'one event');
like($r->{body}, qr/"index":0,"field":"itemId"/);
is($r->{headers}{'set-cookie'}, undef, 'no cookie without an event');
for my $body ('[]', '{"events":[]}') {
    $r = post('/c', $body);
    is($r->{status}, 400, "body $body");
    is($r->{body}, qq({"accepted":0,"rejected":[{"index":null,"field":"",)
                   . qq("error":"no events"}]}\n), 'says why');
}
for my $body ('12', '"text"', 'null', 'true') {
    $r = post('/c', $body);
    is($r->{status}, 400, "body $body");
    like($r->{body}, qr/must be an event, an array of events/);
}
is(post('/c', '{}')->{status}, 400, 'an empty object');



=== TEST 6: not JSON
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
hello
--- error_code: 400
--- response_body_like: ^\{"accepted":0,"rejected":\[\{"index":null,"field":"","error":"not JSON: .* at byte \d+"\}\]\}$
--- check
my $click = '{"type":"click","serveId":"s1","itemId":"a","position":0}';
my %bad = (
    'empty'              => '',
    'blank'              => ' ',
    'cut off'            => substr($click, 0, 30),
    'two values'         => "$click $click",
    'trailing comma'     => "[$click,]",
    'single quotes'      => "{'type':'click'}",
    'a comment'          => "$click // no",
    'a BOM'              => "\xef\xbb\xbf$click",
    'NaN'                => '{"type":"click","position":NaN}',
    'a leading zero'     => '{"type":"click","position":01}',
    'escaped NUL'        => '{"type":"click","itemId":"a\u0000b"}',
    'NUL'                => "{\"type\":\"click\0\"}",
    'invalid UTF-8'      => "{\"type\":\"click\",\"itemId\":\"\xff\"}",
    'overlong UTF-8'     => "{\"type\":\"click\",\"itemId\":\"\xc0\xaf\"}",
    'a lone surrogate'   => '{"type":"click","itemId":"\ud800"}',
    'a control character' => "{\"type\":\"cl\nick\"}",
    'nine deep'          => '{"metadata":' . '[' x 8 . ']' x 8 . '}',
    'very deep'          => '[' x 100000,
);
for my $name (sort keys %bad) {
    my $r = post('/c', $bad{$name});
    is($r->{status}, 400, $name);
    like($r->{body}, qr/"error":"not JSON: .* at byte \d+"/, "$name: says so");
}
is(scalar events(), 0);
post('/c', $click);
wait_for(sub { (stats()->{'rejected:not_json'} // 0) == 1 + keys %bad },
         'counted');
is(scalar(log_lines(qr/\[(?:warn|error)\] .*refine: (?!.* may lose)/)), 0, 'no line in the log');



=== TEST 7: 100 events are taken, 101 are not
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request eval
"POST /c
[" . CORE::join(q(,), map { qq({"type":"view","serveId":"s","itemId":"i$_","position":$_}) } 1 .. 101) . "]"
--- error_code: 413
--- response_body
{"accepted":0,"rejected":[{"index":null,"field":"","error":"more than 100 events"}]}
--- check
is(scalar events(), 0, 'none of 101');
my $events = '{"events":[' . join(',', map {
    qq({"type":"view","serveId":"s","itemId":"i$_","position":$_}) } 1 .. 100)
    . ']}';
is(post('/c', $events)->{status}, 204, 'a hundred');
is(CORE::join(' ', map { $_->{itemId} } events()), join(' ', map { "i$_" } 1 .. 100),
   'all, in order');
is(stats()->{accepted}, 100);
counts('rejected:too_many', 1);



=== TEST 8: other methods
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
GET /c
--- error_code: 405
--- response_headers
Allow: POST, OPTIONS
Content-Type: application/json
--- response_body
{"accepted":0,"rejected":[{"index":null,"field":"","error":"the method must be POST"}]}
--- check
for my $method (qw(PUT DELETE PATCH)) {
    my $r = request($method, '/c', '{"type":"click"}');
    is($r->{status}, 405, $method);
    is($r->{headers}{allow}, 'POST, OPTIONS');
}
my $r = request('HEAD', '/c');
is($r->{status}, 405, 'HEAD');
is($r->{body}, '');
post('/c', '{"type":"click","serveId":"s1","itemId":"a","position":0}');
wait_for(sub { (stats()->{'rejected:method'} // 0) == 5 }, 'counted');



=== TEST 9: encodings that are not read
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Content-Encoding: br
--- error_code: 415
--- response_headers
Accept-Encoding: gzip
--- response_body_like: Content-Encoding must be absent, identity or gzip
--- check
is(post('/c', '{"type":"click","serveId":"s1","itemId":"a","position":0}',
        'Content-Encoding' => 'Identity')->{status}, 204, 'identity');
is(post('/c', '{"type":"click","serveId":"s1","itemId":"a","position":0}',
        'Content-Encoding' => '')->{status}, 204, 'empty');
is(scalar events(), 2);
counts('rejected:encoding', 1);



=== TEST 10: an envelope that is wrong
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"events":{"type":"click"}}
--- error_code: 400
--- response_body_like: "field":"events","error":"must be an array of events"
--- check
my $e = '[{"type":"click","serveId":"s1","itemId":"a","position":0}]';
for my $time ('"1"', 'null', '-5', '0', '1e999', '1e300', '{}', 'true') {
    my $r = post('/c', qq({"sentAt":$time,"events":$e}));
    is($r->{status}, 400, "sentAt $time");
    like($r->{body}, qr/"field":"sentAt"/);
}
like(post('/c', qq({"sentAt":1,"sentAt":2,"events":$e}))->{body},
     qr/"field":"sentAt","error":"must not be there twice"/);
like(post('/c', qq({"events":$e,"events":$e}))->{body},
     qr/"field":"events","error":"must not be there twice"/);
is(post('/c', qq({"Events":$e}))->{status}, 400, 'keys have their case');
is(post('/c', qq({"sentAt":12345,"events":$e}))->{status}, 204,
   'a clock that is wrong is corrected');
is(scalar events(), 1);



=== TEST 11: numbers of any length are read
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request eval
"POST /c
{\"type\":\"click\",\"serveId\":\"s1\",\"itemId\":\"a\",\"position\":1" . '0' x 500 . "}"
--- error_code: 400
--- check
my $r = post('/c', '{"type":"click","serveId":"s1","itemId":"a","position":7.'
             . '0' x 80 . ',"metadata":{"n":0.5' . '0' x 80 . '}}');
is($r->{status}, 204);
my ($e) = events();
is($e->{position}, 7);
is($e->{metadata}{n}, 0.5);



=== TEST 12: delivery that is disabled
--- catalog
    enabled off;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
    access_log logs/outcome.log outcome;
--- http_extra
    log_format outcome '$refine_outcome';
--- request
POST /c
[{"type":"click","serveId":"s1","itemId":"a","position":0},{"type":"click","serveId":"s1","itemId":"b","position":0}]
--- error_code: 204
--- response_headers
X-Refine-Dropped: disabled
--- check
my $r = post('/c', '[{"type":"click"},{"type":"click","serveId":"s1",'
             . '"itemId":"a","position":0}]');
is($r->{status}, 200);
is($r->{headers}{'x-refine-dropped'}, 'disabled');
is($r->{headers}{'set-cookie'}, undef, 'nobody is followed');
my $s = decode_json(get('/s')->{body})->{catalogs}{shop};
is($s->{dropped}{disabled}, 3);
is($s->{accepted}, 3, 'dropped counts as accepted');
is($s->{rejected}{missing}, 1);
is(scalar events(), 0);



=== TEST 13: $refine_outcome
--- catalog
    flush_interval 1h;
    max_queue_size 3;
--- http_extra
    log_format outcome '$status $refine_outcome';
--- config
    access_log logs/outcome.log outcome;
    location = /c { refine_collect; }
--- request
POST /c
{"eventId":"e1","type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my $click = '"type":"click","serveId":"s1","itemId":"a","position":0';
post('/c', "{\"eventId\":\"e1\",$click}");
post('/c', "[{\"eventId\":\"e2\",$click},1]");
post('/c', '1');
get('/c');
post('/c', "[{\"eventId\":\"e3\",$click},{\"eventId\":\"e4\",$click}]");
my $log = '';
wait_for(sub {
    open my $in, '<', "$Test::Nginx::Util::ServRoot/logs/outcome.log";
    $log = CORE::join('', <$in>);
    $log =~ tr/\n// == 6
}, 'logged');
is($log, "204 stored\n204 duplicate\n200 partial\n400 rejected\n"
         . "405 rejected\n503 full\n");
is(scalar events(), 2, 'all events of a request or none');



=== TEST 14: a full queue
--- catalog
    flush_interval 1h;
    max_queue_size 2;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request
POST /c
[{"type":"click","serveId":"s1","itemId":"a","position":0},{"type":"click","serveId":"s1","itemId":"b","position":0}]
--- error_code: 204
--- check
my $r = post('/c', '{"type":"click","serveId":"s1","itemId":"c","position":0}');
is($r->{status}, 503);
like($r->{headers}{'retry-after'}, qr/^[1-5]$/);
is($r->{headers}{'set-cookie'}, undef);
like($r->{body}, qr/^\{"accepted":0,"rejected":\[\{"index":null,"field":"","error":"the queue is full/);
is(scalar events(), 2, 'old events are not trimmed');
my $s = decode_json(get('/s')->{body})->{catalogs}{shop};
is($s->{rejected}{queue_full}, 1);
is($s->{accepted}, 2);
redis('DEL', 'refine:{' . catalog() . '}:events');
is(post('/c', '{"type":"click","serveId":"s1","itemId":"c","position":0}')
   ->{status}, 204, 'and takes events again');



=== TEST 15: keep-alive over every answer, pipelined
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my $click = '{"type":"click","serveId":"s1","itemId":"a","position":0}';
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
my $text = '';
for my $i (1 .. 20) {
    $text .= "POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
             . length($click) . "\r\n\r\n$click"
             . "PUT /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
             . "\r\n12345"
             . "POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
             . "\r\n["
             . "POST /c HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n"
             . "Content-Length: 6\r\n\r\n123456";
}
$text =~ s/(.*)Host: localhost/$1Host: localhost\r\nConnection: close/s;
print {$socket} $text;
my $all = join '', <$socket>;
is(CORE::join(' ', $all =~ m{^HTTP/1.1 (\d+)}mg), join(' ', (204, 405, 400, 403) x 20));
is(scalar events(), 21);



=== TEST 16: refine_collect twice
--- config
    location = /c { refine_collect; refine_collect; }
--- must_die
--- error_log
"refine_collect" directive is duplicate
--- suppress_stderr



=== TEST 17: a location that limits
--- http_extra
    limit_req_zone $binary_remote_addr zone=beacons:1m rate=1r/m;
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; limit_req zone=beacons burst=1 nodelay; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my $click = '{"type":"click","serveId":"s1","itemId":"a","position":0}';
post('/c', $click);
is(post('/c', $click)->{status}, 503, 'limited');
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
for my $n (1 .. 10) {
    is(post('/c', $click, Socket => $socket, Connection => 'keep-alive')->{status},
       503, "the connection stays in step: $n");
}
is(get('/t', Socket => $socket)->{status}, 404);
is(scalar events(), 2);
