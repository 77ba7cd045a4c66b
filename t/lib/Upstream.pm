package Upstream;

# An upstream for the tests of the response filter: see upstream.py.  It listens
# on the unix socket $TEST_NGINX_UPSTREAM and ends with the test file; other
# files and sockets of a test can be in $TEST_NGINX_SCRATCH.

use strict;
use warnings;

use Exporter 'import';
use File::Basename;
use File::Path 'make_path';
use IO::Socket::UNIX;
use Test::More;
use Refine;
use Time::HiRes 'sleep';

our @EXPORT = qw(reply reply_raw chunked asked serve no_serve skipped counted peak
                 grown);

my $folder = scratch() . '/up';


# What the upstream answers to GET /NAME: a body and headers; content is JSON,
# its length is known, unless the headers say otherwise.

sub reply {
    my ($name, $body, @headers) = @_;

    my $status = @headers % 2 ? shift @headers : '200 OK';
    my $head = '';
    my %seen;

    while (my ($key, $value) = splice @headers, 0, 2) {
        $seen{lc $key} = 1;
        $head .= "$key: $value\r\n" if defined $value;
    }

    $head .= "Content-Type: application/json\r\n" if !$seen{'content-type'};
    $head .= 'Content-Length: ' . length($body) . "\r\n"
        if !$seen{'content-length'} && !$seen{'transfer-encoding'};

    return reply_raw($name, "HTTP/1.1 $status\r\nConnection: close\r\n$head\r\n"
                            . $body);
}


sub reply_raw {
    my ($name, $text) = @_;

    open my $out, '>:raw', "$folder/$name" or die "$folder/$name: $!";
    print {$out} $text;
    close $out;
    return "/$name";
}


# a body in chunks of SIZE bytes (RFC 9112, 7.1)

sub chunked {
    my ($body, $size) = @_;

    return join '', map { sprintf "%x\r\n%s\r\n", length, $_ } unpack("(a$size)*", $body), '';
}


# the last request for NAME that the upstream got

sub asked {
    my ($name) = @_;

    open my $in, '<:raw', "$folder/$name.request" or return '';
    local $/;
    return scalar <$in>;
}


# The serve whose id a response carries in its header, from the queue.

sub serve {
    my ($response) = @_;

    my $id = $response->{headers}{'x-refine-serve-id'};
    ok(defined $id, 'the response has a serve id') or return {};

    my $event = wait_for(
        sub { (grep { $_->{serveId} eq $id } events($id))[0] }, 'it is logged');
    return $event || {};
}


sub counted { stats()->{$_[0]} // 0 }


# exactly n responses were not logged so far, for this reason

sub skipped {
    my ($reason, $n) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return counts("skipped:$reason", $n);
}


# a response that is not logged, nor says so; its reason is counted once

sub no_serve {
    my ($response, $reason) = @_;

    my $n = ++$Upstream::expected{catalog()}{$reason};

    is($response->{headers}{'x-refine-serve-id'}, undef, 'no serve id');
    skipped($reason, $n);
    return;
}


# the most memory that this nginx has ever had, in KB

sub peak {
    open my $in, '<', '/proc/' . nginx_pid() . '/status' or return 0;
    my ($kb) = join('', <$in>) =~ /^VmHWM:\s+(\d+)/m;
    return $kb;
}


# it has grown by less than that; a sanitizer keeps what is freed

sub grown {
    my ($before, $most) = @_;

    open my $in, '<', '/proc/' . nginx_pid() . '/maps' or return fail('maps');
    return pass('a sanitizer is in the way') if grep { /libasan|memcheck/ } <$in>;

    cmp_ok(peak() - $before, '<', $most, "less than $most KB more");
    return;
}


sub begin {
    make_path($folder);
    $ENV{TEST_NGINX_SCRATCH} = scratch();

    # where nginx may listen: it outlives the folder of the test

    $ENV{TEST_NGINX_HTML_DIR} = $Test::Nginx::Util::HtmlDir;
    $ENV{TEST_NGINX_UPSTREAM} = scratch() . '/up.sock';

    start_process('upstream', [
        '/usr/bin/python3', dirname(__FILE__) . '/upstream.py',
        $ENV{TEST_NGINX_UPSTREAM}, $folder
    ]);

    for (1 .. 500) {
        return if IO::Socket::UNIX->new(Peer => $ENV{TEST_NGINX_UPSTREAM});
        sleep 0.02;
    }

    die 'the upstream does not start, see ' . scratch() . '/upstream.log';
}


begin();

1;
