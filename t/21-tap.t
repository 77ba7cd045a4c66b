# refine_serve looks at a response and changes nothing: however the body comes
# and goes, the client gets the same bytes, and the same items are logged.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Digest::MD5 'md5_hex';
use Time::HiRes;
use Refine;
use Upstream;

our @ids = map { "sku-$_\x{e9}" } 1 .. 700;
our $body = '{"head":"' . 'x\\u00e9' x 3000 . '","results":['
            . join(',', map { "{\"title\":\"t$_ \\\"q\\\" \xe2\x82\xac\","
                              . "\"productId\":\"sku-$_" . ($_ % 2 ? '\\u00e9' : "\xc3\xa9")
                              . '","price":' . $_ / 4 . '}' } 1 .. 700)
            . '],"totalResults":1234}' . "\n";

# the response has the body, and its serve has the items

sub whole {
    my ($r, $what) = @_;

    is($r->{status}, 200, "$what: status");
    is(md5_hex($r->{body} // ''), md5_hex($body), "$what: body");
    my $e = serve($r);
    is_deeply($e->{itemIds}, \@ids, "$what: items");
    is($e->{totalResults}, 1234, "$what: total");
    return $r;
}

run_tests();

__DATA__

=== TEST 1: an upstream that sends byte by byte
--- catalog
    flush_interval 1h;
--- config
    location /buffered/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location /unbuffered/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        refine_serve search;
    }
    location /postponed/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        proxy_buffer_size 1k;
        postpone_output 1;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('bytes', $body);
for my $how ('buffered', 'unbuffered', 'postponed') {
    whole(get("/$how/bytes?step=1"), $how);
    whole(get("/$how/bytes?step=7"), "$how, 7 bytes");
    whole(get("/$how/bytes"), "$how, at once");
}



=== TEST 2: pieces with pauses are passed on at once
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $text = '{"results":[{"productId":"' . 'a' x 40 . '"}],"x":"' . 'y' x 3000 . '"}';
reply('slow', $text);
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
print $socket "GET /s/slow?step=700&delay=250 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
my ($data, @at) = ('');
while (sysread $socket, $data, 65536, length $data) {
    push @at, Time::HiRes::time();
}
ok(@at >= 4, 'it came in pieces');
ok($at[-1] - $at[0] > 0.5, 'the first one before the last one');
my ($id) = $data =~ /^X-Refine-Serve-Id: (\S+)/m;
ok(wait_for(sub { grep { $_->{serveId} eq $id } events() }, 'logged'));



=== TEST 3: chunked, HTTP/1.0 without a length, keep-alive upstream
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('chunked', chunked($body, 500), 'Transfer-Encoding' => 'chunked');
my $r = whole(get('/s/chunked'), 'chunked');
is($r->{headers}{'transfer-encoding'}, 'chunked');
whole(get('/s/chunked?step=3'), 'chunked in pieces');
reply_raw('plain', "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n$body");
whole(get('/s/plain'), 'until the end of the connection');



=== TEST 4: a file, with and without sendfile
--- catalog
    flush_interval 1h;
--- config
    location /on/ {
        alias $TEST_NGINX_SCRATCH/files/;
        types { application/json json; }
        sendfile on;
        refine_serve search;
    }
    location /off/ {
        alias $TEST_NGINX_SCRATCH/files/;
        types { application/json json; }
        sendfile off;
        output_buffers 1 512;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mkdir scratch() . '/files';
open my $out, '>:raw', scratch() . '/files/f.json';
print $out $body;
close $out;
my $r = whole(get('/on/f.json'), 'sendfile');
ok($r->{headers}{etag}, 'the entity tag is kept');
ok($r->{headers}{'last-modified'}, 'and the date');
is($r->{headers}{'accept-ranges'}, 'bytes');
is($r->{headers}{'content-length'}, length $body);
whole(get('/off/f.json'), 'no sendfile');
open $out, '>', scratch() . '/files/empty.json';
close $out;
$r = get('/on/empty.json');
is($r->{status}, 200);
is($r->{body}, '');
skipped('not_json', 1);



=== TEST 5: a body that goes through a temporary file of the proxy
--- catalog
    flush_interval 1h;
--- config
    location = /t { return 204; }
--- http_extra
    server {
        listen unix:$TEST_NGINX_HTML_DIR/slow.sock;
        location /s/ {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
            proxy_buffers 2 4k;
            proxy_buffer_size 4k;
            proxy_busy_buffers_size 4k;
            sendfile on;
            refine_serve search items=json:results[].productId;
        }
    }
--- request
GET /t
--- error_code: 204
--- check
my $n = 6 * 1024;
my $text = '{"results":[' . join(',', map { "{\"productId\":\"p$_\",\"x\":\"" . 'y' x 1000 . '"}' } 1 .. $n)
           . '],"totalResults":7}';
reply('temp', $text);
my $socket = IO::Socket::UNIX->new("$Test::Nginx::Util::HtmlDir/slow.sock");
print $socket "GET /s/temp HTTP/1.0\r\nHost: x\r\n\r\n";
Time::HiRes::sleep(0.7);
my $data = '';
1 while sysread $socket, $data, 65536, length $data;
my ($id) = $data =~ /^X-Refine-Serve-Id: (\S+)/m;
$data =~ s/\A.*?\r\n\r\n//s;
is(md5_hex($data), md5_hex($text), 'the body');
ok(scalar(log_lines(qr/buffered to a temporary file/)), 'a file was used');
my ($e) = wait_for(sub { (grep { $_->{serveId} eq $id } events())[0] }, 'logged');
is_deeply($e->{itemIds}, [map { "p$_" } 1 .. 1000], 'the items');
is($e->{totalResults}, 7, 'read to its end');



=== TEST 6: compressed for the client, after it was read
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        gzip on;
        gzip_types application/json;
        gzip_http_version 1.0;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
use IO::Uncompress::Gunzip;
reply('z', $body);
my $r = get('/s/z', 'Accept-Encoding' => 'gzip');
is($r->{headers}{'content-encoding'}, 'gzip', 'compressed');
IO::Uncompress::Gunzip::gunzip(\$r->{body} => \my $plain);
$r->{body} = $plain;
whole($r, 'gzip');
whole(get('/s/z'), 'not compressed');



=== TEST 7: sub_filter and gunzip come before, addition adds outside
--- catalog
    flush_interval 1h;
--- config
    location /sub/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        sub_filter_types application/json;
        sub_filter_once off;
        sub_filter '"id"' '"productId"';
        refine_serve search;
    }
    location /gunzip/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        gunzip on;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
use IO::Compress::Gzip;
reply('sub', '{"results":[{"id":"a"},{"id":"b"}]}');
my $r = get('/sub/sub?step=1');
is($r->{body}, '{"results":[{"productId":"a"},{"productId":"b"}]}');
is_deeply(serve($r)->{itemIds}, ['a', 'b'], 'what the client gets counts');
my $plain = $body;
IO::Compress::Gzip::gzip(\$plain => \my $packed);
reply('zip', $packed, 'Content-Encoding' => 'gzip');
whole(get('/gunzip/zip'), 'gunzip');
$r = get('/gunzip/zip', 'Accept-Encoding' => 'gzip');
is($r->{headers}{'content-encoding'}, 'gzip', 'gunzip does nothing');
is(md5_hex($r->{body}), md5_hex($packed));
$r->{body} = $body;
whole($r, 'read all the same');



=== TEST 8: the same bytes and headers as without the module
--- catalog
    flush_interval 1h;
--- config
    location /with/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location /without/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my @bodies = ($body, '{}', '', '{', '[[[', "\xef\xbb\xbf{}", '<html></html>',
              "\0" x 5000, '{"results":[{"productId":"a"', 'x' x 200_000,
              join('', map { chr(int rand 256) } 1 .. 50_000));
for my $i (0 .. $#bodies) {
    reply("d$i", $bodies[$i], ETag => '"e"', 'Last-Modified' => 'Mon, 01 Jan 2024 00:00:00 GMT',
          Link => '<x>; rel=y');
    for my $args ('', '?step=100', '?step=1') {
        next if $args eq '?step=1' && length $bodies[$i] > 50_000;
        my ($a, $b) = map { get("/$_/d$i$args") } 'with', 'without';
        is(md5_hex($a->{body}), md5_hex($b->{body}), "body $i$args");
        delete $_->{headers}{date}, delete $_->{headers}{'x-refine-serve-id'} for $a, $b;
        is_deeply($a->{headers}, $b->{headers}, "headers $i$args");
    }
}



=== TEST 9: 100 MB pass at constant memory
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_max_temp_file_size 0;
        refine_serve search;
    }
    location = /t { return 204; }
