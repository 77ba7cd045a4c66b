# format= of refine_serve: the documented shapes of the responses of search
# products, on data of our own.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

# The serve of a response, in one piece and byte by byte; it passes unchanged.

sub shape {
    my ($place, $text, $items, $total, $query) = @_;

    $text =~ s/\n\s*//g;
    reply('x', $text);

    for my $args ('', '&step=1') {
        my $r = get("/$place/x?q=asked$args");
        is($r->{body}, $text, 'unchanged');
        my $e = serve($r);
        is_deeply($e->{itemIds}, $items, "$place: items");
        is($e->{totalResults}, $total, "$place: total");
        is($e->{query}, $query, "$place: query");
    }

    return;
}


# a response that is no search, although its status is 200

sub no_search {
    my ($place, $text) = @_;

    reply('x', $text);
    my $r = get("/$place/x?q=asked");
    is($r->{body}, $text, 'unchanged');
    skipped('not_search', ++$Upstream::expected{catalog()}{not_search});
    return;
}

run_tests();

__DATA__

=== TEST 1: Algolia: a search, and several queries at once
--- catalog
    flush_interval 1h;
--- config
    location /algolia/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=algolia;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
shape('algolia', '{
    "hits":[
        {"name":"Oak table","price":249,"objectID":"tbl-1",
         "_highlightResult":{"name":{"value":"Oak <em>table</em>","matchLevel":"full"}}},
        {"objectID":"tbl-2","name":"Side table","hits":[{"objectID":"no"}]}],
    "nbHits":42,"page":0,"nbPages":3,"hitsPerPage":20,"exhaustiveNbHits":true,
    "query":"table","params":"query=table","queryID":"0123456789abcdef0123456789abcdef",
    "processingTimeMS":1}', ['tbl-1', 'tbl-2'], 42, 'table');

# as the disjunctive faceting of a page asks: the first is the list

shape('algolia', '{"results":[
    {"hits":[{"objectID":"a"},{"objectID":"b"}],"nbHits":2,"page":0,"query":"sofa","index":"p"},
    {"hits":[{"objectID":"c"}],"nbHits":900,"query":"","index":"p","facets":{"brand":{"x":1}}},
    {"facetHits":[{"value":"x","count":1}],"exhaustiveFacetsCount":true}]}',
    ['a', 'b'], 2, 'sofa');
shape('algolia', '{"hits":[],"nbHits":0,"query":"nothing"}', [], 0, 'nothing');
shape('algolia', '{"results":[{"hits":[],"nbHits":0,"query":""}]}', [], 0, undef);
no_search('algolia', $_)
    for '{"message":"Invalid Application-ID or API key","status":403}',
        '{"results":[]}', '{"facetHits":[{"value":"x","count":1}]}', '[]', '{}';



=== TEST 2: Elasticsearch and OpenSearch
--- catalog
    flush_interval 1h;
--- config
    location /elasticsearch/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=elasticsearch;
    }
    location /opensearch/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=opensearch;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
for my $place ('elasticsearch', 'opensearch') {
    shape($place, '{"took":5,"timed_out":false,
        "_shards":{"total":1,"successful":1,"skipped":0,"failed":0},
        "hits":{"total":{"value":20,"relation":"eq"},"max_score":1.38,"hits":[
            {"_index":"p","_id":"sku-1","_score":1.38,"_source":{"_id":"no","name":"Lamp"}},
            {"_index":"p","_id":"sku-2","_score":1.1,"_source":{"hits":{"hits":[{"_id":"no"}]}},
             "inner_hits":{"v":{"hits":{"total":{"value":1},"hits":[{"_id":"no"}]}}}}]},
        "aggregations":{"brands":{"buckets":[{"key":"a","doc_count":2,"hits":{"total":9}}]}}}',
        ['sku-1', 'sku-2'], 20, 'asked');

    # before 7.0 and with rest_total_hits_as_int a number; with
    # track_total_hits=false it is not there

    shape($place, '{"took":1,"hits":{"total":7,"max_score":null,"hits":[{"_id":"1"}]}}',
          ['1'], 7, 'asked');
    shape($place, '{"took":1,"hits":{"max_score":null,"hits":[{"_id":"1"}]}}',
          ['1'], undef, 'asked');
    shape($place, '{"took":1,"hits":{"total":{"value":0,"relation":"eq"},"max_score":null,"hits":[]}}',
          [], 0, 'asked');

    # size 0 with filter_path: there are no hits, but a total

    shape($place, '{"hits":{"total":{"value":3}}}', [], 3, 'asked');

    # _msearch

    shape($place, '{"took":9,"responses":[
        {"took":4,"timed_out":false,"hits":{"total":{"value":2,"relation":"gte"},"max_score":1,
            "hits":[{"_index":"p","_id":"a"},{"_index":"p","_id":"b"}]},"status":200},
        {"took":4,"hits":{"total":{"value":8,"relation":"eq"},"hits":[{"_id":"c"}]},"status":200}]}',
        ['a', 'b'], 2, 'asked');

    # errors with status 200 are no empty results

    my $error = '{"root_cause":[{"type":"index_not_found_exception",'
                . '"reason":"no such index [p]","index":"p"}],"type":"index_not_found_exception"}';
    no_search($place, $_)
        for qq({"error":$error,"status":404}),
            qq({"took":1,"responses":[{"error":$error,"status":404}]}),
            qq({"responses":[{"error":$error,"status":404},{"hits":{"total":1,"hits":[{"_id":"x"}]}}]}),
            '{"took":0,"responses":[]}', '{"count":5}', '{"hits":null}',
            '{"hits":{"hits":null}}', '{"hits":[]}';
}

