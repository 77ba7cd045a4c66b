#!/usr/bin/perl

# Levels, style, and completeness of the docs: what "make check" holds against
# the tree.  Prints each finding with its place; exits with 1 if there is one.

use strict;
use warnings;

use File::Basename;

chdir dirname(__FILE__) . '/..' or die;

my $src = 'ngx_http_refine_module';
my $prefix = 'ngx_http_refine_';
my $findings = 0;

# A file includes only files of a lower level (docs/architecture.md); where the
# units of a level build on one another, the level has several rows here.

my %level;
my @levels = (
    [0, qw(compat embedded buf address inflate skip set id cookie origin counter accept rate trace)],
    [0, qw(json html)],
    [1, qw(tree path capture event message response body circuit target)],
    [1, qw(shared dial surface items)],
    [1, qw(peer page)],
    [1, qw(resp)],
    [2, qw(funnel http redis scripts spool ledger)],
    [2, qw(verdict)],
    [3, qw(queue)],
    [4, qw(module.h)],
    [5, qw(conf catalog consent batch)],
    [5, qw(identity)],
    [5, qw(guard serve flush)],
    [6, qw(answer beacon report)],
    [6, qw(file)],
    [6, qw(collect tap status control script variables)],
    [6, qw(inject)],
    [7, qw(module.c)],
);

for my $n (0 .. $#levels) {
    my (undef, @units) = @{ $levels[$n] };
    $level{$_} = $n for @units;
}


sub finding {
    my ($place, $text) = @_;

    print "$place: $text\n";
    $findings++;
    return;
}


sub slurp {
    my ($name) = @_;

    open my $in, '<', $name or return '';
    local $/;
    return scalar <$in> // '';
}


# "flush_post.c" is a part of the unit "flush"

sub unit {
    my ($name) = @_;

    $name =~ s/^\Q$prefix\E//;
    return $name if $name =~ /^module\.[ch]$/;
    $name =~ s/\.[ch]$//;
    $name =~ s/_.*// if !exists $level{$name};
    return $name;
}


sub check_levels {
    my ($file, $text) = @_;

    my $unit = unit(basename($file));

    if (!exists $level{$unit}) {
        finding($file, "the unit \"$unit\" has no level in t/check.pl");
        return;
    }

    while ($text =~ /^#include "(\Q$prefix\E[^"]+)"/mg) {
        my $other = unit($1);
        next if $other eq $unit;

        if (!exists $level{$other} || $level{$other} >= $level{$unit}) {
            my $n = $levels[$level{$unit}][0];
            finding($file, "is of level $n and includes $1");
        }
    }

    return;
}


