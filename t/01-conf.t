# refine_catalog: every option with what it may say and what it may not; each
# message quotes the value and says what is allowed.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Certificate;
use Conf;

sub invalid {
    my ($option, $value, $allowed) = @_;

    $value = shown($value);
    return qq{invalid value "$value" of "$option" in refine_catalog "shop", }
           . "allowed: $allowed";
}

# --- numbers and times: [option, bounds in words, good values, bad values]

my @ranges = (
    ['batch_size', '1 to 10000', [1, 500, 10000],
     [0, 10001, -1, '1k', '5.0', 'x', '99999999999999999999']],
    ['max_in_flight', '1 to 256', [1, 256], [0, 257]],
    ['rate_share', '1% to 100%', ['1%', '100%'],
     ['0%', '101%', '50', '%', '-1%', '5.5%', '50%%', 'half']],
    ['max_queue_size', '1 to 1000000000', [1, 1000000000], [0, 1000000001]],
    ['max_queue_bytes', '64k to 1024g', ['64k', '65536', '1G', '1024g'],
     ['63k', '1025g', '1t', '0', '-1m', '1.5g', '']],
    ['max_retries', '1 to 100', [1, 100], [0, 101]],
    ['retry_window', '1s to 400d', ['1s', '400d'], ['999ms', '401d', 0, 'off']],
    ['dead_letters', '1 to 100000000', [1, 100000000],
     [0, 100000001, 'off']],
    ['queue_timeout', '10ms to 60s', ['10ms', '1m'], ['9ms', '61s', 0, '2x']],
    ['flush_interval', '10ms to 1h', ['10ms', '1h'], ['9ms', '3601s', '']],
    ['claim_timeout', '1s to 1d', ['1s', '1d'], ['999ms', '86401s']],
    ['session_timeout', '1s to 400d', ['1', '400d'], [0, '401d', '10ms']],
    ['connect_timeout', '10ms to 10m', ['10ms', '10m'], ['9ms', '601s']],
    ['send_timeout', '10ms to 10m', ['10ms', '10m'], ['9ms', '601s']],
    ['read_timeout', '10ms to 10m', ['10ms', '10m'], ['9ms', '601s']],
    ['delivery_timeout', '10ms to 10m', ['10ms', '10m'], ['9ms', '601s']],
);

for (@ranges) {
    my ($option, $allowed, $good, $bad) = @$_;

    block_good("$option $_;") for @$good;

    for (@$bad) {
        block_bad("$option '$_';",
                  $_ eq '' ? qq{empty value of "$option" in refine_catalog }
                             . '"shop"'
                           : invalid($option, $_, $allowed));
    }
}

# --- flags and words

for my $option ('enabled', 'require_consent', 'anonymize_ip', 'ssl_verify') {
    block_good("$option on;");
    block_good("$option off;");
    block_bad("$option yes;", invalid($option, 'yes', 'on or off'));
}

block_good("cookie_secure $_;") for 'on', 'off', 'auto';
block_bad('cookie_secure 1;', invalid('cookie_secure', 1, 'on, off or auto'));

# --- ids

my $chars = '1 to 128 printable ASCII characters except the space, ", \, { and }';

for my $option ('organization_id', 'catalog_id') {
    my $long = 'x' x 128;

    block_good("$option $long;");
    block_good("$option a-b_c.d:e/f;");
    block_bad("$option $_;", invalid($option, $_, $chars))
        for "${long}x", $long x 10;
    block_bad("$option $_->[0];", invalid($option, $_->[1], $chars))
        for ["'a b'", 'a b'], ["'a\"b'", 'a"b'], ["'a{b'", 'a{b'],
            ["'a}b'", 'a}b'], ["'a\\\\b'", 'a\b'], ["a\xc3\xa4", "a\xc3\xa4"],
            ["'a\tb'", "a\tb"];
}

# --- the endpoint

my $forms = 'https://host[:port][/uri], http://host[:port][/uri] or '
            . 'http://unix:PATH[:/uri], without user and fragment';

block_good("endpoint $_;") for
    'http://127.0.0.1', 'HTTP://127.0.0.1:8080/', 'http://[::1]:80/x?y=z',
    'https://127.0.0.1/events', 'http://unix:/tmp/x.sock',
    'http://unix:/tmp/x.sock:/events', 'http://localhost:80/e';

