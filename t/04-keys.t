# The key and the password: literal or from a file; shown nowhere.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Conf;

my $secret = 'sk_live_s3cret';

my $allowed = 'invalid value of "api_key" in refine_catalog "shop" (not shown), '
              . 'allowed: file:PATH, or 1 to 1024 printable ASCII characters '
              . 'except the space';

sub shows_nothing {
    my ($output) = @_;

    unlike($output, qr/s3cret/, 'the key is not shown');
}

# --- literal

block_good("api_key $secret;");
block_good('api_key ' . 'x' x 1024 . ';');
shows_nothing(block_bad("api_key '$_';", $allowed))
    for "$secret x", "$secret\tx", "s3cret\xc3\xa4", 's3cret' . 'x' x 1024;

shows_nothing(block_bad("api_key $secret $secret;",
                        'invalid number of values of "api_key" in '
                        . 'refine_catalog "shop", allowed: 1 to 1'));
shows_nothing(block_bad("api_key=$secret;", 'unknown option "api_key"'));
shows_nothing(block_bad("api_key $secret\n endpoint http://127.0.0.1;",
                        'invalid number of values of "api_key"'));
shows_nothing(block_bad("api_key $secret; api_key $secret;",
                        'duplicate option "api_key"'));

# --- from a file

for (["$secret", 'no line end'], ["$secret\n", 'LF'], ["$secret\r\n", 'CR LF'],
     ["$secret \t \n", 'blanks at the end'],
     ["$secret\nsecond line\n\n", 'only the first line counts'],
     ['x' x 1024 . "\n", 'as long as allowed'])
{
    my ($text, $name) = @$_;

    conf_good($name, block('api_key file:' . key_file($text) . ';'));
}

key_file("$secret\n");
conf_good('relative to the configuration', block('api_key file:refine.key;'));

for (["", 'empty'], ["\n", 'an empty line'], [" \r\n$secret", 'blanks only']) {
    my ($text, $name) = @$_;

    shows_nothing(conf_bad($name,
                           block('api_key file:' . key_file($text) . ';'),
                           qr/the\ first\ line\ of\ "\S+refine\.key"\ should\ be
                              \ the\ api_key,\ but\ is\ empty/x));
}

shows_nothing(conf_bad('too long',
                       block('api_key file:' . key_file('s3cret' x 200) . ';'),
                       qr/the api_key in "\S+" is too long, at most 1024 bytes /
                       ));
shows_nothing(conf_bad($_, block('api_key file:' . key_file($_) . ';'), $allowed))
    for 's3cret x', " $secret", "s3cret\0", "\xef\xbb\xbf$secret";

block_bad('api_key file:;', 'no file name for the api_key behind "file:"');
block_bad('api_key file:missing.key;',
          qr/open\(\) "\S+\/missing\.key" with the api_key failed \(2: /);
block_bad('api_key file:' . scratch() . ';',
          qr/read\(\) "\S+" with the api_key failed \(21: /);

SKIP: {
    skip 'root reads everything', 2 if $> == 0;

    conf_bad('unreadable', block('api_key file:' . key_file('k', 0) . ';'),
             qr/open\(\) "\S+" with the api_key failed \(13: /);
}

# --- readable by everyone

for my $option ('api_key', 'queue redis://127.0.0.1 password=') {
    my $what = $option =~ /^queue/ ? 'password of queue' : 'api_key';
    my $file = key_file("$secret\n", 0644);
    my $value = $option =~ /=/ ? "${option}file:$file" : "$option file:$file";

    my $output = block_good("$value;",
        qr/\[warn\]\ .*"\Q$file\E"\ with\ the\ \Q$what\E\ can\ be\ read
           \ by\ everyone,\ its\ mode\ should\ be\ 0600/x);
    shows_nothing($output);
    my @lines = $output =~ /^\d.*can be read by everyone/mg;
    is(scalar @lines, 1, 'warned once');

    chmod 0640, $file;
    block_good("$value;");
}

conf_file('live.key', "k\r\n");
$ENV{TEST_NGINX_KEY} = scratch() . '/live.key';

conf_file('other.key', "sk_live_s3cret\n");
$ENV{TEST_NGINX_OTHER_KEY} = scratch() . '/other.key';

run_tests();

__DATA__

=== TEST 1: a key from a file is sent, without the end of its line
--- http_config
    refine_catalog shop {
        organization_id  org_1;
        catalog_id       $TEST_NGINX_CATALOG;
        api_key          file:$TEST_NGINX_KEY;
        endpoint         http://unix:$TEST_NGINX_MOCK:/events;
        queue            redis://unix:$TEST_NGINX_REDIS;
        flush_interval   50ms;
    }
    refine shop;
--- config
    location = /collect { refine_collect; }
--- request
POST /collect
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
wait_for(sub { mock() }, 'delivered');
my %headers = map { lc $_ => (mock())[0]{headers}{$_} } keys %{ (mock())[0]{headers} };
is($headers{refine_api_key}, 'k');



=== TEST 2: a refused key is in no log, response or status
--- log_level: debug
--- http_config
    refine_catalog shop {
        organization_id  org_1;
        catalog_id       $TEST_NGINX_CATALOG;
        api_key          file:$TEST_NGINX_OTHER_KEY;
        endpoint         http://unix:$TEST_NGINX_MOCK:/events;
        queue            redis://unix:$TEST_NGINX_REDIS;
        flush_interval   50ms;
    }
    refine shop;
--- config
    location = /collect { refine_collect; }
    location = /status { refine_status any; }
--- request
POST /collect
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
wait_for(sub { log_lines(qr/refine: .*40[13]/) }, 'the refusal is logged');
is(scalar(() = log_lines(qr/s3cret/)), 0, 'the key is not in the log');
my $status = get('/status');
is($status->{status}, 200);
unlike($status->{body}, qr/s3cret/, 'nor in the status');
like($status->{body}, qr/"shop"/);
