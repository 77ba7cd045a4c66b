# Tests for docs/grafana.json and docs/alerts.yml: each metric, label and value
# of a label in them is one that a living nginx tells, and nothing that it tells
# is missing in the dashboard.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Prometheus;
use CPAN::Meta::YAML;
use JSON::PP;

our $CLICK = '{"type":"click","serveId":"s1","itemId":"a","position":0}';
our (%series, %known);

sub slurp {
    open my $in, '<:utf8', $_[0] or die "$_[0]: $!";
    local $/;
    return scalar <$in>;
}

# %series: SERIES => LABEL => VALUE => 1; %known: the metrics of these

sub learn {
    my $p = Prometheus::parse(get('/s')->{body});

    for my $name (CORE::keys %{ $p->{metrics} }) {
        $known{$name} = 1;
        for my $sample (@{ $p->{metrics}{$name}{samples} }) {
            $series{ $sample->{name} }{$_}{ $sample->{labels}{$_} } = 1
                for CORE::keys %{ $sample->{labels} };
            $series{ $sample->{name} }{instance} = { any => 1 };
        }
    }
}

# what is wrong with an expression of PromQL, as far as names go

sub wrong {
    my ($expr) = @_;
    my @wrong;

    while ($expr =~ /\b(refine_\w+)(?:\{([^}]*)\})?/g) {
        my ($name, $matchers) = ($1, $2 // '');
        push @wrong, "no metric $name" if !$series{$name};
        next if !$series{$name};

        while ($matchers =~ /(\w+)(?:=~|!=|!~|=)"([^"]*)"/g) {
            my ($label, $values) = ($1, $2);
            if (!$series{$name}{$label}) {
                push @wrong, "no label $label of $name";
                next;
            }

            push @wrong, map { "no $label=\"$_\" of $name" }
                grep { !/^\$/ && !$series{$name}{$label}{$_} }
                split /\|/, $values;
        }
    }

    while ($expr =~ /\bby \(([^)]*)\) \((?:\w+\()?(refine_\w+)/g) {
        my ($labels, $name) = ($1, $2);
        push @wrong, map { "no label $_ of $name" }
            grep { !$series{$name}{$_} } split /, */, $labels;
    }

    return @wrong;
}

# the labels that the result of an expression has