block_bad("endpoint '$_';", invalid('endpoint', $_, $forms)) for
    'events', '/events', '//h/e', '://h/e', 'http:/h/e', 'ftp://127.0.0.1/',
    'httpss://127.0.0.1/', 'http://', 'http:///events', 'http://:80/',
    'http://127.0.0.1?a=b', 'http://127.0.0.1/a#b', 'http://127.0.0.1#b',
    'http://127.0.0.1/a b', "http://127.0.0.1/\xc3\xa4", 'http://$host/',
    'http://unix:', 'http://unix:x.sock', 'http://unix:/tmp/x.sock:events',
    'https://unix:/tmp/x.sock:/events';

block_bad('endpoint http://me:s3cret@127.0.0.1/;',
          invalid('endpoint', 'http://***@127.0.0.1/', $forms));

block_bad('endpoint http://127.0.0.1:0/;', 'invalid port in "127.0.0.1:0"');
block_bad('endpoint http://127.0.0.1:65536/;', 'invalid port in');
block_bad('endpoint http://127.0.0.1:x/;', 'invalid port in');

like(conf_bad('a bad port far from the end of http',
              block('endpoint http://127.0.0.1:0/;') . "\n" x 20,
              'invalid port'),
     qr/test\.conf:1[0-9]\n/, 'the line of the option is named');

block_good('endpoint http://refine.invalid/;',
           qr/\[warn\].*"refine\.invalid:80".* in \S+test\.conf:\d+/);

# --- TLS

