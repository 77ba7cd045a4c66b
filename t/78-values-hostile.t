# Values of refine_serve that are long, odd or meant to do harm, and what becomes
# of ids where nginx's own cache answers.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;
use IO::Compress::Gzip 'gzip';
use IO::Socket::UNIX;

our $REPLY = '{"results":[{"productId":"a"}]}';

run_tests();

__DATA__

=== TEST 1: a query string of 64 KB
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_HTML_DIR/default.sock;
        location /s/ {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
            refine_serve search;
        }
    }
--- config
    large_client_header_buffers 4 256k;
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search offset=$arg_o filters=$arg_f sort=$arg_s anchor=$arg_a
                     surface=$arg_p metadata.m=$arg_m metadata.all=$args if=x$arg_i;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $REPLY);
my $n = 65536;
my $x = 'x' x $n;

for my $case ([q => $x, query => 'x' x 1024], [q => '%41' x ($n / 3), query => 'A' x 1024],
              [q => '%C3%A9' x ($n / 6), query => "\x{e9}" x 512],
              [q => 'x%C3%A9' . '%C3%A9' x ($n / 6), query => 'x' . "\x{e9}" x 511],
              [q => '%22' x ($n / 3), query => '"' x 1024],
              [q => '%0d%0a' x ($n / 6), query => "\r\n" x 512],
              [q => '%' x $n, query => '%' x 1024],
              [s => $x, sortBy => 'x' x 1024], [f => $x, filters => ['x' x 1024]],
              [f => '[' x $n, filters => ['[' x 1024]], [p => $x, surface => 'x' x 64],
              [i => $x, query => undef])
{
    my ($arg, $text, $field, $want) = @$case;
    is_deeply(serve(get("/s/x?$arg=$text"))->{$field}, $want,
              "$field of $arg=" . substr $text, 0, 20);
}

my $e = serve(get("/s/x?a=$x&m=$x&o=" . '9' x $n . '.0'));
is($e->{metadata}{anchorId}, 'x' x 256);
is($e->{metadata}{m}, 'x' x 1024);
is($e->{metadata}{offset}, undef);
is(length $e->{metadata}{all}, 1024, 'all of it, cut');
counts('serves:left_out', 0);
counts('serves:not_utf8', 0);

# JSON is not cut, but left out; what is no text is counted

is(serve(get("/s/x?f=[%22$x%22]"))->{filters}, undef);
is(serve(get('/s/x?s=[' . '1,' x ($n / 2) . '1]'))->{sortBy}, undef);
wait_for(sub { counted('serves:left_out') == 2 }, 'counted');
is(serve(get('/s/x?q=' . '%00' x ($n / 3)))->{query}, undef);
is(serve(get('/s/x?q=' . 'x' x $n . '%ff'))->{query}, undef);
wait_for(sub { counted('serves:not_utf8') == 2 }, 'counted');

# with the default buffers it is too long for nginx, and the module sees nothing

my $logged = counted('serves:logged');
my $socket = IO::Socket::UNIX->new("$Test::Nginx::Util::HtmlDir/default.sock");
my $r = request('GET', "/s/x?q=$x", undef, Socket => $socket);
is($r->{status}, 414);
is($r->{headers}{'x-refine-serve-id'}, undef);
counts('serves:logged', $logged);
is_deeply([grep { /^skipped/ } keys %{ stats() }], []);



=== TEST 2: ids of each format
--- catalog
    flush_interval 1h;
