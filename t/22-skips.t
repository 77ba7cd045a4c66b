# What is not logged, and under which one reason it is counted.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

sub total_skipped {
    my $stats = stats();
    my $n = 0;

    $n += $stats->{$_} for grep { /^skipped:/ } keys %$stats;
    return $n;
}

run_tests();

__DATA__

=== TEST 1: status, method, type, encoding
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_set_header If-None-Match $http_if_none_match;
        refine_serve search;
    }
    location /file/ {
        alias $TEST_NGINX_SCRATCH/files/;
        types { application/json json; }
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $json = '{"results":[{"productId":"a"}]}';
my $n = 0;
for my $status ('201 Created', '202 Accepted', '301 Moved', '400 Bad', '404 Not Found',
                '500 Error', '206 Partial Content') {
    reply('status', $json, $status, 'Content-Range' => 'bytes 0-1/9', Location => '/');
    my $r = get('/s/status');
    is($r->{status}, substr($status, 0, 3));
    is($r->{body}, $json);
    no_serve($r, 'status');
    $n++;
}
reply_raw('status', "HTTP/1.1 204 No Content\r\n\r\n");
no_serve(get('/s/status'), 'status');
reply_raw('status', "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nX-Refine-Serve-Id: up\r\n\r\n");
my $r = get('/s/status', 'If-None-Match' => '"x"');
is($r->{status}, 304, 'the upstream\'s own 304');
is($r->{headers}{'x-refine-serve-id'}, 'up', 'an id of the upstream stays');
skipped('status', $n += 2);
mkdir scratch() . '/files';
open my $out, '>', scratch() . '/files/f.json';
print $out $json;
close $out;
$r = get('/file/f.json');
serve($r);
$r = get('/file/f.json', 'If-None-Match' => $r->{headers}{etag});
is($r->{status}, 304, 'a 304 that nginx makes');
is($r->{headers}{'x-refine-serve-id'}, undef);
skipped('status', ++$n);
serve(get('/file/f.json', 'If-None-Match' => '"f"'));
reply('head', $json);
$r = request('HEAD', '/s/head', undef);
is($r->{status}, 200);
no_serve($r, 'method');
for my $type ('text/html', 'text/plain', 'application/javascript', 'application/jsonp',
              'application/json-seq', 'text/x+json', 'application/+json', 'json', '') {
    reply('type', $json, 'Content-Type' => $type);
    no_serve(get('/s/type'), 'type');
}
for my $type ('application/json', 'Application/JSON', 'application/json; charset=utf-8',
              'application/json;odata=x', 'application/json ; a=b', 'text/json',
              'application/vnd.shop.v2+json', 'application/ld+json; a=b') {
    reply('type', $json, 'Content-Type' => $type);
    is_deeply(serve(get('/s/type'))->{itemIds}, ['a'], $type);
}
for my $encoding ('gzip, gzip', 'br', 'zstd', 'deflate', 'identity, gzip') {
    reply('encoding', $json, 'Content-Encoding' => $encoding);
    my $r = get('/s/encoding');
    is($r->{body}, $json);
    no_serve($r, 'encoding');
}
for my $encoding ('identity', 'Identity', '') {
    reply('encoding', $json, 'Content-Encoding' => $encoding);
    serve(get('/s/encoding'));
}
is(total_skipped(), $n + 1 + 9 + 5, 'each under one reason');



=== TEST 2: length
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
my $make = sub { '{"results":["' . 'x' x ($_[0] - 26) . '"],"total":1}' };
my $limit = 8 * 1024 * 1024;
for my $extra (0, 1) {
    my $text = $make->($limit + $extra);
    is(length $text, $limit + $extra);
    reply('length', $text);
    my $r = get('/s/length');
    is(length $r->{body}, length $text);
    $extra ? no_serve($r, 'too_large') : serve($r);
    reply_raw('open', "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n$text");
    $r = get('/s/open');
    is(length $r->{body}, length $text);
    ok($r->{headers}{'x-refine-serve-id'}, 'the length was not known');
    $extra ? skipped('too_large', 2) : serve($r);
}
is(total_skipped(), 2);



=== TEST 3: what claims to be JSON and is not
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
my @bad = ('', ' ', '<!DOCTYPE html><html><body>503</body></html>',
           '{"results":[{"productId":"a"},{"produ', '{"results":[{"productId":"a"}]',
           '{"results":[]} x', '{"a":1}{"b":2}', "{'a':1}", '{"a":NaN}', '{"a":01}',
           "{\"a\":\"\xff\"}", "{\"a\":\"b\nc\"}",
           "\xfe\xff\0{\0}", "callback({})");
my $n = 0;
for my $i (0 .. $#bad) {
    reply('bad', $bad[$i]);
    for my $args ('', '?step=1') {
        my $r = get("/s/bad$args");
        is($r->{status}, 200);
        is($r->{body}, $bad[$i], "bad body $i unchanged");
        skipped('not_json', ++$n);
    }
}
is(total_skipped(), 2 * @bad);
is(scalar events(), 0);
is(scalar(grep { !/ \[(?:notice|info)\] /} log_lines(qr{refine: (?!.*may lose events)})), 0, 'no log lines');



=== TEST 4: enabled off
--- catalog
    enabled off;
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
reply('x', '{"results":[]}');
reply('y', 'no', '404 Not Found', 'Content-Type' => 'text/html');
no_serve(get('/s/x'), 'disabled');
no_serve(get('/s/y'), 'disabled');
is(total_skipped(), 2);
is(scalar events(), 0);



=== TEST 5: more events than the memory for serves, while Redis is away
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search items=json:[];
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('many', '[' . join(',', map { sprintf '"%063d"', $_ } 1 .. 1000) . ']');
reply('first', '["x"]');
serve(get('/s/first'));
redis_stop();
my $slow = 0;
for (1 .. 80) {
    my $start = time;
    my $r = get('/s/many');
    $slow++ if time - $start > 1;
    $r->{headers}{'x-refine-serve-id'} or fail('no id');
}
is($slow, 0, 'no response waits for Redis');
redis_start();
wait_for(sub { counted('skipped:serve_buffer') > 0 }, 'what has no room is counted', 20);
wait_for(sub { counted('serves:logged') + counted('skipped:serve_buffer') >= 80 },
         'nothing is lost in silence', 20);
cmp_ok(counted('serves:logged'), '>', 40, 'the memory is used');
