# Tests for request bodies with Content-Encoding: gzip.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Http2;
use JSON::PP;
use Compress::Zlib ();

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

sub gz { Compress::Zlib::memGzip($_[0]) }

sub click { my ($id) = @_; (my $click = $CLICK) =~ s/"a"/"$id"/; $click }

# sent as it is, said to be gzip

sub zipped {
    my ($path, $body, @headers) = @_;
    return post($path, $body, 'Content-Encoding' => 'gzip', @headers);
}

# what is counted is shown a second later at most

sub rejected {
    my (%rejected) = @_;

    wait_for(sub {
        my $s = decode_json(get('/s')->{body})->{catalogs}{shop}{rejected};
        !CORE::grep { $s->{$_} != $rejected{$_} } keys %rejected
    }, encode_json(\%rejected), 5);
    return;
}

# so many events, with text that does not compress

sub big {
    my ($n, $size) = @_;

    my $seed = 1;
    my $text = sub {
        join '', map {
            $seed = ($seed * 1103515245 + 12345) % 2**31;
            chr 97 + ($seed >> 16) % 26
        } 1 .. $size
    };

    return '[' . CORE::join(',', map {
        qq({"type":"click","serveId":"s1","itemId":"i$_","position":$_,)
        . '"metadata":{"pad":"' . $text->() . '"}}' } 1 .. $n) . ']';
}

sub chunked {
    my ($body, $size) = @_;

    my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$socket} "POST /c HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";

    for my $part (CORE::unpack("(a$size)*", $body)) {
        printf {$socket} "%x\r\n%s\r\n", CORE::length $part, $part;
        $socket->flush;
    }

    print {$socket} "0\r\n\r\n";
    $socket->flush;

    return CORE::readline($socket);
}

run_tests();

__DATA__

=== TEST 1: gzip is inflated
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request eval
"POST /c\n" . main::gz($main::CLICK)
--- more_headers
Content-Encoding: gzip
--- error_code: 204
--- check
is((events())[0]{itemId}, 'a');
is(post('/c', gz(click('b')), 'Content-Encoding' => $_)->{status}, 204, $_)
    for 'x-gzip', 'GZip', 'X-GZIP';
is(post('/c', gz(click('c')),
        'Content-Encoding' => ['', 'gzip', 'identity'])->{status}, 204,
   'beside what says nothing');
is(zipped('/c', gz('[' . CORE::join(',', map { click("n$_") } 1 .. 100) . ']'))
   ->{status}, 204, 'an array');
is(zipped('/c', gz('{"sentAt":1,"events":[' . click('e') . ']}'))->{status},
   204, 'an envelope');
is(CORE::join(' ', map { $_->{itemId} } events()),
   'a b b b c ' . CORE::join(' ', map { "n$_" } 1 .. 100) . ' e');