block_good('ssl_name api.example.com; endpoint https://127.0.0.1/;');
block_bad("ssl_trusted_certificate missing.pem; endpoint https://127.0.0.1/;",
          qr/missing\.pem"? ?.*failed/);

# --- the queue

$forms = 'redis://[user:password@]host[:port][/db], the same with rediss:// or '
         . 'redis://[user:password@]unix:PATH[:/db], with user and password '
         . 'percent-encoded and db from 0 to 2147483647';

block_good("queue $_;") for
    'redis://127.0.0.1', 'REDIS://127.0.0.1:6380/', 'redis://127.0.0.1/15',
    'redis://[::1]:6379/2147483647', 'redis://unix:/tmp/r.sock',
    'redis://unix:/tmp/r.sock:/3', 'redis://:pw@127.0.0.1',
    'redis://user:p%40%2Fw@unix:/tmp/r@x.sock', 'redis://u:p@w@127.0.0.1',
    'redis://127.0.0.1 prefix=shop:a', 'rediss://127.0.0.1',
    'REDISS://me:pw@[::1]:6380/2 name=redis.example prefix=x',
    'rediss://127.0.0.1 name=::1', 'rediss://127.0.0.1 name=10.0.0.1';

block_bad("queue '$_';", invalid('queue', $_, $forms)) for
    '127.0.0.1:6379', 'redis:127.0.0.1', 'redis://', 'redis:///1',
    'redis://:6379', 'http://127.0.0.1', 'redis://127.0.0.1/x',
    'redis://127.0.0.1/-1', 'redis://127.0.0.1/2147483648',
    'redis://127.0.0.1/1/2', 'redis://127.0.0.1/1?x', 'redis://127.0.0.1?x=1',
    'redis://unix:', 'redis://unix:r.sock', 'redis://unix:/tmp/r:1',
    'rediss://unix:/tmp/r.sock', 'redissx://127.0.0.1', 'redi://127.0.0.1',
    'rediss://127.0.0.1/x', 'rediss://';

block_bad('queue redis://127.0.0.1:99999;', 'invalid port in "127.0.0.1:99999"');

for ('redis+sentinel://', 'redis+cluster://', 'rediss+sentinel://',
     'rediss+cluster://')
{
    block_bad("queue ${_}me:s3cret\@127.0.0.1;",
              qq{"queue" "$_***\@127.0.0.1" in refine_catalog "shop": $_ is not }
              . "supported by this version, allowed: $forms");
}

for ('redis://u:s3cret/x@127.0.0.1/', 'redis://u:s3cret%@127.0.0.1',
     'redis://u:s3cret%4@127.0.0.1', 'redis://u:s3cret%zz@127.0.0.1',
     'redis://u:s3cret@127.0.0.1/x', 'redis://u:s3cret@', 'u:s3cret@127.0.0.1',
     'redis://u:s3cret@127.0.0.1:1:2', 'rediss://u:s3cret@127.0.0.1/x')
{
    my $output = block_bad("queue $_;", qr/127\.0\.0\.1|\*\*\*/);
    unlike($output, qr/s3cret/, "$_: the password is not shown");
}

block_bad('queue redis://@127.0.0.1;',
          invalid('queue', 'redis://***@127.0.0.1', $forms));
block_bad('queue redis://me@127.0.0.1;',
          '"queue" in refine_catalog "shop" has the user "me" but no password');

my $prefix = '1 to 64 printable ASCII characters except the space, ", \, { '
             . 'and }';

block_bad("queue redis://127.0.0.1 '$_';",
          invalid('queue', $_, "prefix= with $prefix"))
    for 'prefix=', 'prefix=a b', 'prefix=a{b}', 'prefix=' . 'x' x 65;

my $known_to_queue = 'prefix=, password=file:PATH, and with rediss:// '
                     . 'trusted_certificate=, certificate=, certificate_key= '
                     . 'and name=, each once';

for ('passwrd=s3cret', 'prefix', 'trusted=x', 'key=x', 'Name=x') {
    my ($name) = /^(\w+)/;

    unlike(block_bad("queue redis://127.0.0.1 $_;",
                     qq{unknown parameter "$name" of "queue" in refine_catalog }
                     . qq{"shop", allowed: $known_to_queue}),
           qr/s3cret/, 'what may be a password is not shown');
}

block_bad("queue redis://127.0.0.1 $_;",
          invalid('queue', $_, $known_to_queue))
    for 'name=x', 'trusted_certificate=x', 'certificate=x', 'certificate_key=x';

block_bad("queue rediss://127.0.0.1 $_ $_;",
          invalid('queue', $_, $known_to_queue))
    for 'name=x', 'trusted_certificate=x', 'certificate=x', 'certificate_key=x',
        'prefix=x';

block_bad("queue rediss://127.0.0.1 $_=;",
          invalid('queue', "$_=", $known_to_queue))
    for 'name', 'trusted_certificate', 'certificate', 'certificate_key';

block_bad("queue rediss://127.0.0.1 'name=$_';",
          invalid('queue', "name=$_",
                  'name= with the name of a host or an address'))
    for 'a b', 'a_b', 'a..b', '-a', 'a:1', '[::1]', '*.example.com', '1::2::3';

for (['certificate', 'certificate_key'], ['certificate_key', 'certificate']) {
    my ($one, $other) = @$_;

    block_bad("queue rediss://127.0.0.1 $one=x.pem;",
              qq{"queue" in refine_catalog "shop" has "$one=x.pem" but no }
              . "$other=");
}

my $pem = conf_file('not.pem', "nothing\n");

block_bad("queue rediss://127.0.0.1 trusted_certificate=$pem;",
          qr/not\.pem"? ?.*failed/);
block_bad("queue rediss://127.0.0.1 trusted_certificate=missing.pem;",
          qr/missing\.pem"? ?.*failed.*No such file/);
block_bad("queue rediss://127.0.0.1 certificate=$pem certificate_key=$pem;",
          qr/cannot load certificate ".*not\.pem"/);

certificate($_, '', 'DNS:x') for 'one', 'two';
my ($crt, $key, $other_key) = map { certificate_file($_) }
                                  'one.crt', 'one.key', 'two.key';

block_good("queue rediss://127.0.0.1 trusted_certificate=$crt"
           . " certificate=$crt certificate_key=$key;");
block_bad("queue rediss://127.0.0.1 certificate=$crt"
          . " certificate_key=$other_key;",
          qr/cannot load certificate key .*two\.key|key values mismatch/);

my $password = 'invalid "password=" (not shown) of "queue" in refine_catalog '
               . '"shop", allowed: password=file:PATH, once, and then none in '
               . 'the URL';

unlike(block_bad('queue redis://127.0.0.1 password=s3cret;', $password),
       qr/s3cret/, 'the password is not shown');

my $file = key_file("pass word\r\nsecond line\n");

block_good("queue redis://127.0.0.1 password=file:$file;");
block_good("queue redis://me\@127.0.0.1 password=file:$file;");
block_bad("queue redis://:x\@127.0.0.1 password=file:$file;", $password);
block_bad("queue redis://127.0.0.1 password=file:$file password=file:$file;",
          $password);
block_bad('queue redis://127.0.0.1 password=file:;',
          'no file name for the password of queue behind "file:"');

# --- cookies

my $token = q{1 to 64 of letters, digits and !#$%&'*+-.^_`|~};
my $lifetime = 'off, or NAME LIFETIME [domain=DOMAIN] with a lifetime from 1s '
               . 'to 400d';

block_good($_) for
    'visitor_cookie off;', 'session_cookie off;',
    'visitor_cookie off; session_cookie off;',
    'visitor_cookie vid 365d;', 'visitor_cookie vid 1s domain=example.com;',
    'visitor_cookie __Host-vid 400d;', 'session_cookie sid;',
    'session_cookie sid domain=.shop.example.com;',
    'session_cookie sid domain=localhost;';

block_bad("visitor_cookie '$_' 1d;", invalid('visitor_cookie', $_, $token)) for
    'a b', 'a=b', 'a;b', 'a,b', '"a"', "\xc3\xa4", 'a/b', 'x' x 65;
block_bad("session_cookie '$_';", invalid('session_cookie', $_, $token)) for
    'a b', 'a=b', 'x' x 65;

block_bad('visitor_cookie vid;', invalid('visitor_cookie', 'vid', $lifetime));
block_bad("visitor_cookie vid $_;", invalid('visitor_cookie', $_, $lifetime))
    for 0, '401d', '1x', 'domain=example.com';
block_bad('visitor_cookie off 1d domain=a.b x;',
          'invalid number of values of "visitor_cookie" in refine_catalog '
          . '"shop", allowed: 1 to 3');

for ('domain=', 'domain=.', 'domain=a..b', 'domain=-a.b', 'domain=a-.b',
     'domain=a.b.', 'domain=a_b', 'domain=a;b', 'domain=' . 'x' x 64,
     'domain=' . join('.', ('x' x 50) x 6), 'path=/')
{
    block_bad("session_cookie sid '$_';",
              invalid('session_cookie', $_, 'domain= with a host name'));
}

block_bad('session_cookie __Host-sid domain=a.b;',
          invalid('session_cookie', 'domain=a.b',
                  'no domain= with a name that begins with __Host-'));
block_bad('visitor_cookie id 1d; session_cookie id;',
          'visitor_cookie and session_cookie have the same name "id" in '
          . 'refine_catalog "shop"');

# --- the user's id

block_good("user_id $_;") for '$http_x_user', 'u-$arg_u', 'fixed';
block_bad('user_id $no_such_variable;',
          'unknown "no_such_variable" variable');

# --- origins

block_good("allow_origin $_;") for
    'https://a.example', 'http://localhost:3000 https://[::1]:8080',
    'https://*.a.example https://*.b.example:8443 capacitor://localhost',
    CORE::join ' ', map { "https://a$_.example" } 1 .. 64;

block_bad("allow_origin https://a.example '$_';",
          invalid('allow_origin', $_,
                  'https://host[:port] or http://host[:port], "*." before a host '
                  . 'of two names or more, capacitor://host or ionic://host; '
                  . 'never "*" or "null"')) for
    '*', 'null', 'https://*', 'https://*:443', 'https://*.example', '*.a.example',
    '*://a.example', 'https://a*.example', 'https://a.*.example', 'a.example',
    'https://a.example/', 'https://a.example/path', 'https://u@a.example',
    'https://a.example:', 'https://a.example:0', 'https://a.example:65536',
    'https://a.example:x', 'ftp://a.example', 'https:a.example', 'https://',
    'https://a.example,https://b.example', '$http_origin', '~^https://',
    'off', "https://\xc3\xa4.example", 'https://' . 'a' x 300 . '/';

block_bad('allow_origin https://a.example; allow_origin https://b.example;',
          'duplicate option "allow_origin" in refine_catalog "shop"');
block_bad('allow_origin;', 'invalid number of values of "allow_origin" in '
                           . 'refine_catalog "shop", allowed: 1 to 64');

# --- the block

block_bad('batch_size;',
          'invalid number of values of "batch_size" in refine_catalog "shop", '
          . 'allowed: 1 to 1');
block_bad('batch_size 1 2;', 'invalid number of values of "batch_size"');
block_bad('batch_size 1; batch_size 1;',
          'duplicate option "batch_size" in refine_catalog "shop"');
block_bad('batch_size { }', 'unexpected "{"');

my $known = 'organization_id, catalog_id, api_key, endpoint, enabled, queue, '
            . 'queue_timeout, spool, batch_size, flush_interval, max_in_flight, '
            . 'rate_share, max_queue_size, max_queue_bytes, max_retries, '
            . 'retry_window, dead_letters, claim_timeout, '
            . 'session_timeout, visitor_cookie, session_cookie, cookie_secure, '
            . 'user_id, consent, require_consent, bot, anonymize_ip, '
            . 'allow_origin, connect_timeout, send_timeout, read_timeout, delivery_timeout, '
            . 'ssl_verify, ssl_trusted_certificate, ssl_name';

block_bad("$_ x;",
          qq{unknown option "$_" in refine_catalog "shop", allowed: $known})
    for 'batchSize', 'Spool', 'Consent', 'Enabled', 'retryWindow';

for my $option ('organization_id', 'catalog_id', 'api_key', 'queue') {
    my $options = options_except($option);

    conf_bad("no $option", "refine_catalog shop { $options }",
             qq{no "$option" in refine_catalog "shop", which needs }
             . 'organization_id, catalog_id, api_key, and queue or a spool');
}

conf_good('included options',
          'refine_catalog shop { include ' . conf_file('options.conf',
                                              options_except()) . '; }');

my $name = 'invalid name of a refine_catalog "%s", allowed: 1 to 64 of letters, '
           . 'digits, ".", "_" and "-", except "off"';

conf_good("the name $_", block('', $_)) for 'a', 'A-b_c.9', 'x' x 64;
conf_bad("the name $_", block('', qq{"$_"}), sprintf $name, $_)
    for '', 'a b', 'a/b', 'off', 'x' x 65, "\xc3\xa4";

conf_bad('a catalog twice', block('') . block('catalog_id cat_2;'),
         qr/duplicate refine_catalog "shop", the first is in \S+test\.conf:\d+/);

conf_good('two catalogs', block('') . block('catalog_id cat_2;', 'other'));

# --- two catalogs on the same keys

my $same = 'refine_catalog "shop" and "other" have the same catalog_id "cat_1" '
           . 'in the same queue "127.0.0.1:6379", allowed: a queue each, or '
           . 'another prefix=';

conf_bad('the same catalog_id', block('') . block('', 'other'), $same);
conf_bad('the same queue written otherwise',
         block('') . block('queue redis://127.0.0.1/0;', 'other'), $same);

conf_good($_, block('') . block($_, 'other')) for
    'queue redis://127.0.0.1:6379 prefix=other;',
    'queue redis://127.0.0.1:6379/1;', 'queue redis://127.0.0.1:6380;',
    'queue redis://unix:/tmp/r.sock;';

# --- where things may stand

conf_bad('refine_catalog in a server', 'server { ' . block('') . ' }',
         '"refine_catalog" directive is not allowed here');
conf_bad('refine_serve in a server',
         block('') . 'refine shop; server { refine_serve search; }',
         '"refine_serve" directive is not allowed here');
conf_bad('refine_collect in http', block('') . 'refine shop; refine_collect;',
         '"refine_collect" directive is not allowed here');

conf_good('nothing at all', '');

# a name that does not resolve: found at the start without a resolver, and
# only at the connect with one

conf_good('a name that nobody knows', block('endpoint http://nosuch.invalid/;'),
          qr/"nosuch\.invalid:80" and no resolver is configured/);
conf_good('the same with a resolver',
          "resolver 127.0.0.1:9;\n" . block('endpoint http://nosuch.invalid/;'));
conf_good('a resolver further down',
          block('endpoint http://nosuch.invalid/;') . "resolver 127.0.0.1:9;\n");

run_tests();

__DATA__

=== TEST 1: nginx dies of an unknown option
--- catalog
    flush_intervall 1s;
--- config
    location = /t { return 204; }
--- must_die
--- error_log
unknown option "flush_intervall" in refine_catalog "shop", allowed: organization_id,



=== TEST 2: every option at once; nothing of it is in the way of a request
--- http_config
    refine_catalog shop {
        organization_id   org_1;
        catalog_id        $TEST_NGINX_CATALOG;
        api_key           k;
        endpoint          http://unix:$TEST_NGINX_MOCK:/events;
        enabled           on;
        queue             redis://unix:$TEST_NGINX_REDIS:/0 prefix=other;
        queue_timeout     2s;
        batch_size        500;
        flush_interval    5s;
        max_in_flight     4;
        rate_share        50%;
        max_queue_size    1000000;
        max_queue_bytes   1g;
        max_retries       3;
        retry_window      7d;
        dead_letters      100000;
        claim_timeout     90s;
        session_timeout   30m;
        visitor_cookie    vid 365d domain=example.com;
        session_cookie    sid domain=example.com;
        cookie_secure     auto;
        user_id           $http_x_user;
        consent           $http_x_consent;
        require_consent   on;
        bot               $http_x_bot;
        anonymize_ip      on;
        connect_timeout   5s;
        send_timeout      10s;
        read_timeout      10s;
        delivery_timeout  30s;
        ssl_verify        on;
        ssl_name          api.joinrefine.io;
    }
--- config
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
