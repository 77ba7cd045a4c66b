# From served to purchased: what came of a serve is counted by its surface and
# source, by the serve's id, and purchases by what their visitor has touched
# last; with Redis and without, over workers and reloads.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

our $V = 'v_' . 'a' x 22;
our $W = 'v_' . 'b' x 22;

# by a visitor, or by nobody

sub collect {
    my ($visitor, @events) = @_;

    return post('/c', JSON::PP->new->utf8->encode(\@events),
                $visitor ? (Cookie => "refine_vid=$visitor") : ())->{status};
}

sub from {
    my ($type, $serve, $item, @more) = @_;

    return { type => $type, serveId => $serve, itemId => $item, position => 0,
             @more };
}

sub served {
    my ($id, $surface, $source, @more) = @_;

    return { type => 'items_served', serveId => $id, surface => $surface,
             source => $source, itemIds => ['a'], @more };
}

my $orders;

sub bought {
    return { type => 'purchase', orderId => 'o' . ++$orders, value => 1,
             currency => 'EUR',
             items => [map { { itemId => $_, quantity => 2, unitPrice => 1 } }
                       @_] };
}

sub shop { decode_json(get('/s')->{body})->{catalogs}{shop} }

my @STEPS = qw(served viewed clicked carted purchased);

# SURFACE|SOURCE => [served, viewed, clicked, carted, purchased]

sub rows {
    return { map { my $row = $_;
                   ("$row->{surface}|$row->{source}" => [@$row{@STEPS}]) }
             @{ shop()->{surfaces} } };
}

sub counted {
    my ($want, $name) = @_;

    my $json = JSON::PP->new->canonical;
    wait_for(sub { $json->encode(rows()) eq $json->encode($want) }, $name)
        or diag($json->encode(rows()));
    return;
}

sub reload {
    my @old = worker_pids();
    kill 'HUP', nginx_pid();
    wait_for(sub { my %now = map { $_ => 1 } worker_pids();
                   %now && !grep { $now{$_} } @old }, 'reloaded', 20);
    return;
}

# the funnel, as it is in both kinds of queue

sub walk {
    my $r = get('/r');
    my $search = $r->{headers}{'x-refine-serve-id'};
    my ($home) = get('/p')->{body} =~ /data-refine-serve-id="([^"]+)"/;
    ok($search && $home, 'served');
    is(collect($V, served('own', 'cart_page', 'you-may-like')), 204);
    counted({ 'search_results|text-search' => [1, 0, 0, 0, 0],
              'home_page|visitor-recs' => [1, 0, 0, 0, 0],
              'cart_page|you-may-like' => [1, 0, 0, 0, 0] }, 'serves');

    is(collect($V, map { from('view', $search, $_) } qw(a b c)), 204);
    is(collect($V, from('click', $search, 'a', eventId => 'c1')), 204);
    is(collect($V, from('click', $search, 'a', eventId => 'c1')), 204) for 1, 2;
    is(collect($W, from('click', $home, 'h')), 204);
    is(collect($V, from('view', 'own', 'x'), from('add_to_cart', 'own', 'x')),
       204);

    # of nobody's serve, and by nobody

    is(collect($V, from('click', 'unheard-of', 'a'),
               from('add_to_cart', 'unheard-of', 'z')), 204);
    is(post('/c', encode_json(from('click', $home, 'g')), 'Sec-GPC' => 1,
            Cookie => "refine_vid=$V")->{status}, 204);
    counted({ 'search_results|text-search' => [1, 3, 1, 0, 0],
              'home_page|visitor-recs' => [1, 0, 2, 0, 0],
              'cart_page|you-may-like' => [1, 1, 0, 1, 0] }, 'touched');

    reload();

    # the last touch; others have none of these, but what is theirs

    is(collect($V, from('click', $home, 'y'), from('add_to_cart', $search, 'y')),
       204);
    is(collect($W, bought('a', 'x', 'y')), 204);
    is(collect($V, bought('g')), 204);
    is(post('/c', encode_json(bought('a')), 'Sec-GPC' => 1,
            Cookie => "refine_vid=$V")->{status}, 204);
    counted({ 'search_results|text-search' => [1, 3, 1, 1, 0],
              'home_page|visitor-recs' => [1, 0, 3, 0, 0],
              'cart_page|you-may-like' => [1, 1, 0, 1, 0] }, 'not these');
    is(collect($V, bought('a', 'x', 'y', 'z', 'b')), 204);
    is(collect($W, bought('h', 'a')), 204);
    counted({ 'search_results|text-search' => [1, 3, 1, 1, 2],
              'home_page|visitor-recs' => [1, 0, 3, 0, 1],
              'cart_page|you-may-like' => [1, 1, 0, 1, 1] }, 'purchased');

    # each worker reads Redis once a second: an answer may be an older one

    my $json = JSON::PP->new->canonical;
    my $want = $json->encode({ items_served => 3, click => 5, view => 4,
                               add_to_cart => 3, purchase => 5 });
    wait_for(sub { my $s = shop();
                   $s->{accepted} == 20 && $json->encode($s->{events}) eq $want },
             'each once, by type');
    for (['served', 1], ['viewed', 3], ['clicked', 1], ['carted', 1],
         ['purchased', 2])
    {
        my ($step, $n) = @$_;
        wait_for(sub { get('/s?format=prometheus')->{body} =~
                       /^refine_${step}_total\{catalog="shop",surface="search_results",source="text-search"\} $n$/m
                     }, "$step: $n");
    }
    return;
}

