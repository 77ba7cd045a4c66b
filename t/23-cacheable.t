# A response that a shared cache may store gets neither id nor serve: its id
# would be replayed to everybody (RFC 9111).

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

run_tests();

__DATA__

=== TEST 1: Cache-Control and Expires of the upstream
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location /date/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_pass_header Date;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $http = sub { POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time + $_[0])) };
my $cc = 'Cache-Control';

# each with whether it is cacheable
my @cases = (
    [0],
    [1, $cc => 'public'],
    [1, $cc => 'PUBLIC'],
    [1, $cc => 'public, max-age=0'],
    [0, $cc => 'public, no-store'],
    [0, $cc => 'no-store, public'],
    [0, $cc => 'public, private'],
    [0, $cc => 'No-Cache, max-age=60'],
    [0, $cc => 'max-age=60, private'],
    [1, $cc => 'max-age=60'],
    [1, $cc => 'Max-Age=60'],
    [1, $cc => 'max-age="60"'],
    [0, $cc => 'max-age="0"'],
    [1, $cc => '  ,, max-age=60  ,'],
    [1, $cc => "must-revalidate,\tmax-age=1"],
    [1, $cc => 'max-age=99999999999999999999'],
    [0, $cc => 'max-age=0'],
    [0, $cc => 'max-age'],
    [0, $cc => 'max-age='],
    [0, $cc => 'max-age=-1'],
    [0, $cc => 'max-age=x9'],
    [0, $cc => 'max-ages=60'],
    [0, $cc => 'x-max-age=60'],
    [1, $cc => 's-maxage=60'],
    [0, $cc => 's-maxage=0, max-age=60'],
    [1, $cc => 's-maxage=5, max-age=0'],
    [0, $cc => 's-maxage=5, no-cache'],
    [1, $cc => 'max-age=60, no-cache="Set-Cookie"'],
    [1, $cc => 'max-age=60, private="X-A, no-store"'],
    [0, $cc => 'ext="public, max-age=60"'],
    [0, $cc => 'ext="a\\", public"'],
    [1, $cc => 'ext="a\\"", public'],
    [0, $cc => 'ext="public'],
    [0, $cc => 'must-revalidate, immutable'],
    [0, $cc => ''],
    [0, $cc => 'max-age=60', $cc => 'private'],
    [1, $cc => 'must-revalidate', $cc => 'max-age=60'],
    [1, $cc => 'max-age=0', $cc => 'max-age=60'],
    [1, Expires => $http->(3600)],
    [0, Expires => $http->(-3600)],
    [0, Expires => '0'],
    [0, Expires => '-1'],
    [0, Expires => 'tomorrow'],
    [0, Expires => $http->(3600), $cc => 'max-age=0'],
    [1, Expires => $http->(-3600), $cc => 'max-age=60'],
    [0, Expires => $http->(3600), $cc => 'private'],
    [0, Expires => $http->(3600), $cc => 'no-cache'],
    [1, Expires => $http->(3600), $cc => 'must-revalidate'],
    [0, Pragma => 'no-cache'],
    [0, 'Last-Modified' => $http->(-100000)],
    map({ my $targeted = $_;
          ([1, $targeted => 'max-age=60'],
           [1, $cc => 'private, no-store', $targeted => 'max-age=60'],
           [1, Expires => $http->(-3600), $targeted => 's-maxage=5'],
           [1, $cc => 'no-cache', lc $targeted => 'must-revalidate, Max-Age=60;x=1'],
           [1, $cc => 'no-cache', $targeted => 'public'],
           [1, $targeted => 'no-store', $targeted => 'max-age=60', $cc => 'public'],
           [0, $targeted => 'max-age=0'],
           [0, $targeted => ''],
           [0, $cc => 'private', $targeted => 'max-age=60, no-store'],
           [0, $cc => 'private', $targeted => 'max-age=60', $targeted => 'private']) }
        'CDN-Cache-Control', 'Example-CDN-Cache-Control', 'Surrogate-Control'),
    [1, $cc => 'private', 'Surrogate-Control' => 'content="ESI/1.0", max-age=60+30'],
    [1, $cc => 'private', 'Surrogate-Control' => 'max-age=60;cdn'],
    [1, $cc => 'public', 'CDN-Cache-Control' => 'no-store'],
    [1, 'Surrogate-Control' => 'no-store', 'CDN-Cache-Control' => 'max-age=60'],
    [1, 'CDN-Cache-Control' => 'max-age=60', 'Surrogate-Control' => 'no-store'],
    [0, 'X-CDN-Cache-Controls' => 'max-age=60'],
    [0, 'Cache-Controlled' => 'max-age=60'],
    [0, 'Surrogate-Key' => 'max-age=60'],
);
for my $case (@cases) {
    my ($cacheable, @headers) = @$case;
    reply('x', '{"results":[]}', @headers);
    my $r = get('/s/x');
    diag("@headers") if !!$cacheable ne !defined $r->{headers}{'x-refine-serve-id'};
    $cacheable ? no_serve($r, 'cacheable') : serve($r);
}

# the response's own date is what Expires is compared with, when it is sent
reply('date', '{}', Expires => $http->(-3600), Date => $http->(-7200));
no_serve(get('/date/date'), 'cacheable');
serve(get('/s/date'));
reply('date', '{}', Expires => $http->(3600), Date => $http->(7200));
serve(get('/date/date'));

# an id of the upstream is not touched
reply('x', '{}', $cc => 'public', 'X-Refine-Serve-Id' => 'theirs');
my $r = get('/s/x');
is($r->{headers}{'x-refine-serve-id'}, 'theirs');



=== TEST 2: what nginx itself adds counts too
--- catalog
    flush_interval 1h;
--- config
    proxy_pass_header Date;
    location /expires/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        expires 1h;
        refine_serve search;
    }
    location /epoch/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        expires epoch;
        refine_serve search;
    }
    location /past/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        expires -1;
        refine_serve search;
    }
    location /control/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        add_header Cache-Control "public, max-age=60";
        refine_serve search;
    }
    location /private/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        add_header Cache-Control private;
        refine_serve search;
    }
    location /added/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        add_header Expires "Thu, 31 Dec 2037 23:55:55 GMT";
        refine_serve search;
    }
    location /hidden/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_hide_header Cache-Control;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', '{}');
no_serve(get('/expires/x'), 'cacheable');
no_serve(get('/control/x'), 'cacheable');
no_serve(get('/added/x'), 'cacheable');
serve(get('/epoch/x'));
serve(get('/past/x'));
serve(get('/private/x'));
reply('x', '{}', 'Cache-Control' => 'max-age=60');
no_serve(get('/control/x'), 'cacheable');
serve(get('/private/x'));
serve(get('/hidden/x'));
