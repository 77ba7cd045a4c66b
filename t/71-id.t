# id=json:PATH: the header waits for the id in the body, and for nothing else.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Digest::MD5 'md5_hex';
use IO::Compress::Gzip 'gzip';
use IO::Uncompress::Gunzip 'gunzip';
use IO::Socket::INET;
use Time::HiRes;
use Refine;
use Upstream;

our $uuid = qr/\A[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z/;
our $list = '"results":[' . join(',', map { "{\"productId\":\"a$_\"}" } 1 .. 40) . ']';
our $n = 0;

sub next_id { 'srv_' . ++$n . '_' }

# a response with that id, which is also the event's, and an unchanged body

sub has_id {
    my ($r, $id, $body, $what) = @_;

    is($r->{status}, 200, "$what: status");
    is($r->{headers}{'x-refine-serve-id'}, $id, "$what: the id");
    is(md5_hex($r->{body} // ''), md5_hex($body), "$what: the body");
    my $e = serve($r);
    is($e->{eventId}, $e->{serveId}, 'it is the id of the event');
    return $e;
}

# one with an id that was made here

sub has_made {
    my ($r, $body, $what) = @_;

    like($r->{headers}{'x-refine-serve-id'}, $uuid, "$what: made here");
    is(md5_hex($r->{body} // ''), md5_hex($body), "$what: the body");
    return serve($r);
}

# what comes of a response that has no end, up to a text

sub begin_of {
    my ($path, $text) = @_;

    my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port()) or return '';
    my $select = IO::Select->new($socket);
    my $data = '';

    print {$socket} "GET $path HTTP/1.1\r\nHost: localhost\r\n\r\n";
    $socket->flush;

    while (index($data, $text) < 0 && $select->can_read(20)) {
        last if !sysread $socket, $data, 65536, length $data;
    }

    return ($data, $socket);
}

sub client {
    return IO::Socket::UNIX->new(
               Peer => "$Test::Nginx::Util::ServRoot/plain.sock");
}

run_tests();

__DATA__

=== TEST 1: wherever the id stands, and however the body comes
--- catalog
    flush_interval 1h;
--- config
    location /buffered/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve recommendations;
    }
    location /unbuffered/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        refine_serve search id=json:serveId;
    }
    location /small/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        proxy_buffer_size 1k;
        postpone_output 1;
        refine_serve search id=json:serveId;
    }
    location /temp/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffers 2 1k;
        proxy_buffer_size 1k;
        proxy_busy_buffers_size 1k;
        refine_serve search id=json:serveId;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my %items;
for my $how ('buffered', 'unbuffered', 'small', 'temp') {
    for my $chunked (0, 1) {
        for my $case (['first', '', ',' . $list], ['last', "$list,", ''],
                      ['alone', '', ''],
                      ['between', '"a":[1,2],"b":{"serveId":"x"},', ',' . $list]) {
            my ($name, $before, $after) = @$case;
            for my $args ('', '?step=1', '?step=700') {
                my $id = next_id();
                my $body = "{$before\"serveId\":\"$id\"$after}";
                my @headers = $chunked ? ('Content-Length' => undef) : ();
                reply($name, $body, @headers);
                my $r = get("/$how/$name$args");
                is($r->{headers}{'x-refine-serve-id'}, $id, "$how $name$args $chunked");
                is($r->{body}, $body, 'the body');
                $items{$id} = $name eq 'alone' ? 0 : 40;
            }
        }
    }
}
wait_for(sub { counted('serves:logged') >= keys %items }, 'all are logged');
is_deeply({ map { $_->{eventId} => scalar @{ $_->{itemIds} } } events() }, \%items,
          'each under its id');
is(scalar events(), scalar keys %items, 'once');



=== TEST 2: what is no id is as none
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search id=json:serveId|json:other;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my %bad = (number => '17', object => '{"serveId":"x"}', array => '["x"]', null => 'null',
           true => 'true', empty => '""', quotes => '"a\\"b"', crlf => '"a\\r\\nSet-Cookie: x=y"',
           newline => '"a\\n"', space => '"a b"', markup => '"<b>"', latin => '"\\u00e9"',
           utf8 => "\"\xc3\xa9\"", surrogate => '"\\ud800"',
           null_byte => '"a\\u0000b"', long => '"' . 'x' x 129 . '"',
           megabyte => '"' . 'x' x 1_000_000 . '"');
for my $name (sort keys %bad) {
    for my $args ('', '?step=997') {
        my $body = "{\"serveId\":$bad{$name},$list}";
        reply('x', $body);
        my $r = get("/s/x$args");
        my $e = has_made($r, $body, "$name$args");
        is(scalar @{ $e->{itemIds} }, 40);
        is($r->{headers}{'set-cookie'}, undef);
    }
    my $id = next_id();
    my $body = "{\"serveId\":$bad{$name},$list,\"other\":\"$id\",\"other\":\"later\"}";
    reply('x', $body);
    if ($name eq 'megabyte') {
        has_made(get('/s/x'), $body, 'more than is held came before it');
    } else {
        has_id(get('/s/x'), $id, $body, "$name, and then a good one");
    }
}
for my $id ('x' x 128, "!#\$%()*+-./:;=?@[]^_`{|}~", 'x') {
    my $body = "{\"serveId\":\"$id\",$list}";
    reply('x', $body);
    has_id(get('/s/x'), $id, $body, $id);
}
my $body = "{\"serveId\":\"\\u0061\\/b\",$list}";
reply('x', $body);
has_id(get('/s/x'), 'a/b', $body, 'escaped');



=== TEST 3: presets, formats, several selectors, none
--- catalog
    flush_interval 1h;
--- config
    location /recommendations/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve recommendations;
    }
    location /none/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve recommendations id=;
    }
    location /search/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location /several/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search "id=json:meta.id|json:request.ids[]|json:[\"serve id\"]";
    }
    location /algolia/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=algolia;
    }
    location /mine/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=algolia id=json:serveId;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $body = "{\"serveId\":\"r1\",$list}";
