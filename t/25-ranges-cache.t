# Ranges that nginx cuts, and responses that nginx's own cache answers.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

run_tests();

__DATA__

=== TEST 1: ranges
--- catalog
    flush_interval 1h;
--- config
    location /file/ {
        alias $TEST_NGINX_SCRATCH/files/;
        types { application/json json; }
        refine_serve search;
    }
    location /none/ {
        alias $TEST_NGINX_SCRATCH/files/;
        types { application/json json; }
        max_ranges 0;
        refine_serve search;
    }
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mkdir scratch() . '/files';
my $json = '{"results":[{"productId":"a"},{"productId":"b"}]}';
open my $out, '>', scratch() . '/files/f.json';
print $out $json;
close $out;
my $whole = get('/file/f.json');
serve($whole);
my ($etag, $date) = @{ $whole->{headers} }{'etag', 'last-modified'};
for my $range ('bytes=0-', 'bytes=0-5', 'bytes=-5', 'bytes=2-4,6-8', 'Bytes=1-1', 'bytes=0-0') {
    my $r = get('/file/f.json', Range => $range);
    is($r->{status}, 206, $range);
    no_serve($r, 'range');
}
my $r = get('/file/f.json', Range => 'bytes=1-3');
is($r->{body}, substr($json, 1, 3), 'the slice');
no_serve($r, 'range');
for my $if ($etag, $date) {
    $r = get('/file/f.json', Range => 'bytes=1-3', 'If-Range' => $if);
    is($r->{status}, 206, "If-Range: $if");
    no_serve($r, 'range');
}
for my $if ('"other"', 'Mon, 01 Jan 2001 00:00:00 GMT', 'x') {
    $r = get('/file/f.json', Range => 'bytes=1-3', 'If-Range' => $if);
    is($r->{status}, 200, "If-Range: $if");
    is($r->{body}, $json);
    is_deeply(serve($r)->{itemIds}, ['a', 'b']);
}
for my $range ('items=0-5', 'bytes', 'bytes=') {
    $r = get('/file/f.json', Range => $range);
    is($r->{status}, 200, $range);
    serve($r);
}
$r = get('/none/f.json', Range => 'bytes=1-3');
is($r->{status}, 200, 'max_ranges 0');
serve($r);

# 416 is another response than the one that was to be cut
my $status = counted('skipped:status');
$r = get('/file/f.json', Range => 'bytes=5000-');
is($r->{status}, 416);
is($r->{headers}{'x-refine-serve-id'}, undef);
skipped('status', $status + 1);
$Upstream::expected{catalog()}{status} = $status + 1;

reply('x', $json);
$r = get('/s/x', Range => 'bytes=1-3');
is($r->{status}, 200, 'what is proxied is not cut');
serve($r);
reply('x', '"res', '206 Partial Content', 'Content-Range' => 'bytes 1-4/49');
$r = get('/s/x', Range => 'bytes=1-4');
is($r->{status}, 206, 'the upstream\'s own');
no_serve($r, 'status');



=== TEST 2: each answer of the cache is a serve of its own
--- catalog
    flush_interval 1h;
--- http_extra
    proxy_cache_path $TEST_NGINX_SCRATCH/cache keys_zone=one:1m;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_cache one;
        proxy_cache_valid 1m;
        proxy_ignore_headers Cache-Control Expires;
        proxy_set_header X-Serve $refine_serve_id;
        add_header X-Cache $upstream_cache_status;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my %seen;
my $many = join ',', map { "{\"productId\":\"$_\"}" } 1 .. 900;
my @want = 1 .. 900;
reply('x', "{\"results\":[$many]}", 'X-Refine-Serve-Id' => 'upstream-1', 'Accept-Ranges' => 'bytes');
reply('y', "{\"results\":[$many]}");
for my $name ('x', 'y') {
    for my $try (1 .. 3) {
        my $r = get("/s/$name");
        is($r->{headers}{'x-cache'}, $try == 1 ? 'MISS' : 'HIT');
        my $id = $r->{headers}{'x-refine-serve-id'};
        ok(!$seen{$id}++, 'a new id');
        is($id, 'upstream-1', 'the upstream\'s, the first time') if $name eq 'x' && $try == 1;
        is_deeply(serve($r)->{itemIds}, \@want, "$name $try");
    }
}
is(scalar events(), 6);
my $r = get('/s/x', Range => 'bytes=5-9');
is($r->{status}, 206, 'cut out of the cache');
is($r->{headers}{'x-refine-serve-id'}, undef, 'not what the cache has kept');
skipped('range', 1);
reply('z', '{"results":[]}', 'Cache-Control' => 'max-age=60');
for (1, 2) {
    no_serve(get('/s/z'), 'cacheable');
}



=== TEST 3: revalidated and stale
--- catalog
    flush_interval 1h;
--- http_extra
    proxy_cache_path $TEST_NGINX_SCRATCH/cache2 keys_zone=two:1m;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_cache two;
        proxy_cache_valid 200 1s;
        proxy_cache_revalidate on;
        proxy_cache_use_stale http_500;
        add_header X-Cache $upstream_cache_status;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', '{"results":[{"productId":"a"}]}', ETag => '"e"', 'X-Refine-Serve-Id' => 'old');
my $r = get('/s/x');
is($r->{headers}{'x-refine-serve-id'}, 'old');
serve($r);
sleep 2;
reply_raw('x', "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n");
$r = get('/s/x');
is($r->{headers}{'x-cache'}, 'REVALIDATED');
isnt($r->{headers}{'x-refine-serve-id'}, 'old', 'revalidated');
is_deeply(serve($r)->{itemIds}, ['a']);
sleep 2;
reply('x', 'no', '500 Error');
$r = get('/s/x');
is($r->{headers}{'x-cache'}, 'STALE');
isnt($r->{headers}{'x-refine-serve-id'}, 'old', 'stale');
is_deeply(serve($r)->{itemIds}, ['a']);
