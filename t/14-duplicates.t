# Tests for events that are sent again.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

sub click {
    my ($id) = @_;
    return qq({"eventId":"$id","type":"click","serveId":"s","itemId":"a",)
           . qq("position":0});
}

run_tests();

__DATA__

=== TEST 1: the same eventId is stored once
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request
POST /c
{"eventId":"e1","type":"click","serveId":"s","itemId":"a","position":0}
--- error_code: 204
--- check
is(post('/c', click('e1'))->{status}, 204, 'again: accepted');
is(post('/c', '[' . click('e1') . ',' . click('e2') . ']')->{status}, 204,
   'with a new one');
is(CORE::join(' ', map { $_->{eventId} } events()), 'e1 e2');
my $s = decode_json(get('/s')->{body})->{catalogs}{shop};
is($s->{accepted}, 2);
is($s->{duplicates}, 2);
is($s->{events}{click}, 2);



=== TEST 2: twice in one request
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request eval
"POST /c
[" . CORE::join(',', map { main::click("e" . $_ % 40) } 0 .. 99) . "]"
--- error_code: 204
--- check
is(CORE::join(' ', map { $_->{eventId} } events()),
   CORE::join(' ', map { "e$_" } 0 .. 39));
my $s = decode_json(get('/s')->{body})->{catalogs}{shop};
is($s->{duplicates}, 60);
my $r = post('/c', '[' . click('e1') . ',7]');
is($r->{status}, 200, 'a duplicate counts as accepted');
like($r->{body}, qr/^\{"accepted":1,/);



=== TEST 3: an id that was not stored is not remembered
--- catalog
    flush_interval 1h;
    max_queue_size 1;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"eventId":"e1","type":"click","serveId":"s","itemId":"a","position":0}
--- error_code: 204
--- check
is(post('/c', click('e2'))->{status}, 503, 'full');
redis('DEL', 'refine:{' . catalog() . '}:events');
is(post('/c', click('e2'))->{status}, 204);
is(CORE::join(' ', map { $_->{eventId} } events()), 'e2');



=== TEST 4: one that was refused is not remembered either
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"eventId":"e1","type":"click","serveId":"s","itemId":"","position":0}
--- error_code: 400
--- check
is(post('/c', click('e1'))->{status}, 204);
is(scalar events(), 1);



=== TEST 5: a browser that saw no answer sends its events again
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"eventId":"e0","type":"click","serveId":"s","itemId":"a","position":0}
--- error_code: 204
--- check
redis_pause();
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
print {$socket} "POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                . CORE::length(click('e1')) . "\r\n\r\n" . click('e1');
CORE::sleep 1;
close $socket;
redis_resume();
wait_for(sub { events() == 2 }, 'stored');
Time::HiRes::sleep(0.1);
is(post('/c', click('e1'))->{status}, 204);
is(scalar events(), 2, 'but not twice');
