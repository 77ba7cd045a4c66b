# max_length= of refine_serve: how much of a body is read.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

run_tests();

__DATA__

=== TEST 1: to the byte, whether the length is known or not
--- catalog
    flush_interval 1h;
--- config
    location /small/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search max_length=100;

        location /small/nested/ {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        }
    }
    location /large/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search max_length=9m;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $make = sub { '{"results":[{"productId":"' . 'x' x ($_[0] - 30) . '"}]}' };
for my $place ('small', 'small/nested') {
    for my $n (99, 100, 101) {
        my $text = $make->($n);
        is(length $text, $n);
        reply('x', $text);
        my $r = get("/$place/x");
        is($r->{body}, $text, 'the body');
        $n > 100 ? no_serve($r, 'too_large')
                 : is(length serve($r)->{itemIds}[0], $n - 30, "$place $n");
        reply_raw('y', "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n$text");
        for my $args ('', '?step=1') {
            $r = get("/$place/y$args");
            is($r->{body}, $text, 'the body');
            ok($r->{headers}{'x-refine-serve-id'}, 'the length was not known');

            if ($n > 100) {
                skipped('too_large', ++$Upstream::expected{catalog()}{too_large});

            } else {
                serve($r);
            }
        }
    }
}
my $text = '{"a":"' . 'y' x (8 * 1024 * 1024) . '","results":[{"productId":"z"}]}';
reply('z', $text);
my $r = get('/large/z');
is(length $r->{body}, length $text);
is_deeply(serve($r)->{itemIds}, ['z'], 'more than the default');
