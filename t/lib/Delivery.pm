package Delivery;

# Events and shorthands for the tests of delivery.

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP;
use Refine;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
    click line collect received delivered unique sent flush_now control
    encode_json decode_json backlog conserved
    another_mock another_mock_do
    gone pending kill_workers reload
);


sub click {
    my ($n, %more) = @_;

    return { type => 'click', eventId => "e$n", serveId => 's1',
             itemId => "i$n", position => 0, %more };
}


# text of a stream entry, for backlogs that nobody collected

sub line {
    my ($n, %more) = @_;

    my $json = encode_json({ type => 'click', serveId => 's1',
                             itemId => "i$n", position => 0,
                             timestamp => 1_700_000_000_000,
                             receivedAt => 1_700_000_000_000, %more });
    return qq({"eventId":"e$n",) . substr $json, 1;
}


sub collect {
    my (@events) = @_;

    my $r = post('/refine/collect', encode_json(\@events));
    is($r && $r->{status}, 204, 'collected ' . @events)
        or diag($r ? $r->{body} : 'no answer');
    return;
}


# the ids of the events in all POSTs, and in those that were answered with 2xx

sub received {
    return map { $_->{eventId} } map { @{ $_->{body}{events} } } mock(@_);
}


sub delivered {
    return map { $_->{eventId} } map { @{ $_->{body}{events} } }
           grep { $_->{status} =~ /^2/ } mock(@_);
}


sub sent { return stats()->{sent} // 0 }

sub unique { my %seen; return grep { !$seen{$_}++ } @_ }


sub control {
    my ($action, %more) = @_;

    return post("/refine/control?action=$action", undef,
                'X-Refine-Control' => 1, 'Content-Length' => 0, %more);
}


sub flush_now { return control('flush&timeout=1s') }


# puts text into the stream as if it had been collected

sub backlog {
    my (@lines) = @_;

    for my $line (@lines) {
        redis('XADD', Refine::key('events'), '*', 'e', $line);
        redis('HINCRBY', Refine::key('stats'), 'accepted', 1);
        redis('HINCRBY', Refine::key('stats'), 'bytes', length $line);
    }

    return;
}


# accepted = sent + failed + what is in the stream, as soon as nothing moves

sub conserved {
    my ($s, $n);

    wait_for(sub {
        $s = stats();
        $n = redis('XLEN', Refine::key('events'));
        my ($accepted, $sent, $failed) = map { $s->{$_} // 0 }
                                             qw(accepted sent failed);
        return $accepted == $sent + $failed + $n;
    }, 'every event is accounted for');

    is($s->{bytes} // 0, 0, 'no bytes without events') if $n == 0;
    return;
}


# --- more mocks than the one of Refine.pm

# starts a mock that listens at the addresses; returns their ports

sub another_mock {
    my ($name, @args) = @_;

    my $listens = grep { /:\d+\z/ } @args;
    start_process($name, [ '/usr/bin/python3', 't/lib/mock_refine.py',
                           '--key', 'k', @args ]);

    for (1 .. 500) {
        open my $in, '<', scratch() . "/$name.log" or next;
        my @ports = map { /:(\d+)$/ ? $1 : () } <$in>;
        return @ports if @ports == $listens;
    } continue { sleep 0.02 }

    die "the mock \"$name\" does not start";
}


# controls the one that listens at a port of 127.0.0.1, or at a unix socket

sub another_mock_do {
    my ($where, $method, $path, $data) = @_;

    my $socket = $where =~ m{/} ? IO::Socket::UNIX->new(Peer => $where)
                                : IO::Socket::INET->new("127.0.0.1:$where");
    die "no mock at $where: $!" if !$socket;

    my $r = request($method, "/_mock/$path", $data && encode_json($data),
                    Socket => $socket);

    return decode_json($r->{body});
}


# --- nginx

sub gone { my ($pid) = @_; return !kill 0, $pid }


# what Redis says of claimed events: [id, consumer, idle ms, deliveries]...

sub pending {
    my $rows = redis('XPENDING', Refine::key('events'), 'refine', '-', '+',
                     100_000);

    return ref $rows ? @$rows : ();
}


# kills workers, and takes nginx's alerts about that out of the log

sub kill_workers {
    my (@pids) = @_;

    kill 'KILL', @pids;
    wait_for(sub { log_lines(qr/exited on signal 9/) == @pids }, 'killed');

    open my $log, '+<', $Test::Nginx::Util::ErrLogFile or die $!;
    my @rest = grep { !/exited on signal 9/ } <$log>;
    seek $log, 0, 0;
    truncate $log, 0;
    print $log @rest;
    return;
}


# changes the configuration file, if there is something to do to $_, and
# reloads; returns the seconds until the old workers have gone

sub reload {
    my ($edit, $seconds) = @_;

    my $file = $Test::Nginx::Util::ConfFile;
    my @old = worker_pids();

    if ($edit) {
        open my $in, '<', $file or die $!;
        local $_ = join '', <$in>;
        $edit->();

        # a reload under way may be reading the file

        open my $out, '>', "$file.new" or die $!;
        print $out $_;
        close $out;
        rename "$file.new", $file or die $!;
    }

    my $start = time;
    kill 'HUP', nginx_pid();
    wait_for(sub { my %now = map { $_ => 1 } worker_pids();
                   %now && !grep { $now{$_} } @old },
             'the old workers are gone', $seconds // 12);
    return time - $start;
}


1;