sub check_style {
    my ($file, $text) = @_;

    my $n = 0;
    my ($start, $name);

    for (split /\n/, $text) {
        $n++;
        finding("$file:$n", 'a tab') if /\t/;
        finding("$file:$n", 'a blank at the end') if / $/;
        finding("$file:$n", 'over 80 columns') if length > 80;
        finding("$file:$n", 'a // comment') if m{(?<![:"'])//};
        finding("$file:$n", 'not ASCII') if /[^\x20-\x7e\t]/;

        $name = $1 if /^(ngx_http_refine_\w+|test_\w+)\(/;
        $start = $n if /^\{/;

        if (/^\}/ && defined $start) {
            my $lines = $n - $start - 1;
            finding("$file:$start", "$name() has $lines lines, 60 are allowed")
                if $lines > 60 && $file =~ /^\Q$src\E/;
            undef $start;
        }
    }

    finding($file, "$n lines, 800 are allowed") if $n > 800;
    finding($file, 'no newline at the end') if $text !~ /\n\z/;
    finding($file, 'more than two blank lines') if $text =~ /\n\n\n\n/;
    return;
}


# what was refused or left out has words on the status page

sub check_words {
    my ($counters) = @_;

    my $file = "$src/status_words.js";
    my $words = slurp($file);

    while ($counters =~ /^    row\(\w+,\s+"(\w+)",\s+"(\w+)"\)/mg) {
        my ($group, $name) = ($1, $2);
        next if $group eq 'events' || $name =~ /^(?:logged|stored|2xx|injected)$/;
        finding($file, "no words for $group.$name")
            if $words !~ /^        $group: \{\n(?:            .*\n)*?\ {12}'?$name'?:/m;
    }

    return;
}


# the directives, options, variables, counters and log lines against docs/

sub check_docs {
    my %docs = map { $_ => slurp("docs/$_.md") }
        qw(directives variables events operations architecture development tour);

    for my $name (sort keys %docs) {
        finding("docs/$name.md", 'is missing or empty') if !length $docs{$name};
    }

    my $module = slurp("$src/${prefix}module.c");
    my $catalog = slurp("$src/${prefix}catalog_table.c");
    my $variables = slurp("$src/${prefix}variables.c");
    my $counters = slurp("$src/${prefix}counter.h");

    while ($module =~ /ngx_string\("(refine_?\w*)"\)/g) {
        finding('docs/directives.md', "no section on $1")
            if $docs{directives} !~ /^#+ `?\Q$1\E`?\s*$/m;
    }

    while ($catalog =~ /\{ ngx_string\("(\w+)"\)/g) {
        finding('docs/directives.md', "no section on the option $1")
            if $docs{directives} !~ /^#+ `?\Q$1\E`?\s*$/m;
    }

    while ($variables =~ /ngx_string\("(refine_\w+)"\)/g) {
        finding('docs/variables.md', "no section on \$$1")
            if $docs{variables} !~ /^#+ `?\$\Q$1\E`?\s*$/m;
    }

    while ($counters =~ /^    row\(\w+,\s+"(\w*)",\s+"(\w+)"\)/mg) {
        my $name = $1 ? "$1.$2" : $2;
        finding('docs/operations.md', "no counter $name")
            if $docs{operations} !~ /`\Q$name\E`/;
    }

    check_metrics($counters, $docs{operations});
    check_words($counters);

    for my $file (glob "$src/*.c") {
        check_log_lines($file, slurp($file), $docs{operations});
    }

    return;
}


# each counter is in a metric, by its group or alone, and each metric in the docs

sub check_metrics {
    my ($counters, $operations) = @_;

    my $file = "$src/${prefix}report_metric.c";
    my $metrics = slurp($file);

    while ($counters =~ /^    row\((\w+),\s+"(\w*)",\s+"(\w+)"\)/mg) {
        finding($file, 'no metric of the counter ' . ($2 ? "$2.$3" : $3))
            if $metrics !~ /\(uintptr_t\) "\Q$2\E"/
               && $metrics !~ /NGX_HTTP_REFINE_$1\b/;
    }

    while ($metrics =~ /\{ "(refine_\w+)"/g) {
        finding('docs/operations.md', "no metric $1")
            if $operations !~ /`\Q$1\E`/;
    }

    return;
}


# The fixed part of each line logged in operation stands in docs/operations.md;
# it is what precedes the first conversion, or the longest run between two.

sub check_log_lines {
    my ($file, $text, $operations) = @_;

    $text =~ s/"\s*\n\s*"//g;
    $operations =~ s/\s+/ /g;

    my $call = qr/ngx_log_error\((?!NGX_LOG_DEBUG)\w+,[^";]*?"((?:[^"\\]|\\.)*)"/;

    while ($text =~ /$call/g) {
        my ($line) = $1;
        my ($fixed) = sort { length $b <=> length $a }
            split /%[*0-9]*[a-zA-Z]+|\\"/, $line;
        $fixed =~ s/^\s+|\s+$//g;
        $fixed =~ s/%%/%/g;
        finding($file, "not in docs/operations.md: \"$fixed\"")
            if index($operations, $fixed) < 0;
    }

    return;
}


# every source file is named in config

sub check_config {
    my $config = slurp('config');
    my ($names) = $config =~ /refine_sources="([^"]*)"/;
    my %named = map { $_ => 1 } grep { /\w/ } split /[\s\\]+/, $names;

    for my $file (glob "$src/*.c") {
        my ($name) = basename($file) =~ /^\Q$prefix\E(\w+)\.c$/;
        finding('config', "does not name $name") if !delete $named{$name};
    }

    finding('config', "names $_, which does not exist") for sort keys %named;
    return;
}


# each picture that a document shows is there, and each that is there is shown

sub check_pictures {
    my %shown;

    for my $file ('README.md', glob 'docs/*.md') {
        my $dir = dirname($file);
        my $text = slurp($file);

        while ($text =~ /!\[([^\]]*)\]\(([^)]+)\)/g) {
            my ($words, $picture) = ($1, "$dir/$2");
            $picture =~ s{^\./}{};
            finding($file, "no picture $picture") if !-s $picture;
            finding($file, "no words for $picture") if $words !~ /\w \w/;
            $shown{$picture} = 1 if $file eq 'docs/tour.md';
        }
    }

    for my $picture (glob 'docs/tour/*') {
        finding('docs/tour.md', "does not show $picture") if !$shown{$picture};
    }

    return;
}


# the version of this release is the same wherever it is named

sub check_version {
    my ($version) = slurp("$src/${prefix}module.h")
                    =~ /NGX_HTTP_REFINE_VERSION\s+"([\d.]+)"/;

    finding('CHANGES', "the first version is not $version")
        if slurp('CHANGES') !~ /\A\s*Changes with \w+ \Q$version\E\b/;

    finding('debian/changelog', "the first version is not $version")
        if slurp('debian/changelog') !~ /\A\S+ \(\Q$version\E\)/;
    return;
}


for my $file (glob("$src/*.[ch]"), glob('t/unit/*.[ch] t/fuzz/*.[ch] t/bench/*.c')) {
    my $text = slurp($file);
    check_style($file, $text);
    check_levels($file, $text) if $file =~ /^\Q$src\E/;
}

check_config();
check_docs();
check_pictures();
check_version();

finding('README.md', 'over 250 lines') if slurp('README.md') =~ tr/\n// > 250;

print "check: ", ($findings ? "$findings findings" : 'ok'), "\n";
exit($findings ? 1 : 0);
