# Tests for refine_script: the file that was built in, its version, caching,
# compression, methods.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Compress::Zlib ();

# refine.js, but for what embed.sh leaves out

sub source {
    open my $in, '<', 'ngx_http_refine_module/refine.js' or die;
    return join '', map { s/^[ \t]+//r } grep { !m{^[ \t]*(?://.*)?$} } <$in>;
}

# what embed.sh takes for the version, made by the shell's own command

sub crc {
    my $file = scratch() . "/text";
    open my $out, ">", $file or die;
    print {$out} $_[0];
    close $out;
    return sprintf '%08x', qx(cksum < $file) =~ /^(\d+)/;
}

run_tests();

__DATA__

=== TEST 1: the script, its headers
--- config
    location = /refine/refine.js { refine_script; }
--- request
GET /refine/refine.js
--- check
my $r = get('/refine/refine.js');
my $text = source();
ok(length $text > 500, 'there is a script');
is($r->{body}, $text, 'it is the file, without comments and indentation');
is($r->{headers}{'content-type'}, 'text/javascript; charset=utf-8');
is($r->{headers}{'content-length'}, length $text);
is($r->{headers}{'cache-control'}, 'public, max-age=300');
is($r->{headers}{'x-content-type-options'}, 'nosniff');
is($r->{headers}{vary}, 'Accept-Encoding');
is($r->{headers}{etag}, '"' . crc($text) . '"');
is($r->{headers}{'content-encoding'}, undef);
is($r->{headers}{'set-cookie'}, undef);



=== TEST 2: for good by its version, and by no other
--- config
    location = /r.js { refine_script; }
--- request
GET /r.js
--- check
my $v = crc(source());
my $cache = sub { get($_[0])->{headers}{'cache-control'} };
my $ever = 'public, max-age=31536000, immutable';
is($cache->("/r.js?v=$v"), $ever);
is($cache->("/r.js?x=1&v=$v"), $ever);
is($cache->('/r.js?v=00000000'), 'public, max-age=300', 'an older page');
is($cache->("/r.js?v=${v}0"), 'public, max-age=300');
is($cache->('/r.js?v='), 'public, max-age=300');
is($cache->("/r.js?vv=$v"), 'public, max-age=300');



=== TEST 3: compressed where it is accepted
--- config
    location = /r.js { refine_script; gzip on; gzip_types *; gzip_min_length 1; }
--- request
GET /r.js
--- check
my $text = source();
for my $accept ('gzip', 'deflate, gzip;q=0.5, br', '*') {
    my $r = get('/r.js', 'Accept-Encoding' => $accept);
    is($r->{headers}{'content-encoding'}, 'gzip', $accept);
    is(Compress::Zlib::memGunzip("$r->{body}"), $text, 'inflates to it');
    is($r->{headers}{etag}, '"' . crc($text) . '-gz"', 'another tag');
    is($r->{headers}{'content-length'}, length $r->{body});
    is($r->{headers}{vary}, 'Accept-Encoding');
}
for my $accept ('br', 'gzip;q=0', 'identity') {
    my $r = get('/r.js', 'Accept-Encoding' => $accept);
    is($r->{headers}{'content-encoding'}, undef, $accept);
    is($r->{body}, $text);
}
ok(length(get('/r.js', 'Accept-Encoding' => 'gzip')->{body}) < 6 * 1024,
   'under 6 KB');



=== TEST 4: not modified
--- config
    location = /r.js { refine_script; }
--- request
GET /r.js
--- check
my $tag = get('/r.js')->{headers}{etag};
my $r = get('/r.js', 'If-None-Match' => $tag);
is($r->{status}, 304);
is($r->{body}, '');
is($r->{headers}{etag}, $tag);
is($r->{headers}{'cache-control'}, 'public, max-age=300');
is(get('/r.js', 'If-None-Match' => '"x", W/' . $tag)->{status}, 304);
is(get('/r.js', 'If-None-Match' => '"00000000"')->{status}, 200);
is(get('/r.js', 'If-None-Match' => $tag, 'Accept-Encoding' => 'gzip')->{status},
   200, 'the compressed one has another');



=== TEST 5: methods
--- config
    location = /r.js { refine_script; }
--- request
GET /r.js
--- check
my $r = request('HEAD', '/r.js');
is($r->{status}, 200);
is($r->{body}, '');
is($r->{headers}{'content-length'}, length source());
for my $method (qw(POST PUT DELETE OPTIONS)) {
    $r = request($method, '/r.js', $method eq 'POST' ? 'x' x 100 : undef);
    is($r->{status}, 405, $method);
    is($r->{headers}{allow}, 'GET, HEAD');
    is($r->{body}, qq({"error":"the method must be GET or HEAD"}\n));
}



=== TEST 6: under another path, without a catalog, in a limit_except, by rewrite
--- config
    refine off;
    location /js/ { refine_script; limit_except GET { deny all; } }
    location /old { rewrite ^ /js/x.js last; }
    location /if  { refine_script; if ($arg_n) { set $x 1; } }
--- request
GET /js/any
--- check
is(get($_)->{body}, source(), $_) for qw(/js/any /js/ /old /if /if?n=1);
is(request('DELETE', '/js/')->{status}, 403, 'limit_except');



=== TEST 7: twice
--- config
    location = /r.js { refine_script; refine_script; }
--- must_die
--- error_log
"refine_script" directive is duplicate



=== TEST 8: beside another one
--- config
    location = /r.js { refine_collect; refine_script; }
--- must_die
--- error_log
"refine_script" directive conflicts with another one that answers in this location



=== TEST 9: with a parameter
--- config
    location = /r.js { refine_script on; }
--- must_die
--- error_log
invalid number of arguments in "refine_script" directive
