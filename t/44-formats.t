# Tests for refine_status: which format is sent, and errors in it.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

our %TYPE = (json => 'application/json',
             prometheus => 'text/plain; version=0.0.4; charset=utf-8',
             html => 'text/html; charset=utf-8');

# what an answer is by its type, and whether its body is that, too

sub format_of {
    my ($r) = @_;

    my ($format) = grep { $TYPE{$_} eq $r->{headers}{'content-type'} }
        CORE::keys %TYPE;
    my $first = substr $r->{body}, 0, 1;
    return 'none' if !defined $format;
    return $format if $r->{status} == 200
        && $first eq { json => '{', prometheus => '#', html => '<' }->{$format};
    return $format if $r->{status} != 200;
    return "a body that is not $format";
}

run_tests();

__DATA__

=== TEST 1: what is asked for, by the argument or Accept
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /j { refine_status json; }
    location = /p { refine_status any prometheus; }
    location = /h { refine_status html any; }
--- request
GET /s
--- check
my $browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,'
              . 'image/avif,*/*;q=0.8';
my $scraper = 'application/openmetrics-text;version=1.0.0,'
              . 'application/openmetrics-text;version=0.0.1;q=0.75,'
              . 'text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
for (
    ['/s', undef, 'json'],
    ['/j', undef, 'json'],
    ['/p', undef, 'prometheus'],
    ['/h', undef, 'html'],
    ['/s', '*/*', 'json'],
    ['/p', '*/*', 'prometheus'],
    ['/h', '*/*', 'html'],
    ['/s', '', 'json'],
    ['/p', 'broken', 'prometheus'],
    ['/s', 'application/json', 'json'],
    ['/h', 'application/json', 'json'],
    ['/s', 'text/plain', 'prometheus'],
    ['/s', 'text/*', 'prometheus'],
    ['/h', 'text/*', 'html'],
    ['/s', 'text/html;q=0.3, text/plain;q=0.2', 'html'],
    ['/s', 'application/json;q=0, */*;q=0.1', 'prometheus'],
    ['/h', 'text/plain, text/html, application/json', 'html'],
    ['/s', $browser, 'html'],
    ['/p', $browser, 'html'],
    ['/s', $scraper, 'prometheus'],
    ['/h', $scraper, 'prometheus'],
    ['/s', ['text/html;q=0.5', 'text/plain'], 'prometheus'],
    ['/s?format=json', $browser, 'json'],
    ['/s?format=html', 'application/json', 'html'],
    ['/s?format=prometheus', 'image/png', 'prometheus'],
    ['/p?a=b&format=json&c', undef, 'json'],
    ['/p?formats=json&xformat=html&a=format', undef, 'prometheus']
) {
    my ($path, $accept, $format) = @$_;
    my $r = get($path, defined $accept ? (Accept => $accept) : ());
    is($r->{status}, 200);
    is(format_of($r), $format, "$path " . ($accept // 'without Accept'));
    like($r->{headers}{vary}, qr/^Accept\b(?!-)/);
    is($r->{headers}{'cache-control'},
       $format eq 'html' ? 'no-cache' : 'no-store');
    is($r->{headers}{'x-content-type-options'}, 'nosniff');
}



=== TEST 2: errors come in the format that was asked for
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status; }
    location = /p { refine_status prometheus; }
    location = /h { refine_status html; }
--- request
GET /s
--- check
my %text = (json => sub { decode_json($_[0])->{error} },
            prometheus => sub { $_[0] =~ /\A([^<{]+)\n\z/ && $1 },
            html => sub { $_[0] =~ /<p>(.*)<\/p>/ && $1 });
my $far = 'only answered on loopback and unix sockets';
my $proxy = 'not answered through a proxy '
            . '(X-Forwarded-For, Forwarded or Via)';
my $method = 'the method must be GET or HEAD';
my $unknown = 'format must be json, prometheus or html';
my $nothing = 'Accept must allow application/json, text/plain or text/html';
for (
    ['GET', '/s?format=xml', {}, 400, 'json', $unknown],
    ['GET', '/p?format=', {}, 400, 'prometheus', $unknown],
    ['GET', '/p?format', {}, 400, 'prometheus', $unknown],
    ['GET', '/h?format=JSON', {}, 400, 'html', $unknown],
    ['GET', '/s?format=%3Cb%3E', { Accept => 'text/html' }, 400, 'html',
     $unknown],
    ['GET', '/s?format=json&format=json', {}, 400, 'json',
     'format is given more than once'],
    ['GET', '/s', { Accept => 'image/png' }, 406, 'json', $nothing],
    ['GET', '/p', { Accept => 'application/openmetrics-text' }, 406,
     'prometheus', $nothing],
    ['GET', '/h', { Accept => '*/*;q=0' }, 406, 'html', $nothing],
    ['GET', '/s', { Accept => 'text/plain;version=1.0.0' }, 406, 'json',
     $nothing],
    ['GET', '/s', { Via => '1.1 x' }, 403, 'json', $proxy],
    ['GET', '/s', { Via => '1.1 x', Accept => 'text/html' }, 403, 'html',
     $proxy],
    ['GET', '/p', { Via => '1.1 x' }, 403, 'prometheus', $proxy],
    ['GET', '/s?format=xml', { Via => '1.1 x' }, 403, 'json', $proxy],
    ['POST', '/s', {}, 405, 'json', $method],
    ['POST', '/p', {}, 405, 'prometheus', $method],
    ['PUT', '/s?format=html', {}, 405, 'html', $method],
    ['DELETE', '/s?format=xml', {}, 405, 'json', $method]
) {
    my ($request, $path, $headers, $status, $format, $error) = @$_;
    my $r = request($request, $path, 'a body', %$headers);
    is($r->{status}, $status, "$request $path");
    is(format_of($r), $format);
    is($text{$format}->($r->{body}), $error);
    is($r->{headers}{'cache-control'}, 'no-store');
    is($r->{headers}{allow}, $status == 405 ? 'GET, HEAD' : undef);
}
my $r = request('HEAD', '/p?format=xml');
is($r->{status}, 400, 'HEAD');
is($r->{body}, '');



=== TEST 3: nginx's own charset and gzip leave it right
--- http_extra
    charset koi8-r;
    gzip on; gzip_types text/plain; gzip_min_length 1;
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status prometheus; }
--- request
GET /s
--- response_headers
Content-Type: text/plain; version=0.0.4; charset=utf-8
--- check
my $r = get('/s', 'Accept-Encoding' => 'gzip');
is($r->{headers}{'content-encoding'}, 'gzip');
is($r->{headers}{'content-type'}, $TYPE{prometheus});



=== TEST 4: a format given twice
--- config
    location = /s { refine_status json json; }
--- must_die
--- error_log
invalid parameter "json" of refine_status, it must be one of "json", "prometheus" and "html", "any", or "control=", each once



=== TEST 5: two formats
--- config
    location = /s { refine_status html prometheus; }
--- must_die
--- error_log
invalid parameter "prometheus" of refine_status, it must be one of



=== TEST 6: any given twice
--- config
    location = /s { refine_status any any; }
--- must_die
--- error_log
invalid parameter "any" of refine_status, it must be one of



=== TEST 7: limit_except keeps the format
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status html; limit_except GET { deny all; } }
--- request
GET /s
--- response_headers
Content-Type: text/html; charset=utf-8
