package Http2;

# As much of HTTP/2 as the tests need: several requests as streams of one
# connection, without TLS.

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::UNIX;

our @EXPORT = qw(h2 h2_send h2_read h2_frame h2_client h2_open h2_take
                 h2_release);


# requests [method, path, body, headers...] as streams of one HTTP/2
# connection, all sent before the first answer is read: their statuses

sub h2 {
    my ($socket, @requests) = @_;

    h2_send($socket, @requests);
    return h2_read($socket, scalar @requests);
}


sub h2_frame {
    my ($type, $flags, $stream, $data) = @_;
    return substr(pack('N', length $data), 1)
           . pack('CCN', $type, $flags, $stream) . $data;
}


sub h2_send {
    my ($socket, @requests) = @_;

    return send_all($socket, '', @requests);
}


sub send_all {
    my ($socket, $settings, @requests) = @_;

    my $text = sub { pack('C/a', $_[0]) };
    my $out = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . h2_frame(4, 0, 0, $settings);

    for my $i (0 .. $#requests) {
        my ($method, $path, $body, %headers) = @{ $requests[$i] };
        my $head = "\x02" . $text->($method) . "\x86\x04" . $text->($path)
                   . "\x01" . $text->('localhost');
        $head .= "\0" . $text->($_) . $text->($headers{$_}) for keys %headers;
        $out .= h2_frame(1, defined $body ? 4 : 5, 2 * $i + 1, $head);
        $out .= h2_frame(0, 1, 2 * $i + 1, $body) if defined $body;
    }

    print {$socket} $out;
    $socket->flush;
    return;
}


# the statuses of the first so many streams; "-": none

sub h2_read {
    my ($socket, $n, $gone) = @_;

    my %code = (0x88 => 200, 0x89 => 204, 0x8c => 400, 0x8d => 404);
    my ($in, %status, %ended) = ('');

    my $select = IO::Select->new($socket);

    while (keys %ended < $n - ($gone // 0) && $select->can_read(5)) {
        last if !sysread($socket, $in, 65536, length $in);

        while (length $in >= 9) {
            my ($length, $type, $flags, $stream)
                = unpack('NCCN', "\0" . $in);
            last if length $in < 9 + $length;
            my $data = substr(substr($in, 0, 9 + $length, ''), 9);

            if ($type == 1) {
                $data =~ s/\A[\x20-\x3f]+//;
                $status{$stream} = $code{ ord $data }
                                   // substr($data, 2, 3);
            }

            $ended{$stream} = 1 if ($type == 0 || $type == 1) && $flags & 1
                                   || $type == 3;
        }
    }

    return join(' ', map { $status{ 2 * $_ + 1 } // '-' } 0 .. $n - 1);
}


# The same for bodies, of which $window bytes may be on their way: a connection
# that h2_take reads.

sub h2_open {
    my ($socket, $window, @requests) = @_;

    send_all($socket, pack('nN', 4, $window), @requests);
    return { socket => $socket, in => '', window => $window,
             streams => [map { { body => '', names => [] } } @requests] };
}


# Takes all there is, and gives the window back as it is read; with $hold no
# more than the first window, which is not given back.  Returns the streams:
# {status, names, body, ended}; names are indexes of HPACK's table.

sub h2_take {
    my ($c, $hold) = @_;

    my $socket = $c->{socket};
    my $select = IO::Select->new($socket);
    my $waits = sub {
        grep { !$_->{ended} && !($hold && length $_->{body} >= $c->{window}) }
             @{ $c->{streams} };
    };

    while ($waits->() && $select->can_read(30)) {
        last if !sysread($socket, $c->{in}, 65536, length $c->{in});

        while (length $c->{in} >= 9) {
            my ($length, $type, $flags, $id) = unpack 'NCCN', "\0" . $c->{in};
            last if length $c->{in} < 9 + $length;
            my $data = substr(substr($c->{in}, 0, 9 + $length, ''), 9);
            my $stream = $c->{streams}[($id - 1) / 2];

            if ($type == 0) {
                $stream->{body} .= $data;
                credit($c, $id, $length) if $length && !$hold;
            } elsif ($type == 1) {
                @$stream{qw(status names)} = header($data);
            }

            $stream->{ended} = 1 if $type < 2 && $flags & 1;
            return if $type == 3 || $type == 7;
        }
    }

    return @{ $c->{streams} };
}


# what was held and read is given back

sub h2_release {
    my ($c) = @_;

    for my $i (0 .. $#{ $c->{streams} }) {
        credit($c, 2 * $i + 1, length $c->{streams}[$i]{body});
    }

    return;
}


sub credit {
    my ($c, $id, $n) = @_;

    syswrite $c->{socket}, h2_frame(8, 0, $id, pack 'N', $n)
                           . h2_frame(8, 0, 0, pack 'N', $n);
    return;
}


# the status, and the indexes of the names that have one

sub header {
    my ($block) = @_;

    my $int = sub {
        my ($max, $shift) = (2**$_[0] - 1, 0);
        my $n = ord(substr $block, 0, 1, '') & $max;
        return $n if $n < $max;
        while (1) {
            my $byte = ord substr $block, 0, 1, '';
            $n += ($byte & 127) << $shift;
            return $n if $byte < 128;
            $shift += 7;
        }
    };

    my %status = (8 => 200, 9 => 204, 13 => 404);
    my ($status, @names);

    while (length $block) {
        my $byte = ord $block;

        if ($byte & 128) {
            my $index = $int->(7);
            $status = $status{$index} if $index < 15;
        } elsif (($byte & 224) == 32) {
            $int->(5);
        } else {
            my $index = $int->($byte & 64 ? 6 : 4);
            push @names, $index if $index;
            for ($index ? 1 : 1 .. 2) {
                my $length = $int->(7);
                substr $block, 0, $length, '';
            }
        }
    }

    return ($status, \@names);
}


sub h2_client {
    return IO::Socket::UNIX->new(
               Peer => "$Test::Nginx::Util::ServRoot/h2.sock");
}

1;