reply('x', $body);
has_id(get('/recommendations/x'), 'r1', $body, 'recommendations');
has_made(get('/none/x'), $body, 'id=');
has_made(get('/search/x'), $body, 'search');
my %several = ('{"meta":{"id":"s1"}}' => 's1', '{"request":{"ids":[1,"s2","s3"]}}' => 's2',
               '{"serve id":"s4"}' => 's4', '{"serve id":"s5","meta":{"id":"s6"}}' => 's5');
for my $text (sort keys %several) {
    reply('x', $text);
    has_id(get('/several/x'), $several{$text}, $text, $text);
}
my $query = '{"hits":[{"objectID":"o1"}],"nbHits":1,"query":"q","queryID":"%s"}';
my $one = sprintf $query, '43b15df305339e827f0ac0bdc5ebcaa7';
reply('x', $one);
my $e = has_id(get('/algolia/x'), '43b15df305339e827f0ac0bdc5ebcaa7', $one, 'Algolia');
is_deeply($e->{itemIds}, ['o1']);
my $two = '{"results":[' . sprintf($query, 'first') . ',' . sprintf($query, 'second') . ']}';
reply('x', $two);
has_id(get('/algolia/x'), 'first', $two, 'of several searches the first');
my $without = '{"hits":[{"objectID":"o1"}],"nbHits":1,"query":"q"}';
reply('x', $without);
has_made(get('/algolia/x'), $without, 'without clickAnalytics');
reply('x', $one = '{"hits":[],"nbHits":0,"queryID":"no","serveId":"m1"}');
has_id(get('/mine/x'), 'm1', $one, 'of the own selector');



=== TEST 4: the upstream's header counts more; nginx's cache, and what is not logged
--- catalog
    flush_interval 1h;
--- http_extra
    proxy_cache_path $TEST_NGINX_SCRATCH/cache71 keys_zone=ids:1m;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search id=json:serveId;
    }
    location /cached/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_cache ids;
        proxy_cache_valid 1m;
        proxy_set_header X-Serve $refine_serve_id;
        add_header X-Cache $upstream_cache_status;
        refine_serve search id=json:serveId;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $body = "{$list,\"serveId\":\"json\"}";