add_block_preprocessor(sub {
    my ($block) = @_;

    $block->set_value('config', ($block->config // '') . <<'END');
    location = /c { refine_collect; }
    location = /s { refine_status; }
    location = /r {
        default_type application/json;
        refine_serve search;
        return 200 '{"results":[{"productId":"a"}]}';
    }
    location = /p {
        default_type text/html;
        refine_inject on script=/j collect=/c;
        return 200 '<body><div data-refine-serve data-refine-surface="home_page"
            data-refine-source="visitor-recs"><p data-refine-item=h></div>';
    }
END
    $block->set_value('request', 'GET /s');
});

master_on();
workers(2);
no_long_string();
run_tests();

__DATA__

=== TEST 1: with Redis
--- catalog
    flush_interval 1h;
--- check
walk();
is(stats()->{"purchased:cart_page\0you-may-like"}, 1, 'in the hash');
is(stats()->{surfaces}, 3);



=== TEST 2: the spool is the queue
--- no_queue
--- catalog
    flush_interval 1h;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- check
walk();



=== TEST 3: in one request
--- catalog
    flush_interval 1h;
--- check
is(collect($V, from('click', 'one', 'early'), served('one', 'a', 'b'),
           from('view', 'one', 'i'), from('click', 'one', 'i'),
           served('two', 'c', 'd'), from('add_to_cart', 'two', 'i'),
           bought('i', 'j', 'early'), from('click', 'one', 'i'), bought('i')),
   204);
counted({ 'a|b' => [1, 1, 2, 0, 1], 'c|d' => [1, 0, 0, 1, 1] }, 'in order');
is(collect($V, bought('i')), 204);
counted({ 'a|b' => [1, 1, 2, 0, 2], 'c|d' => [1, 0, 0, 1, 1] }, 'known since');



=== TEST 4: what is not stored is not counted, and not remembered
--- catalog
    flush_interval 1h;
    max_queue_size 3;
--- check
is(collect($V, served('one', 'a', 'b'), from('click', 'one', 'i')), 204);
is(collect($V, from('click', 'one', 'j'), from('view', 'one', 'j')), 503);
is(collect($V, served('two', 'c', 'd'), from('click', 'two', 'i')), 503);
is(collect($V, bought('i', 'j')), 204);
counted({ 'a|b' => [1, 0, 1, 0, 1] }, 'what there was room for');



=== TEST 5: over the spool, from where other workers take it
--- catalog
    flush_interval 1h;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- check
is(collect($V, served('one', 'a', 'b')), 204);
counted({ 'a|b' => [1, 0, 0, 0, 0] }, 'a serve');
redis_kill();
is(collect($V, from('view', 'one', 'i'), from('click', 'one', 'i')), 204);
is(collect($V, served('two', 'c', 'd'), from('add_to_cart', 'two', 'j')), 204);
is(collect($V, bought('i', 'j', 'k')), 204);
reload();
redis_start();
counted({ 'a|b' => [0, 1, 1, 0, 1], 'c|d' => [1, 0, 0, 1, 1] },
        'as the new Redis knows it');
wait_for(sub { shop()->{accepted} == 5 }, 'all of it');



=== TEST 6: no room for another label: all of it is in the rest
--- catalog
    flush_interval 1h;
--- check
is(collect($V, map { served("s$_", "p$_", 'x') } 1 .. 32), 204);
is(collect($V, served('s33', 'p33', 'x'), from('click', 's33', 'i'),
           from('click', 's1', 'j'), bought('i', 'j')), 204);
my $got;
wait_for(sub { $got = rows(); $got->{'other|other'} }, 'the rest');
is_deeply($got->{'other|other'}, [1, 0, 1, 0, 1]);
is_deeply($got->{'p1|x'}, [1, 0, 1, 0, 1]);
is(scalar(CORE::keys %$got), 33);
is(scalar(grep { /^(clicked|purchased):/ } CORE::keys %{ stats() }), 4);



=== TEST 7: the shop's own servers say who the visitor was
--- catalog
    flush_interval 1h;
--- config
    location = /trusted { refine_collect trusted; }
--- check
my $trusted = sub {
    my ($visitor, @events) = @_;
    $_->{visitorId} = $visitor for @events;
    is(post('/trusted', encode_json(\@events),
            'X-Refine-Control' => 1)->{status}, 204);
};
is(collect($V, served('one', 'a', 'b'), from('add_to_cart', 'one', 'i')), 204);
$trusted->($W, bought('i'));
$trusted->($V, bought('i'));
counted({ 'a|b' => [1, 0, 0, 1, 1] }, 'by the visitor that it names');



=== TEST 8: delivered as it came
--- catalog
    flush_interval 100ms;
--- check
is(collect($V, served('one', 'a', 'b'), from('click', 'one', 'i'), bought('i')),
   204);
wait_for(sub { map({ @{ $_->{body}{events} } } mock()) >= 3 },
         'delivered');
my @events = map { @{ $_->{body}{events} } } mock();
is_deeply([map { $_->{type} } @events], [qw(items_served click purchase)]);
wait_for(sub { shop()->{sent} == 3 && shop()->{bytes} == 0 }, 'and nothing left');
