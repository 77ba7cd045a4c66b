# offset=, filters=, sort=, metadata.NAME=, if=, cacheable= of refine_serve, and
# values with more than one selector.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

our $BODY = '{"results":[{"productId":"a"}]}';

run_tests();

__DATA__

=== TEST 1: offset, filters, sort and metadata from variables
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search offset=$arg_from filters=$arg_f sort=$arg_s
                     metadata.store=$http_x_store metadata.a-b_1=$arg_a
                     metadata.fixed=x$arg_none anchor=$arg_anchor;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $BODY);
my $e = serve(get('/s/x?from=24&f=brand:acme&s=price+asc&anchor=p1&a=%7B%22n%22%3A%5B1%2C2%5D%7D',
                  'X-Store' => 'berlin'));
is_deeply($e->{filters}, ['brand:acme'], 'a text is the one element of a list');
is($e->{sortBy}, 'price asc');
is_deeply($e->{metadata}, { anchorId => 'p1', offset => 24, store => 'berlin',
                            'a-b_1' => { n => [1, 2] }, fixed => 'x' });

$e = serve(get('/s/x?f=%7B%22brand%22:%20%5B%22a%22%5D%20%7D'
               . '&s=%5B%7B%22field%22%3A%22price%22%2C%22order%22%3A%22ascending%22%7D%5D'));
is_deeply($e->{filters}, { brand => ['a'] }, 'JSON is embedded');
is_deeply($e->{sortBy}, [{ field => 'price', order => 'ascending' }]);
is_deeply($e->{metadata}, { fixed => 'x' });

# an integer from 0 on, nothing else

is(serve(get('/s/x?from=0'))->{metadata}{offset}, 0);
is(serve(get("/s/x?from=$_"))->{metadata}{offset}, undef, "offset $_")
    for '', '-1', 'x', '1.5', '%22', '99999999999999999999';

# what only looks like JSON is a text

is_deeply(serve(get('/s/x?f=%7Bbrand'))->{filters}, ['{brand']);
is(serve(get('/s/x?s=%5Bprice'))->{sortBy}, '[price');
is(serve(get('/s/x?s=12'))->{sortBy}, '12');

# what is no text at all

is(serve(get('/s/x?s=%ff'))->{sortBy}, undef);
counts('serves:not_utf8', 1);
counts('serves:left_out', 0);
is(scalar(() = events()), 13);



=== TEST 2: the limits of events hold, and the serve is logged without
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search filters=$arg_f sort=$arg_s
                     metadata.one=$arg_1 metadata.two=$arg_2;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $BODY);
my $deep = sub { '[' x $_[0] . ']' x $_[0] };
my $list = sub { '["' . 'x' x ($_[0] - 4) . '"]' };
my $left = 0;

# depth: filters itself counts, and metadata around its members, too

is(ref serve(get('/s/x?f=' . $deep->(5)))->{filters}, 'ARRAY');
is(serve(get('/s/x?f=' . $deep->(6)))->{filters}, undef);
wait_for(sub { counted('serves:left_out') == 1 }, 'counted');
is(ref serve(get('/s/x?1=' . $deep->(4)))->{metadata}{one}, 'ARRAY');
is(serve(get('/s/x?1=' . $deep->(5)))->{metadata}, undef);
wait_for(sub { counted('serves:left_out') == 2 }, 'counted');
is(ref serve(get('/s/x?s=' . $deep->(5)))->{sortBy}, 'ARRAY');
is(serve(get('/s/x?s=' . $deep->(6)))->{sortBy}, undef);
wait_for(sub { counted('serves:left_out') == 3 }, 'counted');

# size, to the byte

is(length serve(get('/s/x?f=' . $list->(4096)))->{filters}[0], 4092);
is(serve(get('/s/x?f=' . $list->(4097)))->{filters}, undef);
wait_for(sub { counted('serves:left_out') == 4 }, 'counted');

# metadata as a whole: {"one":["x"],"two":"y","truncated":true} has to fit

my $e = serve(get('/s/x?1=' . $list->(3000) . '&2=' . $list->(2000)));
is(length $e->{metadata}{one}[0], 2996);
ok(!exists $e->{metadata}{two}, 'no room is left');
wait_for(sub { counted('serves:left_out') == 5 }, 'counted');
$e = serve(get('/s/x?1=' . $list->(3000) . '&2=y'));
is($e->{metadata}{two}, 'y');

# a member twice, at any depth; numbers that no double holds

