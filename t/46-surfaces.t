# Tests for serves counted by surface and source: at most 32 pairs apart, over
# all workers, and labels of which nothing good can be expected.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Prometheus;
use Encode;
use JSON::PP;

sub served {
    return { type => 'items_served', surface => $_[0], source => $_[1],
             itemIds => ['a'] };
}

sub collect { post('/c', JSON::PP->new->utf8->encode(\@_))->{status} }

sub status { decode_json(get('/s')->{body})->{catalogs}{shop} }

# SURFACE|SOURCE => how many, as both formats have it

sub surfaces {
    my %json = map { ("$_->{surface}|$_->{source}" => $_->{served}) }
               @{ status()->{surfaces} };
    my $r = get('/s?format=prometheus');
    my $p = eval { Prometheus::parse($r->{body}) };
    ok($p, 'a strict parser takes it') or diag("$@\n$r->{body}");
    my %text = map { my $l = $_->{labels};
                     ("$l->{surface}|$l->{source}" => $_->{value}) }
               @{ $p->{metrics}{refine_served_total}{samples} // [] };
    return (\%json, \%text);
}

# waits until all the serves are in the numbers

sub settled {
    my ($n) = @_;

    wait_for(sub { status()->{events}{items_served} == $n }, "$n serves");
    my ($json, $text) = surfaces();
    is_deeply($text, $json, 'the same in both formats');
    my $sum = 0;
    $sum += $_ for CORE::values %$json;
    is($sum, $n, 'each is counted once');
    return $json;
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: of browsers and of responses
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
    location = /r {
        default_type application/json;
        refine_serve search surface=$arg_a source=plp;
        return 200 '{"results":[{"productId":"a"}]}';
    }
--- request
GET /s
--- response_body_like: "surfaces":\[\]
--- check
is(collect(served('cart_page', 'plp'), served('home_page', 'visitor-recs'),
           { type => 'click', serveId => 's', itemId => 'a', position => 0 },
           served('cart_page', 'plp'), { type => 'items_served' }), 200);
is(collect(served('cart_page', 'similar-items')), 204);
get('/r?a=cart_page') for 1 .. 3;
get('/r?a=a%20%26%20b');
is_deeply(settled(8), { 'cart_page|plp' => 5, 'home_page|visitor-recs' => 1,
                        'cart_page|similar-items' => 1, 'a & b|plp' => 1 });
is_deeply([map { $_->{surface} } @{ status()->{surfaces} }],
          ['a & b', 'cart_page', 'cart_page', 'home_page'], 'in order');



=== TEST 2: what was not stored is not counted
--- catalog
    flush_interval 1h;
    max_queue_size 3;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
--- request
GET /s
--- check
is(collect(served('a', 'b'), served('a', 'b')), 204);
is(collect(served('a', 'b'), served('c', 'd')), 503);
is(collect(served('e', 'f')), 204);
is_deeply(settled(2 + 1), { 'a|b' => 2, 'e|f' => 1 });
is(stats()->{surfaces}, 2);



=== TEST 3: 32 and no more
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
--- request
GET /s
--- check
is(collect(served('first', 'come'), served('other', 'other')), 204);
for my $i (1 .. 10) {
    is(collect(map { served("s$i", "x$_") } 1 .. 50), 204);
}
is(collect(served('first', 'come'), served('last', 'come')), 204);
my $got = settled(504);
is(scalar(CORE::keys %$got), 33, '32 and the rest');
is($got->{'first|come'}, 2, 'what came first stays');
is($got->{'last|come'}, undef);
is($got->{'other|other'}, 1 + 500 - 31 + 1);
is(stats()->{surfaces}, 32);
is(scalar(grep { /^served:/ } CORE::keys %{ stats() }), 33, 'no more in Redis');



=== TEST 4: labels of which nothing good can be expected
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
    location = /r {
        default_type application/json;
        refine_serve search surface=$arg_a source=$arg_b;
        return 200 '{"results":[{"productId":"a"}]}';
    }
--- request
GET /s
--- check
my %want;
my @hostile = ('"', '\\', '\\n', 'a"} 1', '\\"', '{}', ',a="b"', '# TYPE x y',
               "\x{20ac}", "\x{1f600}" x 16, "\x{e9}", "\x{2028}",
               '<script>alert(1)</script>', "' OR 1", '%00', '| |', 'x' x 64);
for (@hostile) {
    is(collect(served($_, "$_")), 204);
    $want{"$_|$_"} = 1;
}
is(collect(served($_, 'a')), 400, 'refused')
    for "\n", "a\x00b", 'x' x 65, 'x' x 1024, '', "\x{7f}";
is(post('/c', qq([{"type":"items_served","surface":"\xff","source":"a",)
              . qq("itemIds":[]}]))->{status}, 400, 'not UTF-8');
my $n = @hostile;
my $serve = sub {
    my ($a, $b, $label) = @_;
    get("/r?a=$a&b=$b");
    $want{$label}++;
    $n++;
};
$serve->('x%0Ay', 'x%0D%0Ay', "x\ny|x\r\ny");
$serve->('%22%5C', '%5C', "\"\\|\\");
$serve->('%FF', 'b', 'search_results|b');
$serve->('%ED%A0%80', '%00', 'search_results|text-search');
$serve->('z' x 1024, 'y', ('z' x 64) . '|y');
$serve->('%E2%82%AC' x 300, 'y', ("\x{20ac}" x 21) . '|y');
$serve->('', '', 'search_results|text-search');
my $got = settled($n);
is_deeply($got, \%want) or diag(encode_json($got));



=== TEST 5: fields that somebody else has written
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /c { refine_collect; }
--- request
GET /s
--- check
my $key = 'refine:{' . catalog() . '}:stats';
redis('HSET', $key, 'served:', 1, 'served:x', 2, "served:a\0b\0c", 4,
      "served:\xff\0b", 8, 'served:' . 'x' x 1024 . "\0b", 16,
      'events:items_served', 31, 'surfaces', 'many');
redis('HSET', $key, "served:own$_\0b", 1) for 1 .. 40;
redis('HINCRBY', $key, 'events:items_served', 40);
my $got = settled(71);
is(scalar(CORE::keys %$got), 33);
is($got->{'other|other'}, 31 + 8);
is(collect(served('new', 'one')), 204, 'a serve is stored all the same');
$got = settled(72);
is($got->{'other|other'}, 31 + 8 + 1);