--- timeout: 60
--- request
GET /t
--- error_code: 204
--- check
get('/s/big?mb=1');
my $before = peak();
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
print $socket "GET /s/big?mb=100 HTTP/1.0\r\nHost: x\r\n\r\n";
my ($length, $piece, $end) = (0, '', '');
while (my $n = sysread $socket, $piece, 1 << 20) {
    $length += $n;
    $end = substr $end . $piece, -40;
}
ok($length > 99 * 1024 * 1024, 'all of it came');
like($end, qr/"last"\}\]\}\z/, 'to its end');
grown($before, 2048);
skipped('too_large', 1);
counts('serves:logged', 1, 'the first one was small enough');



=== TEST 10: a client that goes away, an upstream that is cut off
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location /c/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_http_version 1.1;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('abort', '{"results":[{"productId":"a"}],"x":"' . 'y' x 100_000 . '"}');
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
print $socket "GET /s/abort?step=20000&delay=200 HTTP/1.1\r\nHost: x\r\n\r\n";
sysread $socket, my $data, 100;
close $socket;
skipped('aborted', 1);

my $r = get('/s/abort?cut=5000', Timeout => 3);
ok(length $r->{body} < 100_000, 'cut by the upstream');
skipped('aborted', 2);

reply('part', "ffff\r\n{\"results\":[", 'Transfer-Encoding' => 'chunked');
get('/c/part', Timeout => 3);
skipped('aborted', 3);

reply_raw('open', "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
                  . '{"results":[{"productId":"a"}');
get('/s/open');
skipped('not_json', 1);
is(scalar events(), 0);
counts('serves:logged', 0);