for my $bad ('{"a":1,"a":2}', '[{"b":{"a":1,"a":1}}]', '{"a":1e999}', '["\u0000"]') {
    my $text = $bad =~ s/(["{}\\])/sprintf '%%%02x', ord $1/ger;
    my $f = serve(get("/s/x?f=$text"))->{filters};
    $bad =~ /u0000/ ? is_deeply($f, [$bad], 'no JSON, but a text')
                    : is($f, undef, $bad);
}

wait_for(sub { counted('serves:left_out') == 8 }, 'counted');

# a text is cut, between two characters

is(serve(get('/s/x?s=' . 'y' x 1023 . '%C3%A9'))->{sortBy}, 'y' x 1023);
counts('serves:left_out', 8);



=== TEST 3: from the response, of any kind, however it is cut
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search items=json:r[] offset=json:from filters=json:f
                     sort=json:s metadata.m=json:m metadata.n=json:deep[1].n
                     metadata.all=json:deep;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my @cases = (
    ['{"from":20,"f":{"brand":["a","b"],"price":{"lt":5}},"s":"new","m":1.5,'
     . '"deep":[{"n":0},{"n":[true,null]}],"r":["x"]}',
     { brand => ['a', 'b'], price => { lt => 5 } }, 'new',
     { offset => 20, m => 1.5, n => [JSON::PP::true, undef],
       all => [{ n => 0 }, { n => [JSON::PP::true, undef] }] }],
    ['{"f":["]}\\\\",{"a":"\\"}"}],"s":[ {"field" : "x" } ],"m":"}","r":["x"]}',
     [']}\\', { a => '"}' }], [{ field => 'x' }], { m => '}' }],
    ['{"f":"text","s":7,"m":{},"from":"5","r":["x"]}', ['text'], '7', { m => {} }],
    ['{"f":12,"s":true,"m":false,"r":["x"]}', [12], 'true',
     { m => JSON::PP::false }],
    ['{"f":null,"s":null,"m":null,"from":null,"r":["x"]}', undef, undef, undef],
    ['{"r":["x"],"f":[],"s":[],"m":[]}', [], [], { m => [] }],
);

for (@cases) {
    my ($text, $filters, $sort, $metadata) = @$_;
    reply('x', $text);

    for my $step (0, 1, 3, 7) {
        my $r = get('/s/x' . ($step ? "?step=$step" : ''));
        is($r->{body}, $text, 'the body is unchanged');
        my $e = serve($r);
        is_deeply($e->{itemIds}, ['x']);
        is_deeply($e->{filters}, $filters, "filters of $text, step $step");
        is_deeply($e->{sortBy}, $sort, 'sortBy');
        is_deeply($e->{metadata}, $metadata, 'metadata');
    }
}

# over the limits: 4096 bytes when compact, twice that as written

my $blank = ' ' x 4000;
reply('x', qq({"r":["x"],"f":["a",$blank"b"],"m":["a",$blank$blank$blank"b"]}));
my $e = serve(get('/s/x'));
is_deeply($e->{filters}, ['a', 'b'], 'blanks do not count');
is($e->{metadata}, undef, 'too many of them');
wait_for(sub { counted('serves:left_out') == 1 }, 'counted');
reply('x', '{"r":["x"],"f":["' . 'y' x 1000000 . '"],"s":"z"}');
$e = serve(get('/s/x'));
is($e->{filters}, undef);
is($e->{sortBy}, 'z', 'the rest is there');
wait_for(sub { counted('serves:left_out') == 2 }, 'counted');



=== TEST 4: of several selectors the first that matches counts, in any order
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search items=json:a[].id|json:b.c[].id|json:d[]
                     total=json:n.value|json:n query=json:q|json:p.q
                     filters=json:f|json:g;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my @cases = (
    ['{"a":[{"id":1}],"n":3,"q":"x","f":{"y":1}}', ['1'], 3, 'x', { y => 1 }],
    ['{"d":[4,5],"b":{"c":[{"id":2},{"id":3}]},"n":{"value":9},"p":{"q":"y"},"g":["z"]}',
     ['2', '3'], 9, 'y', ['z']],
    ['{"d":["a","a","b"],"q":null,"p":{"q":"y"},"g":"t"}', ['a', 'b'], undef, 'y', ['t']],
    ['{"d":[4,5],"a":[{"id":"last"}],"p":{"q":"y"},"q":"x","g":[1],"f":"s"}',
     ['last'], undef, 'x', ['s']],
    ['{"a":[],"d":[5]}', ['5'], undef, undef, undef],
    ['{"f":[1],"g":[2],"a":[{"id":1}],"d":[5]}', ['1'], undef, undef, [1]],
    ['{"g":[2],"f":[1]}', [], undef, undef, [1]],
    ['{"d":[' . join(',', 1 .. 1200) . '],"a":[{"id":"z"}]}', ['z'], undef, undef, undef],
);

for (@cases) {
    my ($text, $items, $total, $query, $filters) = @$_;
    reply('x', $text);

    for my $args ('', '?step=1') {
        my $e = serve(get("/s/x$args"));
        is_deeply($e->{itemIds}, $items, $text);
        is($e->{totalResults}, $total, 'total');
        is($e->{query}, $query, 'query');
        is_deeply($e->{filters}, $filters, 'filters');
        is($e->{metadata}, undef, 'the list that counts is not cut');
    }
}



=== TEST 5: if=
--- catalog
    flush_interval 1h;
--- http_extra
    map $arg_page $is_first { default 0; "" 1; 1 yes; }
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search if=$is_first;
    }
    location /u/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search if=$upstream_http_x_log$arg_force;
    }
    location = /t { return 204; }
    location = /status { refine_status; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $BODY, 'X-Refine-Serve-Id' => 'up-1');
