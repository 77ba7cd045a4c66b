# Tests for the live page of refine_status: its files, the guard, what caches
# and browsers are told, and where refine_control is.  What the page shows is
# looked at in a browser: t/browser/page.py.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;
use IO::Uncompress::Gunzip qw(gunzip);

our %TYPE = (html => 'text/html; charset=utf-8',
             css => 'text/css; charset=utf-8',
             js => 'text/javascript; charset=utf-8',
             svg => 'image/svg+xml');

# the names of what the page asks for, and of what it is made of

sub asked { $_[0] =~ /"\?file=([\w.]+)"/g }

sub files {
    opendir my $dir, 'ngx_http_refine_module' or die $!;
    return sort grep { /^status.*\.(html|css|js|svg)$/ } readdir $dir;
}

sub source {
    open my $in, '<', "ngx_http_refine_module/$_[0]" or die $!;
    local $/;
    return scalar <$in>;
}

# embed.sh leaves out what a browser does not need

sub bare { CORE::join '', map { s/^\s+//r } grep { /\S/ } $_[0] =~ /(.*\n)/g }

run_tests();

__DATA__

=== TEST 1: the page and what it loads, without and with gzip
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
--- request
GET /s?format=html
--- response_headers
Content-Type: text/html; charset=utf-8
Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
X-Content-Type-Options: nosniff
Cache-Control: no-cache
--- check
my $page = get('/s', Accept => 'text/html')->{body};
is($page, bare(source('status.html')));
is_deeply([sort(asked($page), 'status.html')], [files()],
          'each file there is, and no other');
my $all = 0;
for my $name (files()) {
    my $path = $name eq 'status.html' ? '/s?format=html' : "/s?file=$name";
    my $r = get($path);
    is($r->{status}, 200, $name);
    is($r->{headers}{'content-type'}, $TYPE{($name =~ /(\w+)$/)[0]});
    is($r->{headers}{'x-content-type-options'}, 'nosniff');
    is($r->{body}, bare(source($name)), 'as it is in the source');
    my $packed = get($path, 'Accept-Encoding' => 'gzip');
    is($packed->{headers}{'content-encoding'}, 'gzip');
    gunzip(\$packed->{body} => \my $body);
    is($body, $r->{body}, 'the same');
    isnt($packed->{headers}{etag}, $r->{headers}{etag}, 'two codings, two tags');
    $all += CORE::length $packed->{body};
}
cmp_ok($all, '<', 30 * 1024, 'together under 30 KB');



=== TEST 2: nothing is loaded from elsewhere, nothing is inline or markup
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
--- request
GET /s?file=status.js
--- check
for my $name (files()) {
    my $text = source($name) =~ s{http://www\.w3\.org/2000/svg}{}r;
    unlike($text, qr{https?:|["'(]//\w|\@import|url\(}, "$name: no other host");
    unlike($text, qr{\bstyle=|\bon\w+="|javascript:}, 'nothing inline');
    unlike($text, qr{innerHTML|outerHTML|insertAdjacentHTML|document\.write
                     |\beval\b|new\ Function|DOMParser|srcdoc}x, 'no markup');
}
my $page = source('status.html');
like($page, qr{<noscript>.*format=prometheus.*</noscript>}s,
     'without JavaScript');
unlike($page, qr{<style|<script>}, 'no part of its own');



=== TEST 3: a browser that has it already
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
--- request
GET /s
--- check
for my $path ('/s?format=html', '/s?file=status.js', '/s?file=status.css') {
    my $r = get($path);
    like($r->{headers}{etag}, qr/^"[\w-]+"$/);
    is($r->{headers}{'cache-control'}, 'no-cache', 'it asks each time');
    my $again = get($path, 'If-None-Match' => $r->{headers}{etag});
    is($again->{status}, 304);
    is($again->{body}, '');
    is(get($path, 'If-None-Match' => '"other"')->{status}, 200);
    my $head = request('HEAD', $path);
    is($head->{status}, 200);
    is($head->{headers}{'content-length'}, CORE::length $r->{body});
    is($head->{body}, '');
}
like(get('/s?format=html')->{headers}{vary}, qr/\bAccept(,|$)/,
     'the page is not the JSON of the same address');



=== TEST 4: the guard is the one of the numbers
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /any { refine_status any; }
--- request
GET /s
--- check
for my $arg ('format=html', map { "file=$_" } files()) {
    next if $arg eq 'file=status.html';
    my $r = get("/s?$arg", Via => '1.1 x');
    is($r->{status}, 403, $arg);
    like($r->{body}, qr/not answered through a proxy/);
    is(get("/s?$arg", Host => 'shop.example')->{status}, 403, 'a foreign name');
    is(get("/any?$arg", Via => '1.1 x')->{status}, 200, 'any');
    is(request('POST', "/s?$arg", 'x')->{status}, 405);
}
for my $name ('', 'x', 'status.html', 'status.j', 'status.jss', 'refine.js',
              '../nginx.conf', '%2e%2e/x', 'STATUS.CSS')
{
    my $r = get("/s?file=$name");
    is($r->{status}, 404, "no file $name");
    is($r->{body}, qq({"error":"there is no such file"}\n));
    is($r->{headers}{'cache-control'}, 'no-store');
}
like(get('/s?file=x', Accept => 'text/html')->{body}, qr/<p>there is no such/);



=== TEST 5: it does not wait for Redis
--- catalog
    flush_interval 1h;
    queue_timeout 60s;
--- config
    location = /s { refine_status html; }
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
redis_pause();
is(get('/s')->{status}, 200);
is(get('/s?file=status.css')->{status}, 200);
redis_resume();



=== TEST 6: where refine_control is
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /named { refine_status control=/other/control; }
    location = /off { refine_status json control=off; }
    location = /limited { refine_status control=/l; limit_except GET { deny all; } }
    location /no { refine_control; }
    location = /x { refine_control; }
    location = /second { refine_control; }
--- request
GET /s
--- response_body_like: ^\{"version":"[\d.]+","control":"/x","catalogs":
--- check
sub control { decode_json(get($_[0])->{body})->{control} }
is(control('/named'), '/other/control');
is(control('/off'), undef);
is(control('/limited'), '/l');
unlike(post('/x?action=resume', '', 'X-Refine-Control' => 1)->{body},
       qr/"control"/, 'not in its own answer');
is(get('/x')->{status}, 405, 'which the page asks for');
is(get('/x', Via => '1.1 x')->{status}, 403);



=== TEST 7: none in this server
--- http_extra
    server {
        listen unix:$TEST_NGINX_MOCK.other;
        location = /x { refine_control; }
    }
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
--- request
GET /s
--- response_body_unlike: "control"



=== TEST 8: a URI of another host
--- config
    location = /s { refine_status control=//example.com/x; }
--- must_die
--- error_log
invalid parameter "control=//example.com/x" of refine_status, it must be the URI of a refine_control location of this server, or "control=off"



=== TEST 9: no URI
--- config
    location = /s { refine_status control=x; }
--- must_die
--- error_log
invalid parameter "control=x" of refine_status, it must be the URI



=== TEST 10: an empty one
--- config
    location = /s { refine_status control=; }
--- must_die
--- error_log
invalid parameter "control=" of refine_status, it must be the URI



=== TEST 11: two of them
--- config
    location = /s { refine_status control=/a control=/b; }
--- must_die
--- error_log
invalid parameter "control=/b" of refine_status, it must be one of
