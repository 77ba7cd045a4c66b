# The filter sees the page as it was put together: after SSI and addition, for
# the main request only, and once for a request that is redirected inside.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

run_tests();

__DATA__

=== TEST 1: SSI: the items of both fragments, in the page's order
--- catalog
    flush_interval 1h;
--- config
    location /page/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        ssi on;
        ssi_types application/json;
        refine_serve search;
    }
    location /part/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve items surface=s source=t items=json:[].productId;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('page', '{"results":[<!--# include virtual="/part/one?step=1&delay=2" -->,'
              . '{"productId":"middle"},<!--# include virtual="/part/two" -->],'
              . '"totalResults":3}');
reply('one', '{"productId":"first"}');
reply('two', '{"productId":"last"}');
my $r = get('/page/page?q=x');
is($r->{body}, '{"results":[{"productId":"first"},{"productId":"middle"},'
               . '{"productId":"last"}],"totalResults":3}', 'assembled');
my $e = serve($r);
is_deeply($e->{itemIds}, ['first', 'middle', 'last'], 'in order');
is($e->{totalResults}, 3);
is($e->{query}, 'x');
is($e->{surface}, 'search_results', 'of the main request');
reply('one', '{"productId":"first"}', '404 Not Found');
$r = get('/page/page');
is_deeply(serve($r)->{itemIds}, ['first', 'middle', 'last'], 'whatever a part says of itself');
is(scalar events(), 2, 'the fragments are no serves');
is(scalar(grep { /^skipped/ } keys %{stats()}), 0, 'and not skipped either');



=== TEST 2: SSI: fragments from files
--- catalog
    flush_interval 1h;
--- config
    location /page/ {
        alias $TEST_NGINX_SCRATCH/files/;
        types { application/json json; }
        ssi on;
        ssi_types application/json;
        refine_serve search;
        sendfile on;
    }
    location /part/ {
        alias $TEST_NGINX_SCRATCH/files/;
        types { application/json json; }
        sendfile on;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mkdir scratch() . '/files';
my %files = (page => '{"results":[<!--# include virtual="/part/one.json" -->,'
                     . '<!--# include virtual="/part/two.json" -->]}',
             one => join(',', map { "{\"productId\":\"a$_\"}" } 1 .. 400),
             two => '{"productId":"b"}');
for (keys %files) {
    open my $out, '>', scratch() . "/files/$_.json";
    print $out $files{$_};
    close $out;
}
my $e = serve(get('/page/page.json'));
is_deeply($e->{itemIds}, [(map { "a$_" } 1 .. 400), 'b']);



=== TEST 3: addition
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        addition_types application/json;
        add_before_body /part/before;
        add_after_body /part/after;
        refine_serve search;
    }
    location /part/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('before', '{"results":[{"productId":"before"},');
reply('main', '{"productId":"main"}');
reply('after', ',{"productId":"after"}]}');
my $r = get('/s/main?step=1');
is($r->{body}, '{"results":[{"productId":"before"},{"productId":"main"},'
               . '{"productId":"after"}]}');
is_deeply(serve($r)->{itemIds}, ['before', 'main', 'after']);
is(scalar events(), 1);



=== TEST 4: mirror and auth_request
--- catalog
    flush_interval 1h;
--- config
    location /mirrored/ {
        mirror /mirror/copy;
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location /mirror/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location /guarded/ {
        auth_request /auth/ok;
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location /denied/ {
        auth_request /auth/no;
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location /auth/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', '{"results":[{"productId":"a"}]}');
reply($_, '{"results":[{"productId":"wrong"}]}') for 'copy', 'ok';
reply('no', '{"results":[{"productId":"wrong"}]}', '403 Forbidden');
is_deeply(serve(get('/mirrored/x'))->{itemIds}, ['a']);
wait_for(sub { asked('copy') }, 'it was mirrored');
is_deeply(serve(get('/guarded/x'))->{itemIds}, ['a']);
ok(asked('ok'), 'it was authorized');
my $r = get('/denied/x');
is($r->{status}, 403);
no_serve($r, 'status');
is(scalar events(), 2);
counts('serves:logged', 2);



=== TEST 5: internal redirects: one response, one serve, one reason
--- catalog
    flush_interval 1h;
--- config
    error_page 404 =200 /fallback/json;
    error_page 500 /fallback/broken;
    error_page 502 @named;
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_intercept_errors on;
        proxy_set_header X-Serve $refine_serve_id;
        refine_serve search;
    }
    location /fallback/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_set_header X-Serve $refine_serve_id;
        refine_serve items surface=fallback source=curated;
    }
    location @named {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve items surface=named source=curated;
    }
    location /try/ {
        try_files /nothing$uri @named;
        refine_serve search;
    }
    location /accel/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location /rewritten/ {
        rewrite ^/rewritten/(.*)$ /fallback/$1 last;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $n = 0;
my $one = sub {
    my ($r, $surface) = @_;
    is($r->{status}, 200);
    my $e = serve($r);
    is($e->{surface}, $surface, "surface $surface");
    is(scalar events(), ++$n, 'one serve');
    return $e;
};
reply($_, '{"results":[{"productId":"a"}]}') for 'json', 'x';
reply('gone', 'no', '404 Not Found');
my $r = get('/s/gone');
my $e = $one->($r, 'fallback');
my ($first) = asked('gone') =~ /X-Serve: (\S+)/;
my ($second) = asked('json') =~ /X-Serve: (\S+)/;
is($first, $e->{serveId}, 'the id outlives the redirect');
is($second, $e->{serveId});

$one->(get('/try/x'), 'named');
$one->(get('/rewritten/x'), 'fallback');

reply('accel', 'x', 'X-Accel-Redirect' => '/fallback/json');
$one->(get('/accel/accel'), 'fallback');

reply('bad', 'no', '502 Bad Gateway');
reply('bad', 'no', '500 Error');
reply('broken', 'no', '500 Error');
$r = get('/s/bad');
is($r->{status}, 500);
no_serve($r, 'status');
is(scalar events(), $n);
my $stats = stats();
is(join(',', grep { /^skipped/ } keys %$stats), 'skipped:status', 'no other reason');



=== TEST 6: subrequests of a location without serves
--- catalog
    flush_interval 1h;
--- config
    location /page/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        ssi on;
        ssi_types application/json;
    }
    location /part/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('page', '{"x":<!--# include virtual="/part/one" -->}');
reply('one', '{"results":[{"productId":"first"}]}');
my $r = get('/page/page');
is($r->{body}, '{"x":{"results":[{"productId":"first"}]}}');
is($r->{headers}{'x-refine-serve-id'}, undef);
serve(get('/part/one'));
is(scalar events(), 1);
is(scalar(grep { /^skipped/ } keys %{stats()}), 0);
