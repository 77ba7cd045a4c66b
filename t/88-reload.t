# Reloads: catalogs that come and go, other keys and passwords, and what keeps an
# old worker, which is never the module for over 10 s.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Load;
use IO::Select;
use POSIX ();
use Time::HiRes qw(sleep time);

master_on();
workers(2);

$ENV{TEST_NGINX_SCRATCH} = scratch();

sub put {
    my ($name, $text) = @_;

    open my $out, '>', scratch() . "/$name" or die $!;
    print $out $text;
    CORE::close($out);
    chmod 0600, scratch() . "/$name";
    return;
}

put('key', "k\n");
put('password', "one\n");


sub status {
    return decode_json(get('/refine/status')->{body})->{catalogs}{$_[0] // 'shop'};
}


# an upstream that speaks a protocol of its own after an upgrade: an echo

sub echo_server {
    my $path = scratch() . '/echo.sock';
    my $server = IO::Socket::UNIX->new(Local => $path, Listen => 5) or die $!;
    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        while (my $client = $server->accept) {
            my $head = '';
            1 while $head !~ /\r\n\r\n/ && sysread $client, $head, 1, CORE::length $head;
            syswrite $client, "HTTP/1.1 101 Switching\r\nUpgrade: echo\r\n"
                              . "Connection: upgrade\r\n\r\n";
            my $data;
            syswrite $client, $data while sysread $client, $data, 1000;
        }
        POSIX::_exit(0);
    }

    return $pid;
}

sub client {
    my ($text) = @_;

    my $socket = IO::Socket::INET->new('127.0.0.1:' . http_port()) or die $!;
    syswrite $socket, $text;
    return $socket;
}

# what comes within some seconds, until it matches; undef at the end

