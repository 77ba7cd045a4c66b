# nginx -t on the values and options of refine_serve: 02-inherit.t has the rest.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Conf;

my $shop = 'refine_catalog shop { organization_id o; catalog_id c; api_key k; endpoint http://127.0.0.1:8/; '
           . 'queue redis://unix:/none; } refine shop;';

sub serve { "$shop map \$arg_x \$ok { default 1; } server { location /x { refine_serve $_[0]; } }" }

my $sources = 'variables, json:PATH or body:PATH';
my $integer = "an integer from 0 to 9007199254740991, $sources";
my $given = 'up to 1024 bytes without control characters, JSON of up to 4096 '
            . 'bytes nested at most';
my $formats = 'algolia, elasticsearch, opensearch, shopify, typesense or meilisearch';

# --- what is right

conf_good("refine_serve $_", serve($_)) for
    'search offset=20 filters=a sort=b metadata.a=c',
    'search offset=$arg_o filters=json:f sort=body:s metadata.A-z_9=x$arg_y',
    'search offset= filters= sort= metadata.x=',
    'search offset=9007199254740991 "filters={\\"a\\":[1]}" "sort=[1]"',
    'search filters=[[[[[]]]]] metadata.x=[[[[]]]]',
    'search filters=' . 'x' x 1024,
    'search "filters={\\"a\\":\\"' . 'x' x 1100 . '\\"}"',
    'search metadata.' . 'n' x 64 . '=x',
    'search ' . join(' ', map { "metadata.m$_=x" } 1 .. 16),
    'search if=$ok', 'search if=$arg_a$arg_b', 'search if=x$arg_a',
    'search id=', 'search id=json:a.b|json:c[].d', 'recommendations id=json:x', 'recommendations id=',
    'search cacheable=on', 'search cacheable=off',
    'search items=json:a[].b|json:c[] total=json:n|json:m query=body:q|body:r',
    'search "query=json:[\\"a|b\\"]"',
    'items surface=body:s source=body:t total=body:n anchor=body:a',
    'search query=' . join('|', map { "body:q$_" } 1 .. 30),
    (map { "search format=$_" } $formats =~ /(\w+)(?:, | or |$)/g),
    'items surface=a source=b format=algolia',
    'recommendations format=typesense items=json:[].id';

# --- values

for ([offset => '-1', $integer], [offset => 'x', $integer], [offset => '1.5', $integer],
     [offset => '9007199254740992', $integer], [offset => '{}', $integer],
     [filters => "a\tb", "$given 5 deep, $sources"],
     [filters => 'x' x 1025, "$given 5 deep, $sources"],
     [filters => '[' x 6 . ']' x 6, "$given 5 deep, $sources"],
     [filters => '{"a":1,"a":2}', "$given 5 deep, $sources"],
     [sort => '[' x 6 . ']' x 6, "$given 5 deep, $sources"],
     [sort => "\x7f", "$given 5 deep, $sources"],
     ['metadata.x' => '[' x 5 . ']' x 5, "$given 4 deep, $sources"],
     ['metadata.longer-name' => "a\x01", "$given 4 deep, $sources"],
     [items => 'body:a[]', 'json:PATH'], (map { [id => $_, 'json:PATH, or nothing: an id is made here'] }
                                          'x', '$arg_id', 'body:a', '$request_id'))
{
    my ($name, $value, $allowed) = @$_;
    my $shown = length $value > 256 ? substr($value, 0, 256) . '...' : $value;

    conf_bad("$name=" . substr($value, 0, 40), serve("search '$name=$value'"),
             qq{invalid value "$shown" of "$name=" in "refine_serve", allowed: $allowed});
}

# --- selectors

for my $name ('offset', 'filters', 'sort', 'metadata.x', 'query', 'surface', 'total', 'id') {
    for my $source ('json', $name eq 'id' ? () : 'body') {
        for my $path ('', 'a..b', 'a[', 'a[x]', 'a|', 'x[]]', 'a|b', 'a|body:b|json:c', '|x',
                      'a|$arg_q') {
            conf_bad("$name=$source:$path", serve("search '$name=$source:$path'"),
                     qr/invalid selector "\Q$source:$path\E" of "\Q$name\E=" in "refine_serve": \w/);
        }
    }
}

