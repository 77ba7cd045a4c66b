package Living;

# Several nginx of one configuration, living.conf, for t/08-living.t: one
# without the module, one that has it loaded but does not use it, and some with
# refine_serve in every location.  Each request goes to all of them, and what
# they answer has to be the same but for what the module adds.

use strict;
use warnings;

use Compress::Zlib;
use Cwd 'abs_path';
use Exporter 'import';
use File::Basename;
use File::Path qw(make_path remove_tree);
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP;
use Test::More;
use Time::HiRes 'time';
use Refine;
use Upstream;

our @EXPORT = qw(living living_end same same_http2 header request_text answered
                 seen served stored counters);

my $lib = dirname(abs_path(__FILE__));
my $uuid = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
my (%nginx, @names, %seen);


# --- the servers

# living(NAME => { load => 'first' | 'last' | undef, serve => TEXT | undef }...):
# when the module is loaded, and what stands in every location.  The first one
# is what the others are compared with.

sub living {
    my (@wanted) = @_;

    @names = ();
    certificate() if !-e scratch() . '/shop.pem';

    while (my ($name, $option) = splice @wanted, 0, 2) {
        push @names, $name;
        $nginx{$name} = { dir => scratch() . "/$name", serve => $option->{serve} };
        start($name, $option);
    }

    return;
}


sub start {
    my ($name, $option) = @_;

    my $dir = $nginx{$name}{dir};
    my $text = configuration($name, $option);

    remove_tree($dir);
    make_path("$dir/dav");

    # a socket on which nobody listens any more

    IO::Socket::UNIX->new(Local => "$dir/nobody.sock", Listen => 1);

    open my $out, '>', "$dir/nginx.conf" or die "$dir: $!";
    print {$out} $text;
    close $out;

    my @preload = $ENV{TEST_NGINX_LD_PRELOAD}
        ? ('env', "LD_PRELOAD=$ENV{TEST_NGINX_LD_PRELOAD}") : ();

    start_process("nginx-$name", [
        @preload, binary(), '-e', "$dir/error.log", '-p', $dir,
        '-c', "$dir/nginx.conf"
    ]);

    wait_for(sub { connected($name) }, "$name runs", 20)
        or die `cat $dir/error.log @{[ scratch() ]}/nginx-$name.log`;
    return;
}


# for HTTP/2, which curl reuses connections for over TLS only

sub certificate {
    my $path = scratch() . '/shop';

    system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=shop "
           . "-keyout $path.key -out $path.pem > $path.log 2>&1") == 0
        or die `cat $path.log`;
    return;
}


sub binary { $ENV{TEST_NGINX_BINARY} || 'nginx' }