# what shards could not answer is still a page that somebody sees

shape('elasticsearch', '{"timed_out":true,"_shards":{"total":2,"successful":1,"failed":1,
    "failures":[{"shard":0,"reason":{"type":"x"}}]},"hits":{"total":{"value":1},"hits":[{"_id":"a"}]}}',
    ['a'], 1, 'asked');
is(scalar(grep { !@{ $_->{itemIds} } } events()), 8, 'no more empty serves');



=== TEST 3: Shopify's predictive search
--- catalog
    flush_interval 1h;
--- config
    location /shopify/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=shopify;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
shape('shopify', '{"resources":{"results":{
    "queries":[{"text":"boots","styled_text":"boots","url":"/search?q=boots"}],
    "collections":[{"id":1,"title":"Boots","handle":"boots"}],
    "products":[
        {"available":true,"handle":"hiker","id":6786188247105,"price":"99.00","title":"Hiker",
         "variants":[{"id":1}],"featured_image":{"id":2,"alt":null}},
        {"id":6786188247106,"title":"Walker"}],
    "pages":[{"id":3}],"articles":[]}}}', ['6786188247105', '6786188247106'], undef, 'asked');
shape('shopify', '{"resources":{"results":{"queries":[],"products":[]}}}', [], undef, 'asked');
no_search('shopify', $_)
    for '{"status":422,"message":"Invalid parameter error","description":"x"}',
        '{"resources":{"results":{"queries":[{"text":"boots"}]}}}';



=== TEST 4: Typesense: a search, groups, several searches, a union
--- catalog
    flush_interval 1h;
--- config
    location /typesense/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=typesense;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
shape('typesense', '{"facet_counts":[],"found":31,"hits":[
        {"document":{"id":"124","name":"Mug","hits":[{"document":{"id":"no"}}]},
         "highlights":[{"field":"name","snippet":"<mark>Mug</mark>"}],"text_match":130916},
        {"document":{"id":"125"},"text_match":130915}],
    "out_of":1200,"page":1,"request_params":{"collection_name":"p","per_page":10,"q":"mug"},
    "search_cutoff":false,"search_time_ms":2}', ['124', '125'], 31, 'mug');
shape('typesense', '{"found":2,"found_docs":5,"grouped_hits":[
        {"found":3,"group_key":["acme"],"hits":[{"document":{"id":"1"}},{"document":{"id":"2"}}]},
        {"found":2,"group_key":["best"],"hits":[{"document":{"id":"3"}}]}],
    "request_params":{"q":"cup"}}', ['1', '2', '3'], 2, 'cup');
shape('typesense', '{"results":[
    {"found":1,"hits":[{"document":{"id":"s1"}}],"request_params":{"q":"shoe","collection_name":"p"}},
    {"found":10,"hits":[{"document":{"id":"brand"}}],"request_params":{"q":"shoe","collection_name":"b"}}]}',
    ['s1'], 1, 'shoe');
shape('typesense', '{"results":[{"found":1,"grouped_hits":[{"group_key":["a"],
    "hits":[{"document":{"id":"g1"}}]}],"request_params":{"q":"x"}}]}', ['g1'], 1, 'x');
shape('typesense', '{"found":2,"hits":[{"collection":"p","document":{"id":"u1"},"search_index":0},
    {"collection":"b","document":{"id":"u2"},"search_index":1}],
    "union_request_params":[{"collection":"p","q":"both"},{"collection":"b","q":"two"}]}',
    ['u1', 'u2'], 2, 'both');
