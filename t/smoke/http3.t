# Over HTTP/3: collecting, serves and the status.  For "make smoke", for it needs
# nginx 1.25 and a curl that speaks HTTP/3, which Debian has since trixie.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use IO::Compress::Gzip 'gzip';
use IO::Socket::INET;
use JSON::PP;
use Refine;
use Certificate;

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
    listen 127.0.0.1:$TEST_NGINX_HTTP3_PORT ssl;
    server_name shop.test;
    ssl_certificate $TEST_NGINX_CERTS/self.crt;
    ssl_certificate_key $TEST_NGINX_CERTS/self.key;
    location = /c { refine_collect pixel; client_max_body_size 256k; client_body_buffer_size 4k; }
    location = /search {
        default_type application/json;
        refine_serve search query=$arg_q;
        return 200 '{"results":[{"productId":"a"},{"productId":"b"}],"totalResults":2}';
    }
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
               'header = "Access-Control-Request-Method: POST"']);
is_deeply([map { $_->{status} } @r], [413, 400, 400, 400, 403, 204, 204, 204]);
is_deeply($r[$_]{headers}{'access-control-allow-origin'}, ['https://a.other.test'], 'CORS') for 6, 7;
is(scalar events(), 2, 'only the good ones');



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