reply('x', $body, 'X-Refine-Serve-Id' => 'own');
has_id(get('/s/x'), 'own', $body, 'its header');
reply('x', $body, 'X-Refine-Serve-Id' => 'no id');
has_id(get('/s/x?step=5'), 'json', $body, 'an invalid header is none');
reply('cache', "{\"serveId\":\"c1\",$list}");
my $r = get('/cached/cache?step=300');
is($r->{headers}{'x-cache'}, 'MISS');
has_id($r, 'c1', "{\"serveId\":\"c1\",$list}", 'it fills the cache');
for (1, 2) {
    $r = get('/cached/cache?step=300');
    is($r->{headers}{'x-cache'}, 'HIT');
    has_made($r, "{\"serveId\":\"c1\",$list}", 'it comes out of the cache');
}
reply('x', $body);
no_serve(request('HEAD', '/s/x'), 'method');
reply('x', $body, 'Cache-Control' => 'public');
no_serve(get('/s/x'), 'cacheable');
reply('x', $body, '500 Internal Server Error');
$r = get('/s/x');
is($r->{status}, 500);
no_serve($r, 'status');
reply('x', '', 'Content-Length' => 0);
$r = get('/s/x');
is($r->{status}, 200, 'an empty body');
skipped('not_json', 1);
my @broken = (['[1,', ''], ['{"a":1,}', 'x' x 1000], ['nonsense', ''], [' ', ' ' x 100],
              ["{\"serveId\":\"\xc3(\"}", '']);
for my $case (@broken) {
    my ($text, $rest) = @$case;
    reply('x', $text . $rest);
    for my $args ('', '?step=1') {
        $r = get("/s/x$args");
        is($r->{body}, $text . $rest, 'broken JSON passes');
        is($r->{headers}{'x-refine-serve-id'}, undef, 'and has no id');
    }
}
skipped('not_json', 1 + 2 * @broken);



=== TEST 5: nothing waits longer than it has to
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        refine_serve search id=json:serveId;
    }
    location /b/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search id=json:serveId;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $head = length "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"
                  . "Content-Length: 300000\r\n\r\n";
my $early = '{"serveId":"early","x":"' . 'y' x 300_000;
reply('early', substr $early, 0, 300_000);
my $step = $head + 40;
my ($data, $socket) = begin_of("/s/early?step=$step&delay=30000", '{"serveId":"early","x":"y');
like($data, qr/\AHTTP.1\.1 200 OK\r\n.*^X-Refine-Serve-Id: early\r$/ms, 'sent with the id');
close $socket;
reply('late', '{"x":"' . 'y' x 299_994);
$step = $head + 75_000;
for my $how ('s', 'b') {
    ($data, $socket) = begin_of("/$how/late?step=$step&delay=30000", 'y' x 60_000);
    my ($id) = $data =~ /^X-Refine-Serve-Id: (\S+)\r$/m;
    like($id, $uuid, "over 64k it waits no longer: $how");
    close $socket;
}
skipped('aborted', 3);

# a little less is held

my $id = next_id();
my $body = '{"x":"' . 'y' x 65_000 . "\",\"serveId\":\"$id\",$list}";
reply('held', $body);
has_id(get("/$_/held?step=9999"), $id, $body, "65000 bytes before it: $_") for 's';
$id = next_id();
$body = '{"x":"' . 'y' x 300_000 . "\",\"serveId\":\"$id\",$list}";
reply('more', $body);
has_made(get("/$_/more?step=9999"), $body, "too late: $_") for 's', 'b';



=== TEST 6: an upstream that breaks off, a client that does
--- catalog
    flush_interval 1h;
--- config
    location /buffered/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_read_timeout 500ms;
        refine_serve search id=json:serveId;
    }
    location /unbuffered/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        proxy_read_timeout 500ms;
        refine_serve search id=json:serveId;
    }
    location /plain-buffered/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_read_timeout 500ms;
    }
    location /plain-unbuffered/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        proxy_read_timeout 500ms;
    }
    location /patient/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search id=json:serveId;
    }
    location /ssi/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        ssi on;
        ssi_types application/json;
        refine_serve search id=json:serveId;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $body = "{$list,\"serveId\":\"x\",\"more\":\"" . 'y' x 2000 . '"}';
reply('x', $body);
my $head = length "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"
                  . 'Content-Length: ' . length($body) . "\r\n\r\n";
