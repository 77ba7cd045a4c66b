# refine_inject: pages for clients that take their time, and over HTTP/2.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;
use Http2;
use IO::Compress::Gzip 'gzip';
use IO::Uncompress::Gunzip 'gunzip';
use Time::HiRes qw(sleep time);

our $id = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
our $script = '<script src="/r?x" async data-collect="/c"></script>';
our $head = '<!doctype html><html><head><title>x</title>';
our $body = '</head><body><ul data-refine-serve><li data-refine-item="a">'
            . '<li data-refine-item="b"></ul>';

# text that gzip makes little of, for its window is 32 KB

srand 20261128;
our $text = join '', map { sprintf '%x', int rand 2**32 } 1 .. 10_000;


sub page {
    my ($name, $body, @headers) = @_;

    return reply($name, $body, 'Content-Type' => 'text/html', @headers);
}


# the page without its serve ids, and these

sub plain {
    my ($body) = @_;

    my @ids;
    $body =~ s/ data-refine-serve-id="($id)"/push @ids, $1; ''/ge;
    return ($body, @ids);
}


sub slow_client {
    return IO::Socket::UNIX->new(
               Peer => "$Test::Nginx::Util::ServRoot/slow.sock");
}


# Waits until nginx does nothing more, for the client does not read; returns how
# much of a page the upstream could send until then.

sub stalled {
    my ($name) = @_;

    my $file = Upstream::scratch() . "/up/$name.sent";
    my $read = sub {
        open my $in, '<', $_[0] or return '0';
        return <$in> // '0';
    };
    my ($sent, $last, $since) = (0, '', time);

    for (my $end = time + 20;
         time < $end && (!$sent || time < $since + 0.7);
         sleep 0.05)
    {
        $sent = $read->($file);
        my $now = join ' ', $sent,
            (split ' ', $read->('/proc/' . nginx_pid() . '/stat'))[13, 14];
        ($last, $since) = ($now, time) if $now ne $last;
    }

    return $sent;
}

run_tests();

__DATA__

=== TEST 1: over HTTP/2, byte by byte what it is over HTTP/1.1
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/h2.sock http2;
        refine_inject on script=/r?x collect=/c;
        location /s/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; }
        location /gzip/ {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
            gzip on;
            gzip_min_length 1;
        }
        location /off/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; refine_inject off; }
    }
--- config
    refine_inject on script=/r?x collect=/c;
    location /s/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $rest = $text x 30;
my $whole = $head . $script . $body . $rest;
page('p', $head . $body . $rest);
page('small', $head . $body);
my ($by1) = main::plain(get('/s/p')->{body});
ok($by1 eq $whole, 'HTTP/1.1');
my @ids;
my $same = sub {
    my ($page, $wanted, $how) = @_;
    my ($got, @in) = main::plain($page->{body} // '');
    is($page->{status}, 200, $how);
    ok($got eq $wanted, "$how: the page");
    is(scalar @in, 1, "$how: its serve");
    push @ids, @in;
};
for my $window (1000, 65535, 10_000_000) {
    my ($page) = h2_take(h2_open(h2_client(), $window, ['GET', '/s/p']));
    $same->($page, $by1, "a window of $window");
}
my ($page) = h2_take(h2_open(h2_client(), 1, ['GET', '/s/small?step=7']));
$same->($page, $head . $script . $body, 'a window of one byte');
$same->($_, $by1, 'one of five streams')
    for h2_take(h2_open(h2_client(), 5000, map { ['GET', "/s/p?x=$_"] } 1 .. 5));
($page) = h2_take(h2_open(h2_client(), 3000,
    ['GET', '/gzip/p', undef, 'accept-encoding' => 'gzip']));
ok(length $page->{body} < length $whole, 'compressed');
gunzip(\$page->{body}, \my $inflated);
$same->({ %$page, body => $inflated }, $by1, 'in gzip');
is(keys %{ { map { $_ => 1 } @ids } }, 10, 'ten serves');
wait_for(sub { my %seen = map { $_->{serveId} => $_ } events();
               10 == grep { "@{ $seen{$_}{itemIds} // [] }" eq 'a b' } @ids },
         'all are logged');
for my $how (['/off/p', 1], ['/s/p', 0]) {
    my ($page) = h2_take(h2_open(h2_client(), 1000, ['HEAD', $how->[0]]));
    is($page->{status}, 200, 'HEAD');
    ok($page->{ended}, 'ends');
    is($page->{body}, '', 'without a body');
    is(grep({ $_ == 28 } @{ $page->{names} }), $how->[1],
       "$how->[0]: content-length");
}
counts('pages:injected', 11, 'HEAD is no page');



=== TEST 2: a client that does not read holds back the upstream, at bounded memory
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/slow.sock sndbuf=16k;
        refine_inject on script=/r?x collect=/c;
        location /unbuffered/ {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
            proxy_buffering off;
        }
        location /buffered/ {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
            proxy_max_temp_file_size 0;
        }
    }
    server {
        listen unix:$TEST_NGINX_SERVROOT/h2.sock http2;
        refine_inject on script=/r?x collect=/c;
        location / {
            proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
            proxy_max_temp_file_size 0;
        }
    }
--- config
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $rest = $text x 60;
my $whole = $head . $script . $body . $rest;
page('p', $head . $body . $rest);
gzip(\"$head$body$rest", \my $packed, -Level => 1);
page('z', $packed, 'Content-Encoding' => 'gzip');
my $even = $head . $body . '<p>text</p>' x 1_000_000;
gzip(\$even, \my $tiny);
page('e', $tiny, 'Content-Encoding' => 'gzip');
my $before = Upstream::peak();
my $held = sub {
    my ($path, $from, $wanted) = @_;
    my ($name) = $path =~ /(\w)$/;
    unlink Upstream::scratch() . "/up/$name.sent";
    my $socket = main::slow_client();
    print {$socket} "GET $path?step=65536&count=1 HTTP/1.0\r\nHost: x\r\n\r\n";
    $socket->flush;
    my $data = '';
    sysread $socket, $data, 20;
    my $sent = main::stalled($name);
    cmp_ok($sent, '>', 0, "$path: the upstream has begun");
    cmp_ok($sent, '<', $from / 2, "$path: the upstream is held back") if $from;
    1 while sysread $socket, $data, 65536, length $data;
    my ($got, @ids) = main::plain($data =~ s/.*?\r\n\r\n//sr);
    ok($got eq $wanted, "$path: the page");
    is(scalar @ids, 1, "$path: its serve");
};
for my $how ('unbuffered', 'buffered') {
    $held->("/$how/p", length $whole, $whole);
    $held->("/$how/z", length $packed, $whole);
    $held->("/$how/e", 0, $even =~ s/(?=<\/head>)/$script/r);
}
unlink Upstream::scratch() . '/up/p.sent';
my $c = h2_open(h2_client(), 3000, ['GET', '/p?step=65536&count=1']);
my ($page) = h2_take($c, 'hold');
is(length $page->{body}, 3000, 'HTTP/2: no more than the window');
cmp_ok(main::stalled('p'), '<', length($whole) / 2, 'HTTP/2: the upstream is held back');
h2_release($c);
($page) = h2_take($c);
is((main::plain($page->{body}))[0] eq $whole, 1, 'HTTP/2: the page');
grown($before, 4000);
