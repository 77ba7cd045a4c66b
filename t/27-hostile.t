# Responses that try to do harm, or just are strange.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

run_tests();

__DATA__

=== TEST 1: ids cannot get out of their string, nor into a header
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search items=json:[].id surface=json:[0].s query=json:[0].q
                     anchor=json:[0].a;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $evil = '\\"],\\"x\\":[\\"';
reply('x', "[{\"id\":\"$evil\",\"s\":\"$evil\",\"q\":\"$evil\\r\\nSet-Cookie: a=b\",\"a\":\"$evil\"},"
           . '{"id":"a\\r\\nSet-Cookie: a=b"},{"id":"</script>"},{"id":"\\u2028"}]');
my $r = get('/s/x');
is($r->{headers}{'set-cookie'}, undef);
my $e = serve($r);
my $text = '"],"x":["';
is_deeply($e->{itemIds}, [$text, '</script>', "\x{2028}"]);
is($e->{surface}, $text);
is($e->{query}, "$text\r\nSet-Cookie: a=b");
is($e->{metadata}{anchorId}, $text);
is($e->{x}, undef);



=== TEST 2: one huge id, huge numbers, huge keys
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search items=json:r[] total=json:n query=json:q;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $mb = 1024 * 1024;
for my $huge ('"' . 'x' x $mb . '"', '9' x $mb, '"' . '\\u0041' x ($mb / 6) . '"') {
    for my $args ('', '?step=65521') {
        reply('x', "{\"r\":[\"a\",$huge,\"b\"],\"n\":$huge,\"q\":$huge,\"" . 'k' x $mb . '":1}');
        my $e = serve(get("/s/x$args"));
        is_deeply($e->{itemIds}, ['a', 'b']);
        is($e->{totalResults}, undef);
        is($e->{query}, undef, 'beyond all limits');
    }
}
for my $total ('-1', '1.5', '1e999', '-0', '9007199254740991', '9007199254740992', '1e3', '"5"',
               'null', '[5]') {
    reply('x', "{\"n\":$total}");
    my %want = ('-0' => 0, '9007199254740991' => 9007199254740991, '1e3' => 1000);
    is(serve(get('/s/x'))->{totalResults}, $want{$total}, "total $total");
}
reply('x', '{"n":"x","n":4,"q":"a","q":"b","r":["a"],"r":["b"]}');
my $e = serve(get('/s/x'));
is($e->{query}, 'a', 'of duplicate keys the first counts');
is_deeply($e->{itemIds}, ['a']);



=== TEST 3: a byte order mark, white space, escaped keys, other shapes
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
my @cases = (
    ["\xef\xbb\xbf{\"results\":[{\"productId\":\"a\"}]}", ['a']],
    [" \r\n\t{ \"results\" : [ { \"productId\" : \"a\" } ] } \n\n", ['a']],
    ['{"r\\u0065sults":[{"product\\u0049d":"a"}]}', ['a']],
    ['{"results":{"productId":"a"}}', []],
    ['{"results":[["a"],{"productId":["b"]},{"productId":{"c":1}}]}', []],
    ['{"x":{"results":[{"productId":"a"}]}}', []],
    ['[{"results":[{"productId":"a"}]}]', []],
    ['{"results":"productId"}', []],
    ['{"results":[{"productId":"a","productId":"b"}]}', ['a']],
    ['{"results":[{"productId":null},{"productId":"b"}]}', ['b']],
    ['{"Results":[{"productId":"a"}]}', []],
    ['{"":[{"":""}],"results":[{"productId":"a"}]}', ['a']],
    ['[' x 50_000 . ']' x 50_000, []],
    ['{"x":' . '[' x 63 . ']' x 63 . ',"results":[{"productId":"a"}]}', ['a']],
);
for my $case (@cases) {
    my ($json, $want) = @$case;
    reply('x', $json);
    for my $args ('', '?step=1') {
        my $r = get("/s/x$args");
        is($r->{body}, $json);
        is_deeply(serve($r)->{itemIds}, $want, substr($json, 0, 60));
    }
}



=== TEST 4: many repeated ids take no memory
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_max_temp_file_size 0;
        refine_serve search items=json:[];
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('one', '["a"]');
serve(get('/s/one'));
my $before = peak();
reply('same', '[' . join(',', ('"' . 'x' x 250 . '"') x 32_000) . ']');
is_deeply(serve(get('/s/same'))->{itemIds}, ['x' x 250]);
reply('all', '[' . join(',', map { sprintf '"%0250d"', $_ } 1 .. 32_000) . ']');
is(scalar @{ serve(get('/s/all'))->{itemIds} }, 262, '64 KB of ids');
grown($before, 1500);



=== TEST 5: a head without a host, HTTP/1.0, HTTP/0.9
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
my $json = '{"results":[{"productId":"a"}]}';
reply('x', $json);
my $raw = sub {
    my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print $socket $_[0];
    local $/;
    scalar <$socket>;
};
my $text = $raw->("GET /s/x HTTP/1.0\r\n\r\n");
like($text, qr/^X-Refine-Serve-Id: \S+\r$/m);
like($text, qr/\r\n\r\n\Q$json\E\z/);
is($raw->("GET /s/x\r\n"), $json, 'HTTP/0.9');
wait_for(sub { events() == 2 }, 'both are logged');