sub labels {
    my ($expr) = @_;

    return map { split /, */ } $expr =~ /\bby \(([^)]*)\)/g
        if $expr =~ /\bby \(/;
    return map { CORE::keys %{ $series{$_} // {} } } $expr =~ /\b(refine_\w+)/g;
}

sub right {
    my ($what, $expr, @used) = @_;

    my %has = map { $_ => 1 } labels($expr);
    my @wrong = (wrong($expr), map { "no label $_" } grep { !$has{$_} } @used);
    is(CORE::join('; ', @wrong), '', "$what: $expr");
}

run_tests();

__DATA__

=== TEST 1: the names are those of a living nginx
--- catalog
    flush_interval 100ms;
--- config
    location = /s { refine_status prometheus; }
    location = /c { refine_collect; }
--- request
POST /c
{"type":"items_served","surface":"a","source":"b","itemIds":["a"]}
--- error_code: 204
--- check
mock_set(status => 200, headers => { 'X-RateLimit-Limit' => '100000',
         'X-RateLimit-Remaining' => '99990',
         'X-RateLimit-Reset' => CORE::time + 60 });
my $state = sub {
    my ($want) = @_;
    wait_for(sub {
        my $p = Prometheus::parse(get('/s')->{body});
        Prometheus::value($p, 'refine_delivery_state', catalog => 'shop',
                          state => $want)
        && $p->{metrics}{refine_served_total}
        && $p->{metrics}{$want eq 'up'
                         ? 'refine_rate_limit_requests'
                         : 'refine_delivery_retry_timestamp_seconds'}
    }, $want) && learn();
};
post('/c', $CLICK);
$state->('up');
ok($known{refine_rate_limit_requests}, 'a rate limit');
mock_set(status => 503);
post('/c', $CLICK);
$state->('backoff');

my $dashboard = decode_json(slurp('docs/grafana.json'));
my %shown;
my %place;
for my $panel (@{ $dashboard->{panels} }) {
    ok(!$place{ $panel->{id} }++, "panel $panel->{id} is one");
    my $grid = $panel->{gridPos};
    my $overlaps = 0;
    for my $x ($grid->{x} .. $grid->{x} + $grid->{w} - 1) {
        for my $y ($grid->{y} .. $grid->{y} + $grid->{h} - 1) {
            $overlaps += $x > 23 || $place{"$x,$y"}++;
        }
    }
    is($overlaps, 0, "\"$panel->{title}\" has its place");
    for my $target (@{ $panel->{targets} // [] }) {
        right($panel->{title}, $target->{expr},
              $target->{legendFormat} =~ /\{\{(\w+)\}\}/g);
        $shown{$_} = 1 for $target->{expr} =~ /\b(refine_\w+)/g;
    }
}
s/_(?:bucket|count|sum)$//, $shown{$_} = 1 for CORE::keys %shown;
is_deeply([grep { !$shown{$_} } sort CORE::keys %known], [],
          'no metric is missing');
for my $variable (@{ $dashboard->{templating}{list} }) {
    next if $variable->{type} ne 'query';
    like($variable->{definition}, qr/^label_values\((\w+), (\w+)\)$/);
    my ($name, $label) = $variable->{definition} =~ /(\w+), (\w+)/;
    ok($series{$name}{$label}, $variable->{definition});
    is($variable->{query}{query}, $variable->{definition});
}

my ($rules) = @{ CPAN::Meta::YAML->read_string(slurp('docs/alerts.yml')) };
my %alerts;
for my $rule (map { @{ $_->{rules} } } @{ $rules->{groups} }) {
    ok(!$alerts{ $rule->{alert} }, "one $rule->{alert}");
    $alerts{ $rule->{alert} } = "$rule->{expr} for $rule->{for}";
    my $text = CORE::join(' ', CORE::values %{ $rule->{annotations} });
    right($rule->{alert}, $rule->{expr}, $text =~ /\$labels\.(\w+)/g);
    like($rule->{labels}{severity}, qr/^(?:critical|warning)$/);
    like($rule->{annotations}{$_}, qr/\w/) for qw(summary action);
    like($rule->{for}, qr/^\d+[mh]$/);
}

my %table;
for (slurp('docs/operations.md') =~ /^\| [^|\n]+ \| `Refine.*$/mg) {
    my ($name, $expr, $for)
        = /^\| [^|]+ \| `(\w+)` \| `(.+)` \| (\d+[mh]) \|$/;
    $expr =~ s/\\\|/|/g;
    $table{$name} = "$expr for $for";
}
is_deeply(\%table, \%alerts, 'docs/operations.md has the same alerts');



=== TEST 2: a name that does not exist is noticed
--- catalog
    flush_interval 1h;
--- config
    location = /s { refine_status prometheus; }
--- request
GET /s
--- check
learn();
is(wrong('max by (catalog) (rate(refine_events_sent_total{catalog=~"$c"}[5m]))'
         . ' / refine_rejected_total{reason=~"queue_full|method"}'), 0);
for (
    'refine_sent_total',
    'rate(refine_events_sent_total{shop="a"}[5m])',
    'refine_rejected_total{reason="full"}',
    'refine_rejected_total{reason=~"queue_full|full"}',
    'sum by (catalog, reason) (rate(refine_events_sent_total[5m]))',
    'max by (type) (refine_events_queued)'
) {
    is(scalar(my @w = wrong($_)), 1, $_);
}
is_deeply([sort(labels('max by (catalog, le) (refine_x)'))],
          ['catalog', 'le']);



=== TEST 3: the log formats of docs/operations.md
--- catalog
    flush_interval 1h;
    enabled on;
--- http_extra
    map $refine_outcome $beacon_failed { default 1; stored 0; duplicate 0; dropped 0; "" 0; }

    log_format beacons escape=json
        '{"time":"$time_iso8601","status":$status,"outcome":"$refine_outcome",'
        '"bytes":$request_length,"seconds":$request_time,"agent":"$http_user_agent"}';
    log_format serves '$time_iso8601 $status serve=$refine_serve_id "$request"';
--- config
    location = /c {
        refine_collect;
        access_log $TEST_NGINX_SCRATCH/beacons.log beacons;
        access_log $TEST_NGINX_SCRATCH/failed.log beacons if=$beacon_failed;
    }
    location = /r {
        default_type application/json;
        refine_serve search;
        access_log $TEST_NGINX_SCRATCH/serves.log serves;
        return 200 '{"results":[{"productId":"a"}]}';
    }
--- request
GET /r
--- response_headers_like
X-Refine-Serve-Id: [0-9a-f-]{36}
--- check
my $docs = slurp('docs/operations.md');
for my $line (slurp('t/72-dashboards.t')
              =~ /^ *(map \$.*|log_format \w.*|'.*\$status.*|access_log .* if=.*)$/mg)
{
    $line =~ s/\$TEST_NGINX_SCRATCH/\/var\/log\/nginx/;
    $line =~ s/failed\.log/beacons-failed.log/;
    ok(index($docs, $line) >= 0, $line);
}
my $id = get('/r')->{headers}{'x-refine-serve-id'};
post('/c', $CLICK, 'User-Agent' => "a\"\\b\x01");
post('/c', 'x');
post('/c', "[$CLICK,1]");
request('OPTIONS', '/c');
my $outcomes = sub {
    open my $in, '<', scratch() . "/$_[0].log" or return;
    return [ map { decode_json($_)->{outcome} } <$in> ];
};
wait_for(sub { @{ $outcomes->('beacons') // [] } == 4 }, 'four lines');
is_deeply($outcomes->('beacons'), ['stored', 'rejected', 'partial', '']);
is_deeply($outcomes->('failed'), ['rejected', 'partial']);
like(slurp(scratch() . '/serves.log'), qr/ 200 serve=\Q$id\E "GET/);
