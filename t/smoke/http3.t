# Over HTTP/3: collecting, serves, pages and the status.  For "make smoke", for it
# needs nginx 1.25 and a curl that speaks HTTP/3, which Debian has since trixie.

use lib 't/lib';
use Test::Nginx::Socket;
use IO::Compress::Gzip 'gzip';
use IO::Socket::INET;
use JSON::PP;
use Refine;
use Upstream;
use Certificate;

my $nginx = $ENV{TEST_NGINX_BINARY} || 'nginx';
`$nginx -V 2>&1` =~ /with-http_v3_module/
    or plan(skip_all => 'nginx is built without HTTP/3');
plan('no_plan');

certificate('self', '', 'DNS:shop.test');

$ENV{TEST_NGINX_CERTS} = scratch();
$ENV{TEST_NGINX_HTTP3_PORT} = our $port
    = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'udp')->sockport;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

# The answers of one connection to requests one after another, or all at once
# with "parallel": each is a path, a body or undef, and options of curl.

sub http3 {
    my (@requests) = @_;

    my $parallel = $requests[0] eq 'parallel' && shift @requests;
    my $file = scratch() . '/curl';

    open my $out, '>', $file or die "$file: $!";
    print {$out} join "next\n", map {
        my ($path, $body, @options) = @{ $requests[$_] };

        if (defined $body) {
            open my $in, '>:raw', "$file.$_.in" or die "$file: $!";
            print {$in} $body;
            close $in;
            push @options, qq(data-binary = "\@$file.$_.in");
        }

        join '', map { "$_\n" } qq(url = "https://shop.test:$port$path"),
            qq(connect-to = "shop.test:$port:127.0.0.1:$port"), 'http3-only',
            qq(cacert = "$ENV{TEST_NGINX_CERTS}/self.crt"), 'silent',
            qq(dump-header = "$file.$_.head"), qq(output = "$file.$_.body"),
            (grep { /^max-time/ } @options) ? () : 'max-time = 30', @options;
    } 0 .. $#requests;
    close $out;

    my @command = ('curl', $parallel ? ('--parallel', '--parallel-immediate') : (),
                   '-K', $file);
    system("@command > $file.log 2>&1");

    return map {
        my ($head, $body) = map { slurp("$file.$_") } "$_.head", "$_.body";
        unlink glob "$file.$_.*";
        my ($status) = $head =~ m{\AHTTP/3 (\d+)};
        my %headers;
        push @{ $headers{lc $1} }, $2 while $head =~ /^([\w-]+): (.*?)\r?$/mg;
        { status => $status // 0, headers => \%headers, body => $body };
    } 0 .. $#requests;
}

sub slurp {
    my ($name) = @_;

    open my $in, '<:raw', $name or return '';
    local $/;
    return scalar <$in> // '';
}

our $CONFIG = <<'END';
    listen 127.0.0.1:$TEST_NGINX_HTTP3_PORT quic;
    server_name shop.test;
    ssl_certificate $TEST_NGINX_CERTS/self.crt;
    ssl_certificate_key $TEST_NGINX_CERTS/self.key;
    location = /c { refine_collect pixel; client_max_body_size 256k; client_body_buffer_size 4k; }
    location = /own { refine_collect trusted; }
    location = /orders { refine_collect trusted=any; }
    location = /search {
        default_type application/json;
        refine_serve search query=$arg_q;
        return 200 '{"results":[{"productId":"a"},{"productId":"b"}],"totalResults":2}';
    }
    location /kept/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM:/;
        refine_serve recommendations id=json:serveId;
    }
    location /unbuffered/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM:/;
        proxy_buffering off;
        refine_serve recommendations id=json:serveId;
    }
    location /page/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM:/;
        proxy_buffer_size 4k;
        proxy_buffers 4 4k;
        proxy_busy_buffers_size 4k;
        refine_inject on;
    }
    location = /r.js { refine_script; }
    location = /status { refine_status; }
    location = /any { refine_status any; }
    location = /control { refine_control; }
    location = /t { return 204; }
END

worker_connections(512);
run_tests();

__DATA__

=== TEST 1: a click, an array, gzip, chunks in a file, an image
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my ($r) = http3(['/c', $::CLICK, 'header = "User-Agent: h3"']);
is($r->{status}, 204, 'stored');
is($r->{body}, '');
is_deeply($r->{headers}{'cache-control'}, ['no-store']);
is(scalar @{ $r->{headers}{'set-cookie'} }, 2, 'visitor and session');
like($_, qr/^refine_[vs]id=\w+;.*; Secure/, 'secure') for @{ $r->{headers}{'set-cookie'} };
my ($e) = events();
is($e->{type}, 'click');
is_deeply([@{ $e->{context} }{'userAgent', 'ip'}], ['h3', '127.0.0.0'], 'who it was');

