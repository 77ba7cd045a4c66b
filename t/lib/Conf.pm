package Conf;

# "nginx -t" over many configurations: far quicker than a block of Test::Nginx
# for each.

use strict;
use warnings;

use Exporter 'import';
use Refine ();
use Test::More;
use Test::Nginx::Util;

our @EXPORT = qw(
    conf_test conf_good conf_bad block block_bad block_good options_except
    conf_file key_file shown
);

# what a catalog needs, by option

our %required = (
    organization_id => 'org_1',
    catalog_id      => 'cat_1',
    api_key         => 'k',
    queue           => 'redis://127.0.0.1:6379',
    endpoint        => 'http://127.0.0.1:8/events',
);


sub conf_file {
    my ($name, $text, $mode) = @_;

    my $file = Refine::scratch() . "/$name";

    open my $out, '>', $file or die "$file: $!";
    print $out $text;
    close $out;
    chmod $mode // 0600, $file;
    return $file;
}

sub key_file { conf_file('refine.key', @_) }


# a value as a message quotes it

sub shown { length $_[0] > 256 ? substr($_[0], 0, 256) . '...' : $_[0] }


# the exit status and all that nginx says about what stands in http{}

sub conf_test {
    my ($http) = @_;

    $http = Refine::without_spool($http);

    my $dir = Refine::scratch();
    my $modules = join '', map { "load_module $_;\n" }
        grep { length } split /[\s:]+/, $ENV{TEST_NGINX_LOAD_MODULES} // '';

    my $file = conf_file('test.conf', <<"END");
${modules}pid $dir/test.pid;
events {}
http {
    access_log off;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
$http
}
END

    my $nginx = $Test::Nginx::Util::NginxBinary || 'nginx';
    local $ENV{LD_PRELOAD} = $ENV{TEST_NGINX_LD_PRELOAD} // '';
    my $output = `$nginx -t -p $dir -e $dir/test.log -c $file 2>&1`;
    my $status = $?;

    open my $in, '<', "$dir/test.log";
    $output .= join '', $in ? <$in> : ();
    unlink "$dir/test.log";

    like($output, qr/\A(?!.*(?:Sanitizer|runtime error:))/s, 'no sanitizer')
        if $output =~ /Sanitizer|runtime error:/;

    return ($status, $output);
}


sub conf_good {
    my ($name, $http, $said) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $output) = conf_test($http);

    is($status, 0, $name) or diag($output);

    if (defined $said) {
        like($output, $said, "$name: what is said");

    } else {
        unlike($output, qr/\[warn\]/, "$name: no warning");
    }

    return $output;
}


# text: a string that the message has to contain, or a regex

sub conf_bad {
    my ($name, $http, $text) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $output) = conf_test($http);

    isnt($status, 0, "$name is refused");

    if (ref $text) {
        like($output, $text, "$name: the message");

    } else {
        ok(index($output, $text) >= 0, "$name: the message")
            or diag("expected: $text\nsaid: $output");
    }

    return $output;
}


# A block: the required options that $options does not set, and $options.

sub block {
    my ($options, $name) = @_;

    $name //= 'shop';
    my $more = options_except(map { /^\s*(\w+)/ ? $1 : () }
                              split /[;\n]/, $options);
    return "refine_catalog $name {\n$more\n$options\n}\n";
}


sub options_except {
    my %without = map { $_ => 1 } @_;

    return join '', map { "    $_ $required{$_};\n" }
        grep { !$without{$_} } sort keys %required;
}


sub block_good { my ($options, $said) = @_;
                 local $Test::Builder::Level = $Test::Builder::Level + 1;
                 return conf_good($options, block($options), $said) }

sub block_bad  { my ($options, $text) = @_;
                 local $Test::Builder::Level = $Test::Builder::Level + 1;
                 return conf_bad($options, block($options), $text) }

1;
