# What comes in small pieces, or in pieces of others: refine_inject.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Upstream;
use Compress::Raw::Zlib;

our $id = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;

# gzip in chunks of HTTP, each of which says something by itself

sub chunks {
    my (@texts) = @_;

    my ($gz) = Compress::Raw::Zlib::Deflate->new(-WindowBits => WANT_GZIP);
    my $body = '';

    for my $text (@texts) {
        my ($piece, $rest) = ('', '');
        $gz->deflate($text, $piece);
        $gz->flush($rest, Z_SYNC_FLUSH);
        $piece .= $rest;
        $body .= sprintf("%x\r\n%s\r\n", length $piece, $piece);
    }

    $gz->flush(my $end, Z_FINISH);
    return $body . sprintf("%x\r\n%s\r\n0\r\n\r\n", length $end, $end);
}

run_tests();

__DATA__

=== TEST 1: a page of gzip in small pieces, each of which comes alone
--- catalog
    flush_interval 1h;
--- config
    send_timeout 3s;
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        proxy_http_version 1.1;
        refine_inject on;
    }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my @texts = ('<!doctype html><html><head></head><body>', map { "<p>$_</p>" } 1 .. 12);
my $body = chunks(@texts, '</body></html>');
reply('p', $body, 'Content-Type' => 'text/html', 'Content-Encoding' => 'gzip',
      'Transfer-Encoding' => 'chunked');
my $r = get('/s/p?step=25&delay=20');
is($r->{status}, 200);
$r->{body} =~ s{<script .*?</script>}{};
is($r->{body}, join('', @texts, '</body></html>'), 'it comes whole');



=== TEST 2: of a part of a page all is held back
--- catalog
    flush_interval 1h;
--- config
    location /s/ {
        proxy_pass http://unix:$TEST_NGINX_UPSTREAM;
        refine_inject on;
        ssi on;
    }
    location /part/ { alias $TEST_NGINX_SCRATCH/parts/; }
    location = /r.js { refine_script; }
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mkdir scratch() . '/parts';
open my $out, '>:raw', scratch() . '/parts/f';
print $out '</he';
close $out;
reply('p', '<!doctype html><head><!--#include virtual="/part/f" -->ad><p>text',
      'Content-Type' => 'text/html');
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
print $socket "GET /s/p HTTP/1.0\r\nHost: localhost\r\n\r\n";
like(join('', <$socket>), qr{<head><script [^>]*></script></head><p>text\z}, 'it comes whole');