my $r = zipped('/c', gz('[' . click('x') . ',{"type":"click"}]'));
is($r->{status}, 200);
like($r->{body}, qr/"accepted":1,"rejected":\[\{"index":1,/);
is(zipped('/c', gz('[' . CORE::join(',', (1) x 101) . ']'))->{status}, 413,
   'too many');



=== TEST 2: other encodings
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request eval
"POST /c\n" . main::gz($main::CLICK)
--- more_headers
Content-Encoding: gzip, gzip
--- error_code: 415
--- response_headers
Accept-Encoding: gzip
--- response_body_like: Content-Encoding must be absent, identity or gzip
--- check
my @bad = ('br', 'deflate', 'compress', 'zstd', 'gzi', 'gzipp', 'gzip;q=1',
           'identity, gzip', 'x' x 1000, ['gzip', 'gzip'], ['gzip', 'br'],
           ['br', 'gzip']);
for my $encoding (@bad) {
    my $r = post('/c', gz($CLICK), 'Content-Encoding' => $encoding);
    is($r->{status}, 415, encode_json([$encoding]));
    is($r->{headers}{'accept-encoding'}, 'gzip');
    unlike($r->{body}, qr/xxx/, 'not reflected');
}
is(scalar events(), 0);
rejected(encoding => 1 + @bad, not_gzip => 0);



=== TEST 3: what is not gzip
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- more_headers
Content-Encoding: gzip
--- error_code: 400
--- response_body
{"accepted":0,"rejected":[{"index":null,"field":"","error":"not gzip, or damaged"}]}
--- check
my $gzip = gz($CLICK);
my $n = 1;
for my $length (0 .. CORE::length($gzip) - 1) {
    my $r = zipped('/c', CORE::substr($gzip, 0, $length));
    is($r->{status}, 400, "cut off after $length bytes");
    like($r->{body}, qr/"index":null,"field":"","error":"gzip that is cut off"/);
    $n++;
}
for my $at (0 .. CORE::length($gzip) - 1) {

    # RFC 1952, 2.3: time, XFL and OS say nothing about the contents

    next if $at >= 4 && $at <= 9;

    (my $bad = $gzip) =~ s/(?<=\A.{$at})./$& ^ "\xff"/se;
    my $r = zipped('/c', $bad);
    is($r->{status}, 400, "byte $at is wrong");
    like($r->{body}, qr/"error":"(?:not gzip, or damaged|gzip that is cut off)"/);
    $n++;
}
for my $other (Compress::Zlib::compress($CLICK), "\x1f\x8b", "PK\3\4", "\0") {
    is(zipped('/c', $other)->{status}, 400);
    $n++;
}
is(scalar events(), 0, 'nothing of it is stored');
is(zipped('/c', $gzip)->{status}, 204);
my $r = zipped('/c', gz('x'));
is($r->{status}, 400, 'not JSON');
like($r->{body}, qr/not JSON: .* at byte 0/);
is(zipped('/c', gz(''))->{status}, 400, 'empty');
rejected(not_gzip => $n, not_json => 2);



=== TEST 4: several members, and what follows them
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request eval
"POST /c\n" . main::gz('[' . main::click('a')) . main::gz(',' . main::click('b') . ']')
--- more_headers
Content-Encoding: gzip
--- error_code: 204
--- check
is(CORE::join('', map { $_->{itemId} } events()), 'ab', 'are one body');
is(zipped('/c', CORE::join('', map { gz($_) } CORE::split(//, $CLICK)))->{status},
   204, 'one for each byte');
is(zipped('/c', gz('') . gz($CLICK) . gz(''))->{status}, 204, 'empty ones');
is(scalar events(), 4);
for my $more ("\0", "\x1f", "\x1f\x8c", '}', "\n", $CLICK, "\0" x 512) {
    my $r = zipped('/c', gz($CLICK) . $more);
    is($r->{status}, 400, 'bytes after the end');
    like($r->{body}, qr/"error":"gzip with bytes after its end"/);
}
my $r = zipped('/c', gz($CLICK) . CORE::substr(gz($CLICK), 0, -1));
is($r->{status}, 400, 'the second is cut off');
like($r->{body}, qr/"error":"gzip that is cut off"/);
$r = zipped('/c', gz($CLICK) . "\x1f\x8b\xff");
is($r->{status}, 400, 'the second is broken');
like($r->{body}, qr/"error":"(?:not gzip, or damaged|gzip that is cut off)"/);
is(zipped('/c', gz($CLICK) . gz($CLICK))->{status}, 400, 'not JSON together');
rejected(not_gzip => 9, not_json => 1);
is(scalar events(), 4);



=== TEST 5: no more than client_max_body_size is inflated
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; client_max_body_size 100k; }
    location = /u { refine_collect; client_max_body_size 0; }
    location = /l { refine_collect; client_max_body_size 64m; }
    location = /s { refine_status; }
--- request eval
"POST /c\n" . main::gz(' ' x (100 * 1024 + 1 - length $main::CLICK) . $main::CLICK)
--- more_headers
Content-Encoding: gzip
--- error_code: 413
--- response_body
{"accepted":0,"rejected":[{"index":null,"field":"","error":"the inflated body is too large"}]}
--- check
my $pad = sub {
    my ($size) = @_;
    return gz(' ' x ($size - CORE::length $CLICK) . $CLICK);
};
is(zipped('/c', $pad->(100 * 1024))->{status}, 204, 'exactly as much');
my $bomb = gz("\0" x (64 * 1024 * 1024));
ok(CORE::length($bomb) < 100 * 1024, 'a bomb of ' . CORE::length $bomb);
is(zipped('/c', $bomb)->{status}, 413);
is(zipped('/c', gz('[' x 1_000_000))->{status}, 413, 'another');
is(zipped('/c', gz(' ' x 102_400) . 'x')->{status}, 400,
   'what follows it makes it no larger');
is(zipped('/c', gz(' ' x 60_000) x 2)->{status}, 413, 'the members together');
is(zipped('/u', $pad->(1024 * 1024))->{status}, 204, 'a megabyte without limit');
is(zipped('/u', $pad->(1024 * 1024 + 1))->{status}, 413);
is(zipped('/u', $bomb)->{status}, 413);
is(zipped('/l', $pad->(16 * 1024 * 1024))->{status}, 204, '16 at most');
is(zipped('/l', $pad->(16 * 1024 * 1024 + 1))->{status}, 413);
is(zipped('/l', $bomb)->{status}, 413);
is(scalar events(), 3);
is(post('/c', 'x' x 200_000)->{status}, 413, "nginx's own limit is of what comes");
is(zipped('/c', big(1, 200_000))->{status}, 413);
rejected(too_large => 10, not_gzip => 1);



=== TEST 6: from memory, a file and chunks
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; client_body_buffer_size 8k; }
    location = /m { refine_collect; client_body_buffer_size 1m; }
    location = /f { refine_collect; client_body_in_file_only clean; }
--- request eval
"POST /c\n" . main::gz(main::big(100, 2000))
--- more_headers
Content-Encoding: gzip
--- error_code: 204
--- check
ok(log_lines(qr/buffered to a temporary file/), 'it was a file');
is(scalar events(), 100);
is((events())[99]{itemId}, 'i100');
is((events())[99]{metadata}{pad}, decode_json(big(100, 2000))->[99]{metadata}{pad});
for my $path ('/m', '/f') {
    is(zipped($path, gz(big(20, 2000)))->{status}, 204, $path);
    is(zipped($path, CORE::substr(gz(big(20, 2000)), 0, -1))->{status}, 400);
}
like(chunked(gz($CLICK), 1), qr/ 204 /, 'chunks of one byte');
like(chunked(gz(big(20, 2000)), 1000), qr/ 204 /, 'chunks to a file');
is(scalar events(), 161);



=== TEST 7: HTTP/2
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/h2.sock http2;
        location = /c { refine_collect; }
        location = /f { refine_collect; client_body_buffer_size 1k; }
        location = /l { refine_collect; client_max_body_size 4k; }
    }
--- config
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my %gzip = ('content-encoding' => 'gzip');
is(h2(h2_client(),
      ['POST', '/c', gz($CLICK), %gzip],
      ['POST', '/f', gz(big(5, 2000)), %gzip],
      ['POST', '/c', $CLICK, %gzip],
      ['POST', '/l', gz(' ' x 5000), %gzip],
      ['POST', '/c', $CLICK]),
   '204 204 400 413 204');
is(scalar events(), 7);



=== TEST 8: keep-alive, redirects and subrequests
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /t { try_files /none @c; }
    location @c   { refine_collect; }
    location = /m { mirror /c; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/ok; }
    location = /ok { return 204; }
--- request eval
"POST /t\n" . main::gz($main::CLICK)
--- more_headers
Content-Encoding: gzip
--- error_code: 204
--- check
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
my @keep = (Socket => $socket, Connection => 'keep-alive');
is(zipped('/c', gz($CLICK), @keep)->{status}, 204);
is(zipped('/c', $CLICK, @keep)->{status}, 400, 'after gzip');
is(post('/c', gz($CLICK), 'Content-Encoding' => 'br', @keep)->{status}, 415);
is(post('/c', $CLICK, @keep)->{status}, 204, 'plain after gzip');
is(scalar events(), 3);
is(zipped('/m', gz(click('m')))->{status}, 204, 'mirrored');
wait_for(sub { events() == 4 && (events())[3]{itemId} eq 'm' }, 'and stored');
