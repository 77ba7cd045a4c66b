# Tests for collecting with several workers, over reload and exit.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';

sub click {
    my ($id) = @_;
    return qq({"eventId":"$id","type":"click","serveId":"s","itemId":"a",)
           . qq("position":0});
}

# a worker that quits would deliver what is queued

sub keep { redis('HSET', 'refine:{' . catalog() . '}:stats', 'paused', 1) }

master_on();
workers(3);
run_tests();

__DATA__

=== TEST 1: an eventId is known to all workers, also after a reload
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"eventId":"e1","type":"click","serveId":"s","itemId":"a","position":0}
--- error_code: 204
--- check
keep();
is(post('/c', click('e1'))->{status}, 204) for 1 .. 20;
is(scalar events(), 1);
my %old = map { $_ => 1 } worker_pids();
kill 'HUP', nginx_pid();
wait_for(sub { my @pids = worker_pids(); @pids && !grep { $old{$_} } @pids },
         'reloaded');
is(post('/c', click('e1'))->{status}, 204);
is(scalar events(), 1, 'known after a reload');



=== TEST 2: workers that are told to quit answer what they hold
--- catalog
    flush_interval 1h;
    queue_timeout 5s;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
keep();
my %old = map { $_ => 1 } worker_pids();
post('/c', $CLICK) for 1 .. 20;
my $n = scalar events();
redis_pause();
my @sockets = map {
    my $s = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$s} "POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
               . CORE::length($CLICK) . "\r\n\r\n$CLICK";
    $s
} 1 .. 10;
Time::HiRes::sleep(0.2);
kill 'HUP', nginx_pid();
Time::HiRes::sleep(0.5);
redis_resume();
like(CORE::readline($_), qr{^HTTP/1.1 204 }, 'stored and answered') for @sockets;
CORE::close($_) for @sockets;
wait_for(sub { !grep { $old{$_} } worker_pids() }, 'then they are gone');
is(scalar events(), $n + 10);



=== TEST 3: a connection that outlives the reload still stores events
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
keep();
my %old = map { $_ => 1 } worker_pids();
my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port());
print {$socket} "POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                . CORE::length($CLICK) . "\r\n\r\n";
Time::HiRes::sleep(0.2);
kill 'HUP', nginx_pid();
wait_for(sub { my @pids = worker_pids(); (grep { !$old{$_} } @pids) >= 3 },
         'new workers');
Time::HiRes::sleep(0.3);
print {$socket} $CLICK;
like(CORE::readline($socket), qr{^HTTP/1.1 204 }, 'by an old worker');
is(scalar events(), 1);
CORE::close($socket);
wait_for(sub { !grep { $old{$_} } worker_pids() }, 'which then goes');



=== TEST 4: workers that are told to stop at once
--- catalog
    flush_interval 1h;
    queue_timeout 20s;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
    location = /x { refine_control; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
keep();
my %old = map { $_ => 1 } worker_pids();
post('/c', $CLICK) for 1 .. 20;
redis_pause();
my $client = sub {
    my $s = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$s} $_[0] . " HTTP/1.1\r\nHost: localhost\r\nX-Refine-Control: 1\r\n"
               . "Content-Length: " . CORE::length($CLICK) . "\r\n\r\n$CLICK";
    $s->flush;
    return $s;
};
my @collect = map { $client->('POST /c') } 1 .. 10;
my @others = map { $client->($_) } 'GET /s', 'POST /x?action=pause',
             'POST /x?action=flush', 'POST /x?action=resume';
Time::HiRes::sleep(0.3);
kill 'TERM', keys %old;
like(CORE::readline($_), qr{^HTTP/1.1 503 }, 'told to keep it') for @collect;
CORE::readline($_) for @others;
redis_resume();
wait_for(sub { my @pids = worker_pids(); @pids && !grep { $old{$_} } @pids },
         'new workers');
wait_for(sub { (post('/c', $CLICK) // {})->{status} == 204 }, 'which work');



=== TEST 5: worker_shutdown_timeout
--- main_config
    worker_shutdown_timeout 200ms;
--- catalog
    flush_interval 1h;
    queue_timeout 20s;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
    location = /x { refine_control; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","position":0}
--- error_code: 204
--- check
keep();
my %old = map { $_ => 1 } worker_pids();
post('/c', $CLICK) for 1 .. 20;
redis_pause();
my @sockets = map {
    my $s = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$s} "$_ HTTP/1.1\r\nHost: localhost\r\nX-Refine-Control: 1\r\n"
               . "Content-Length: " . CORE::length($CLICK) . "\r\n\r\n$CLICK";
    $s->flush;
    $s
} ('POST /c') x 10, 'GET /s', 'POST /x?action=pause', 'POST /x?action=flush';
Time::HiRes::sleep(0.3);
kill 'HUP', nginx_pid();
CORE::readline($_) for @sockets;
redis_resume();
wait_for(sub { my @pids = worker_pids(); @pids && !grep { $old{$_} } @pids },
         'gone', 20);
wait_for(sub { (post('/c', $CLICK) // {})->{status} == 204 }, 'new ones work');



=== TEST 6: nobody waits for counters, and they are not lost
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
GET /c
--- error_code: 405
--- check
sub gone {
    my ($what) = @_;
    my %old = map { $_ => 1 } worker_pids();
    my $start = Time::HiRes::time();
    kill 'HUP', nginx_pid();
    wait_for(sub { !grep { $old{$_} } worker_pids() }, $what);
    return Time::HiRes::time() - $start;
}
my $key = 'refine:{' . catalog() . '}:stats';
get('/c') for 1 .. 99;
gone('gone');
wait_for(sub { (stats()->{'rejected:method'} // 0) == 100 }, 'all are counted');

# Redis refuses them again and again

redis('DEL', $key);
redis('SET', $key, 'x');
get('/c') for 1 .. 20;
cmp_ok(gone('gone all the same'), '<', 4.5, 'without waiting for them');
redis('DEL', $key);
