# body:PATH of refine_serve: values from the request's JSON.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

our $REPLY = '{"results":[{"productId":"a"}]}';

# A POST, and its serve; what the upstream got is what was sent.

sub searched {
    my ($path, $body, %headers) = @_;

    my $r = request('POST', $path, $body, %headers);
    is($r->{body}, $REPLY, 'the response is unchanged');
    return serve($r);
}


sub unread { counts('serves:body_unread', $_[0]) }

run_tests();

__DATA__

=== TEST 1: from memory and from a file, in one piece or in chunks
--- catalog
    flush_interval 1h;
--- config
    location /memory/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search query=body:q filters=body:filter sort=body:sort[0]
                     offset=body:from metadata.lang=body:ctx.lang
                     surface=body:place anchor=body:like|body:id;
    }
    location /file/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        client_body_in_file_only clean;
        refine_serve search query=body:q filters=body:filter sort=body:sort[0]
                     offset=body:from metadata.lang=body:ctx.lang
                     surface=body:place anchor=body:like|body:id;
    }
    location /small/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        client_body_buffer_size 16;
        refine_serve search query=body:q filters=body:filter sort=body:sort[0]
                     offset=body:from metadata.lang=body:ctx.lang
                     surface=body:place anchor=body:like|body:id;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $REPLY);
my $body = '{"q":"caf\u00e9 ' . "\xc3\xa9" . '","filter":{"brand":["a","]"],"n":{"gt":1.5}},'
           . '"sort":[{"price":"asc"},{"name":"desc"}],"from":40,"ctx":{"lang":"de"},'
           . '"place":"category_page","id":77}';

for my $place ('memory', 'file', 'small') {
    for my $way ('length', 'chunked') {
        my $sent = $way eq 'length' ? $body : chunked($body, 7);
        my $e = searched("/$place/x", $sent, $way eq 'length' ? ()
                         : ('Transfer-Encoding' => 'chunked', 'Content-Length' => []));
        is($e->{query}, "caf\x{e9} \x{e9}", "$place, $way");
        is_deeply($e->{filters}, { brand => ['a', ']'], n => { gt => 1.5 } });
        is_deeply($e->{sortBy}, { price => 'asc' });
        is_deeply($e->{metadata}, { offset => 40, lang => 'de', anchorId => 77 });
        is($e->{surface}, 'category_page');
        is_deeply($e->{itemIds}, ['a'], 'the response was read, too');
        my ($head, $got) = split /\r\n\r\n/, asked('x'), 2;
        is($got, $body, 'the upstream got what was sent');
    }
}

unread(0);



=== TEST 2: what is not there, or of another kind
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search query=body:q total=body:n surface=body:s filters=body:f;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $REPLY);
my @cases = (
    ['{}', undef, undef, 'search_results', undef],
    ['{"q":null,"n":"5","s":null,"f":null}', undef, undef, 'search_results', undef],
    ['{"q":{"a":1},"n":[1],"s":["x"],"f":"text"}', undef, undef, 'search_results', ['text']],
    ['{"q":12,"n":12,"s":7,"f":[]}', '12', 12, '7', []],
    ['{"q":"","n":-1,"s":"","f":{}}', undef, undef, 'search_results', {}],
    ['{"q":"a","q":"b"}', 'a', undef, 'search_results', undef],
    ['[1,2]', undef, undef, 'search_results', undef],
    ['"text"', undef, undef, 'search_results', undef],
    [' {"q" : "blanks" } ', 'blanks', undef, 'search_results', undef],
    ['{"q":"' . 'x' x 2000 . '","s":"' . 'y' x 100 . '"}', 'x' x 1024, undef, 'y' x 64, undef],
);

for (@cases) {
    my ($body, $query, $total, $surface, $filters) = @$_;
    my $e = searched('/s/x', $body);
    is($e->{query}, $query, substr $body, 0, 60);
    is($e->{totalResults}, $total);
    is($e->{surface}, $surface);
    is_deeply($e->{filters}, $filters);
}

# a request without a body is no mistake

my $e = serve(get('/s/x'));
is($e->{query}, undef);
is($e->{surface}, 'search_results');
is(searched('/s/x', '')->{query}, undef);
unread(0);



=== TEST 3: what is not JSON to its last byte counts as nothing, and is counted
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search query=body:q filters=body:f;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $REPLY);
my $n = 0;

