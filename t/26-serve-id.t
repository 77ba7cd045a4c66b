# Which id a serve has, and how it gets into the header.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

# all values of a header, in order; request() joins them by commas

sub ids { split /, /, $_[0]{headers}{'x-refine-serve-id'} // '' }

run_tests();

__DATA__

=== TEST 1: the upstream's own id, when it is valid
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
my $uuid = qr/\A[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z/;
my $i = 0;
for my $id ('srv_1', 'a', 'x' x 128, "!#\$%()*+-./:;=?@[]^_`{|}~") {
    reply('x', '{}', 'X-Refine-Serve-Id' => $id);
    my $r = get('/s/x');
    is($r->{headers}{'x-refine-serve-id'}, $id, "taken over: $id");
    my $e = serve($r);
    is($e->{eventId}, $id, 'also the event id');
}
for my $id ('', 'x' x 129, 'a b', 'a"b', '<b>', "a'b", 'a&b', 'a\\b', "\xc3\xa9", "a\x7fb") {
    reply('x', '{}', 'X-Refine-Serve-Id' => $id);
    my $r = get('/s/x');
    like($r->{headers}{'x-refine-serve-id'}, $uuid, "replaced: $id");
    serve($r);
}
reply('x', '{}', 'x-refine-serve-id' => 'first', 'X-REFINE-Serve-ID' => 'second',
      'X-Refine-Serve-Id' => 'first');
my $r = get('/s/x');
is_deeply([ids($r)], ['first'], 'a duplicate is removed');
serve($r);
reply('x', '{}', 'X-Refine-Serve-Id' => '<', 'X-Refine-Serve-Id' => 'second');
is_deeply([ids(get('/s/x'))], ['second'], 'the first valid one');
reply('x', '{}', 'X-Refine-Serve-Id' => '<', 'X-Refine-Serve-Id' => '');
$r = get('/s/x');
is(scalar ids($r), 1, 'exactly one header');
like((ids($r))[0], $uuid);



=== TEST 2: $refine_serve_id is the id of the header
--- catalog
    flush_interval 1h;
--- http_extra
    log_format ids "$refine_serve_id $status";
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_set_header X-Serve $refine_serve_id;
        add_header X-Again $refine_serve_id;
        access_log $TEST_NGINX_SCRATCH/ids.log ids;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', '{}');
my $r = get('/s/x');
my $id = $r->{headers}{'x-refine-serve-id'};
my ($sent) = asked('x') =~ /^X-Serve: (\S+)/m;
is($sent, $id, 'sent upstream');
is($r->{headers}{'x-again'}, $id);
serve($r);
my $again = get('/s/x');
isnt($again->{headers}{'x-refine-serve-id'}, $id, 'another request, another id');
my $log;
wait_for(sub {
    open my $in, '<', scratch() . '/ids.log';
    $log = join '', <$in>;
    $log =~ tr/\n// == 2;
}, 'logged');
like($log, qr/^\Q$id\E 200$/m, 'in the access log');
reply('x', '{}', 'X-Refine-Serve-Id' => 'theirs');
is(get('/s/x')->{headers}{'x-refine-serve-id'}, 'theirs', 'what the upstream says wins');



=== TEST 3: responses with CORS headers expose the id
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
    }
    location /added/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        add_header Access-Control-Allow-Origin *;
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $expose = 'Access-Control-Expose-Headers';
my @cors = ('Access-Control-Allow-Origin' => 'https://shop.example');
my @cases = (
    [undef],
    ['X-A', $expose => 'X-A'],
    ['X-Refine-Serve-Id', @cors],
    ['X-A, X-Refine-Serve-Id', @cors, $expose => 'X-A'],
    ['X-A,X-B, X-Refine-Serve-Id', @cors, $expose => 'X-A,X-B'],
    ['x-refine-serve-id', @cors, $expose => 'x-refine-serve-id'],
    ['X-A , X-Refine-Serve-Id,X-B', @cors, $expose => 'X-A , X-Refine-Serve-Id,X-B'],
    ['X-Refine-Serve-Ids, X-Refine-Serve-Id', @cors, $expose => 'X-Refine-Serve-Ids'],
    ['*, X-Refine-Serve-Id', @cors, $expose => '*'],
    ['X-A, X-B, X-Refine-Serve-Id', @cors, $expose => 'X-A', $expose => 'X-B'],
);
for my $case (@cases) {
    my ($want, @headers) = @$case;
    reply('x', '{}', @headers);
    is(get('/s/x')->{headers}{lc $expose}, $want, $want // 'no CORS');
}
reply('x', '{}');
is(get('/added/x')->{headers}{lc $expose}, 'X-Refine-Serve-Id', 'CORS by add_header');
reply('x', '{}', '404 Not Found', @cors);
is(get('/s/x')->{headers}{lc $expose}, undef, 'nothing where there is no serve');
