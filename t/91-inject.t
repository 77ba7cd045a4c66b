# refine_inject: the script and the serve ids in a page, and what is logged of it.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;
use IO::Compress::Gzip 'gzip';
use IO::Uncompress::Gunzip 'gunzip';

our $id = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;

# what goes into the head

sub script {
    my ($version) = get('/r.js')->{headers}{etag} =~ /^"([0-9a-f]{8})"$/;
    return qq(<script src="/r.js?v=$version" async data-collect="/c"></script>);
}


# what the upstream answers is a page

sub page {
    my ($name, $body, @headers) = @_;

    return reply($name, $body, (@headers % 2 ? shift @headers : ()),
                 (grep { $_ eq 'Content-Type' } @headers)
                 ? () : ('Content-Type' => 'text/html'), @headers);
}


# the serve ids of the containers in a page, in order; they are taken out of it

sub ids {
    my ($response) = @_;

    my @ids;
    $response->{body} =~ s/ data-refine-serve-id="($id)"/push @ids, $1; ''/ge;
    return @ids;
}


# the event of a serve

sub event {
    my ($serve) = @_;

    return wait_for(sub { (grep { $_->{serveId} eq $serve } events($serve))[0] },
                    'it is logged') || {};
}

run_tests();

__DATA__

=== TEST 1: the script goes in before </head>, containers become serves
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_inject on;
    }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $head = '<!DOCTYPE html><html><head><title></head></title>';
my $body = '</head><body><ul data-refine-serve data-refine-surface="home_page"'
           . ' data-refine-source="visitor-recs"><li data-refine-item="a">A</li>'
           . '<li data-refine-item=\'b&amp;c\'>B</li></ul>'
           . '<DIV DATA-REFINE-SERVE><p data-refine-item=d></DIV>'
           . '<p data-refine-item="outside"></body></html>';
page('p', $head . $body, ETag => '"x"', 'Last-Modified' => 'Thu, 01 Jan 2026 00:00:00 GMT',
     'Accept-Ranges' => 'bytes');
my $r = get('/s/p');
is($r->{status}, 200);
my @ids = ids($r);
is(scalar @ids, 2, 'two containers');
is($r->{body}, $head . script() . $body, 'nothing else is changed');
is($r->{headers}{'content-length'}, undef);
is($r->{headers}{'last-modified'}, undef);
is($r->{headers}{'accept-ranges'}, undef);
is($r->{headers}{etag}, 'W/"x"', 'weakened');
is($r->{headers}{'x-refine-serve-id'}, undef, 'the page is no serve');
is($r->{headers}{'set-cookie'}, undef);
my $e = event($ids[0]);
is($e->{type}, 'items_served');
is($e->{eventId}, $ids[0]);
is($e->{surface}, 'home_page');
is($e->{source}, 'visitor-recs');
is_deeply($e->{itemIds}, ['a', 'b&c']);
is($e->{totalResults}, undef);
$e = event($ids[1]);
is($e->{surface}, 'curated');
is($e->{source}, 'curated');
is_deeply($e->{itemIds}, ['d']);
is(scalar events(), 2);
wait_for(sub { counted('serves:logged') == 2 && counted('pages:injected') == 1 },
         'counted');



=== TEST 2: the page's own serve
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_serve search;
        refine_inject on;
    }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
page('p', '<html><head></head><body><i data-refine-item=1></i>'
          . '<div data-refine-serve data-refine-source=x><i data-refine-item=2></i></div>'
          . '<i data-refine-item=3></i>');
my $r = get('/s/p?q=red+shoes');
my ($in) = ids($r);
my $own = $r->{headers}{'x-refine-serve-id'};
like($own, qr/^$id$/);
is($r->{body}, '<html><head><meta name="refine-serve-id" content="' . $own . '">'
   . script() . '</head><body><i data-refine-item=1></i>'
   . '<div data-refine-serve data-refine-source=x><i data-refine-item=2></i></div>'
   . '<i data-refine-item=3></i>');
my $e = serve($r);
is_deeply($e->{itemIds}, ['1', '3']);
is($e->{surface}, 'search_results');
is($e->{source}, 'text-search');
is($e->{query}, 'red shoes');
$e = event($in);
is_deeply($e->{itemIds}, ['2']);
is($e->{surface}, 'search_results', "the page's");
is($e->{source}, 'x');
is($e->{query}, undef);
reply('j', '{"results":[{"productId":"a"}]}');
$e = serve(get('/s/j?q=x'));
is_deeply($e->{itemIds}, ['a'], 'JSON is logged as ever');



=== TEST 3: however it comes: byte by byte, from a file, unbuffered, in gzip
--- catalog
    flush_interval 1h;
--- config
    refine_inject on;
    location /buffered/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; }
    location /unbuffered/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
    }
    location /small/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        proxy_buffer_size 1k;
        postpone_output 1;
    }
    location /file/ {
        alias $TEST_NGINX_SCRATCH/files/;
        types { text/html html; }
        sendfile on;
    }
    location /again/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        gzip on;
        gzip_min_length 1;
    }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $head = '<!doctype html><html><head><title>x</title>';