--- config
    location /algolia/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=algolia;
    }
    location /elasticsearch/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=elasticsearch;
    }
    location /shopify/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=shopify;
    }
    location /typesense/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=typesense;
    }
    location /meilisearch/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=meilisearch;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my %shape = (
    algolia => ['{"nbHits":9,"hits":[', '{"objectID":%s}'],
    elasticsearch => ['{"hits":{"hits":[', '{"_id":%s}', ']}}'],
    shopify => ['{"resources":{"results":{"products":[', '{"id":%s}', ']}}}'],
    typesense => ['{"hits":[', '{"document":{"id":%s}}'],
    meilisearch => ['{"hits":[', '{"id":%s}'],
);
my $mb = 1024 * 1024;
my @ids = ('"\\"],\\"x\\":[\\""', '"a\\r\\nSet-Cookie: b=c"', '"\\u0000"', '""', 'null', 'true',
           '{"id":"no"}', '["no"]', '17', '-1.50', '12345678901234567890', '"' . 'x' x 256 . '"',
           '"' . 'x' x 257 . '"', '"' . 'y' x $mb . '"', '"' . '\\u0041' x ($mb / 6) . '"',
           '9' x $mb, '"</script>"', '"\\u00e9\\/"', '"\\ud800"', '"a b\'\\\\"');
