# Bodies that the upstream has compressed: they are inflated aside, to be read,
# and get to the client as they came.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Compress::Raw::Zlib;
use Compress::Zlib ();
use Digest::MD5 'md5_hex';
use IO::Compress::Gzip 'gzip';
use IO::Uncompress::Gunzip;
use Refine;
use Upstream;

our @ids = map { "sku-$_" } 1 .. 90;
our $body = '{"head":"' . 'x\\u00e9' x 300 . '","results":['
            . join(',', map { "{\"title\":\"" . md5_hex($_) . "\",\"productId\":\"sku-$_\"}" } 1 .. 90)
            . '],"totalResults":1234}' . "\n";

sub packed {
    my ($text, %option) = @_;

    $option{Minimal} //= 1;
    gzip(\$text => \my $packed, %option) or die;
    return $packed;
}

# with all that a header of gzip may have, where the usual one has 10 bytes

sub long_header {
    my ($packed) = @_;

    my $head = "\x1f\x8b\x08\x1f" . "\0" x 5 . "\xff" . pack('v/a', 'ab' . pack 'v/a', 'e' x 300)
               . 'n' x 300 . "\0" . 'c' x 300 . "\0";
    return $head . pack('v', Compress::Zlib::crc32($head) & 0xffff) . substr $packed, 10;
}

# the client got what the upstream sent, and its serve has the items

