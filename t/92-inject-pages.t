# refine_inject and pages that are hostile, broken or random: nothing changes but
# what goes in, however the page comes.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;

our $script = '<script src="/r" async data-collect="/c"></script>';


sub page {
    my ($name, $body, @headers) = @_;

    return reply($name, $body, 'Content-Type' => 'text/html', @headers);
}


# the page without what was put into it, and how many ids there were

sub plain {
    my ($body) = @_;

    $body =~ s/\Q$script\E//;
    my $n = $body =~ s/(?:"")? data-refine-serve-id="[0-9a-f-]{36}"\/?(?=>)//g;
    return ($body, $n || 0);
}

run_tests();

__DATA__

=== TEST 1: hostile and broken pages
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_buffering off;
        refine_inject on script=/r?x collect=/c;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
$script = '<script src="/r?x" async data-collect="/c"></script>';
my $c = '<div data-refine-serve';
my @pages = (
    ['<html></head>' . "$c data-refine-surface='\"><script>alert(1)</script>'>", 1, 1],
    ['<html></head>' . "$c data-refine-source=\"" . 'x' x 1_000_000 . '">', 1, 1],
    ["<html></head>$c>" . '<i data-refine-item="' . '<' x 1_000_000 . '">', 1, 1],
    ["<html></head>$c>" . '<i data-refine-item="a' . "\0" . 'b">', 1, 1],
    ["<html></head>\0$c>\0</div>", 1, 1],
    ["<html></head>$c", 0, 1],
    ["<html></head>$c data-refine-item='", 0, 1],
    ['<html><!-- </head>' . "$c>", 0, 0],
    ['<html><script></head>' . "$c>", 0, 0],
    ['<html><head><script>"</head>"</script></head>', 0, 1],
    ['<html><title></head>', 0, 0],
    ['<html><body><textarea></head>' . "$c></textarea>$c>", 1, 1],
    ['<html><body>' . '<div>' x 100_000 . "$c>", 1, 1],
    ['<html><body>' . "$c>" x 1000, 16, 1],
    ['<html><body>' . "$c></div>" x 1000, 100, 1],
    ["<html><body a='" . 'x' x 100_000, 0, 1],
    ['<!doctype html><frameset><frame></frameset>', 0, 1],
    ["\xef\xbb\xbf<html><head></head>", 0, 1],
    ["\xff\xfe<\0h\0t\0m\0l\0>\0", 0, 0],
    ['<p>a part</p>' . "$c></div>", 1, 0],
    ['<', 0, 0],
    [' ' x 100_000, 0, 0],
);
for my $page (@pages) {
    my ($text, $ids, $head) = @$page;
    my $what = substr($text, 0, 40) =~ s/[^ -~]/?/gr;
    page('p', $text);
    my $r = get('/s/p');
    my ($body, $n) = plain($r->{body});
    ok($body eq $text, "unchanged: $what");
    is($n, $ids, 'ids');
    is(() = $r->{body} =~ /\Q$script\E/g, $head, 'scripts');
}
page('p', '');
is(get('/s/p')->{body}, '', 'empty');
wait_for(sub { counted('serves:logged') == 124 }, 'the serves');
for my $e (events()) {
    next if !defined $e->{itemIds}[0];
    is_deeply($e->{itemIds}, ["a\x{fffd}b"], 'NUL');
}
is_deeply([map { $_->{surface} } grep { $_->{surface} ne 'curated' } events()],
          ['"><script>alert(1)</script>'], 'a surface is text');



=== TEST 2: random tag soup: the same for all ways it may come
--- catalog
    flush_interval 1h;
--- config
    refine_inject on script=/r?x collect=/c;
    location /buffered/   { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; }
    location /unbuffered/ { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; proxy_buffering off;
                            proxy_buffer_size 1k; postpone_output 1; }
    location /off/        { proxy_pass http://unix:$TEST_NGINX_UPSTREAM; refine_inject off; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
$script = '<script src="/r?x" async data-collect="/c"></script>';
my @pieces = ('<', '>', '/', '=', '"', "'", '<!--', '-->', '<![CDATA[', ']]>', ' ', "\n", 'text',
              '<div>', '</div>', '<div data-refine-serve>', '<ul data-refine-serve',
              ' data-refine-surface="s"', ' data-refine-item=', '<li data-refine-item="1">',
              '</ul>', '<script>', '</script>', '<title>', '</title>', '<svg>', '</svg>',
              '<template>', '</template>', '<html>', '<head>', '</head>', '</head', '<body>',
              '<!doctype html>', '&', "\0", "\xff", 'x' x 3000);
my $seed = 20261128;
my $next = sub { $seed = ($seed * 1103515245 + 12345) % 2**31; ($seed >> 8) % $_[0] };
my $bad = 0;
for my $n (1 .. 60) {
    my $text = join '', map { $pieces[$next->(scalar @pieces)] } 1 .. $next->(40);
    page('p', $text);
    my @seen = map { get($_)->{body} =~ s/[0-9a-f-]{36}/ID/gr }
               '/buffered/p', '/unbuffered/p?step=1', '/unbuffered/p?step=7';
    my ($body) = plain(get('/buffered/p')->{body});
    next if $body eq $text && $seen[0] eq $seen[1] && $seen[0] eq $seen[2]
            && get('/off/p')->{body} eq $text;
    $bad++;
    diag("page $n: " . substr($text, 0, 300));
}
is($bad, 0, 'each comes as it went in, and alike');