my $body = '</head><body>' . '<!-- ' . 'x' x 5000 . ' -->'
           . '<ul data-refine-serve><li data-refine-item="a">'
           . '<li data-refine-item="b"></ul>' . '<p>text</p>' x 200 . '</body></html>';
my $text = $head . script() . $body;
mkdir scratch() . '/files';
open my $out, '>:raw', scratch() . '/files/f.html';
print $out $head . $body;
close $out;
page('p', $head . $body);
gzip(\"$head$body", \my $packed);
page('z', $packed, 'Content-Encoding' => 'gzip');
my $same = sub {
    my ($r, $how) = @_;
    my ($in) = ids($r);
    is($r->{body}, $text, $how);
    is_deeply(event($in)->{itemIds}, ['a', 'b']);
};
for my $how ('buffered', 'unbuffered', 'small') {
    $same->(get("/$how/p?step=$_"), "$how, $_") for 1, 7, 1000, 100000;
    my $r = get("/$how/z?step=11");
    is($r->{headers}{'content-encoding'}, undef, 'inflated');
    $same->($r, "$how, gzip");
}
$same->(get('/file/f.html'), 'a file');
my $r = get('/again/z', 'Accept-Encoding' => 'gzip');
is($r->{headers}{'content-encoding'}, 'gzip', 'compressed again');
gunzip(\$r->{body}, \my $plain);
$same->({ body => $plain }, 'inflated by the client');



=== TEST 4: what passes unchanged, and what is counted of it
--- catalog
    flush_interval 1h;
--- config
    refine_inject on if=$arg_on;
    location /s/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; proxy_intercept_errors off; }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $body = '<!doctype html><head></head><ul data-refine-serve><li data-refine-item=a></ul>';
my $passes = sub {
    my ($name, $how, @query) = @_;
    my $r = get("/s/$name?" . join('&', @query));
    is($r->{body}, $body, "$how: the page");
    is($r->{headers}{etag}, '"x"', "$how: its tag");
    is($r->{headers}{'content-length'}, length $body);
    return $r;
};
page('p', $body, ETag => '"x"');
$passes->('p', 'if= is 0', 'on=0');
$passes->('p', 'if= is empty');
page('e', $body, ETag => '"x"', 'Content-Encoding' => 'br');
is($passes->('e', 'another encoding', 'on=1')->{headers}{'content-encoding'}, 'br');
page('n', $body, ETag => '"x"', 'Cache-Control' => 'private, no-transform');
$passes->('n', 'no-transform', 'on=1');
page('404', $body, '404 Not Found', ETag => '"x"');
is($passes->('404', 'an error', 'on=1')->{status}, 404);
page('x', $body, ETag => '"x"', 'Content-Type' => 'application/xhtml+xml');
$passes->('x', 'another type', 'on=1');
wait_for(sub { counted('pages:condition') == 2 && counted('pages:encoding') == 1
               && counted('pages:no_transform') == 1 }, 'counted');
my $r = request('HEAD', '/s/p?on=1');
is($r->{headers}{'content-length'}, undef, 'HEAD says what GET would');
is($r->{headers}{etag}, 'W/"x"');
counts('pages:injected', 0);
is(scalar events(), 0, 'no serve');
page('bad', 'no gzip at all', 'Content-Encoding' => 'gzip');
$r = get('/s/bad?on=1');
unlike($r->{body} // '', qr/no gzip/);
wait_for(sub { counted('pages:not_gzip') == 1 }, 'broken gzip is counted');
page('none', '', 'Content-Encoding' => 'gzip');
$r = get('/s/none?on=1') || {};
is($r->{status}, 200, 'no text at all');
is($r->{body}, '');
counts('pages:not_gzip', 1);



=== TEST 5: pages that many get have the script and no ids
--- catalog
    flush_interval 1h;
--- config
    refine_inject on;
    location /s/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; refine_serve search; }
    location /c/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; refine_serve search cacheable=on; }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $head = '<!doctype html><head>';
my $body = '</head><ul data-refine-serve><li data-refine-item=a></ul>';
page('p', $head . $body, 'Cache-Control' => 'public, max-age=60');
my $r = get('/s/p');
is($r->{body}, $head . script() . $body, 'the script, no meta');
is($r->{headers}{'x-refine-serve-id'}, undef);
skipped('cacheable', 1);
is(scalar events(), 0);
$r = get('/c/p');
is(scalar ids($r), 1, 'cacheable=on');
is_deeply(serve($r)->{itemIds}, []);
page('p', $head . $body);
$r = get('/s/p', Cookie => 'refine_consent=denied');
is($r->{body}, $head . script() . $body, 'denied: no ids');
skipped('consent', 1);



=== TEST 6: by a proxy in between nothing is done twice
--- catalog
    flush_interval 1h;
--- config
    location /inner/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM:/;
        refine_serve search;
        refine_inject on;
    }
    location /outer/ {
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/inner/;
        refine_serve search;
        refine_inject on;
    }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
