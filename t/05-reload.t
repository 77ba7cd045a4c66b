# Reloads with other catalogs: added, renamed, removed, and a configuration
# that is refused.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;

master_on();
workers(2);


sub one { '{"type":"click","serveId":"s","itemId":"a","position":0,"eventId":"'
          . $_[0] . '"}' }

# the catalogs of the status, with what each has accepted

sub known {
    my $s = JSON::PP::decode_json(get('/status')->{body});

    return { map { $_ => $s->{catalogs}{$_}{accepted} }
             keys %{ $s->{catalogs} } };
}

run_tests();

__DATA__

=== TEST 1: a catalog is renamed, another one comes and goes
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /status { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(post('/c', one('a'))->{status}, 204);
is_deeply(known(), { shop => 1 });

my $more = 'refine_catalog more { organization_id o; catalog_id ' . catalog()
           . 'm; api_key k; endpoint http://127.0.0.1:9/e; enabled off;'
           . ' spool off;'
           . ' queue redis://unix:' . redis_path() . '; }';
reload(sub { s/(?=refine_catalog shop)/$more / });
wait_for(sub { keys %{ known() } == 2 }, 'one more');
is(post('/c', one('a'))->{status}, 204);
is(known()->{shop}, 1, 'the ids are still known');

reload(sub { s/refine_catalog shop/refine_catalog store/;
             s/refine shop/refine store/ });
is(post('/c', one('b'))->{status}, 204);
wait_for(sub { (known()->{store} // 0) == 2 }, 'the same queue');
is(join(' ', sort keys %{ known() }), 'more store');

reload(sub { s/\Q$more\E// });
is(join(' ', sort keys %{ known() }), 'store');

reload(sub { s/refine_catalog store/refine_catalog shop/;
             s/refine store/refine shop/; s/flush_interval 1h/enabled off/ });
is(post('/c', one('c'))->{headers}{'x-refine-dropped'}, 'disabled');



=== TEST 2: all catalogs go and come back
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /status { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(post('/c', one('a'))->{status}, 204);

my ($block, $use);
reload(sub { s/(refine_catalog shop \{.*?\n\s*\})//s and $block = $1;
             s/(refine shop;)// and $use = $1;
             s/refine_collect;/return 404;/ });
ok($block && $use);
is(post('/c', one('b'))->{status}, 404);
is_deeply(known(), {});

reload(sub { s/return 404;/refine_collect;/;
             s/(?=server \{)/$block $use / });
is(post('/c', one('b'))->{status}, 204);
wait_for(sub { (known()->{shop} // 0) == 2 }, 'as before');



=== TEST 3: a configuration that is refused changes nothing
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /status { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my @old = sort { $a <=> $b } worker_pids();
my $file = $Test::Nginx::Util::ConfFile;
open my $in, '<', $file or die $!;
my $good = join '', <$in>;
close $in;

for my $bad (['flush_interval 1h', 'flush_interval never'],
             ['refine shop', 'refine no_such'],
             ['refine_catalog shop', 'refine_catalog shop { } refine_catalog x'])
{
    my ($from, $to) = @$bad;
    my $n = log_lines(qr/\[emerg\]/);
    (my $text = $good) =~ s/\Q$from\E/$to/ or fail($from);
    open my $out, '>', $file or die $!;
    print $out $text;
    close $out;
    kill 'HUP', nginx_pid();
    wait_for(sub { log_lines(qr/\[emerg\]/) > $n }, "$to is refused");
    is(post('/c', one("x$n"))->{status}, 204);
}

is_deeply([sort { $a <=> $b } worker_pids()], \@old, 'the same workers');

open my $out, '>', $file or die $!;
print $out $good;
close $out;
reload();
is(post('/c', one('y'))->{status}, 204);
wait_for(sub { (known()->{shop} // 0) == 4 }, 'counted on');

# the only alarm was what it was to be
is(scalar(() = log_lines(qr/\[(?:alert|crit)\]/)), 0);
is(scalar(() = log_lines(qr/\[emerg\]/)), 3);
truncate $Test::Nginx::Util::ErrLogFile, 0;