shape('typesense', '{"found":0,"hits":[],"request_params":{"q":"z"}}', [], 0, 'z');
no_search('typesense', $_)
    for '{"message":"Not found."}',
        '{"results":[{"code":404,"error":"Not found."},{"found":1,"hits":[{"document":{"id":"1"}}]}]}';



=== TEST 5: Meilisearch: a search, several searches, a federated one
--- catalog
    flush_interval 1h;
--- config
    location /meilisearch/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=meilisearch;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
shape('meilisearch', '{"hits":[{"id":25684,"title":"Chair","_formatted":{"id":"no"}},{"id":"c-2"}],
    "offset":0,"limit":20,"estimatedTotalHits":976,"processingTimeMs":1,"query":"chair"}',
    ['25684', 'c-2'], 976, 'chair');
shape('meilisearch', '{"hits":[{"id":1}],"query":"desk","processingTimeMs":0,"hitsPerPage":1,
    "page":1,"totalPages":4,"totalHits":4}', ['1'], 4, 'desk');
shape('meilisearch', '{"results":[
    {"indexUid":"p","hits":[{"id":"a"},{"id":"b"}],"query":"pen","limit":20,"offset":0,"estimatedTotalHits":2},
    {"indexUid":"b","hits":[{"id":"brand"}],"query":"pen","page":1,"totalHits":1}]}',
    ['a', 'b'], 2, 'pen');
shape('meilisearch', '{"results":[{"indexUid":"p","hits":[],"query":"pen","page":1,"totalHits":0}]}',
    [], 0, 'pen');
shape('meilisearch', '{"hits":[{"id":"f1","_federation":{"indexUid":"p","queriesPosition":0,
        "weightedRankingScore":0.9}},{"id":"f2","_federation":{"indexUid":"b","queriesPosition":1}}],
    "processingTimeMs":0,"limit":20,"offset":0,"estimatedTotalHits":2}',
    ['f1', 'f2'], 2, undef);
no_search('meilisearch', $_)
    for '{"message":"Index `p` not found.","code":"index_not_found","type":"invalid_request"}',
        '{"results":[]}';



=== TEST 6: each value of a format can be overridden, and the type's stay
--- catalog
    flush_interval 1h;
--- config
    location /a/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=algolia items=json:hits[].sku query=$arg_q
                     total= surface=category_page source=plp
                     offset=json:offset metadata.page=json:page;
    }
    location /b/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve items surface=home_page source=curated
                     items=json:results[].hits[].id query= format=meilisearch;
    }
    location /c/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve recommendations items=json:[].id format=elasticsearch;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
reply('x', '{"hits":[{"objectID":"no","sku":"yes"}],"nbHits":3,"query":"no","page":2,"offset":40}');
my $e = serve(get('/a/x?q=mine'));
is_deeply($e->{itemIds}, ['yes']);
is($e->{query}, 'mine');
is($e->{totalResults}, undef);
is($e->{surface}, 'category_page');
is($e->{source}, 'plp');
is_deeply($e->{metadata}, { offset => 40, page => 2 });
no_search('a', '{"nbHits":3}');

reply('x', '{"results":[{"hits":[{"id":"a"}],"totalHits":1,"query":"no"},{"hits":[{"id":"b"}]}]}');
$e = serve(get('/b/x'));
is_deeply($e->{itemIds}, ['a', 'b'], 'all searches, if that is wanted');
is($e->{surface}, 'home_page');
is($e->{query}, undef);
is($e->{totalResults}, 1);
no_search('b', '{"error":"x"}');

# a list without a name is there whenever the response is JSON

reply('x', '[{"id":1},{"id":2}]');
$e = serve(get('/c/x?productId=p7'));
is_deeply($e->{itemIds}, ['1', '2']);
is($e->{surface}, 'product_page');
is_deeply($e->{metadata}, { anchorId => 'p7' });



=== TEST 7: large lists
--- catalog
    flush_interval 1h;
--- config
    location /elasticsearch/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search format=elasticsearch;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $hits = join ',', map { '{"_index":"p","_source":{"name":"' . 'n' x 200 . qq("},"_id":"sku-$_"})} 1 .. 1100;
reply('x', '{"took":3,"hits":{"total":{"value":1100},"hits":[' . $hits . ']}}');
my $e = serve(get('/elasticsearch/x'));
is_deeply($e->{itemIds}, [map { "sku-$_" } 1 .. 1000]);
is($e->{totalResults}, 1100);
is_deeply($e->{metadata}, { truncated => JSON::PP::true });