sub whole {
    my ($r, $sent, $what) = @_;

    is($r->{status}, 200, "$what: status");
    is(md5_hex($r->{body} // ''), md5_hex($sent), "$what: body");
    my $e = serve($r);
    is_deeply($e->{itemIds}, \@ids, "$what: items");
    is($e->{totalResults}, 1234, "$what: total");
    return $r;
}

# it has an id, for what it is can be known only when it comes; who calls this
# looks at the counter, which takes up to a second

sub broken {
    my ($sent, $args, $what) = @_;

    reply('broken', $sent, 'Content-Encoding' => 'gzip');
    my $r = get("/s/broken$args");
    is($r->{status}, 200);
    is(md5_hex($r->{body}), md5_hex($sent), "$what: unchanged");
    ok($r->{headers}{'x-refine-serve-id'}, 'there is an id');
    return;
}

run_tests();

__DATA__

=== TEST 1: however it was compressed and however it comes
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
    location /small/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        proxy_buffer_size 1k;
        postpone_output 1;
        refine_serve search;
    }
    location /plain/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $half = length($body) / 2;
my %sent = (
    usual   => packed($body),
    best    => packed($body, Level => 9),
    stored  => packed($body, Level => 0),
    fixed   => packed($body, Strategy => Z_FIXED),
    header  => long_header(packed($body)),
    two     => packed(substr $body, 0, $half) . packed(substr $body, $half),
    many    => join('', map { packed($_) } $body =~ /(.{1,50})/gs),
    empties => packed('') . packed($body) . packed('') . packed(''),
    trailer => packed($body) . "\0" x 100,
    junk    => packed($body) . 'junk',
    magic   => packed($body) . "\x1f",
    almost  => packed($body) . "\x1f\x8a" . packed('x'),
);
for my $name (sort keys %sent) {
    my $sent = $sent{$name};
    reply($name, $sent, 'Content-Encoding' => 'gzip', ETag => '"e"');
    for my $how ('buffered', 'unbuffered', 'small') {
        for my $args ('', '?step=1', '?step=777') {
            next if $args && $how ne 'small' && $name !~ /^(?:usual|many)$/;
            my $r = whole(get("/$how/$name$args"), $sent, "$name, $how$args");
            my $plain = get("/plain/$name$args");
            delete $r->{headers}{'x-refine-serve-id'};
            delete $_->{headers}{date} for $r, $plain;
            is_deeply($r->{headers}, $plain->{headers}, 'no header more');
        }
    }
}
for my $coding ('GZIP', 'x-gzip', 'X-Gzip') {
    reply('coding', $sent{usual}, 'Content-Encoding' => $coding);
    whole(get('/buffered/coding'), $sent{usual}, $coding);
}
reply('chunked', chunked($sent{usual}, 99), 'Content-Encoding' => 'gzip', 'Transfer-Encoding' => 'chunked');
whole(get('/buffered/chunked'), $sent{usual}, 'chunked');
whole(get('/unbuffered/chunked?step=5'), $sent{usual}, 'chunked, 5 bytes at a time');



=== TEST 2: broken
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
my $text = '{"results":[{"productId":"a"}],"totalResults":1}';
my $good = packed($text);
my $n = length $good;
for my $length (0, 1, 2, 9, 10, 11, 20, $n - 9, $n - 8, $n - 4, $n - 1) {
    broken(substr($good, 0, $length), $_, "$length bytes of $n") for '', '?step=1';
}
my %cases = (plain => $text, junk => 'junk' x 100, zeros => "\0" x 1000,
             deflate => Compress::Zlib::compress($text));
for my $at (0, 1, 2, $n - 8, $n - 5, $n - 4, $n - 1) {
    $cases{"byte $at"} = $good;
    substr($cases{"byte $at"}, $at, 1) ^= "\x55";
}
$cases{'header cut'} = substr long_header($good), 0, 500;
$cases{'header checksum'} = long_header($good) =~ s/c{300}/'d' x 300/er;
$cases{'second member cut'} = packed(substr $text, 0, 9)
                              . substr packed(substr $text, 9), 0, 12;
$cases{'second member bad'} = packed($text) . "\x1f\x8bxxxxxxxxxxxx";
for my $case (sort keys %cases) {
    broken($cases{$case}, $_, $case) for '', '?step=1';
}
reply('nothing', packed(''), 'Content-Encoding' => 'gzip');
get('/s/nothing');
reply('html', packed('<html>'), 'Content-Encoding' => 'gzip');
get('/s/html');
reply('cut', packed($body), 'Content-Encoding' => 'gzip');
get('/s/cut?cut=2000');
skipped('not_gzip', 22 + 2 * keys %cases);
skipped('not_json', 2);
skipped('aborted', 1);
is(scalar events(), 0, 'none was logged');
is(join('', grep { !/upstream prematurely closed|may lose events/ } log_lines(qr/ \[(?:warn|error)\] /)), '',
   'no log lines of its own');



=== TEST 3: max_length= is of what is inflated
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search max_length=1000;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $make = sub { '{"results":[{"productId":"' . 'x' x ($_[0] - 30) . '"}]}' };
reply('x', packed('{"results":[{"productId":"y"}],"z":"' . '0' x 962 . '"}'),
      'Content-Encoding' => 'gzip');
is_deeply(serve(get('/s/x'))->{itemIds}, ['y'], 'as long as it may be');
my $over = 0;
for my $n (1001, 1002, 5000, 100_000) {
    my $sent = packed($make->($n));
    ok(length $sent < 1000, 'short');
    reply('x', $sent, 'Content-Encoding' => 'gzip');
    for my $args ('', '?step=1') {
        my $r = get("/s/x$args");
        is(md5_hex($r->{body}), md5_hex($sent));
        $over++;
    }
}
skipped('too_large', $over);
my $sent = packed('{"results":[{"productId":"z"}],"z":"' . 'q' x 950 . '"}', Level => 0)
           . "\0" x 100;
cmp_ok(length $sent, '>', 1000, 'longer than what is in it');
reply('x', $sent, 'Content-Encoding' => 'gzip');
is_deeply(serve(get('/s/x'))->{itemIds}, ['z'], 'which counts');



=== TEST 4: 100 MB in 100 KB, and a million members, at constant memory
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
my $text = '{"results":[{"productId":"a"}],"x":"' . 'y' x 104_857_600 . '"}';
my $bomb = packed($text);
undef $text;
cmp_ok(length $bomb, '<', 200_000);
reply('small', packed('{"results":[]}'), 'Content-Encoding' => 'gzip');
reply('bomb', $bomb, 'Content-Encoding' => 'gzip');
reply('members', packed('') x 300_000 . packed('{"results":[]}'), 'Content-Encoding' => 'gzip');
serve(get('/s/small'));
my $before = peak();
for (1 .. 3) {
    my $r = get('/s/bomb');
    is(md5_hex($r->{body}), md5_hex($bomb));
}
skipped('too_large', 3);
serve(get('/s/members'));
grown($before, 2048);



=== TEST 5: other encodings, several of them
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
my $sent = packed($body);
my @cases = (['br'], ['zstd'], ['deflate'], ['compress'], ['gzip, gzip'], ['gzip, identity'],
             ['gzip', 'gzip'], ['br', 'gzip'], ['gzip', 'br'], ['gzipx'], ['*']);
for my $case (@cases) {
    reply('x', $sent, map { ('Content-Encoding' => $_) } @$case);
    my $r = get('/s/x');
    is(md5_hex($r->{body}), md5_hex($sent));
    is($r->{headers}{'x-refine-serve-id'}, undef, "@$case: no serve id");
}
skipped('encoding', scalar @cases);
reply('x', $sent, 'Content-Encoding' => 'identity', 'Content-Encoding' => 'gzip');
whole(get('/s/x'), $sent, 'identity is none');



=== TEST 6: with gunzip, gzip_static, sub_filter, ranges, the cache, HEAD
--- catalog
    flush_interval 1h;
--- http_extra
    proxy_cache_path $TEST_NGINX_SCRATCH/cache keys_zone=one:1m;
--- config
    location /gunzip/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        gunzip on;
        gzip on;
        gzip_types application/json;
        refine_serve search;
    }
    location /static/ {
        alias $TEST_NGINX_SCRATCH/files/;
        types { application/json json; }
        gzip_static on;
        sendfile on;
        refine_serve search;
    }
    location /sub/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        sub_filter_types application/json;
        sub_filter productId sku;
        refine_serve search;
    }
    location /cached/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_cache one;
        proxy_cache_valid 1m;
        proxy_ignore_headers Cache-Control Expires;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $sent = packed($body);