my $aborted = 0;
for my $how ('buffered', 'unbuffered') {
    for my $args ('cut=600', 'cut=1800', 'step=600&delay=3000', 'step=1800&delay=3000') {
        my $r = get("/$how/x?$args");
        my $plain = get("/plain-$how/x?$args");
        is($r->{status}, 200, "$how, $args: what has come is passed on");
        is($r->{body}, $plain->{body}, 'as without the module');
        $args =~ /1800/ && length $r->{body}
            ? is($r->{headers}{'x-refine-serve-id'}, 'x', 'with the id')
            : like($r->{headers}{'x-refine-serve-id'}, $uuid, 'made here');
        $aborted++;
    }
}

# SSI passes no flush on, so that only the end of the request shows it

for my $cut (200, 600) {
    my $r = get("/ssi/x?cut=$cut");
    is($r->{status}, 200, "$cut through SSI");
    is($r->{body}, substr($body, 0, $cut - $head), 'what has come');
    like($r->{headers}{'x-refine-serve-id'}, $uuid, 'made here');
    $aborted++;
}
skipped('aborted', $aborted);
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
print {$socket} "GET /patient/x?step=600&delay=30000 HTTP/1.1\r\nHost: localhost\r\n\r\n";
$socket->flush;
wait_for(sub { asked('x') =~ /delay=30000/ }, 'the upstream has begun');
close $socket;
skipped('aborted', $aborted + 1);
is(scalar(grep { !/upstream (?:prematurely|timed out)|may lose events/ } log_lines(qr/ \[(?:warn|error)\] /)),
   0, 'and nothing else is told');
--- timeout: 30



=== TEST 7: gzip, files, sendfile, SSI, addition
--- catalog
    flush_interval 1h;
--- config
    location /gzip/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search id=json:serveId;
    }
    location /packed/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        gzip on;
        gzip_types application/json;
        refine_serve search id=json:serveId;
    }
    location /file/ {
        alias $TEST_NGINX_SCRATCH/id-files/;
        types { application/json json; }
        sendfile on;
        refine_serve search id=json:serveId;
    }
    location /ssi/ {
        alias $TEST_NGINX_SCRATCH/id-files/;
        types { application/json json; }
        ssi on;
        ssi_types application/json;
        refine_serve search id=json:serveId;
    }
    location /part/ {
        alias $TEST_NGINX_SCRATCH/id-files/;
        types { application/json json; }
    }
    location /add/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        addition_types application/json;
        add_before_body /part/before.json;
        add_after_body /part/after.json;
        refine_serve search id=json:serveId;
    }
    location /sub/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        sub_filter_types application/json;
        sub_filter productId productId;
        refine_serve search id=json:serveId;
    }
    location /gunzip/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        gunzip on;
        refine_serve search id=json:serveId;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $body = "{$list,\"serveId\":\"z1\"}";
my $packed;
gzip(\$body, \$packed);
reply('x', $packed, 'Content-Encoding' => 'gzip');
has_id(get("/gzip/x$_"), 'z1', $packed, "gzip$_") for '', '?step=1', '?step=100';
my $large = '{"x":"' . join('', map { md5_hex($_) } 1 .. 12000) . "\",\"serveId\":\"z2\",$list}";
gzip(\$large, \my $much);
reply('x', $much, 'Content-Encoding' => 'gzip');
has_made(get('/gzip/x?step=5000'), $much, 'more than 64k of gzip');
reply('x', $body);
my $r = get('/packed/x?step=300', 'Accept-Encoding' => 'gzip');
is($r->{headers}{'content-encoding'}, 'gzip', 'packed here');
is($r->{headers}{'x-refine-serve-id'}, 'z1');
gunzip(\$r->{body}, \my $plain);
is($plain, $body);

# of a small piece another filter may leave nothing but its flush

my $short = '{"results":[{"productId":"a"}],"serveId":"z3"}';
reply('x', $short);
has_id(get('/sub/x?step=3&delay=3'), 'z3', $short, 'sub_filter, unbuffered');
$short = '{"x":"' . join('', map { md5_hex($_) } 1 .. 8) . "\",\"serveId\":\"z4\"}";
gzip(\$short, \my $small);
reply('x', $small, 'Content-Encoding' => 'gzip');
has_id(get('/gunzip/x?step=1&delay=1'), 'z4', $short, 'gunzip, unbuffered');

