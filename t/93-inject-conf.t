# What "nginx -t" says about refine_inject, and where its URIs come from.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

# the script element of a page, without its version

sub element {
    my ($path) = @_;

    my ($element) = get($path)->{body} =~ /(<script.*?<\/script>)/;
    return ($element // '') =~ s/\?v=[0-9a-f]{8}"/"/r;
}

run_tests();

__DATA__

=== TEST 1: the URIs are those of the server, also nested, trusted is for servers
--- http_extra
    refine_inject on;
    server {
        listen unix:$TEST_NGINX_SCRATCH/second.sock;
        location / { default_type text/html; return 200 '<!doctype html><head></head>'; }
        location = /trusted { refine_collect trusted; }
        location /x/ {
            location = /x/c2 { refine_collect click; }
            location = /x/r2.js { refine_script; }
        }
    }
--- config
    location /page { default_type text/html; return 200 '<!doctype html><head></head>'; }
    location /second { proxy_pass http://unix:$TEST_NGINX_SCRATCH/second.sock; refine_inject off; }
    location /own { default_type text/html; return 200 '<!doctype html><head></head>';
                    refine_inject on collect=/mine; }
    location /none { default_type text/html; return 200 '<!doctype html><head></head>';
                     refine off; }
    location /prefix { refine_script; }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
--- request
GET /page
--- check
is(element('/page'), '<script src="/r.js" async data-collect="/c"></script>');
is(element('/second'), '<script src="/x/r2.js" async data-collect="/x/c2"></script>');
is(element('/own'), '<script src="/r.js" async data-collect="/mine"></script>');
is(element('/none'), '', 'no catalog');



=== TEST 2: no script
--- config
    refine_inject on;
    location = /c { refine_collect; }
    location /r.js { refine_script; }
--- must_die
--- error_log
"refine_inject" needs "script=URI", or "location = URI { refine_script; }" in the server in



=== TEST 3: no endpoint for browsers
--- config
    location /x { refine_inject on; }
    location = /c { refine_collect trusted; }
    location = /r.js { refine_script; }
--- must_die
--- error_log
"refine_inject" needs "collect=URI", or "location = URI { refine_collect; }" in the server in



=== TEST 4: no catalog
--- config
    refine off;
    location /x { refine_inject on script=/r collect=/c; }
--- must_die
--- error_log
"refine_inject" in location "/x" needs a catalog



=== TEST 5: neither on nor off
--- config
    refine_inject yes;
--- must_die
--- error_log
invalid value "yes" in "refine_inject", allowed: on, or off alone



=== TEST 6: off with a parameter
--- config
    refine_inject off script=/r.js;
--- must_die
--- error_log
invalid value "off" in "refine_inject", allowed: on, or off alone



=== TEST 7: an unknown parameter
--- config
    refine_inject on path=/r.js;
--- must_die
--- error_log
unknown parameter "path=/r.js" of "refine_inject", allowed: script=, collect=, nonce= and if=



=== TEST 8: a parameter twice
--- config
    refine_inject on script=/a script=/b;
--- must_die
--- error_log
duplicate parameter "script=/b" of "refine_inject"



=== TEST 9: no URI
--- config
    refine_inject on script=javascript:x;
--- must_die
--- error_log
invalid URI "javascript:x" in "refine_inject", allowed: /PATH, http:// or https://, without blanks



=== TEST 10: a URI with a blank
--- config
    refine_inject on "script=/a b";
--- must_die
--- error_log
invalid URI "/a b" in "refine_inject"



=== TEST 11: a nonce that is always the same
--- config
    refine_inject on nonce=abc;
--- must_die
--- error_log
invalid value "abc" of "nonce=" in "refine_inject", allowed: text with a variable



=== TEST 12: an empty condition
--- config
    refine_inject on if=;
--- must_die
--- error_log
invalid value "" of "if=" in "refine_inject"



=== TEST 13: twice
--- config
    refine_inject on;
    refine_inject off;
--- must_die
--- error_log
"refine_inject" directive is duplicate
