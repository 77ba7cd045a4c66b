package RedisPeer;

# A scripted Redis for tests, see redis_peer.py, and the block "peer", which
# makes the configuration of a catalog whose queue it is:
#
# --- peer        options of the catalog "shop"
# --- peer_url    [user:password@]%s[:/db], %s stands for unix:PATH
# --- peer_says   as peer_set() has it, before nginx starts

use strict;
use warnings;

use Exporter 'import';
use File::Basename;
use IO::Socket::UNIX;
use JSON::PP;
use Refine;
use Test::Nginx::Socket;
use Time::HiRes 'sleep';

our @EXPORT = qw(peer_set peer_seen peer_forget peer_kill peer_path);

my ($client, $started);


sub peer_path { scratch() . '/p.sock' }


sub start {
    return if $started;

    unlink peer_path();
    start_process('peer', ['/usr/bin/python3',
                           dirname(__FILE__) . '/redis_peer.py', peer_path()]);

    for (1 .. 500) {
        $client = IO::Socket::UNIX->new(Peer => peer_path()) and last;
        sleep 0.02;
    }

    $client or die 'the scripted Redis does not start, see peer.log';
    $started = 1;
    return;
}


sub peer_kill {
    stop_process('peer', 'KILL');
    $started = 0;
    return;
}


sub command {
    my (@args) = @_;

    start();
    print {$client} sprintf("*%d\r\n", scalar @args),
                    map { sprintf "\$%d\r\n%s\r\n", length, $_ } @args;
    $client->flush;

    return Refine::redis_reply($client);
}


# Name => reply, or [replies]: how it answers from now on; what was told before
# is forgotten.  Without names it is a healthy one again.

sub peer_set {
    my (%rules) = @_;

    ref $rules{$_} eq 'ARRAY' or $rules{$_} = [$rules{$_}] for keys %rules;
    command('PEER', 'SET', JSON::PP->new->ascii->encode(\%rules));
    return;
}


# the commands it got: [connection, name, argument...]

sub peer_seen {
    my ($name) = @_;

    return grep { !defined $name || $_->[1] eq $name }
           @{ decode_json(command('PEER', 'SEEN')) };
}


sub peer_forget { command('PEER', 'FORGET') }


add_block_preprocessor(sub {
    my ($block) = @_;

    return if !defined $block->peer;

    start();
    peer_set(%{ $block->peer_says // {} });
    peer_forget();

    my $options = $block->peer;
    my $url = $block->peer_url // '%s';
    chomp $url;
    $url =~ s/%s/'unix:' . peer_path()/e;

    $block->set_value('http_config', <<"END");
    refine_catalog shop {
        organization_id  org_1;
        catalog_id       \$TEST_NGINX_CATALOG;
        api_key          k;
        endpoint         http://unix:\$TEST_NGINX_MOCK:/events;
        queue            redis://$url;
        spool            off;
$options
    }

    refine shop;
END
});


1;
