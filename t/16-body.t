# Tests for how a body may arrive: memory, temporary file, chunked, in pieces,
# HTTP/2, cut off, too large.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Http2;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

sub big {
    my ($n, $size) = @_;

    return '[' . CORE::join(',', map {
        qq({"type":"click","serveId":"s1","itemId":"i$_","position":$_,)
        . '"metadata":{"pad":"' . 'x' x $size . '"}}' } 1 .. $n) . ']';
}

sub talk {
    my ($socket, @parts) = @_;

    for my $part (@parts) {
        print {$socket} $part;
        $socket->flush;
        Time::HiRes::sleep(0.02) if @parts > 1;
    }

    return CORE::readline($socket);
}

sub client { IO::Socket::INET->new('127.0.0.1:' . http_port()) }

run_tests();

__DATA__

=== TEST 1: from a temporary file
--- catalog
    flush_interval 1h;
--- config
    client_body_buffer_size 8k;
    location = /c { refine_collect; }
--- request eval
"POST /c\n" . main::big(100, 3000)
--- error_code: 204
--- check
is(scalar events(), 100);
is((events())[99]{itemId}, 'i100');
is(CORE::length((events())[50]{metadata}{pad}), 3000);
is(scalar(log_lines(qr/buffered to a temporary file/)), 1, 'it was one');



=== TEST 2: client_body_in_file_only
--- catalog
    flush_interval 1h;
--- config
    client_body_in_file_only clean;
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
is((events())[0]{itemId}, 'a');
is(post('/c', '')->{status}, 400, 'an empty file');



=== TEST 3: chunked
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my $head = "POST /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
my $chunks = CORE::join('', map { "1\r\n$_\r\n" } CORE::split(//, $CLICK)) . "0\r\n\r\n";
like(talk(client(), $head . $chunks), qr/ 204 /, 'in one packet');
like(talk(client(), $head, CORE::unpack('(a40)*', $chunks)), qr/ 204 /,
     'in many');
my $body = main::big(100, 3000);
like(talk(client(), $head, CORE::sprintf("%x\r\n%s\r\n0\r\n\r\n", CORE::length($body), $body)),
     qr/ 204 /, 'into a file');
is(scalar events(), 103);



=== TEST 4: byte by byte
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my $text = "POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
           . CORE::length($CLICK) . "\r\n\r\n$CLICK";
my $socket = client();
CORE::setsockopt($socket, 6, 1, 1);
for my $byte (CORE::split(//, $text)) {
    CORE::syswrite($socket, $byte);
    Time::HiRes::sleep(0.001);
}
like(CORE::readline($socket), qr/ 204 /);
is(scalar events(), 2);



=== TEST 5: a temporary file and memory give the same
--- catalog
    flush_interval 1h;
--- config
    location = /m { refine_collect; client_body_buffer_size 1m; }
    location = /f { refine_collect; client_body_buffer_size 1k; }
--- request
POST /f
x
--- error_code: 400
--- check
for my $n (1, 2, 5, 10, 50) {
    for my $path ('/m', '/f') {
        is(post($path, main::big($n, 700))->{status}, 204, "$path $n");
    }
}
my @events = map { $_->{itemId} } events();
is(scalar @events, 2 * 68);



=== TEST 6: larger than client_max_body_size
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; client_max_body_size 20k; }
    location = /s { refine_status; }
--- request eval
"POST /c\n" . main::big(30, 1000)
--- error_code: 413
--- check
my $chunks = CORE::sprintf("%x\r\n%s\r\n0\r\n\r\n", 40000, 'x' x 40000);
like(talk(client(), "POST /c HTTP/1.1\r\nHost: localhost\r\n"
                    . "Transfer-Encoding: chunked\r\n\r\n", $chunks),
     qr/ 413 /, 'chunked');
is(post('/c', main::big(10, 1000))->{status}, 204, 'below it');
my $s = decode_json(get('/s')->{body})->{catalogs}{shop};
is($s->{rejected}{too_large}, 2, 'both are counted');



=== TEST 7: a megabyte and more
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; client_max_body_size 1m; }
    location = /u { refine_collect; client_max_body_size 0; }
    location = /s { refine_status; }
--- request eval
"POST /c\n" . 'x' x (1024 * 1024 + 1)
--- error_code: 413
--- check
is(post('/c', '[' . ' ' x (1024 * 1024 - 2) . ']')->{status}, 400, 'of blanks');
is(post('/c', '"' . 'x' x (1024 * 1024 - 2) . '"')->{status}, 400, 'of text');
is(post('/c', '[' . '0,' x 500_000 . '0]')->{status}, 413, 'of zeros');
is(post('/u', '[' . ' ' x (2 * 1024 * 1024) . $CLICK . ']')->{status}, 204,
   'where the limit is off');
my $r = post('/u', ' ' x (17 * 1024 * 1024));
is($r->{status}, 413, 'there is still a limit');
like($r->{body}, qr/the body is too large/);
is(scalar events(), 1);
my $s = decode_json(get('/s')->{body})->{catalogs}{shop};
is($s->{rejected}{too_large}, 2);



=== TEST 8: a body that is cut off
--- catalog
    flush_interval 1h;
--- http_extra
    log_format outcome '$refine_outcome';
--- config
    access_log logs/aborted.log outcome;
    client_body_timeout 300ms;
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my $head = "POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
           . CORE::length($CLICK) . "\r\n\r\n";
for my $length (0, 1, 20, CORE::length($CLICK) - 1) {
    my $socket = client();
    print {$socket} $head . CORE::substr($CLICK, 0, $length);
    $socket->flush;
    CORE::close($socket);
}
my $socket = client();
like(talk($socket, "POST /c HTTP/1.1\r\nHost: localhost\r\n"
                   . "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), qr/ 400 /,
     'bad chunks');
$socket = client();
talk($socket, $head . '{"type"');
is(scalar events(), 1, 'nothing of it is stored');
wait_for(sub {
    decode_json(get('/s')->{body})->{catalogs}{shop}{rejected}{aborted} == 6
}, 'each is counted', 5);
wait_for(sub {
    open my $in, '<', "$Test::Nginx::Util::ServRoot/logs/aborted.log";
    6 == grep { /^aborted$/ } CORE::readline($in)
}, 'and logged');
is(post('/c', $CLICK)->{status}, 204);



=== TEST 9: a header-only request
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
x
--- error_code: 400
--- check
like(talk(client(), "POST /c HTTP/1.0\r\n\r\n"), qr/ 400 /, '1.0');
like(talk(client(), "POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
     qr/ 400 /, '1.1');
like(talk(client(), "POST /c HTTP/1.1\r\nHost: x\r\n\r\n"), qr/ 400 /,
     'no length');
like(talk(client(), "POST /c HTTP/1.1\r\nHost: x\r\n"
                    . "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), qr/ 400 /,
     'no chunks');
is(scalar events(), 0);



=== TEST 10: Expect: 100-continue
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my $socket = client();
like(talk($socket, "POST /c HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                   . "Content-Length: " . CORE::length($CLICK) . "\r\n\r\n"),
     qr/ 100 /);
print {$socket} $CLICK;
CORE::readline($socket);
like(CORE::readline($socket), qr/ 204 /);



=== TEST 11: HTTP/2
--- catalog
    flush_interval 1h;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/h2.sock http2;
        location = /c { refine_collect; }
        location = /small { refine_collect; client_max_body_size 1k; }
        location = /f { refine_collect; client_body_buffer_size 1k; }
        location = /s { refine_status any; }
    }
--- config
    location = /s { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(h2(h2_client(), ['POST', '/c', $CLICK]), '204', 'one event');
is(h2(h2_client(), map { ['POST', '/c', $CLICK] } 1 .. 20),
   CORE::join(' ', (204) x 20), 'many streams');
is(scalar events(), 21);
is(h2(h2_client(),
      ['POST', '/c', 'x'],
      ['GET', '/c'],
      ['POST', '/c'],
      ['POST', '/c', $CLICK, origin => 'https://localhost'],
      ['POST', '/c', $CLICK, origin => 'https://other'],
      ['POST', '/c', $CLICK, 'content-encoding' => 'br'],
      ['OPTIONS', '/c'],
      ['POST', '/small', main::big(10, 1000)],
      ['POST', '/f', main::big(3, 1000)],
      ['GET', '/s']),
   '400 405 400 204 403 415 204 413 204 200', 'every answer');
is(scalar events(), 25);
redis_pause();
my $socket = h2_client();
CORE::syswrite($socket, '');
my $pid = fork();
if (!$pid) {
    local $SIG{ALRM} = sub { POSIX::_exit(0) };
    CORE::alarm(1);
    h2($socket, map { ['POST', '/c', $CLICK] } 1 .. 5);
    POSIX::_exit(0);
}
CORE::close($socket);
waitpid $pid, 0;
Time::HiRes::sleep(0.1);
redis_resume();
wait_for(sub { events() == 30 }, 'a client that went away');
is(h2(h2_client(), ['POST', '/c', $CLICK]), '204');



=== TEST 12: HTTP/2 streams that are reset while they wait
--- catalog
    flush_interval 1h;
    queue_timeout 5s;
--- http_extra
    server {
        listen unix:$TEST_NGINX_SERVROOT/h2.sock http2;
        location = /c { refine_collect; }
        location = /s { refine_status any; }
        location = /x { refine_control any; }
    }
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
redis_pause();
my $socket = h2_client();
h2_send($socket, ['POST', '/c', $CLICK], ['POST', '/c', $CLICK], ['GET', '/s'],
        ['POST', '/x?action=pause', '', 'x-refine-control' => 1],
        ['POST', '/c', $CLICK]);
Time::HiRes::sleep(0.1);
print {$socket} h2_frame(3, 0, $_, CORE::pack('N', 8)) for 1, 5, 7;
$socket->flush;
Time::HiRes::sleep(0.1);
redis_resume();
is(h2_read($socket, 5, 3), '- 204 - - 204', 'the others are answered');
is(scalar events(), 4, 'and all events stored');



=== TEST 13: every way that nginx keeps a body
--- catalog
    flush_interval 1h;
--- config
    client_body_buffer_size 1k;
    location = /single { client_body_in_single_buffer on; refine_collect; }
    location = /file { client_body_in_file_only on; refine_collect; }
    location = /both {
        client_body_in_single_buffer on;
        client_body_in_file_only clean;
        refine_collect;
    }
    location = /slow { refine_collect; }
--- request
POST /single
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my $body = main::big(3, 500);
my $head = "Host: localhost\r\nConnection: close\r\nContent-Length: "
           . CORE::length($body) . "\r\n\r\n";
for my $path ('/single', '/file', '/both', '/slow') {
    like(talk(client(), "POST $path HTTP/1.1\r\n$head",
              CORE::unpack('(a300)*', $body)), qr/ 204 /, $path);
}
is(scalar events(), 13);
is(CORE::join(' ', map { $_->{itemId} } (events())[1 .. 12]),
   CORE::join(' ', ('i1 i2 i3') x 4), 'in order');



=== TEST 14: 100 MB
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /l { refine_collect; client_max_body_size 200m; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
my $size = 100 * 1024 * 1024;
my $send = sub {
    my ($path, $form) = @_;

    local $SIG{PIPE} = 'IGNORE';
    my $socket = client();
    my $select = IO::Select->new($socket);
    my $part = 'x' x 65536;
    my $sent = 0;

    $part = CORE::sprintf("%x\r\n%s\r\n", CORE::length($part), $part)
        if $form =~ /chunked/;
    print {$socket} "POST $path HTTP/1.1\r\nHost: localhost\r\n$form\r\n\r\n";
    $socket->flush;

    while ($sent < $size && !$select->can_read(0)) {
        CORE::defined(CORE::syswrite($socket, $part)) or last;
        $sent += 65536;
    }

    CORE::syswrite($socket, "0\r\n\r\n") if $sent == $size;
    return (CORE::readline($socket) // '', $sent);
};
my ($line, $sent) = $send->('/c', "Content-Length: $size");
like($line, qr/ 413 /, 'announced');
cmp_ok($sent, '<', $size, 'not waited for');
($line, $sent) = $send->('/c', 'Transfer-Encoding: chunked');
like($line, qr/ 413 /, 'in chunks');
cmp_ok($sent, '<', $size, 'given up in the middle');
($line, $sent) = $send->('/l', "Content-Length: $size");
like($line, qr/ 413 /, 'allowed, but more than is ever read');
is($sent, $size);
is(post('/c', $CLICK)->{status}, 204);
is(scalar events(), 2);
wait_for(sub {
    decode_json(get('/s')->{body})->{catalogs}{shop}{rejected}{too_large} == 3
}, 'each is counted', 5);
