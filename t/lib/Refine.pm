package Refine;

# Test::Nginx with the servers that the module talks to: a Redis and a mock of
# the Refine API, both on unix sockets below the build folder, one pair for each
# test file, ended with it.  Sections of a block beyond those of Test::Nginx:
#
# --- catalog     further options of the catalog "shop", which has no spool
#                 unless they say so
# --- http_extra  what else belongs into http{}
# --- check       Perl that runs after the block's last response; see below

use strict;
use warnings;

use Cwd 'abs_path';
use Exporter 'import';
use File::Basename;
use File::Path qw(make_path remove_tree);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX ':sys_wait_h';
use Test::More;
use Test::Nginx::Socket;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
    events dead stats counts redis mock mock_set mock_path catalog
    get post request wait_for log_lines nginx_pid worker_pids http_port
    redis_start redis_stop redis_kill redis_pause redis_resume redis_path
    start_process stop_process scratch
);

my $root = dirname(dirname(dirname(abs_path(__FILE__))));
my $file = basename($0, '.t');
my $dir = "$root/objs/t/$$";
my $owner = $$;
my (%process, $redis, $redis_client, $mock, $catalog, $block_number);

# how much longer than usual anything may take

my $patience = $ENV{REFINE_PATIENCE} || 1;


# --- processes

# Starts a program; the name is for stop_process().  Its output goes to a log
# below the scratch folder; with "pipe" its standard input stays open until it
# is stopped.

sub start_process {
    my ($name, $command, %option) = @_;

    pipe(my $read, my $write) or die "pipe: $!";

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        open STDIN, '<&', $read or die "stdin: $!";
        close $write;
        open STDOUT, '>>', "$dir/$name.log" or die "$dir/$name.log: $!";
        open STDERR, '>&', \*STDOUT;
        delete $ENV{LD_PRELOAD};
        exec @$command or POSIX::_exit(127);
    }

    close $read;
    $process{$name} = { pid => $pid, pipe => $write };
    return $pid;
}


sub stop_process {
    my ($name, $signal) = @_;

    my $process = delete $process{$name} or return;

    kill $signal || 'TERM', $process->{pid};
    kill 'CONT', $process->{pid};

    for (1 .. 250) {
        return if waitpid($process->{pid}, WNOHANG);
        sleep 0.02;
    }

    kill 'KILL', $process->{pid};
    waitpid $process->{pid}, 0;
    return;
}


sub until_true {
    my ($code, $seconds) = @_;

    my $end = time + $seconds * $patience;

    while (1) {
        my $result = $code->();
        return $result if $result;
        return if time >= $end;
        sleep 0.02;
    }
}


# a folder for the files of a test, made anew for each test file

sub scratch { $dir }


# --- Redis

sub redis_path { "$dir/r.sock" }