for ('json:a[]|json:', 'json:|json:a[]', 'json:a[]|json:b..c', 'json:a[]|json:b[]|json:c[') {
    conf_bad("items=$_", serve("search 'items=$_'"),
             qr/invalid selector "\Q$_\E" of "items=" in "refine_serve": \w/);
}

for (['query', 'json', 29], ['query', 'body', 31]) {
    my ($name, $source, $n) = @$_;
    my $text = join '|', map { "$source:q$_" } 1 .. $n;

    # items and total have one each of json:

    conf_bad("$n selectors of $source", serve("search '$name=$text'"),
             qr/invalid selector "\Q$text\E" of "$name=" in "refine_serve": there are too many selectors, at most 30/);
}

conf_bad('too many lists', serve('search format=algolia items='
                                 . join '|', map { "json:a$_\[]" } 1 .. 16),
         qr/invalid selector "json:a1\[\].*" of "items=" in "refine_serve": with a format there are too many selectors/);

# --- metadata

for ('metadata.=x', 'metadata.x', 'metadata.a.b=x', 'metadata.a b=x', "metadata.\xc3\xa9=x",
     'metadata.anchorId=x', 'metadata.offset=1', 'metadata.truncated=1', 'metadata.replayOf=x',
     'metadata.' . 'n' x 65 . '=x', 'metadata.$arg_x=y')
{
    conf_bad($_, serve("search '$_'"),
             qq{invalid parameter "$_" of "refine_serve", allowed: metadata.NAME= with a name }
             . 'of 1 to 64 of A-Z a-z 0-9 _ - that is not anchorId (anchor=), offset (offset=), '
             . 'truncated or replayOf');
}

conf_bad('17 members', serve('search ' . join(' ', map { "metadata.m$_=x" } 1 .. 17)),
         'too many members of metadata in "refine_serve" with "metadata.m17=x", allowed: 16');

# --- options

for ('', 'Algolia', 'elastic', 'solr', 'algolia,typesense') {
    conf_bad("format=$_", serve("search 'format=$_'"),
             qq{unknown format "$_" in "refine_serve", allowed: $formats});
}

for ('', 'On', '1', 'true', '$ok') {
    conf_bad("cacheable=$_", serve("search 'cacheable=$_'"),
             qq{invalid value "$_" of "cacheable=" in "refine_serve", allowed: on or off});
}

for ('', '1', '0', 'ok', 'arg_x') {
    conf_bad("if=$_", serve("search 'if=$_'"),
             qq{invalid value "$_" of "if=" in "refine_serve", allowed: text with a variable; }
             . 'empty or "0" is false');
}

conf_bad("$_ of an unknown variable", serve("search '$_=\$no_such'"),
         'unknown "no_such" variable')
    for 'if', 'offset', 'filters', 'sort', 'metadata.x';

# --- duplicates, also of what is empty

for ('offset=1', 'id=json:x', 'id=', 'filters=x', 'sort=x', 'metadata.x=y', 'if=$ok', 'cacheable=on',
     'format=algolia', 'max_length=1')
{
    conf_bad("$_ twice", serve("search $_ $_"),
             qq{duplicate parameter "$_" of "refine_serve"});
}

conf_bad('metadata twice with another value', serve('search metadata.x= metadata.x=y'),
         'duplicate parameter "metadata.x=y" of "refine_serve"');

# --- what a format does not have is still required

conf_bad('items without a surface', serve('items format=algolia'),
         qr/"refine_serve items" needs "surface=", allowed: /);

run_tests();

__DATA__

=== TEST 1: nginx starts with everything at once
--- config
    location /x {
        proxy_pass http://unix:/none;
        refine_serve search format=typesense offset=$arg_o filters=body:f
                     sort=json:s|json:t metadata.a=$arg_a metadata.b=body:b
                     if=$arg_q cacheable=on max_length=1m;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