mkdir scratch() . '/id-files';
my %files = (plain => $body, large => $large, before => "{\"serveId\":\"added\",$list,\"x\":",
             after => '}', one => '"serveId":"included"',
             page => "{$list,<!--# include virtual=\"/part/one.json\" -->,\"y\":1}",
             first => "{<!--# include virtual=\"/part/one.json\" -->,$list}");
for my $name (keys %files) {
    open my $out, '>', scratch() . "/id-files/$name.json";
    print {$out} $files{$name};
    close $out;
}
has_id(get('/file/plain.json'), 'z1', $body, 'a file');
has_made(get('/file/large.json'), $large, 'a large file');
for my $name ('page', 'first') {
    my $text = $files{$name};
    $text =~ s/<.*>/$files{one}/;
    has_id(get("/ssi/$name.json"), 'included', $text, "SSI: $name");
}
reply('x', '[1,2]');
has_id(get("/add/x$_"), 'added', $files{before} . '[1,2]}', "addition$_") for '', '?step=1';



=== TEST 8: HTTP/2, HTTP/1.0, keep-alive, other origins
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/h2.sock http2;
        location /s/ {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
            proxy_buffering off;
            refine_serve search id=json:serveId;
        }
    }
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search id=json:serveId;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $body = "{$list,\"serveId\":\"p1\"}";
reply('x', $body);
for my $args ('', '?step=1', '?step=900') {
    my $out = scratch() . '/h2.out';
    unlink $out;
    open my $curl, '-|', 'curl', '-sS', '--max-time', '20', '--http2-prior-knowledge', '--unix-socket',
        "$Test::Nginx::Util::ServRoot/h2.sock", '-D', '-', '-o', $out, "http://localhost/s/x$args";
    my $head = join '', <$curl>;
    close $curl;
    like($head, qr/\AHTTP.2 200/, "HTTP/2$args");
    like($head, qr/^x-refine-serve-id: p1\r$/m, 'the id');
    open my $in, '<:raw', $out;
    is(join('', <$in>), $body, 'the body');
}
wait_for(sub { events() == 3 }, 'all are logged')
    or diag(scalar(my @there = events()), ' in the stream, counted: ', JSON::PP::encode_json(stats()));
for my $args ('', '?step=900') {
    my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$socket} "GET /s/x$args HTTP/1.0\r\nHost: localhost\r\n\r\n";
    my $text = join '', <$socket>;
    like($text, qr/^X-Refine-Serve-Id: p1\r$/m, 'HTTP/1.0');
    is($text =~ s/.*?\r\n\r\n//sr, $body);
}
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
for (1 .. 5) {
    my $id = next_id();
    $body = "{$list,\"serveId\":\"$id\"}";
    reply('x', $body, 'Access-Control-Allow-Origin' => '*');
    my $r = request('GET', '/s/x?step=2000', undef, Socket => $socket, Connection => 'keep-alive');
    has_id($r, $id, $body, "request $_ of a connection");
    is($r->{headers}{'access-control-expose-headers'}, 'X-Refine-Serve-Id', 'exposed');
}



=== TEST 9: who has got all of a known length may leave before it is ended
--- main_config
    load_module /usr/lib/nginx/modules/ndk_http_module.so;
    load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
--- catalog
    flush_interval 1h;
--- user_files
>>> late.lua
local body = '{"results":[{"productId":"l1"}],"serveId":"late"}'
local more = tonumber(ngx.var.arg_more)
ngx.header.content_length = #body + more
ngx.print(body)
ngx.flush(true)
ngx.sleep(30)
ngx.print(string.rep(' ', more))
--- config
    default_type application/json;
    lua_check_client_abort on;
    location = /lua/header {
        refine_serve search;
        content_by_lua_file $TEST_NGINX_HTML_DIR/late.lua;
    }
    location = /lua/json {
        refine_serve search id=json:serveId;
        content_by_lua_file $TEST_NGINX_HTML_DIR/late.lua;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my %leaves = (0 => 'all of it', 1 => 'all but a byte');
for my $path ('header', 'json') {
    for my $more (0, 1) {
        my ($text, $socket) = begin_of("/lua/$path?more=$more", '"late"}');
        like($text, qr/"late"\}\z/, "$path, $leaves{$more}");
        close $socket;
    }
}
skipped('aborted', 2);
wait_for(sub { events() == 2 }, 'both that were whole are logged');
is(scalar(grep { $_->{serveId} eq 'late' } events()), 1, 'one with its own id');



