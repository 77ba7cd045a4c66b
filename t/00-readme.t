use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;

# The configurations of the documents, loaded as they stand: only what differs on
# this machine (ports, the path of the key, where Redis is) is exchanged.

sub slurp {
    my ($name) = @_;

    open my $in, '<', $name or die "$name: $!";
    local $/;
    return scalar <$in>;
}

sub here {
    my ($text, %more) = @_;

    open my $out, '>', scratch() . '/refine.key' or die;
    print $out "k\n";
    close $out;
    chmod 0600, scratch() . '/refine.key';

    my %here = (
        '127.0.0.1:3000'        => '127.0.0.1:$TEST_NGINX_SERVER_PORT',
        '/etc/nginx/refine.key' => scratch() . '/refine.key',
        'redis://127.0.0.1:6379/0' => 'redis://unix:$TEST_NGINX_REDIS',
        'cat_xyz789'            => '$TEST_NGINX_CATALOG',
        %more,
    );

    while (my ($theirs, $ours) = each %here) {
        $text =~ s/\Q$theirs\E/$ours/g or die "there is no \"$theirs\"";
    }

    return $text;
}

sub synopsis {
    my ($http) = slurp('README.md') =~ /```nginx\n.*?^http \{\n(.*?)^\}\n```/ms
        or die 'README.md has no synopsis';

    return here($http, 'listen 8080' => 'listen $TEST_NGINX_RAND_PORT_1');
}

sub tour {
    my ($http, $server) = slurp('docs/tour.md') =~ /^```nginx\n(.*?)^```/msg;

    return here("$http\nserver { listen 127.0.0.1:\$TEST_NGINX_RAND_PORT_1;\n"
                . "$server }");
}

sub storefront {
    return <<'END';
location /api/ {
    default_type application/json;
    return 200 '{"results":[{"productId":"sku_1"},{"productId":"sku_2"}],
                 "totalResults":87}';
}

location /shop/ {
    proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/;
    proxy_set_header Host $http_host;
}
END
}

run_tests();

__DATA__

=== TEST 1: the synopsis of README does what it says
--- http_config eval: main::synopsis()
--- config eval: main::storefront()
--- request
GET /shop/api/search?q=wool+jacket
--- response_headers_like
X-Refine-Serve-Id: [0-9a-f-]{36}
--- check
my $click = post('/shop/refine/collect', '{"type":"click","serveId":"s1",'
                 . '"itemId":"sku_1","position":0}');
is($click->{status}, 204, 'a click is accepted');
wait_for(sub { events() == 2 }, 'both events are in the queue');
my ($serve) = grep { $_->{type} eq 'items_served' } events();
is_deeply($serve->{itemIds}, [ 'sku_1', 'sku_2' ], 'the items of the serve');
is($serve->{query}, 'wool jacket', 'its query');
is($serve->{totalResults}, 87, 'its total');
like(get('/shop/refine/status')->{body}, qr/"accepted":2,/, 'the status');

=== TEST 2: so does what docs/tour.md takes into production
--- http_config eval: main::tour()
--- config eval: main::storefront()
--- request
GET /shop/api/search?q=wool+jacket
--- response_headers_like
X-Refine-Serve-Id: [0-9a-f-]{36}
--- check
my $click = post('/shop/refine/collect', '{"type":"click","serveId":"s1",'
                 . '"itemId":"sku_1","position":0}');
is($click->{status}, 204, 'a click is accepted');
wait_for(sub { events() == 2 }, 'both events are in the queue');
is_deeply([ grep { exists $_->{visitorId} } events() ], [],
          'neither says whose it is: there was no consent');
is(get('/shop/refine/refine.js')->{status}, 200, 'the script');
like(get('/shop/refine/status')->{body}, qr/"accepted":2,/, 'the status');
is(get('/shop/refine/metrics')->{status}, 403, 'the metrics: not for all');