reply('x', $sent, 'Content-Encoding' => 'gzip', 'Accept-Ranges' => 'bytes');
whole(get('/gunzip/x', 'Accept-Encoding' => 'gzip'), $sent, 'gunzip does nothing');
whole(get('/gunzip/x'), $body, 'gunzip came before');
whole(get('/sub/x'), $sent, 'what is packed is not substituted');
mkdir scratch() . '/files';
for (['f.json', $body], ['f.json.gz', $sent]) {
    open my $out, '>:raw', scratch() . "/files/$_->[0]" or die;
    print $out $_->[1];
    close $out;
}
my $r = whole(get('/static/f.json', 'Accept-Encoding' => 'gzip'), $sent, 'gzip_static');
is($r->{headers}{'content-encoding'}, 'gzip');
my $etag = $r->{headers}{etag};
whole(get('/static/f.json'), $body, 'not packed');
$r = get('/static/f.json', 'Accept-Encoding' => 'gzip', 'If-None-Match' => $etag);
is($r->{status}, 304, 'not modified');
is($r->{headers}{'x-refine-serve-id'}, undef, 'nor served');
whole(get('/cached/x'), $sent, "cached $_") for 1 .. 3;
$r = get('/cached/x', Range => 'bytes=5-20');
is($r->{status}, 206);
no_serve(request('HEAD', '/cached/x'), 'method');
no_serve($r, 'range');
skipped('status', 1);



