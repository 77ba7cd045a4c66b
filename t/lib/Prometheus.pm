package Prometheus;

# A parser of the Prometheus text format 0.0.4 that forgives nothing: what the
# format's grammar allows, what its documentation asks for in words (groups,
# one HELP and TYPE, no series twice, histograms that add up), and the rules of
# naming (base units, _total for counters and for nothing else).

use strict;
use warnings;

use Encode;

my $name_re = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $label_re = qr/[a-zA-Z_][a-zA-Z0-9_]*/;
my $number_re = qr/[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/;
my $value_re = qr/$number_re|[+-]?Inf|NaN/;


# Returns { metrics => { NAME => { type, help, samples => [ { name, labels,
# value } ] } }, series => { SERIES => value } }; dies with the line and what
# is wrong with it.

sub parse {
    my ($bytes) = @_;

    my $text = eval { decode('UTF-8', $bytes, Encode::FB_CROAK) };
    die "not UTF-8\n" if !defined $text;
    die "does not end with a line feed\n" if $text !~ /\n\z/;

    my $self = { metrics => {}, series => {}, current => '', n => 0 };

    for my $line (split /\n/, substr($text, 0, -1), -1) {
        $self->{n}++;

        eval {
            if ($line =~ /\A#/) { comment($self, $line) }
            else                { sample($self, $line) }
            1;
        } or die "line $self->{n}: \"$line\": $@";
    }

    finish($self, $_) for sort keys %{ $self->{metrics} };
    return $self;
}


sub metric {
    my ($self, $name) = @_;

    if ($self->{current} ne $name) {
        die "\"$name\" stands in two groups\n"
            if exists $self->{metrics}{$name};
        $self->{current} = $name;
        $self->{metrics}{$name} = { samples => [] };
    }

    return $self->{metrics}{$name};
}


sub comment {
    my ($self, $line) = @_;

    $line =~ /\A# (HELP|TYPE) ($name_re) (.+)\z/
        or die "neither HELP nor TYPE\n";
    my ($what, $name, $rest) = (lc $1, $2, $3);
    my $metric = metric($self, $name);

    die "a second $what\n" if defined $metric->{$what};
    die "after samples\n" if @{ $metric->{samples} };

    if ($what eq 'type') {
        die "an unknown type\n"
            if $rest !~ /\A(?:counter|gauge|histogram|summary|untyped)\z/;
        naming($name, $rest);

    } else {
        die "a bad escape\n" if $rest =~ /\\(?![\\n])(?<!\\\\)/;
    }

    $metric->{$what} = $rest;
    return;
}


sub naming {
    my ($name, $type) = @_;

    die "not a name of this module\n" if $name !~ /\Arefine_[a-z0-9_]+\z/;
    die "a counter without _total\n"
        if $type eq 'counter' && $name !~ /_total\z/;
    die "_total on what is no counter\n"
        if $type ne 'counter' && $name =~ /_total\z/;
    die "a suffix that is reserved\n" if $name =~ /_(?:bucket|sum|count)\z/;
    die "not a base unit\n"
        if $name =~ /_(?:ms|us|milliseconds?|microseconds?|second|minutes?
                      |hours?|days?|kb|mb|kilobytes?|megabytes?|byte|percent)
                     (?:_|\z)/x;
    die "the unit is not at the end\n"
        if $name =~ /_(?:seconds|bytes)_(?!total\z)/;
    return;
}


sub sample {
    my ($self, $line) = @_;

    $line =~ /\G($name_re)/gc or die "no name\n";
    my $name = $1;
    my %labels;

    if ($line =~ /\G\{/gc) {
        while (1) {
            $line =~ /\G($label_re)="/gc or die "no label\n";
            my $label = $1;
            die "a label given twice: $label\n" if exists $labels{$label};
            die "a label that is reserved: $label\n" if $label =~ /\A__/;

            my $value = '';

            while ($line !~ /\G"/gc) {
                if ($line =~ /\G([^"\\]+)/gc)    { $value .= $1 }
                elsif ($line =~ /\G\\([\\"n])/gc) {
                    $value .= $1 eq 'n' ? "\n" : $1;
                }
                else { die "a bad escape, or no end, in $label\n" }
            }

            $labels{$label} = $value;
            last if $line =~ /\G\}/gc;
            $line =~ /\G,/gc or die "neither , nor }\n";
        }
    }

    $line =~ /\G ($value_re)\z/gc or die "not one value at the end\n";
    my $value = $1;

    my $series = series($name, %labels);
    die "the series stands twice\n" if exists $self->{series}{$series};
    $self->{series}{$series} = $value;

    my $family = $name;

    if (!exists $self->{metrics}{$name}) {
        my ($stem) = $name =~ /\A(.*)_(?:bucket|sum|count)\z/;
        $family = $stem
            if defined $stem && exists $self->{metrics}{$stem}
               && ($self->{metrics}{$stem}{type} // '') eq 'histogram';
    }

    my $metric = metric($self, $family);
    push @{ $metric->{samples} },
         { name => $name, labels => \%labels, value => $value };
    return;
}


sub finish {
    my ($self, $name) = @_;

    my $metric = $self->{metrics}{$name};
    my $type = $metric->{type} // die "$name has no TYPE\n";

    die "$name has no HELP\n" if !defined $metric->{help};
    die "$name has no samples\n" if !@{ $metric->{samples} };

    if ($type eq 'counter') {
        for (@{ $metric->{samples} }) {
            die "$name is less than 0\n" if $_->{value} < 0;
        }
    }

    histogram($name, $metric) if $type eq 'histogram';
    return;
}


sub histogram {
    my ($name, $metric) = @_;

    my %sets;

    for my $sample (@{ $metric->{samples} }) {
        my %labels = %{ $sample->{labels} };
        my $le = delete $labels{le};
        my $set = $sets{ series('', %labels) } //= { buckets => [] };
        my ($suffix) = $sample->{name} =~ /\A\Q$name\E_(bucket|sum|count)\z/
            or die "$sample->{name} in a histogram\n";

        die "le on $sample->{name}\n" if defined $le && $suffix ne 'bucket';

        if ($suffix eq 'bucket') {
            die "$name has a bucket without le\n" if !defined $le;
            die "$name has le=\"$le\"\n" if $le !~ /\A(?:$number_re|\+Inf)\z/;
            push @{ $set->{buckets} }, [ $le, $sample->{value} ];
        } else {
            $set->{$suffix} = $sample->{value};
        }
    }

    for my $set (values %sets) {
        my ($bound, $count) = ('-Inf', 0);

        for (@{ $set->{buckets} }) {
            die "$name: le is not in order\n" if $_->[0] <= $bound;
            die "$name: buckets are not cumulative\n" if $_->[1] < $count;
            ($bound, $count) = @$_;
        }

        die "$name has no bucket +Inf\n" if $bound ne '+Inf';
        die "$name has no count\n" if !defined $set->{count};
        die "$name has no sum\n" if !defined $set->{sum};
        die "$name: count is not that of +Inf\n" if $set->{count} != $count;
    }

    return;
}


sub series {
    my ($name, %labels) = @_;

    return join "\0", $name, map { "$_\1$labels{$_}" } sort keys %labels;
}


# the value of one series, undef when it is not there

sub value {
    my ($self, $name, %labels) = @_;

    return $self->{series}{ series($name, %labels) };
}


# the labels' values and the values of a metric's samples with these labels

sub values_by {
    my ($self, $name, $label, %labels) = @_;

    my %values;

    SAMPLE: for my $sample (@{ $self->{metrics}{$name}{samples} // [] }) {
        for (keys %labels) {
            next SAMPLE if ($sample->{labels}{$_} // '') ne $labels{$_};
        }

        $values{ $sample->{labels}{$label} } = $sample->{value};
    }

    return \%values;
}

1;
