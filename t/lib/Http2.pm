package Http2;

# As much of HTTP/2 as the tests need: several requests as streams of one
# connection, without TLS.

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::UNIX;

our @EXPORT = qw(h2 h2_send h2_read h2_frame h2_client);


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

    my $text = sub { pack('C/a', $_[0]) };
    my $out = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . h2_frame(4, 0, 0, '');

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


sub h2_client {
    return IO::Socket::UNIX->new(
               Peer => "$Test::Nginx::Util::ServRoot/h2.sock");
}

1;