my $many = '[' . join(',', ($::CLICK) x 100) . ']';
my $long = '[' . join(',', map { $::CLICK =~ s/\}/',"page":"https:\/\/shop.test\/' . 'x' x 900 . '"}'/er } 1 .. 100) . ']';
gzip(\$long => \my $packed) or die;
my @cookies = map { s/;.*//r } @{ $r->{headers}{'set-cookie'} };
my $cookies = 'header = "Cookie: ' . join('; ', @cookies) . '"';
my @r = http3(['/c', $many, $cookies], ['/c', $long, $cookies],
              ['/c', $packed, 'header = "Content-Encoding: gzip"', $cookies],
              ['/c', $long, 'header = "Transfer-Encoding: chunked"', $cookies],
              ['/c?e=' . $::CLICK =~ s/(\W)/sprintf '%%%02X', ord $1/ger, undef, $cookies]);
is_deeply([map { $_->{status} } @r], [204, 204, 204, 204, 200], 'over one connection') or diag(explain(\@r));
like($r[4]{body}, qr/^GIF89a/, 'an image');
my @events = events();
is(scalar @events, 402, 'all are stored');
is(scalar(grep { $_->{visitorId} eq $e->{visitorId} } @events), 402, 'of one visitor');
is(scalar(grep { ($_->{page} // '') eq 'https://shop.test/' . 'x' x 900 } @events), 300,
   'as they were sent');



=== TEST 2: what is refused
--- catalog
    flush_interval 1h;
    allow_origin https://*.other.test;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my @r = http3(['/c', 'x' x 300_000], ['/c', '{"type":'], ['/c', '{"type":"x"}'], ['/c', undef],
              ['/c', $::CLICK, 'header = "Origin: https://evil.test"'],
              ['/c', $::CLICK, 'header = "Origin: https://shop.test"'],
              ['/c', $::CLICK, 'header = "Origin: https://a.other.test"'],
              ['/c', undef, 'request = "OPTIONS"', 'header = "Origin: https://a.other.test"',
               'header = "Access-Control-Request-Method: POST"'],
              ['/own', $::CLICK, 'header = "X-Refine-Control: 1"', 'header = "Host: localhost"'],
              ['/orders', $::CLICK]);

# curl may not see the answer: sending fails when nginx does not want the rest
like(shift(@r)->{status}, qr/^(413|0)$/);
is_deeply([map { $_->{status} } @r], [400, 400, 400, 403, 204, 204, 204, 403, 204]);
is_deeply($r[$_]{headers}{'access-control-allow-origin'}, ['https://a.other.test'], 'CORS') for 5, 6;
is(scalar events(), 3, 'only the good ones');



=== TEST 3: a serve, the status, control
--- catalog
    flush_interval 100ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my @r = http3(['/search?q=shoe'], ['/any'], ['/status', undef, 'header = "Host: localhost"'],
              ['/control?action=flush', '', 'header = "Host: localhost"',
               'header = "X-Refine-Control: 1"']);
is_deeply([map { $_->{status} } @r], [200, 200, 403, 403], 'a serve; QUIC is not local') or return;
my ($id) = @{ $r[0]{headers}{'x-refine-serve-id'} // [] };
ok($id, 'a serve id') or return;
wait_for(sub { mock() }, 'delivered');
is_deeply([map { @$_{'serveId', 'query', 'itemIds'} } map { @{ $_->{body}{events} } } mock()],
          [$id, 'shoe', ['a', 'b']], 'its event');



=== TEST 4: many streams at once, while Redis stands still, and clients that leave
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my ($r) = http3(['/c', $::CLICK]);
is($r->{status}, 204);
redis_pause();
my @r = http3('parallel', map { ['/c', $::CLICK, 'max-time = 3'] } 1 .. 20);
is(scalar(grep { $_->{status} } @r), 0, 'none is answered before it is stored');
redis_resume();
wait_for(sub { events() + (stats()->{'rejected:aborted'} // 0) == 21 },
         'they were stored all the same, or counted');
my $stored = () = events();
@r = http3('parallel', map { ['/c', $::CLICK] } 1 .. 50);
is(scalar(grep { $_->{status} == 204 } @r), 50, 'and others are answered');
is(scalar events(), $stored + 50);



=== TEST 5: pages are those of HTTP/1.1, byte for byte
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my $body = '<html><head><title>a page</title></head><body>'
    . join('', map { qq(<ul data-refine-serve><li data-refine-item="i$_">)
                     . qq($_<p>) . join(' ', 1 .. 900) . '</ul>' } 1 .. 60)
    . '</body></html>';
reply('page', $body, 'Content-Type' => 'text/html', ETag => '"x"');
gzip(\$body => \my $packed) or die;
reply('packed', $packed, 'Content-Type' => 'text/html', 'Content-Encoding' => 'gzip');

my $ids = qr/ data-refine-serve-id="([0-9a-f-]{36})"/;
my %head = map { $_ => 1 } qw(content-type etag content-encoding x-refine-serve-id vary);
my $seen = 0;

for my $name ('page', 'packed') {
    my $old = get("/page/$name");
    my ($new, $slow) = http3('parallel', ["/page/$name"],
                             ["/page/$name", undef, 'limit-rate = 400k']);
    my @want = $old->{body} =~ /$ids/g;
    is(scalar @want, 60, "$name over HTTP/1.1");
    (my $page = $old->{body}) =~ s/$ids//g;
    is($page =~ s{<script src="/r\.js[^>]*></script>}{}r, $body, 'is the page');

    $seen += 180;
    wait_for(sub { events() == $seen }, 'all three are logged');

    for my $r ($new, $slow) {
        is($r->{status}, 200);
        my %id = map { $_ => 1 } $r->{body} =~ /$ids/g;
        is(scalar keys %id, 60, "$name over HTTP/3: each container has an id");
        ok($r->{body} =~ s/$ids//gr eq $page, 'and the rest is the same');
        is_deeply({ map { $_ => "@{ $r->{headers}{$_} }" } grep { $head{$_} } keys %{ $r->{headers} } },
                  { map { $_ => $old->{headers}{$_} } grep { $head{$_} } keys %{ $old->{headers} } },
                  'as is what the header says');
        is(scalar(grep { $id{ $_->{serveId} } } events()), 60, 'each is logged once');
    }
}

my ($script) = http3(['/r.js']);
is($script->{body}, get('/r.js')->{body}, 'the script as well');



=== TEST 6: a header that waits for the id in the body
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my $body = sub {
    '{"results":[' . join(',', map { qq({"productId":"a$_","text":") . 'x' x 500 . '"}' } 1 .. 100)
    . qq(],"serveId":"$_[0]"});
};
reply('ahead', $body->('ahead'));
reply('late', $body->('late'));
reply('none', '{"results":[{"productId":"a"}]}');

my @r = http3('parallel', map { ["/$_"] } 'kept/ahead', 'unbuffered/late?step=2000&delay=2', 'kept/none');
is_deeply([map { $_->{status} } @r], [200, 200, 200]);
is_deeply([map { $_->{headers}{'x-refine-serve-id'}[0] } @r[0, 1]], ['ahead', 'late'], 'the ids');
like($r[2]{headers}{'x-refine-serve-id'}[0], qr/^[0-9a-f-]{36}$/, 'one that is made here');
is($r[$_]{body}, $body->($r[$_]{headers}{'x-refine-serve-id'}[0]), 'the body is complete') for 0, 1;
wait_for(sub { events() == 3 }, 'logged');
is_deeply([sort map { $_->{serveId} } events()],
          [sort map { @{ $_->{headers}{'x-refine-serve-id'} } } @r], 'each once');



=== TEST 7: each event reaches Refine once; a body that breaks off does not
--- catalog
    flush_interval 100ms;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
my $one = sub { $::CLICK =~ s/s1/$_[0]/r };
my $big = '[' . join(',', map { $one->("big$_\",\"page\":\"https://shop.test/" . "x" x 200) } 1 .. 100) . ']';
my ($cut) = http3(['/c', $big, 'limit-rate = 4k', 'max-time = 1']);
is($cut->{status}, 0, 'a client that leaves in the midst of its body');
my @r = http3('parallel', (map { ['/c', $one->("one$_")] } 1 .. 10), ['/c', $big =~ s/big/whole/gr]);
is_deeply([map { $_->{status} } @r], [(204) x 11]);
my %times;
wait_for(sub {
    %times = ();
    $times{ $_->{serveId} }++ for map { @{ $_->{body}{events} } } mock();
    return keys %times >= 110 && stats()->{sent} == 110;
}, 'delivered');
is_deeply(\%times, { map { $_ => 1 } (map { "one$_" } 1 .. 10),
                        map { "whole$_" } 1 .. 100 },
          'each once');