is(serve(get("/s/x$_"))->{type}, 'items_served', "true: $_") for '', '?page=1';
is(get("/s/x?page=2")->{headers}{'x-refine-serve-id'}, 'up-1',
   'the header of the upstream passes, none is added');
skipped('condition', 1);
$Upstream::expected{catalog()}{condition} = 1;
reply('y', $BODY);
no_serve(get("/s/y?page=2"), 'condition');
no_serve(get('/u/y'), 'condition');
no_serve(get('/u/y?force=0'), 'condition');
is(serve(get("/u/y?force=$_"))->{type}, 'items_served', "true: $_")
    for '00', 'off', '-0', '%20';
reply('z', $BODY, 'X-Log' => '1');
is(serve(get('/u/z'))->{type}, 'items_served', 'a header of the response');

# it is asked first: the other reasons are those of what would be logged

reply('z', 'no', '404 Not Found');
no_serve(get('/u/z'), 'condition');
like(get('/status')->{body}, qr/"skipped":\{[^}]*"condition":5/, 'in the status');



=== TEST 6: cacheable=
--- catalog
    flush_interval 1h;
--- config
    location /on/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search cacheable=on;
    }
    location /off/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search cacheable=off;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
for my $control ('public', 'max-age=60', 's-maxage=1, private', 'no-store') {
    reply('x', $BODY, 'Cache-Control' => $control);
    my $r = get('/on/x');
    is($r->{headers}{'cache-control'}, $control);
    is_deeply(serve($r)->{itemIds}, ['a'], $control);
}
reply('x', $BODY, 'Cache-Control' => 'public');
no_serve(get('/off/x'), 'cacheable');
reply('x', $BODY, 'Expires' => 'Thu, 31 Dec 2037 23:55:55 GMT');
is_deeply(serve(get('/on/x'))->{itemIds}, ['a']);
no_serve(get('/off/x'), 'cacheable');



=== TEST 7: what is hostile stays within its value
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search items=json:r[] filters=json:f sort=json:s
                     metadata.m=json:m metadata.v=$arg_v;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $evil = '\\"],\\"x\\":{\\"';
reply('x', qq({"r":["a"],"f":{"$evil":"$evil"},"s":"$evil","m":["$evil\\r\\nA: b"]}));
my $r = get('/s/x?v=%22%7D%2C%22x%22%3A%7B%22%0d%0a');
is($r->{headers}{a}, undef);
my $e = serve($r);
my $text = '"],"x":{"';
is_deeply($e->{filters}, { $text => $text });
is($e->{sortBy}, $text);
is_deeply($e->{metadata}, { m => ["$text\r\nA: b"], v => qq("},"x":{"\r\n) });
is($e->{x}, undef);

# what the scanner passes over is checked before it is used

for my $bad ('{"a":}', '[1,]', '{"a":01}', '["' . "\xff" . '"]', '{]', '[1}') {
    reply('x', qq({"r":["a"],"f":$bad,"s":"z"}));
    my $r = get('/s/x');
    my $id = $r->{headers}{'x-refine-serve-id'};
    wait_for(sub { (grep { $_->{serveId} eq $id } events())
                   || counted('skipped:not_json') > 0 }, 'an outcome');
    my ($e) = grep { $_->{serveId} eq $id } events();
    is($e->{filters}, undef, $bad) if $e;
    is($e->{sortBy}, 'z') if $e;
}



=== TEST 8: a part of the path, over a regex that runs later
--- http_extra
    map $http_user_agent $people {
        ~*(bot)  0;
        ~(.+)    1;
    }
--- catalog
    flush_interval 1h;
--- config
    location ~ ^/s/(?<term>.+) {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search query=$term if=$people;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('wool', $BODY);
is(serve(get('/s/wool', 'User-Agent' => 'x'))->{query}, 'wool');



=== TEST 9: what looks like a second selector, within a quoted name
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search
            'items=json:["a|json:b\\"|json:c"][]|json:["d\\\\"][]|json:e[]';
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', '{"a|json:b\\"|json:c":["1"],"e":["2"]}');
is_deeply(serve(get('/s/x'))->{itemIds}, ['1']);
reply('x', '{"e":["2"],"d\\\\":["3"]}');
is_deeply(serve(get('/s/x'))->{itemIds}, ['3']);
reply('x', '{"e":["2"]}');
is_deeply(serve(get('/s/x'))->{itemIds}, ['2']);
