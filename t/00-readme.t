use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;

# README's synopsis, loaded as it stands: only what differs on this machine
# (ports, the path of the key, where Redis is) is exchanged.

sub synopsis {
    open my $in, '<', 'README.md' or die "README.md: $!";
    local $/;
    my ($http) = <$in> =~ /```nginx\n.*?^http \{\n(.*?)^\}\n```/ms
        or die 'README.md has no synopsis';

    open my $out, '>', scratch() . '/refine.key' or die;
    print $out "k\n";
    close $out;
    chmod 0600, scratch() . '/refine.key';

    my %here = (
        'listen 8080'           => 'listen $TEST_NGINX_RAND_PORT_1',
        '127.0.0.1:3000'        => '127.0.0.1:$TEST_NGINX_SERVER_PORT',
        '/etc/nginx/refine.key' => scratch() . '/refine.key',
        'redis://127.0.0.1:6379/0' => 'redis://unix:$TEST_NGINX_REDIS',
        'cat_xyz789'            => '$TEST_NGINX_CATALOG',
    );

    while (my ($theirs, $ours) = each %here) {
        $http =~ s/\Q$theirs\E/$ours/g or die "README.md has no \"$theirs\"";
    }

    return $http;
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