page('p', '<!doctype html><head></head><i data-refine-item=1></i>'
          . '<ul data-refine-serve><li data-refine-item=a></ul>');
my $r = get('/outer/p');
is(() = $r->{body} =~ /<script/g, 1, 'one script');
is(() = $r->{body} =~ /<meta/g, 1, 'one meta');
my ($in) = ids($r);
is_deeply(event($in)->{itemIds}, ['a']);
is_deeply(serve($r)->{itemIds}, ['1'], 'the same id in the header');
is(scalar events(), 2, 'each serve once');
for my $page ('<!doctype html><head><title>x</title><body><p>', '<!doctype html><p>text',
              '<html>text', '<title>x</title><div>', '<!doctype html><frameset>') {
    page('p', $page);
    is(() = get('/outer/p')->{body} =~ /<script/g, 1, "one script: $page");
}



=== TEST 7: a page put together by SSI, sub_filter and addition
--- catalog
    flush_interval 1h;
--- config
    refine_inject on;
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        ssi on;
        sub_filter MARK 'data-refine-serve';
        add_after_body /tail;
    }
    location /part/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; }
    location = /tail { default_type text/html; return 200 '<li data-refine-item="c">'; }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
page('part', '<li data-refine-item="b">');
page('p', '<!doctype html><head></head><ul MARK><li data-refine-item="a">'
          . '<!--# include virtual="/part/part" -->');
my $r = get('/s/p');
my ($in) = ids($r);
is($r->{body}, '<!doctype html><head>' . script() . '</head><ul data-refine-serve>'
   . '<li data-refine-item="a"><li data-refine-item="b"><li data-refine-item="c">');
is_deeply(event($in)->{itemIds}, [qw(a b c)]);
is(scalar events(), 1);



=== TEST 8: a nonce, other URIs
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_inject on nonce=$arg_n script=https://cdn.example/r.js?x=1&y=2 collect=/other;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
page('p', '<!doctype html><head></head>');
my $script = '<script src="https://cdn.example/r.js?x=1&amp;y=2" async data-collect="/other"';
is(get('/s/p?n=abc%22')->{body},
   qq(<!doctype html><head>$script nonce="abc%22"></script></head>));
is(get('/s/p?n="><x')->{body},
   qq(<!doctype html><head>$script nonce="&quot;&gt;&lt;x"></script></head>));
is(get('/s/p')->{body}, qq(<!doctype html><head>$script></script></head>),
   'no nonce where there is none');



=== TEST 9: where consent is required the script is told to wait for it
--- catalog
    flush_interval 1h;
    require_consent on;
--- http_extra
    refine_catalog other {
        organization_id org_1; catalog_id other; api_key k;
        endpoint http://127.0.0.1:1/; queue redis://unix:$TEST_NGINX_REDIS;
        require_consent on; consent $http_x_consent; spool off;
    }
--- config
    refine_inject on;
    location /s/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; }
    location /other/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; refine other; }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
page('p', '<!doctype html><head></head>');
my $script = script() =~ s/"></" data-require-consent></r;
is(get('/s/p')->{body}, "<!doctype html><head>$script</head>");
is(get('/other/p')->{body}, '<!doctype html><head>' . script() . '</head>',
   'what it is read from is not known to the browser');



=== TEST 10: internal redirects, error pages, not modified
--- catalog
    flush_interval 1h;
--- config
    refine_inject on;
    location /s/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; }
    location /kept/ { internal; alias $TEST_NGINX_SCRATCH/kept/; types { text/html html; } }
    location /served/ { alias $TEST_NGINX_SCRATCH/kept/; types { text/html html; } }
    location /try/ { try_files /nothing /served/f.html; }
    location /error { error_page 500 =200 /served/f.html; return 500; }
    location /lost { error_page 404 /served/f.html; return 404; }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $page = '<!doctype html><head></head><ul data-refine-serve><li data-refine-item="a"></ul>';
mkdir scratch() . '/kept';
open my $out, '>:raw', scratch() . '/kept/f.html';
print $out $page;
close $out;
my $text = $page =~ s/<head>\K/script()/er;
page('x', 'hidden', 'X-Accel-Redirect' => '/kept/f.html');
for my $path ('/s/x', '/try/', '/error') {
    my $r = get($path);
    is($r->{status}, 200, $path);
    my @ids = ids($r);
    is(scalar @ids, 1, "$path: one serve");
    is($r->{body}, $text, "$path: the page");
    is_deeply(event($ids[0])->{itemIds}, ['a']);
}
my $r = get('/lost');
is($r->{status}, 404);
is($r->{body}, $page, 'a page that says that there is none is no serve');
my $tag = get('/served/f.html')->{headers}{etag};
like($tag, qr/^W\//);
$r = get('/served/f.html', 'If-None-Match' => $tag);
is($r->{status}, 304);
is($r->{body}, '');
wait_for(sub { counted('pages:injected') >= 4 }, 'counted');
is(scalar events(), 4);
counts('pages:injected', 4, 'and nothing of what was not modified');