for my $bad ('q=shoes', '{"q":"a"', '{"q":"a"}x', '{"q":"a"}{"q":"b"}', '{"q":"a",}', "{'q':'a'}",
             '{"f":{"a":},"q":"a"}', '{"q":"a","other":[1,]}', '{"q":"a","x":"' . "\xff" . '"}',
             "\xef\xbb\xbf" . '{"q":"a"}', '{"q":"a","x":' . '[' x 65 . ']' x 65 . '}', "\0", ' ',
             qq({"index":"p"}\n{"query":{"q":"a"}}\n))
{
    my $e = searched('/s/x', $bad);
    is($e->{query}, undef, $bad);
    is($e->{filters}, undef);
    is_deeply($e->{itemIds}, ['a'], 'it is logged all the same');
    unread(++$n);
}

# compressed, though it be JSON by chance

is(searched('/s/x', '{"q":"a"}', 'Content-Encoding' => 'gzip')->{query}, undef);
unread(++$n);
is(searched('/s/x', '{"q":"a"}', 'Content-Encoding' => 'identity')->{query}, 'a');
is(searched('/s/x', '{"q":"a"}', 'Content-Type' => 'text/plain')->{query}, 'a');
unread($n);



=== TEST 4: up to 256 KB, in memory or not
--- catalog
    flush_interval 1h;
--- config
    client_body_buffer_size 8k;
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search query=body:q metadata.big=body:x filters=body:f;
    }
    location /big/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        client_body_buffer_size 512k;
        refine_serve search query=body:q metadata.big=body:x filters=body:f;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $REPLY);
my $make = sub { '{"x":"' . 'y' x ($_[0] - 16) . '","q":"a"}' };
is(length $make->(100), 100);

for my $place ('s', 'big') {
    my $before = counted('serves:body_unread');
    is(searched("/$place/x", $make->(262144))->{query}, 'a', "$place, 256 KB");
    is(searched("/$place/x", $make->(262145))->{query}, undef, "$place, a byte more");
    unread($before + 1);
    my $e = searched("/$place/x", '{"f":["' . 'z' x 100000 . '"],"q":"b"}');
    is($e->{query}, 'b');
    is($e->{filters}, undef, 'over the limit of filters');
}

wait_for(sub { counted('serves:left_out') == 2 }, 'counted');
my ($head, $got) = split /\r\n\r\n/, asked('x'), 2;
is(length $got, 100018, 'the upstream got all of it');



=== TEST 5: without buffering there is nothing to read, and nothing breaks
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_request_buffering off;
        client_body_buffer_size 1k;
        proxy_http_version 1.1;
        refine_serve search query=body:q;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $REPLY);

# more than nginx has when it asks the upstream

my $body = '{"q":"a","x":"' . 'y' x 5000 . '"}';
is(searched('/s/x', $body)->{query}, undef);
unread(1);
my ($head, $got) = split /\r\n\r\n/, asked('x'), 2;
is($got, $body, 'the upstream got it');
is(searched('/s/x', '{"q":"a"}')->{query}, 'a', 'it had all of it');
is(serve(get('/s/x'))->{query}, undef);
counts('serves:body_unread', 1, 'a GET has no body to read');



=== TEST 6: handlers that read the body themselves, or not at all
--- catalog
    flush_interval 1h;
--- config
    location /mirrored/ {
        mirror /copy;
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search query=body:q;
    }
    location = /copy { internal; return 204; }
    location /static/ {
        default_type application/json;
        return 200 '{"results":[{"productId":"s"}]}';
        refine_serve search query=body:q;
    }
    location /moved/ {
        rewrite ^ /moved2/x last;
    }
    location /moved2/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search query=body:q;
    }
    location /own/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_set_body '{"q":"other"}';
        refine_serve search query=body:q;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', $REPLY);
is(searched('/mirrored/x', '{"q":"a"}')->{query}, 'a', 'mirror');
is(searched('/moved/x', '{"q":"c"}')->{query}, 'c', 'rewrite');
is(searched('/own/x', '{"q":"d"}')->{query}, 'd', 'proxy_set_body');
like(asked('x'), qr/\{"q":"other"\}\z/);
my $r = post('/static/x', '{"q":"a"}');
my $e = serve($r);
is_deeply($e->{itemIds}, ['s']);
is($e->{query}, undef, 'nobody has read the body');
unread(0);