sub configuration {
    my ($name, $option) = @_;

    my ($folder) = `@{[ binary() ]} -V 2>&1` =~ /--modules-path=(\S+)/;
    my @modules = map { "$folder/${_}_module.so" }
        qw(ndk_http ngx_http_lua ngx_http_js ngx_http_headers_more_filter
           ngx_http_subs_filter ngx_http_brotli_filter);
    my $load = $option->{load} // '';

    unshift @modules, $ENV{TEST_NGINX_LOAD_MODULES} if $load eq 'first';
    push @modules, $ENV{TEST_NGINX_LOAD_MODULES} if $load eq 'last';

    my %value = (
        MODULES => join("\n", map { "load_module $_;" } @modules),
        USER => $> == 0 ? 'user root;' : '',
        DIR => $nginx{$name}{dir},
        LIB => $lib,
        WWW => scratch() . '/www',
        CERTIFICATE => scratch() . '/shop',
        UPSTREAM => $ENV{TEST_NGINX_UPSTREAM},
        HTTP => $option->{serve} ? catalog_text($name) : '',
    );

    open my $in, '<', "$lib/living.conf" or die "living.conf: $!";
    local $/;
    my $text = <$in>;

    $text =~ s/\@([A-Z]+)\@/$value{$1}/g;

    if ($option->{serve}) {
        my ($others, $shop) = $text =~ /(.*)(server_name  shop;.*)/s;

        $shop =~ s/^(\s*location\b[^{]*\{)/$1 refine_serve $option->{serve};/mg;
        $text = $others . $shop;

    } else {
        $text =~ s/\brefine_collect;/return 204;/g;
    }

    return $text;
}


sub catalog_text {
    my ($name) = @_;

    return <<"END";
    refine_catalog shop {
        organization_id  org_1;
        catalog_id       @{[ catalog() ]}_$name;
        api_key          k;
        endpoint         http://unix:@{[ mock_path() ]}:/events;
        queue            redis://unix:@{[ redis_path() ]};
        spool            off;
        flush_interval   1h;
    }

    refine shop;
END
}


# ends them; all logged the same accesses, and nothing alarming but what nginx
# itself or another module says in each of them

sub living_end {
    my (%lines, %alarming);

    # a request that the client left is logged when nginx sees that

    wait_for(sub {
        my %n = map { $_ => scalar accesses($_) } @names;
        keys %{{ reverse %n }} == 1;
    }, 'as many accesses');

    for my $name (@names) {
        stop_process("nginx-$name", 'QUIT');
        $lines{$name} = join '', sort { $a cmp $b } accesses($name);
        $alarming{$name} = join '', alarming($name);
    }

    is($alarming{$names[0]}, '', "$names[0] - nothing alarming in the error log")
        if @names == 1;

    for my $name (@names[1 .. $#names]) {
        is($alarming{$name}, $alarming{$names[0]},
           "$name - nothing more alarming in the error log");
        ok($lines{$name} eq $lines{$names[0]}, "$name - the access log")
            or differ('access log', $lines{$names[0]}, $lines{$name});
    }

    return;
}


sub alarming {
    my ($name) = @_;

    my %line;
    open my $in, '<', "$nginx{$name}{dir}/error.log" or die "$name: $!";

    while (<$in>) {
        next if !/\[(?:alert|emerg|crit)\]|Sanitizer|:\d+: runtime error:/
                && !/\[(?:warn|error)\].*refine(?!.* may lose)/;
        s/^\S+ \S+ (\[\w+\]) [\d#]+: (?:\*\d+ )?/$1 /;
        $line{$_} = 1;
    }

    return sort keys %line;
}


sub accesses {
    my ($name) = @_;

    open my $in, '<', "$nginx{$name}{dir}/access.log" or return;
    return <$in>;
}


# what an nginx has stored: its counters, and its events, oldest first

sub living_key { 'refine:{' . catalog() . "_$_[0]}:$_[1]" }

sub counters {
    my ($name) = @_;

    return { @{ redis('HGETALL', living_key($name, 'stats')) // [] } };
}


sub served { counters($_[0])->{'serves:logged'} // 0 }


sub stored {
    my ($name) = @_;

    my $rows = redis('XRANGE', living_key($name, 'events'), '-', '+') // [];
    return map { decode_json($_->[1][1]) } @$rows;
}


# --- requests

sub connected {
    my ($name) = @_;

    return IO::Socket::UNIX->new(Peer => "$nginx{$name}{dir}/http.sock");
}


sub request_text {
    my ($method, $uri, %option) = @_;

    my $version = delete $option{version} // '1.1';
    my $body = delete $option{body};

    return "GET $uri\r\n" if $version eq '0.9';

    $option{Host} //= 'shop' if !exists $option{Host} && $version eq '1.1';
    $option{Connection} //= 'close';
    $option{'Content-Length'} //= length $body
        if defined $body && !$option{'Transfer-Encoding'};

    return "$method $uri HTTP/$version\r\n"
           . join('', map { defined $option{$_} ? "$_: $option{$_}\r\n" : () }
                          sort keys %option)
           . "\r\n" . ($body // '');
}


# Everything that comes back over a connection to each of the servers until it
# is closed, or the first bytes only.  All are asked before any is read.

sub exchange {
    my ($text, $most) = @_;

    my %socket = map { $_ => connected($_) } @names;
    local $SIG{PIPE} = 'IGNORE';

    for my $name (@names) {
        print { $socket{$name} } $text;
        $socket{$name}->flush;
    }

    return map { $_ => answer($socket{$_}, $most) } @names;
}


sub answer {
    my ($socket, $most) = @_;

    my $data = '';
    my $end = time + 30 * ($ENV{REFINE_PATIENCE} || 1);
    my $select = IO::Select->new($socket);

    while (!defined $most || length $data < $most) {
        my $left = $end - time;
        return "$data(no end)" if $left <= 0 || !$select->can_read($left);
        last if !sysread $socket, $data, $most // 65536, length $data;
    }

    return $data;
}


# what one of them answers to one request, as request() does, body and all

sub answered {
    my ($name, $method, $uri, @more) = @_;

    my $socket = connected($name);
    print {$socket} request_text($method, $uri, @more);
    $socket->flush;

    my ($response) = responses(answer($socket), $method);
    my $lines = $response->{lines} // [ '' ];
    my %header;

    push @{ $header{lc $_->[0]} }, $_->[1]
        for map { [ split /: */, $_, 2 ] } @$lines[1 .. $#$lines];

    return { %$response, headers => { map { $_ => join ', ', @{ $header{$_} } }
                                          keys %header },
             status => $lines->[0] =~ / (\d+)/ ? $1 : 0 };
}


# The same request, or several over one connection, to each of the servers: the
# first response that differs, or the empty string.  The methods tell which
# responses have no body.

sub same {
    my ($what, $text, $methods, $most) = @_;

    my %data = exchange($text, $most);
    my ($one, @others) = @names;
    my $loose = $what =~ m{^/[A-Z]};

    return '' if defined $most;

    my %answer = map {
        my $name = $_;
        $name => join "\n", map { normal($name, $_, $loose) }
                             responses($data{$name}, @$methods)
    } @names;

    for my $name (grep { $answer{$_} ne $answer{$one} } @others) {
        return "$what, $name:\n"
               . first_difference($answer{$one}, $answer{$name});
    }

    return '';
}


# the header of the first one's answer to a GET that all get, names in lower case

sub header {
    my ($uri) = @_;

    my %data = exchange(request_text('GET', $uri));
    my ($head) = responses($data{$names[0]}, 'GET');
    my @lines = $head ? @{ $head->{lines} } : ();
    my %header = map { /^([\w-]+): (.*)/ ? (lc $1, $2) : () } @lines;

    return \%header;
}


# The responses in what came over a connection, as lists of the status line,
# the lines of the header, the body and what follows it.

sub responses {
    my ($data, @methods) = @_;

    my @all;

    while (length $data && @methods) {
        my $method = $methods[0];
        my ($head) = $method eq '0.9' ? ()
                   : $data =~ s{\A(HTTP/[\d.]+ \d+.*?)\r\n\r\n}{}s ? $1 : ();

        if (!defined $head) {
            push @all, { lines => [ '' ], body => $data, method => $method };
            return @all;
        }

        my %response = (lines => [ split /\r\n/, $head ], body => '',
                        method => $method);
        my ($status) = $head =~ /^\S+ (\d+)/;

        push @all, \%response;
        next if $status < 200;

        shift @methods;
        next if $method eq 'HEAD' || $status == 204 || $status == 304;

        if ($head =~ /^Transfer-Encoding: chunked/mi) {
            ($response{body}, $response{rest}) = chunks(\$data);

        } elsif ($head =~ /^Content-Length: (\d+)/mi) {
            $response{body} = substr $data, 0, $1, '';
            $response{rest} = 'cut off' if length $response{body} < $1;

        } else {
            ($response{body}, $data) = ($data, '');
        }
    }

    push @all, { lines => [ 'left over' ], body => $data, method => '' }
        if length $data;
    return @all;
}


# how a body is divided into chunks is nobody's business

sub chunks {
    my ($data) = @_;

    my $body = '';

    while ($$data =~ s/\A([0-9a-f]+)\r\n//i) {
        my $size = hex $1;

        if ($size == 0) {
            my $rest = $$data =~ s/\A(.*?)\r\n(?=HTTP|\z)//s ? $1 : 'cut off';
            return ($body, $rest);
        }

        return ($body . $$data, 'cut off') if length $$data < $size + 2;

        $body .= substr $$data, 0, $size, '';
        substr $$data, 0, 2, '';
    }

    return ($body, 'cut off');
}


# A response as text, without what no two nginx have in common: the time, ids
# made of random bytes, and the boundary of ranges, which nginx counts up; and
# where pieces come at random, without gzip, which shows where they ended.  What
# the module adds is left out where it may be added: to a 200 that has a body.

sub normal {
    my ($name, $response, $loose) = @_;

    my @lines = @{ $response->{lines} };
    my $body = $response->{body};
    my ($now) = map { /^Date: (.*)/i ? seconds($1) : () } @lines;

    if ($nginx{$name}{serve}) {
        @lines = without_refine(@lines)
            if $response->{method} ne 'HEAD' && $lines[0] =~ m{^HTTP/\S+ 200\b};

    } elsif (grep { /^X-Cache: HIT$/i } @lines) {

        # the module does not let an id come out of a cache

        @lines = grep { !/^X-Refine-Serve-Id: upstream-1$/i } @lines;
    }

    for (@lines) {
        s/^(Expires: )(.+)/$1 . offset($now, $2)/ei;
        s/^(Date: ).+/$1 . (defined $now ? 'now' : 'broken')/ei;
        s/^(Set-Cookie: uid=)[A-Za-z0-9+\/]{22}==/$1ID/i;

        if (s/^(Content-Type: multipart\/byteranges; boundary=)(\d{20})/$1N/i) {
            my $boundary = $2;
            $body =~ s/--$boundary/--N/g;
        }
    }

    $body = inflated($body)
        if $loose && grep { /^Content-Encoding: gzip$/i } @lines;

    return join "\n", @lines, '', $body, $response->{rest} // ();
}


sub inflated {
    my ($body) = @_;

    my $stream = inflateInit(-WindowBits => WANT_GZIP) or return 'no zlib';
    my ($text, $status) = $stream->inflate(\$body);

    return "$text($status)";
}


sub seconds {
    my ($text) = @_;

    require HTTP::Date;
    return HTTP::Date::str2time($text);
}


sub offset {
    my ($now, $text) = @_;

    my $then = seconds($text);
    return defined $now && defined $then ? 'now + ' . ($then - $now) : $text;
}


# What the module adds, once a response: its id, and where CORS is at work the
# name of that header.

sub without_refine {
    my (@lines) = @_;

    my @ids = map { /^X-Refine-Serve-Id: ($uuid)$/i ? $1 : () } @lines;

    # two are too many, and so is one that another response had

    return @lines if @ids != 1 || $seen{$ids[0]}++;

    @lines = grep { !/^X-Refine-Serve-Id: $ids[0]$/i } @lines;
    return @lines if !grep { /^Access-Control-Allow-Origin:/i } @lines;

    s/^(Access-Control-Expose-Headers: .+), X-Refine-Serve-Id$/$1/i for @lines;
    return grep { !/^Access-Control-Expose-Headers: X-Refine-Serve-Id$/i } @lines;
}


# how many different ids were seen

sub seen { scalar keys %seen }


sub first_difference {
    my ($one, $two) = @_;

    my @one = split /\n/, $one;
    my @two = split /\n/, $two;

    for my $n (0 .. (@one > @two ? $#one : $#two)) {
        my ($was, $is) = map { $_ // '(nothing)' } $one[$n], $two[$n];
        next if $was eq $is;

        # of long lines, where they part

        my $at = 0;
        $at += 40 while substr($was, 0, $at + 40) eq substr($is, 0, $at + 40);

        return sprintf "line %d of %d and %d, from byte %d of %d and %d\n"
                       . "  without: %.200s\n  with:    %.200s\n",
                       $n + 1, scalar @one, scalar @two, $at,
                       length $was, length $is,
                       substr($was, $at), substr($is, $at);
    }

    return "line ends\n";
}


sub differ {
    my ($what, $one, $two) = @_;

    diag($what . ":\n" . first_difference($one, $two));
    return;
}


# --- HTTP/2

# The same requests over one connection of HTTP/2, each a list of a URI and
# options of curl; what differs, as same() tells it.

sub same_http2 {
    my (@requests) = @_;

    my (%answer, @differ);

    for my $name (@names) {
        my $file = scratch() . "/curl-$name";
        open my $out, '>', $file or die "$file: $!";
        print {$out} join "next\n", map {
            my ($uri, @options) = @{ $requests[$_] };
            join '', qq(url = "https://shop$uri"\n), "http2\ninsecure\n",
                 qq(unix-socket = "$nginx{$name}{dir}/http2.sock"\n),
                 "path-as-is\nsilent\nmax-time = 60\n",
                 qq(dump-header = "$file.$_.head"\noutput = "$file.$_.body"\n),
                 map { "$_\n" } @options;
        } 0 .. $#requests;
        close $out;

        system("curl -K $file > /dev/null 2>&1");

        for my $n (0 .. $#requests) {
            my @parts = map { slurp("$file.$n.$_") } 'head', 'body';
            unlink "$file.$n.head", "$file.$n.body";

            $parts[0] =~ s/\r\n\r\n\z//;
            # to HEAD curl writes the header there, too

            my $head = grep { $_ eq 'head' } @{ $requests[$n] };
            $answer{$name}[$n] = normal($name, {
                lines => [ split /\r\n/, $parts[0] ],
                body => $head ? '' : $parts[1],
                method => $head ? 'HEAD' : '',
            });
        }
    }

    for my $name (@names[1 .. $#names]) {
        for my $n (0 .. $#requests) {
            my ($was, $is) = ($answer{$names[0]}[$n], $answer{$name}[$n]);
            push @differ, "@{ $requests[$n] }, $name:\n"
                          . first_difference($was, $is) if $was ne $is;
        }
    }

    my @empty = grep { $answer{$names[0]}[$_] !~ m{\AHTTP/2 \d} } 0 .. $#requests;
    push @differ, "no answer to $requests[$_][0]\n" for @empty;

    return @differ;
}


sub slurp {
    my ($file) = @_;

    open my $in, '<:raw', $file or return '';
    local $/;
    return scalar <$in> // '';
}

1;
