package Load;

# Clients that send events all the time, each a process, and remember which of
# them were answered with 2xx: what has to arrive whatever happens meanwhile.

use strict;
use warnings;

use Delivery;
use Exporter 'import';
use IO::Select;
use POSIX ();
use Refine;
use Test::More;
use Time::HiRes 'sleep';

our @EXPORT = qw(load_start load_end arrived start_nginx);

my $number = 0;
my @clients;


# starts so many clients; each has a connection for each request

sub load_start {
    my ($n, $path) = @_;

    for (1 .. $n) {
        my $client = ++$number;
        pipe(my $in, my $end) or die "pipe: $!";
        pipe(my $acks, my $out) or die "pipe: $!";
        my $pid = fork() // die "fork: $!";

        if ($pid == 0) {
            close $_ for $end, $acks;
            run($client, $path // '/refine/collect', $in, $out);
            POSIX::_exit(0);
        }

        close $_ for $in, $out;
        push @clients, { pid => $pid, end => $end, acks => $acks };
    }

    return;
}


sub run {
    my ($client, $path, $end, $out) = @_;

    my $text = '';

    for (my $i = 1; !IO::Select->new($end)->can_read(0); $i++) {
        my $n = "c$client-$i";
        my $r = post($path, encode_json([click($n)]), Timeout => 12);
        $text .= "e$n\n" if $r && $r->{status} == 204;
        sleep 0.005;
    }

    print {$out} $text;
    close $out;
    return;
}


# ends them; the ids of the events that were answered with 204

sub load_end {
    close $_->{end} for @clients;

    my @ids = map { my $in = $_->{acks}; map { chomp; $_ } <$in> } @clients;
    waitpid $_->{pid}, 0 for @clients;
    @clients = ();

    return @ids;
}


# Waits until all of these have reached Refine, and holds what has reached it
# against them: nothing but what was sent, each under one key, and once, unless
# somebody was killed.

sub arrived {
    my ($ids, %option) = @_;

    my %got;

    wait_for(sub {
        return if redis('XLEN', Refine::key('events')) ne '0';
        %got = ();
        $got{$_}++ for delivered();
        return !grep { !$got{$_} } @$ids;
    }, 'all ' . @$ids . ' that were taken have arrived',
       $option{seconds} // 30);

    cmp_ok(scalar(@$ids), '>=', $option{least} // 50, 'they were some');
    is(scalar(grep { !/^ec\d+-\d+\z/ } keys %got), 0, 'nothing unknown');

    my @twice = grep { $got{$_} > 1 } keys %got;
    is("@twice[0 .. ($#twice > 4 ? 4 : $#twice)]", '', 'each once')
        if !$option{killed};

    is(scalar dead(), 0, 'no dead letter');
    return;
}


# starts the nginx of this block again, after it was ended

sub start_nginx {
    my $root = $Test::Nginx::Util::ServRoot;

    local $ENV{LD_PRELOAD} = $ENV{TEST_NGINX_LD_PRELOAD}
        if $ENV{TEST_NGINX_LD_PRELOAD};

    is(system($ENV{TEST_NGINX_BINARY} || 'nginx', '-p', "$root/", '-c',
              $Test::Nginx::Util::ConfFile, '-e',
              $Test::Nginx::Util::ErrLogFile), 0, 'nginx starts');
    wait_for(sub { nginx_pid() && worker_pids() }, 'with workers');
    return;
}


1;