sub redis_start {
    my (@options) = @_;

    return if $process{redis};

    start_process('redis', [
        'redis-server', '--port', 0, '--unixsocket', redis_path(),
        '--unixsocketperm', 777, '--dir', $dir, '--save', '',
        '--appendonly', 'no', '--daemonize', 'no', @options
    ]);

    # while it reads its data it answers no other command; some want just that

    my $up = grep({ $_ eq '--key-load-delay' } @options)
             ? qr/PONG|LOADING/ : qr/PONG|NOAUTH/;

    until_true(sub { (redis('PING') // '') =~ $up }, 30)
        or die "redis-server does not start, see $dir/redis.log";
    return;
}


sub redis_stop   { stop_process('redis', 'TERM'); undef $redis_client }
sub redis_kill   { stop_process('redis', 'KILL'); undef $redis_client }
sub redis_pause  { kill 'STOP', $process{redis}{pid} }
sub redis_resume { kill 'CONT', $process{redis}{pid} }


# The reply to one command: a scalar, a list reference, undef for nil or no
# answer; an error is a string that starts with "-".

sub redis {
    my (@args) = @_;

    for my $try (1, 2) {
        $redis_client //= IO::Socket::UNIX->new(Peer => redis_path())
            or return;

        local $SIG{PIPE} = 'IGNORE';
        my $text = sprintf "*%d\r\n", scalar @args;
        $text .= sprintf "\$%d\r\n%s\r\n", length $_, $_ for @args;

        my $reply = eval {
            print {$redis_client} $text or die "write";
            $redis_client->flush or die "write";
            [ redis_reply($redis_client) ];
        };

        return $reply->[0] if $reply;
        undef $redis_client;
    }

    return;
}


sub redis_reply {
    my ($socket) = @_;

    local $/ = "\r\n";
    my $line = <$socket> // die "closed";
    chomp $line;
    my $kind = substr $line, 0, 1, '';

    return "-$line" if $kind eq '-';
    return $line if $kind eq '+' || $kind eq ':';
    return if $line < 0;

    if ($kind eq '$') {
        my $data = '';

        while (length $data < $line + 2) {
            read $socket, $data, $line + 2 - length $data, length $data
                or die "closed";
        }

        return substr $data, 0, $line;
    }

    return [ map { scalar redis_reply($socket) } 1 .. $line ];
}


sub key { "refine:{$catalog}:$_[0]" }

sub catalog { $catalog }


# the events in the stream, oldest first, decoded, which takes time; or only those
# with a text in them

sub events {
    my ($text) = @_;

    my $rows = redis('XRANGE', key('events'), '-', '+') // [];
    return map { decode_json($_) }
           grep { !defined $text || index($_, $text) >= 0 }
           map { $_->[1][1] } @$rows;
}


sub dead {
    my $rows = redis('XRANGE', key('dead'), '-', '+') // [];

    return map {
        my %row = @{ $_->[1] };
        $row{e} = decode_json($row{e});
        \%row;
    } @$rows;
}


sub stats {
    my $rows = redis('HGETALL', key('stats')) // [];
    return { @$rows };
}


# A worker writes its counters at most once a second, so this waits for them, and
# for those that are to stay 0 as long as they take.

sub counts {
    my ($field, $n, $what) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $count = sub { stats()->{$field} // 0 };

    if ($n == 0) {
        sleep 1.2 * $patience;

    } else {
        until_true(sub { $count->() >= $n }, 10);
    }

    return is($count->(), $n, $what // "$field: $n");
}


# --- the mock of Refine

sub mock_path { "$dir/m.sock" }


sub mock_start {
    start_process('mock', [
        '/usr/bin/python3', "$root/t/lib/mock_refine.py", '--key', 'k',
        'unix:' . mock_path()
    ]);

    until_true(sub { IO::Socket::UNIX->new(Peer => mock_path()) }, 10)
        or die "the mock does not start, see $dir/mock.log";
    return;
}


sub mock_control {
    my ($method, $path, $body) = @_;

    my $socket = IO::Socket::UNIX->new(Peer => mock_path())
        or die "the mock is gone, see $dir/mock.log";
    my $response = request($method, $path, $body, Socket => $socket);

    return decode_json($response->{body});
}


# what the mock received for the block's catalog, or another one

sub mock { @{ mock_control('GET', '/_mock/requests?catalog='
                                  . ($_[0] // $catalog)) } }


# how it answers from now on: see mock_refine.py

sub mock_set {
    mock_control('POST', '/_mock/set',
                 encode_json({ catalog => $catalog, @_ }));
    return;
}


# --- this nginx

sub http_port { $Test::Nginx::Util::ServerPortForClient }

sub get  { my ($path, @headers) = @_; request('GET', $path, undef, @headers) }
sub post { request('POST', @_) }


# One request over its own connection (or the one given as Socket).  Returns
# { status, headers (lower-case names; repeated ones are joined by ", "), body },
# or undef when there is no answer within Timeout seconds (10).

sub request {
    my ($method, $path, $body, %headers) = @_;

    my $seconds = (delete $headers{Timeout} // 10) * $patience;
    my $socket = delete $headers{Socket}
                 // IO::Socket::INET->new("127.0.0.1:" . http_port())
        or return;
    local $SIG{PIPE} = 'IGNORE';

    $headers{Host} //= 'localhost';
    $headers{Connection} //= 'close';
    $headers{'Content-Length'} //= length $body if defined $body;

    my $text = "$method $path HTTP/1.1\r\n";

    for my $name (sort keys %headers) {
        $text .= "$name: $_\r\n" for ref $headers{$name}
                                     ? @{ $headers{$name} } : $headers{$name};
    }

    $text .= "\r\n" . ($body // '');
    print {$socket} $text;
    $socket->flush;

    return response($socket, $method, $seconds);
}


sub response {
    my ($socket, $method, $seconds) = @_;

    my $select = IO::Select->new($socket);
    my $end = time + $seconds;
    my $data = '';

    while (1) {
        my $left = $end - time;
        last if $left <= 0 || !$select->can_read($left);
        last if !sysread $socket, $data, 65536, length $data;

        my $head = index $data, "\r\n\r\n";
        next if $head < 0;
        last if $method eq 'HEAD' || $data =~ m{\AHTTP/1\.1 (?:204|304)};

        my ($length) = substr($data, 0, $head) =~ /^Content-Length: *(\d+)/mi;
        last if defined $length && length $data >= $head + 4 + $length;
    }

    $data =~ s{\A(HTTP/1\.[01] (\d+).*?)\r\n\r\n}{}s or return;

    my ($head, %response) = ($1, status => $2, headers => {});

    for my $line ((split /\r\n/, $head)[1 .. $head =~ tr/\n//]) {
        my ($name, $value) = split /: */, $line, 2;
        $name = lc $name;
        $response{headers}{$name} = defined $response{headers}{$name}
            ? "$response{headers}{$name}, $value" : $value;
    }

    if (($response{headers}{'transfer-encoding'} // '') eq 'chunked') {
        my $plain = '';

        while ($data =~ s/\A([0-9a-f]+)[^\r\n]*\r\n//i && hex $1) {
            $plain .= substr $data, 0, hex $1, '';
            $data =~ s/\A\r\n//;
        }

        $data = $plain;
    }

    $response{body} = $data;
    return \%response;
}


# polls until the code returns something true; a failed assertion otherwise

sub wait_for {
    my ($code, $what, $seconds) = @_;

    my $result = until_true($code, $seconds // 10);
    ok($result, $what);
    return $result;
}


sub log_lines {
    my ($regex) = @_;

    open my $in, '<', "$Test::Nginx::Util::ErrLogFile" or return;
    return grep { /$regex/ } <$in>;
}


sub nginx_pid {
    open my $in, '<', $Test::Nginx::Util::PidFile or return;
    chomp(my $pid = <$in> // '');
    return $pid;
}


sub worker_pids {
    my $master = nginx_pid();

    # processes come and go while this looks

    return map {
        my $in;
        my $stat = open($in, '<', $_) ? <$in> // '' : '';
        $stat =~ /^(\d+) \((?:nginx|memcheck[^)]*)\) [^Z] $master / ? $1 : ();
    } glob '/proc/[0-9]*/stat';
}


# --- blocks

sub check_log {
    my ($block) = @_;

    my @bad = log_lines(qr/\[(?:alert|emerg|crit)\]|Sanitizer|\.[ch]:\d+:\d+: runtime error:/);

    if (defined $block->must_die) {
        @bad = grep { !/\[emerg\]/ } @bad;
    }

    is(join('', @bad[0 .. ($#bad > 4 ? 4 : $#bad)]), '',
       $block->name . ' - nothing alarming in the error log');
    return;
}


sub run_check {
    my ($block) = @_;

    my $code = $block->check;
    my $package = 'main';
    my $name = $block->name;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    eval "package $package; no strict; use Test::More; $code\n; 1"
        or fail("$name - check: $@");
    return;
}


# Without a spool, unless the block says where it is: the default is a directory
# of this machine, where one test would find the events of another.

sub without_spool {
    my ($text) = @_;

    $text =~ s/\brefine_catalog\s+\S+\s*\{(?![^\}]*\bspool\b)\K/ spool off;/g;
    return $text;
}


sub prepare {
    my ($block) = @_;

    redis_start();
    mock_control('POST', '/_mock/reset');

    $catalog = sprintf 'cat_%s_%d', $file, ++$block_number;
    $ENV{TEST_NGINX_CATALOG} = $catalog;

    if (!defined $block->http_config) {
        my $more = $block->catalog // '';
        my $extra = $block->http_extra // '';

        # a machine that stands still for a moment is not what is tested
        $more = "        queue_timeout 8s;\n$more"
            if $more !~ /^\s*queue_timeout\b/m;

        # where there is none the spool is the queue
        my $queue = defined $block->no_queue ? '' : <<'END';
        queue            redis://unix:$TEST_NGINX_REDIS;
END

        $block->set_value('http_config', <<"END");
    refine_catalog shop {
        organization_id  org_1;
        catalog_id       $catalog;
        api_key          k;
        endpoint         http://unix:\$TEST_NGINX_MOCK:/events;
$queue
$more
    }

    refine shop;
$extra
END
    }

    $block->set_value('http_config', without_spool(scalar $block->http_config));

    if (!defined $block->no_shutdown_error_log) {
        $block->set_value('no_shutdown_error_log',
                          "[alert]\n[emerg]\n[crit]\nSanitizer")
            if !defined $block->must_die;
    }
}


sub begin {
    make_path($dir);
    $ENV{TEST_NGINX_REDIS} = redis_path();
    $ENV{TEST_NGINX_MOCK} = mock_path();
    $ENV{TEST_NGINX_SCRATCH} = scratch();
    redis_start();
    mock_start();

    my $run = $Test::Nginx::Util::RunTestHelper;

    $Test::Nginx::Util::RunTestHelper = sub {
        my ($block, $dry_run) = @_;

        $run->(@_);

        if (!$dry_run) {
            run_check($block) if defined $block->check;
            check_log($block);
        }
    };

    add_block_preprocessor(\&prepare);
    log_level($ENV{TEST_NGINX_LOG_LEVEL} // 'info');
    return;
}


# nginx goes first: it still writes to Redis at its end, and then removes its
# sockets.  Test::Nginx would end it after this.

END {
    if ($$ == $owner) {
        my $status = $?;
        my $nginx = nginx_pid();
        Test::Nginx::Util::kill_process($nginx, 1, 'END') if $nginx;
        stop_process($_) for keys %process;
        remove_tree($dir) if !$status && !$ENV{REFINE_KEEP};
        $? = $status;
    }
}


begin();

1;
