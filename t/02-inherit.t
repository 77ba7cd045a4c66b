# refine, refine_serve and refine_collect over http, server and location:
# inheritance, off, several catalogs and servers.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Conf;

my $shop = block('');
my $two = $shop . block('catalog_id cat_2;', 'other');

# --- refine

conf_good('http', "$shop refine shop;");
conf_good('server', "$shop server { refine shop; }");
conf_good('location', "$shop server { location / { refine shop; } }");
conf_good('off', "$shop refine off;");
conf_good('off without any catalog', 'refine off;');
conf_good('a catalog further down', "refine shop; $shop");
conf_good('one that stands below the server',
          "server { refine shop; location / { refine_serve search; } } $shop");

conf_bad('no catalog', 'refine shop;',
         qr/unknown\ catalog\ "shop"\ in\ "refine",\ known:\ none,\ there\ is
            \ no\ refine_catalog\ in\ \S+test\.conf:1[0-9]\n/x);
conf_bad('an unknown catalog', "$two\nserver {\nrefine shopp; }" . "\n" x 9,
         qr/unknown catalog "shopp" in "refine", known: shop, other in /);
conf_bad('a name that cannot be', "refine 'a b';",
         'invalid name of a refine_catalog "a b", allowed: ');
conf_bad('no name', 'refine;', 'invalid number of arguments in "refine"');
conf_bad('two names', "$two refine shop other;",
         'invalid number of arguments in "refine"');
conf_bad('twice', "$shop refine shop; refine shop;",
         '"refine" directive is duplicate');
conf_bad('twice, once off', "$shop refine off; refine shop;",
         '"refine" directive is duplicate');

# --- what needs a catalog

sub needs {
    return qq{"$_[0]" in location "$_[1]" needs a catalog: "refine NAME" in }
           . 'this location, its server or http';
}

for (['refine_serve', 'refine_serve search;'],
     ['refine_collect', 'refine_collect;'])
{
    my ($name, $directive) = @$_;

    conf_bad("$name without a catalog",
             "$shop server { location /x { $directive } }",
             needs($name, '/x'));
    conf_bad("$name, off",
             "$shop refine shop; server { location /x { refine off; "
             . "$directive } }", needs($name, '/x'));
    conf_bad("$name, off in the server",
             "$shop refine shop; server { refine off; location /x { "
             . "$directive } }", needs($name, '/x'));
    conf_bad("$name, a catalog in another server",
             "$shop server { refine shop; } server { location /x { $directive "
             . "} }", needs($name, '/x'));
    conf_good("$name, on again in the location",
              "$shop refine shop; server { refine off; location /x { "
              . "refine shop; $directive } }");
}

conf_good('off below refine_serve switches it off',
          "$shop server { refine shop; location /x { refine_serve search; "
          . 'location /x/y { refine off; } } }');
conf_good('an if below refine_serve and refine_collect',
          "$shop server { refine shop; "
          . 'location /x { refine_serve search; if ($arg_x) { set $y 1; } } '
          . 'location /y { refine_collect; if ($arg_x) { set $y 1; } } '
          . 'location /z { refine_collect; limit_except POST { deny all; } } }');

# --- refine_serve

sub serve { "$shop refine shop; server { location /x { refine_serve $_[0]; } }" }

my $json = 'variables, json:PATH or body:PATH';
my $name = "1 to 64 bytes without control characters, $json";
my %allowed = (
    surface => $name,
    source  => $name,
    items   => 'json:PATH',
    total   => "an integer from 0 to 9007199254740991, $json",
    query   => "up to 1024 bytes without control characters, $json",
    anchor  => "up to 256 bytes without control characters, $json",
);

conf_good("refine_serve $_", serve($_)) for
    'search', 'recommendations', 'off',
    'items surface=home_page source=curated',
    'items surface=$arg_s source=json:source items=json:a[].b.c',
    'search surface=a source=b items=json:hits[] total=json:total query=$arg_s '
    . 'anchor=$arg_a', 'search total= query= anchor=', 'search total=0',
    'search total=9007199254740991',
    'search max_length=1', 'search max_length=512k', 'search max_length=2g',
    'search "query=$arg_a $arg_b"', 'search query=${arg_q}',
    'search surface=' . 'x' x 64, 'search query=' . 'x' x 1024;

