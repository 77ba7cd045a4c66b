package Delivery;

# Events and shorthands for the tests of delivery.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP;
use Refine;
use Test::More;

our @EXPORT = qw(
    click line collect received delivered unique sent flush_now control
    encode_json decode_json
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


1;
