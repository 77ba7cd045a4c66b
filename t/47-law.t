# Tests for the law of conservation and the sums of refine_status with two
# workers under load, as the Prometheus text has them.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Prometheus;
use POSIX ();
use Time::HiRes qw(sleep time);

# Clients, each a process, that store clicks and serves, repeat themselves, are
# refused, and are dropped, until the pipe to them is closed.

our @clients;

sub client {
    my ($n) = @_;

    my @post = (
        ['/c', [map { { type => 'click', serveId => 's', itemId => 'a',
                        position => $_ } } 1 .. 7]],
        ['/c', [map { { type => 'items_served', surface => "s$n-$_",
                        source => 'plp', itemIds => ['a'] } } 1 .. 20]],
        ['/c', [{ type => 'view' }]],
        ['/denied', [{ type => 'purchase', orderId => 'o', value => 0,
                    currency => 'EUR', items => [{ itemId => 'a',
                    quantity => 1, unitPrice => 0 }] }]],
        ['/c', [{ type => 'view', eventId => "same$n", serveId => 's',
                  itemId => 'a', position => 0 }]],
    );

    pipe(my $in, my $out) or die "pipe: $!";
    my $pid = fork() // die "fork: $!";

    if (!$pid) {
        CORE::close($out);

        for (my $i = 0; !IO::Select->new($in)->can_read(0); $i++) {
            my ($path, $events) = @{ $post[$i % @post] };
            post('/c', encode_json($events), $path eq '/denied'
                 ? (Cookie => 'refine_consent=denied') : ());
            get('/r') if $i % 10 == 0;
        }

        POSIX::_exit(0);
    }

    push @clients, [$pid, $out];
}

sub metrics {
    my $r = get('/s');
    my $p = eval { Prometheus::parse($r->{body}) };
    ok(0, 'a strict parser takes it') or diag("$@\n$r->{body}") if !$p;
    return $p // { metrics => {}, series => {} };
}

sub number { Prometheus::value($_[0], "refine_$_[1]", catalog => 'shop') }

sub sum {
    my ($p, $name) = @_;
    my $sum = 0;
    $sum += $_->{value} for @{ $p->{metrics}{"refine_$name"}{samples} // [] };
    return $sum;
}

# one answer: what has to hold within it

sub hold {
    my ($p, $what) = @_;

    my $accepted = number($p, 'events_accepted_total');
    my $dropped = sum($p, 'events_dropped_total');

    is($accepted, number($p, 'events_sent_total')
                  + number($p, 'events_failed_total') + $dropped
                  + number($p, 'events_queued') + number($p, 'events_retrying'),
       "$what: conserved");
    is($accepted, sum($p, 'events_stored_total') + $dropped,
       "$what: by type");
    is(sum($p, 'served_total'),
       Prometheus::value($p, 'refine_events_stored_total', catalog => 'shop',
                         type => 'items_served'), "$what: by surface");
    return $accepted;
}

# No counter falls from one answer to a later one, whichever worker gives it.  A
# worker reads once a second, so the next answer may well be an older one.

sub rising {
    my ($old, $new) = @_;

    my @fallen = grep {
        /^refine_\w+_(?:total|bucket|count|sum)\0/
        && (($new->{series}{$_} // -1) < $old->{series}{$_})
    } CORE::keys %{ $old->{series} };

    s/\0/ /g for @fallen;
    is("@fallen", '', 'no counter falls');
}

master_on();
workers(2);
run_tests();

__DATA__

=== TEST 1: stored, delivered, refused, dropped, dead, all at once
--- catalog
    flush_interval 50ms;
    batch_size 20;
--- config
    location = /s { refine_status prometheus; }
    location = /c { refine_collect; }
    location = /refine/control { refine_control; }
    location = /r {
        default_type application/json;
        refine_serve search;
        return 200 '{"results":[{"productId":"a"}]}';
    }
--- request
GET /s
--- check
client($_) for 1 .. 3;
mock_set(status => 422, match => 's2-7');
my ($n, $risen, $at, $p, $old) = (0, 0, 0);
my %under_way;
my $end = time + 60;
while (time < $end) {
    my $now = time;
    $p = metrics();
    next if number($p, 'stale') // 1;
    hold($p, "answer $n");
    if ($now >= $at + 3) {
        rising($old, $p) if $old;
        $risen++ if $old;
        ($old, $at) = ($p, time);
    }
    $under_way{$_} ||= number($p, $_) for qw(events_queued events_retrying
        events_sent_total events_failed_total);
    $under_way{replayed} ||= 0;
    $under_way{dropped} ||= sum($p, 'events_dropped_total');
    $under_way{duplicate} ||= number($p, 'events_duplicate_total');
    last if ++$n >= 12 && $risen >= 2
            && !grep { !$_ } CORE::values %under_way;
    mock_set(status => 503, times => 3) if $n == 5;
    if ($n > 8 && $under_way{events_failed_total}) {
        mock_set(status => 200);
        my $r = control('replay');
        $under_way{replayed} ||= $r->{status} == 200
                                 && decode_json($r->{body})->{replayed};
    }
    sleep 0.2;
}
cmp_ok($risen, '>=', 2, 'compared');
ok($under_way{$_}, "$_ was seen") for sort CORE::keys %under_way;
CORE::close($_->[1]) for @clients;
waitpid $_->[0], 0 for @clients;
wait_for(sub {
    $p = metrics();
    !number($p, 'stale') && number($p, 'events_queued') == 0
    && number($p, 'events_retrying') == 0
}, 'all of it is delivered, or a dead letter', 60);
hold($p, 'at the end');
rising($old, $p);
is(number($p, 'dead_letters') + number($p, 'dead_letters_replayed_total'),
   number($p, 'events_failed_total'), 'dead, or replayed');
my %labels = map { ("$_->{labels}{surface}|$_->{labels}{source}" => 1) }
             @{ $p->{metrics}{refine_served_total}{samples} };
is(scalar(CORE::keys %labels), 33, '32 and the rest, over both workers');
my @got = map { @{ $_->{body}{events} } } grep { $_->{status} == 200 } mock();
my %ids = map { ($_->{eventId} => 1) } @got;
is(scalar(CORE::keys %ids), number($p, 'events_sent_total'),
   'and Refine has got as many');