my @want = ('"],"x":["', '17', '-1.50', '12345678901234567890', 'x' x 256, '</script>',
            "\x{e9}/", q(a b'\\));

for my $name (sort keys %shape) {
    my ($head, $item, $tail) = @{ $shape{$name} };
    my $text = $head . join(',', map { sprintf $item, $_ } @ids) . ($tail // ']}');
    reply('x', $text);

    for my $args ('', '?step=4093') {
        my $r = get("/$name/x$args");
        ok($r->{body} eq $text, "$name$args: unchanged");
        is($r->{headers}{'set-cookie'}, undef);
        is_deeply(serve($r)->{itemIds}, \@want, "$name$args");
    }

    # a line break as it is is no JSON: passed on, and not logged

    $text = $head . sprintf($item, qq("a\r\nb")) . ($tail // ']}');
    reply('x', $text);
    is(get("/$name/x")->{body}, $text);
    skipped('not_json', ++$Upstream::expected{catalog()}{not_json});
}



=== TEST 3: the body of a request
--- catalog
    flush_interval 1h;
--- http_extra
    client_max_body_size 8m;
    server {
        listen unix:$TEST_NGINX_HTML_DIR/h2.sock http2;
        location /s/ {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
            refine_serve search query=body:q filters=body:f;
        }
    }
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search query=body:q filters=body:f sort=body:s offset=body:o
                     metadata.m=body:m;
    }
    location /stream/ {
        proxy_pass http://unix:$TEST_NGINX_HTML_DIR/slow.sock;
        proxy_request_buffering off;
        proxy_http_version 1.1;
        refine_serve search query=body:q;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $REPLY);
my $send = sub {
    my ($body, @headers) = @_;
    my $r = post('/s/x', $body, @headers);
    is($r->{body}, $REPLY);
    is($r->{headers}{'set-cookie'}, undef);
    my ($head, $got) = split /\r\n\r\n/, asked('x'), 2;
    ok($got eq $body, 'the upstream got what was sent');
    return serve($r);
};
my $evil = '\\"},\\"x\\":{\\"\\r\\nSet-Cookie: a=b';
my $text = qq("},"x":{"\r\nSet-Cookie: a=b);
my $e = $send->(qq({"q":"$evil","s":"$evil","f":{"$evil":["$evil"]},"m":"$evil","o":"$evil"}));
is($e->{query}, $text);
is($e->{sortBy}, $text);
is_deeply($e->{filters}, { $text => [$text] });
is_deeply($e->{metadata}, { m => $text });
is($e->{x}, undef);
$e = $send->('{"q":"\\ud800","s":"\\u0000","o":1e3}');
is($e->{$_}, undef) for 'query', 'sortBy';
is($e->{metadata}{offset}, 1000);
wait_for(sub { counted('serves:not_utf8') == 2 }, 'counted');
is($send->('{"q":"' . 'x' x 200_000 . '","s":"y"}')->{sortBy}, 'y', 'the rest is there');
is($send->('{"x":[' . '1,' x 100_000 . '1],"q":"end"}')->{query}, 'end');
is($send->('{"x":' . '[' x 63 . ']' x 63 . ',"q":"deep"}')->{query}, 'deep');
counts('serves:body_unread', 0);

# of 1 MB; compressed, as no browser does it by itself

is($send->('{"q":"' . 'x' x 1_048_576 . '"}')->{query}, undef);
gzip(\'{"q":"packed"}' => \my $packed);
is($send->($packed, 'Content-Encoding' => 'gzip')->{query}, undef);
is($send->($packed)->{query}, undef, 'without saying so');
wait_for(sub { counted('serves:body_unread') == 3 }, 'counted');

# HTTP/2 without a length, its frames as they come

my $body = '{"f":["' . join('","', 1 .. 700) . '"],"pad":"' . 'p' x 40_000 . '","q":"two"}';
open my $out, '>', scratch() . '/sent';
print $out $body;
close $out;
my $sock = "$Test::Nginx::Util::HtmlDir/h2.sock";
my $head = `curl -s -D - -o /dev/null --http2-prior-knowledge --unix-socket $sock -T - http://localhost/s/x -X POST < ${\ scratch()}/sent`;
my ($id) = $head =~ /x-refine-serve-id: (\S+)/;
$e = serve({ headers => { 'x-refine-serve-id' => $id } });
is($e->{query}, 'two');
is(scalar @{ $e->{filters} }, 700);
my (undef, $got) = split /\r\n\r\n/, asked('x'), 2;
ok($got eq $body, 'the upstream got what was sent');

# chunks that go on to the upstream before all of them are here

my $slow = IO::Socket::UNIX->new(Local => "$Test::Nginx::Util::HtmlDir/slow.sock", Listen => 1);
chmod 0777, "$Test::Nginx::Util::HtmlDir/slow.sock";
my $client = IO::Socket::INET->new('127.0.0.1:' . http_port());
print $client "POST /stream/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
              . "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"q\"\r\n";
$client->flush;
my $upstream = $slow->accept;
print $client "5\r\n:\"a\"}\r\n0\r\n\r\n";
$client->flush;
$got = '';

while ($got !~ /\r\n0\r\n\r\n\z/) {
    sysread $upstream, $got, 65536, length $got or last;
}

print $upstream "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n$REPLY";
close $upstream;
my $r = Refine::response($client, 'POST', 10);
like($r->{body}, qr/\Q$REPLY\E/);
is(serve($r)->{query}, undef);
wait_for(sub { counted('serves:body_unread') == 4 }, 'counted');
my (undef, $chunks) = split /\r\n\r\n/, $got, 2;
is(join('', $chunks =~ /^\w+\r\n(.*)\r\n/mg), '{"q":"a"}', 'the upstream got what was sent');



=== TEST 4: cacheable=on, and nginx's own cache
--- catalog
    flush_interval 1h;
--- http_extra
    proxy_cache_path $TEST_NGINX_SCRATCH/cache keys_zone=three:1m;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_cache three;
        proxy_cache_methods GET POST;
        proxy_cache_key $uri;
        add_header X-Cache $upstream_cache_status;
        refine_serve search cacheable=on query=body:q metadata.page=$arg_page;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $REPLY, 'Cache-Control' => 'public, max-age=600', 'X-Refine-Serve-Id' => 'given-once',
      ETag => '"e"');
my %seen;

for my $try (1 .. 3) {
    my $r = $try == 2 ? get("/s/x?page=$try") : post("/s/x?page=$try", qq({"q":"$try"}));
    is($r->{headers}{'x-cache'}, $try == 1 ? 'MISS' : 'HIT');
    is($r->{headers}{'cache-control'}, 'public, max-age=600', 'unchanged');
    my $id = $r->{headers}{'x-refine-serve-id'};
    ok(!$seen{$id}++, 'an id for each answer');
    is($id, 'given-once', 'of the upstream, the first time') if $try == 1;
    my $e = serve($r);
    is_deeply($e->{itemIds}, ['a']);
    is($e->{query}, $try == 2 ? undef : $try, 'of this request');
    is($e->{metadata}{page}, $try);
}

is(scalar(() = events()), 3);
my $r = get('/s/x', 'If-None-Match' => '"e"');
is($r->{status}, 304, 'what the browser has is no new serve');
no_serve($r, 'status');