for ([surface => 'x' x 65], [surface => "a\tb"], [source => 'x' x 65],
     [items => 'sku_1'], [items => '$arg_i'], [total => '-1'],
     [total => '9007199254740992'], [total => '9' x 30],
     [total => '1.5'], [total => 'x'], [query => 'x' x 1025],
     [anchor => 'x' x 257], [items => 'body:items[]'])
{
    my ($name, $value) = @$_;

    conf_bad("$name=$value", serve("search '$name=$value'"),
             'invalid value "' . shown($value) . qq{" of "$name=" in }
             . qq{"refine_serve", allowed: $allowed{$name}});
}

for ('', '0', '-1', '1.5', '1x', 'm', '9' x 30) {
    conf_bad("max_length=$_", serve("search 'max_length=$_'"),
             qq{invalid value "$_" of "max_length=" in "refine_serve", }
             . 'allowed: a size from 1 on, such as 512k or 8m');
}

for (['items', 'surface'], ['items surface=a', 'source'],
     ['items source=a', 'surface'], ['search surface=', 'surface'],
     ['search source=', 'source'], ['search items=', 'items'])
{
    my ($text, $name) = @$_;
    my ($type) = $text =~ /^(\w+)/;

    conf_bad("refine_serve $text", serve($text),
             qq{"refine_serve $type" needs "$name=", allowed: $allowed{$name}});
}

for ('json:', 'json:a..b', 'json:a[', 'json:a[x]', 'json:[]]', 'json:.',
     'json:' . 'a.' x 20 . 'a')
{
    conf_bad("items=$_", serve("search 'items=$_'"),
             qr/invalid selector "\Q$_\E" of "items=" in "refine_serve": \w/);
}

conf_bad('an unknown variable', serve('search query=$no_such'),
         'unknown "no_such" variable');

for ('searches', 'off x=y', 'Search', 'surface=a') {
    my ($type) = split / /;

    conf_bad("refine_serve $_", serve($_),
             qq{unknown type "$type" in "refine_serve", allowed: search, }
             . 'recommendations, items, or off alone');
}

for ('ids=json:serveId', 'id', 'max_length', 'surface', 'Surface=a', 'x=y', '=',
     'surfaces=a', 'metadata=a', 'format', 'if', 'cacheable', 'offset')
{
    conf_bad("refine_serve search $_", serve("search '$_'"),
             qq{unknown parameter "$_" of "refine_serve", allowed: surface=, }
             . 'source=, items=, total=, query=, id=, anchor=, offset=, filters=, '
             . 'sort=, metadata.NAME=, format=, if=, cacheable= and '
             . 'max_length=');
}

conf_bad('a parameter twice', serve('search query=a query=b'),
         'duplicate parameter "query=b" of "refine_serve"');
conf_bad('max_length twice', serve('search max_length=1 max_length=2'),
         'duplicate parameter "max_length=2" of "refine_serve"');
conf_bad('refine_serve twice', serve('search; refine_serve search'),
         '"refine_serve" directive is duplicate');
conf_bad('refine_serve without a type', serve(''),
         'invalid number of arguments in "refine_serve"');

# --- refine_collect

conf_bad('refine_collect twice',
         "$shop refine shop; server { location /x { refine_collect; "
         . 'refine_collect; } }', '"refine_collect" directive is duplicate');

sub collect { "$shop refine shop; server { location /x { refine_collect $_[0]; } }" }

conf_good("refine_collect $_", collect($_))
    for 'click', 'pixel', 'purchase view pixel items_served add_to_cart click';

conf_bad("refine_collect '$_'", collect("'$_'"),
         qq{invalid parameter "$_" of "refine_collect", allowed: items_served, }
         . 'click, view, add_to_cart, purchase, pixel, trusted and trusted=any')
    for 'Click', 'clicks', 'on', 'off', '', 'pixel=on', 'click,view', 'any';

conf_bad("refine_collect $_ twice", collect("$_ purchase $_"),
         qq{duplicate parameter "$_" of "refine_collect"})
    for 'click', 'pixel';

# --- refine_status, refine_control: no catalog is needed

conf_good("$_ any", "server { location /x { $_ any; } }")
    for 'refine_status', 'refine_status json', 'refine_control';
conf_bad('refine_status xml', 'server { location /x { refine_status xml; } }',
         'invalid parameter "xml" of refine_status, it must be one of "json", '
         . '"prometheus"');
conf_bad('refine_control json',
         'server { location /x { refine_control json; } }',
         'invalid parameter "json" of refine_control, it must be "any"');

run_tests();

__DATA__

=== TEST 1: refine is inherited, replaced and switched off
--- http_config
    refine one;

    refine_catalog one {
        organization_id  org_1;
        catalog_id       one_$TEST_NGINX_CATALOG;
        api_key          k;
        endpoint         http://unix:$TEST_NGINX_MOCK:/events;
        queue            redis://unix:$TEST_NGINX_REDIS;
        flush_interval   1h;
    }

    server {
        listen unix:$TEST_NGINX_SERVER_ROOT/two.sock;
        refine two;
        location / { return 200 "$refine_serve_id"; }
        location = /collect { refine_collect; }
        location = /one { refine one; refine_collect; }
        location = /off { refine off; return 200 "[$refine_serve_id]"; }
    }

    refine_catalog two {
        organization_id  org_1;
        catalog_id       two_$TEST_NGINX_CATALOG;
        api_key          k;
        endpoint         http://unix:$TEST_NGINX_MOCK:/events;
        queue            redis://unix:$TEST_NGINX_REDIS;
        flush_interval   1h;
    }
--- config
    location = /t { return 200 "$refine_serve_id"; }
    location = /collect { refine_collect; }

    location /nested {
        refine off;
        location /nested/two { refine two; refine_collect; }
        location /nested/off { return 200 "[$refine_serve_id]"; }
    }

    location /two/ {
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/two.sock:/;
        proxy_set_header Host localhost;
    }
--- request
GET /t
--- response_body_like: ^[0-9a-f-]{36}$
--- check
sub click { '{"type":"click","serveId":"s","itemId":"' . $_[0] . '","position":0}' }
sub items {
    my $key = "refine:{$_[0]_" . catalog() . '}:events';
    return join ' ', map { $_->[1][1] =~ /"itemId":"(\w+)"/ }
        @{ redis('XRANGE', $key, '-', '+') // [] };
}
is(post('/collect', click('a'))->{status}, 204, 'inherited from http');
is(post('/two/collect', click('b'))->{status}, 204, 'replaced in the server');
is(post('/two/one', click('c'))->{status}, 204, 'replaced in the location');
is(post('/nested/two', click('d'))->{status}, 204, 'in a nested location');
is(items('one'), 'a c');
is(items('two'), 'b d');
is(get('/two/off')->{body}, '[]', 'off in a location');
is(get('/nested/off')->{body}, '[]', 'off is inherited');
like(get('/two/x')->{body}, qr/^[0-9a-f-]{36}$/, 'inherited from the server');



=== TEST 2: refine_serve is inherited by nested locations, and off ends it
--- catalog
    flush_interval 1h;
--- config
    default_type application/json;

    location /a {
        refine_serve search;
        return 200 '{"results":[{"productId":"a"}],"totalResults":1}';

        location /a/b {
            return 200 '{"results":[{"productId":"b"}],"totalResults":1}';
        }
        location /a/off {
            refine_serve off;
            return 200 '{"results":[{"productId":"c"}],"totalResults":1}';
        }
        location /a/none {
            refine off;
            return 200 '{"results":[{"productId":"d"}],"totalResults":1}';
        }
    }
    location /c {
        return 200 '{"results":[{"productId":"e"}],"totalResults":1}';
    }
--- request
GET /a
--- response_headers_like
X-Refine-Serve-Id: [0-9a-f-]{36}
--- check
like(get('/a/b')->{headers}{'x-refine-serve-id'}, qr/^[0-9a-f-]{36}$/, 'nested');
for ('/a/off', '/a/none', '/c') {
    my $r = get($_);
    is($r->{status}, 200, $_);
    is($r->{headers}{'x-refine-serve-id'}, undef, "$_ is no serve");
}
wait_for(sub { events() == 2 }, 'two serves are stored');
is_deeply([ map { $_->{itemIds} } events() ], [['a'], ['b']]);



=== TEST 3: an unknown catalog
--- http_config
    refine shop;
--- config
    location = /t { return 204; }
--- must_die
--- error_log
unknown catalog "shop" in "refine", known: none, there is no refine_catalog



=== TEST 4: the module loaded and not used
--- http_config
--- config
    location = /t { return 200 "[$refine_serve_id$refine_outcome]"; }
--- request
GET /t
--- response_body chomp
[]