=== TEST 10: another response takes the place of the one that is held
--- main_config
    load_module /usr/lib/nginx/modules/ndk_http_module.so;
    load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
    load_module /usr/lib/nginx/modules/ngx_http_js_module.so;
--- catalog
    flush_interval 1h;
--- http_extra
    js_import h71 from $TEST_NGINX_HTML_DIR/h71.js;
--- user_files
>>> h71.js
function begin(r) {
    r.status = 200;
    r.headersOut['Content-Type'] = 'application/json';
    r.sendHeader();
    r.send('{"results":[{"productId":"j1"}],');
}

function whole(r) { begin(r); r.send('"serveId":"njs"}'); r.finish(); }
function redirect(r) { begin(r); r.internalRedirect('/instead'); }
function elsewhere(r) { begin(r); r.internalRedirect('/elsewhere'); }
function fails(r) { begin(r); r.return(500, 'failed'); }

export default { whole, redirect, elsewhere, fails };
--- config
    location = /elsewhere { return 200 else; }
    location /js/ {
        refine_serve search id=json:serveId;
        location = /js/whole { js_content h71.whole; }
        location = /js/redirect { js_content h71.redirect; }
        location = /js/elsewhere { js_content h71.elsewhere; }
        location = /js/fails { js_content h71.fails; }
    }
    location /lua/ {
        default_type application/json;
        refine_serve search id=json:serveId;

        location = /lua/flush {
            content_by_lua_block {
                ngx.print('{"results":[{"productId":"l1"}],')
                ngx.flush(true)
                ngx.print('"serveId":"late"}')
            }
        }
        location = /lua/held {
            content_by_lua_block {
                ngx.print('{"results":[{"productId":"l1"}],')
                ngx.sleep(0.05)
                ngx.send_headers()
                ngx.print('"serveId":"lua"}')
            }
        }
        location = /lua/plain {
            content_by_lua_block {
                ngx.print('{"results":[{"productId":"l1"}],')
                error('ends')
            }
        }
    }
    location = /instead {
        default_type application/json;
        refine_serve search id=json:serveId;
        return 200 '{"results":[{"productId":"i1"}],"serveId":"instead"}';
    }
    location /accel/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search id=json:serveId;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $r = get('/lua/flush');
has_made($r, '{"results":[{"productId":"l1"}],"serveId":"late"}', 'a flush');
$r = get('/lua/held');
has_id($r, 'lua', '{"results":[{"productId":"l1"}],"serveId":"lua"}', 'without one');
is(scalar events(), 2);
is(get('/lua/plain'), undef, 'an error: the connection is closed');
has_id(get('/js/whole'), 'njs', '{"results":[{"productId":"j1"}],"serveId":"njs"}', 'njs');
my $instead = '{"results":[{"productId":"i1"}],"serveId":"instead"}';
is_deeply(has_id(get('/js/redirect'), 'instead', $instead, 'a redirect')->{itemIds}, ['i1']);
$r = get('/js/elsewhere');
is($r->{body}, 'else', 'one that leaves the location');
is($r->{headers}{'x-refine-serve-id'}, undef);
$r = get('/js/fails');
is("$r->{status} $r->{body}", '500 failed', 'an error');
is($r->{headers}{'x-refine-serve-id'}, undef);
is(scalar events(), 4);
reply('x', 'no', 'X-Accel-Redirect' => '/instead');
has_id(get('/accel/x'), 'instead', $instead, 'X-Accel-Redirect');



=== TEST 11: memory
--- catalog
    flush_interval 1h;
    max_queue_size 1000;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search id=json:serveId;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $body = '{"x":"' . 'y' x 60_000 . "\",\"serveId\":\"m1\",$list}";
reply('x', $body);
is(get('/s/x?step=50')->{headers}{'x-refine-serve-id'}, 'm1');
my $before = peak();
is(get("/s/x?step=$_")->{headers}{'x-refine-serve-id'}, 'm1') for 50, 500, 5000;
get('/s/big?mb=2');
grown($before, 1024);