sub hear {
    my ($socket, $regex, $seconds) = @_;

    my ($data, $end) = ('', time + ($seconds // 10));
    while ($data !~ $regex) {
        return "(time out) $data"
            if !IO::Select->new($socket)->can_read($end - time);
        return if !sysread $socket, $data, 1000, CORE::length $data;
    }
    return $data;
}

run_tests();

__DATA__

=== TEST 1: a catalog is taken out, and comes back
--- http_extra
    refine_catalog two {
        organization_id o; catalog_id two_$TEST_NGINX_CATALOG; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events; flush_interval 50ms;
        queue redis://unix:$TEST_NGINX_REDIS prefix=other;
    } # two
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /refine/status { refine_status; }
    location = /two { refine two; refine_collect; } # two
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(control('pause&catalog=two')->{status}, 200);
is(post('/two', encode_json([map { click($_) } 1 .. 30]))->{status}, 204);
load_start(2);
sleep 0.3;
my $whole;
reload(sub { $whole = $_; s/^    refine_catalog two.*?# two$//ms; s/^.*# two$//mg });
my $key = 'other:{two_' . catalog() . '}:events';
is(scalar log_lines(quotemeta('"two" is not delivered any more: what its queue '
                              . 'holds stays in redis unix:' . redis_path()
                              . " under $key")), 1, 'it is said once');
is(scalar log_lines(qr/"shop" is not delivered any more/), 0);
is(get('/two')->{status}, 404, 'it is gone');
is(status('two'), undef, 'from the status, too');
is(redis('XLEN', $key), 30, 'its backlog is kept');
reload(sub { $_ = $whole });
is(status('two')->{queued} + status('two')->{retrying}, 30, 'and found again');
ok(status('two')->{paused}, 'with its pause');
is(control('resume&catalog=two')->{status}, 200);
wait_for(sub { status('two')->{sent} == 30 }, 'delivered', 20);
is(scalar log_lines(qr/is not delivered any more/), 1);
arrived([load_end()]);
conserved();



=== TEST 2: a key that is wrong for a while
--- http_config
    refine_catalog shop {
        organization_id org_1;
        catalog_id      $TEST_NGINX_CATALOG;
        api_key         file:$TEST_NGINX_SCRATCH/key;
        endpoint        http://unix:$TEST_NGINX_MOCK:/events;
        queue           redis://unix:$TEST_NGINX_REDIS;
        queue_timeout   8s;
        flush_interval  50ms;
        batch_size      20;
    }
    refine shop;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /refine/status { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
load_start(2);
wait_for(sub { sent() > 20 }, 'delivered');
put('key', "wrong\n");
reload();
wait_for(sub { status()->{refine}{state} eq 'held' }, 'held', 20);
sleep 0.3;
put('key', "k\n");
reload();
wait_for(sub { status()->{refine}{state} eq 'up' }, 'up again', 20);
sleep 0.3;
arrived([load_end()]);
conserved();



=== TEST 3: another password of Redis
--- http_config
    refine_catalog shop {
        organization_id org_1;
        catalog_id      $TEST_NGINX_CATALOG;
        api_key         k;
        endpoint        http://unix:$TEST_NGINX_MOCK:/events;
        queue           redis://unix:$TEST_NGINX_REDIS
                        password=file:$TEST_NGINX_SCRATCH/password;
        queue_timeout   8s;
        flush_interval  50ms;
        batch_size      20;
    }
    refine shop;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /refine/status { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $user = sub { is(redis('CONFIG', 'SET', 'requirepass', $_[0]), 'OK') };
$user->('one');
redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
wait_for(sub { status()->{redis}{state} eq 'up' }, 'connected');
load_start(2);
wait_for(sub { sent() > 20 }, 'delivered');
$user->('two');
put('password', "two\n");
reload();
my $sent = sent();
wait_for(sub { sent() > $sent + 20 }, 'delivered');
redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
wait_for(sub { sent() > $sent + 40 }, 'and again, over new connections', 20);
arrived([load_end()], killed => 1);
conserved();
$user->('');



=== TEST 4: clients that stay: an idle one, an upgraded one, one that is slow
--- catalog
    flush_interval 50ms;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
    location = /echo {
        proxy_pass http://unix:$TEST_NGINX_SCRATCH/echo.sock:/;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
        proxy_read_timeout 1h;
        refine_serve search;
    }
--- request
GET /t
--- error_code: 204
--- check
my $server = echo_server();
collect(click(1));
wait_for(sub { sent() == 1 }, 'delivered');

my $idle = client("GET /t HTTP/1.1\r\nHost: localhost\r\n\r\n");
like(hear($idle, qr/\r\n\r\n/), qr/^HTTP\/1.1 204/, 'kept alive');
my $echo = client("GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: echo\r\n"
                  . "Connection: upgrade\r\n\r\n");
like(hear($echo, qr/\r\n\r\n/), qr/^HTTP\/1.1 101/, 'upgraded');
my $body = encode_json([click(2)]);
my $slow = client("POST /refine/collect HTTP/1.1\r\nHost: localhost\r\n"
                  . "Connection: close\r\nContent-Length: " . length($body)
                  . "\r\n\r\n" . substr $body, 0, 10);
syswrite $echo, 'before';
is(hear($echo, qr/before/), 'before');

my @old = worker_pids();
kill 'HUP', nginx_pid();
wait_for(sub { my %old = map { $_ => 1 } @old;
               2 == grep { !$old{$_} } worker_pids() }, 'new workers');
is(hear($idle, qr/./), undef, 'the idle one is closed');
collect(map { click($_) } 3 .. 20);
wait_for(sub { sent() == 19 }, 'the new ones deliver');
syswrite $echo, 'after';
is(hear($echo, qr/after/), 'after', 'the upgraded one stays');
ok(scalar(grep { !gone($_) } @old), 'and its worker');
syswrite $slow, substr $body, 10;
like(hear($slow, qr/\r\n\r\n/), qr/^HTTP\/1.1 204/, 'which still stores');
wait_for(sub { sent() == 20 }, 'and leaves it to others to deliver');

my $start = time;
CORE::close($_) for $echo, $slow, $idle;
wait_for(sub { !grep { !gone($_) } @old }, 'gone with its clients', 12);
cmp_ok(time - $start, '<', 8, 'at once');
is(scalar unique(delivered()), 20);
conserved();
kill 'KILL', $server;
waitpid $server, 0;



=== TEST 5: Redis and Refine hang
--- catalog
    flush_interval 50ms;
    batch_size 5;
    claim_timeout 2s;
    queue_timeout 2s;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /r {
        default_type application/json;
        refine_serve search;
        return 200 '{"results":[{"productId":"a"}]}';
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click(1));
wait_for(sub { sent() == 1 }, 'up');
mock_set(hang => 1);
collect(map { click($_) } 2 .. 40);
wait_for(sub { mock() >= 5 }, 'POSTs hang');
redis_pause();
is(get('/r')->{status}, 200, 'serves are served') for 1 .. 10;
my $text = "POST /refine/collect HTTP/1.1\r\nHost: localhost\r\nConnection: "
           . "close\r\nContent-Length: ";
my $body = encode_json([click(50)]);
my @waiting = map { client($text . length($body) . "\r\n\r\n$body") } 1 .. 4;
my $seconds = reload(undef, 15);
cmp_ok($seconds, '<', 10, "not held for longer: $seconds s");
like(hear($_, qr/\r\n\r\n/), qr/^HTTP\/1.1 503/, 'who waits is answered')
    for @waiting;
redis_resume();
mock_set();
wait_for(sub { control('resume');
               my %got = map { $_ => 1 } delivered();
               40 == grep { $got{"e$_"} } 1 .. 40 }, 'all arrives', 30);
conserved();