=== TEST 7: $refine_accept_encoding asks for what can be read and sent
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_HTML_DIR/app.sock;
        location / {
            alias $TEST_NGINX_SCRATCH/files/;
            types { application/json json; }
            gzip on;
            gzip_http_version 1.0;
            gzip_types application/json;
            add_header X-Asked "[$http_accept_encoding]";
        }
    }
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_HTML_DIR/app.sock:/;
        proxy_set_header Accept-Encoding $refine_accept_encoding;
        refine_serve search;
    }
    location = /value { return 200 "[$refine_accept_encoding]"; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mkdir scratch() . '/files';
open my $out, '>:raw', scratch() . '/files/f.json' or die;
print $out $body;
close $out;
for my $case (['gzip', 1], ['GZip', 1], ['br, gzip;q=0.1', 1], ['*', 1], ['deflate, gzip;q=1.0, *;q=0.5', 1],
              ['br', 0], ['identity', 0], ['gzip;q=0', 0], ['gzip;q=0.000, *', 0], ['*;q=0', 0],
              ['', 0], [['br', 'gzip'], 1], [undef, 0]) {
    my ($accept, $want) = @$case;
    my $what = ref $accept ? 'two headers' : $accept // 'none';
    my @accept = defined $accept ? ('Accept-Encoding' => $accept) : ();
    is(get('/value', @accept)->{body}, $want ? '[gzip]' : '[]', "the value: $what");
    my $r = get('/s/f.json', @accept);
    is($r->{headers}{'x-asked'}, $want ? '[gzip]' : '[]');
    is($r->{headers}{'content-encoding'}, $want ? 'gzip' : undef, "sent: $what");
    IO::Uncompress::Gunzip::gunzip(\"$r->{body}" => \$r->{body}) if $want;
    whole($r, $body, $what);
}



=== TEST 8: more than waits for its end, and more than is inflated at once
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
    location = /t { return 204; }
--- timeout: 60
--- request
GET /t
--- error_code: 204
--- check
my $make = sub { $body =~ s/"head":"/"head":"$_[0]/r };
my $hex = sub { substr join('', map { md5_hex($_) } 1 .. $_[0] / 32 + 1), 0, $_[0] };
my $over = length(packed($make->($hex->(32_000)), Level => 0)) - 32_000;
my %sent = (
    'one less'     => packed($make->($hex->(40 * 1024 - $over - 1)), Level => 0),
    'all that may' => packed($make->($hex->(40 * 1024 - $over)), Level => 0),
    'one more'     => packed($make->($hex->(40 * 1024 - $over + 1)), Level => 0),
    'stream'       => packed($make->($hex->(200 * 1024))),
    'inflated'     => packed($make->('x' x (600 * 1024))),
    'at once'      => packed($make->('x' x (500 * 1024))),
    'two'          => packed(substr $make->($hex->(9000)), 0, 5000)
                      . packed(substr $make->($hex->(9000)), 5000),
);
is(length $sent{'all that may'}, 40 * 1024, 'as much as waits');
cmp_ok(length $sent{stream}, '>', 100 * 1024);
cmp_ok(length $sent{inflated}, '<', 10 * 1024);
for my $name (sort keys %sent) {
    my $sent = $sent{$name};
    for my $chunk (0, 1000, 8192) {
        reply('x', $chunk ? chunked($sent, $chunk) : $sent,
              'Content-Encoding' => 'gzip', $chunk ? ('Transfer-Encoding' => 'chunked') : ());
        for my $how ('buffered', 'unbuffered') {
            whole(get("/$how/x$_"), $sent, "$name, by $chunk, $how$_") for '', '?step=3000';
        }
    }
}
my $damaged = 0;
for my $name (sort keys %sent) {
    for my $at (30, length($sent{$name}) - 6) {
        my $sent = $sent{$name};
        substr($sent, $at, 1) ^= "\x55";
        reply('x', $sent, 'Content-Encoding' => 'gzip');
        is(md5_hex(get("/$_/x?step=3000")->{body}), md5_hex($sent), "$name, damaged at $at, $_"), $damaged++
            for 'buffered', 'unbuffered';
    }
    reply('x', substr($sent{$name}, 0, -20), 'Content-Encoding' => 'gzip');
    get("/buffered/x?step=3000");
    $damaged++;
}
skipped('not_gzip', $damaged);
