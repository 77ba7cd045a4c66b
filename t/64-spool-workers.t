# The spool of several workers, and the ends of workers: what one has written
# and could not bring to Redis is brought there by another.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use IO::Socket::INET;
use JSON::PP;

master_on();
workers(3);


sub status { decode_json(get('/s')->{body})->{catalogs}{shop} }

sub segments { my @files = glob scratch() . '/spool/*:' . catalog() . '/*.spool';
               @files }

# away for each of the workers: from then on none of them waits for Redis

sub redis_away {
    my $workers = worker_pids();

    redis_kill();
    wait_for(sub { log_lines(qr/redis \S+ is (?:down|away): /) >= $workers }, 'away');
    return;
}

# over many connections, so that each worker has some

my $n = 0;

sub spread { my @ids = map { 'e' . ++$n } 1 .. $_[0];
             collect(click($_)) for map { substr $_, 1 } @ids;
             return @ids }

# each of them reached Refine, none of them twice

sub all_there {
    my (@ids) = @_;

    wait_for(sub { unique(delivered()) == @ids }, 'delivered', 20);
    is_deeply([sort { $a cmp $b } delivered()], [sort { $a cmp $b } @ids], 'each once');
    wait_for(sub { segments() == 0 }, 'nothing left on the disk', 20);
    conserved();
    return;
}

sub nginx_start {
    local $ENV{LD_PRELOAD} = $ENV{TEST_NGINX_LD_PRELOAD} // '';

    is(system($Test::Nginx::Util::NginxBinary, '-p',
              $Test::Nginx::Util::ServRoot, '-c',
              $Test::Nginx::Util::ConfFile),
       0, 'nginx starts again');
    wait_for(sub { my $r = get('/t'); $r && $r->{status} == 204 }, 'it runs');
    return;
}

run_tests();

__DATA__

=== TEST 1: all of them write, and bring it to Redis
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 64m;
--- config
    location = /refine/collect { refine_collect; }
    location = /s { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
redis_away();
my @ids = spread(60);
cmp_ok(scalar(my @s = segments()), '>', 1, 'more than one wrote');
wait_for(sub { status()->{spooled}{events} == 60 }, 'counted over all');
redis_start();
all_there(@ids);



=== TEST 2: workers are killed
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 64m fsync=always;
--- config
    location = /refine/collect { refine_collect; }
    location = /s { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
redis_away();
my @ids = spread(60);
my @old = worker_pids();
kill_workers(@old);
wait_for(sub { worker_pids() == 3 }, 'others');
wait_for(sub { status()->{spooled}{events} == 60 }, 'still there');
push @ids, spread(30);
redis_start();
all_there(@ids);



=== TEST 3: a reload with fewer workers, an old one is held by a client
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 64m;
--- config
    location = /refine/collect { refine_collect; }
    location = /s { refine_status; }
    location = /t { return 204; }
    location = /slow { limit_rate 1; return 200 "0123456789012345678901234567890123456789"; }
--- request
GET /t
--- error_code: 204
--- check
my @slow = map {
    my $s = IO::Socket::INET->new('127.0.0.1:' . http_port());
    print {$s} "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n";
    $s->flush;
    $s
} 1 .. 30;
redis_away();
my @ids = spread(60);
my @old = worker_pids();
my $file = $Test::Nginx::Util::ConfFile;
my $text = do { local (@ARGV, $/) = ($file); <> };
$text =~ s/worker_processes  3/worker_processes  1/ or die;
open my $out, '>', "$file.new" or die;
print $out $text;
close $out;
rename "$file.new", $file or die;
kill 'HUP', nginx_pid();
wait_for(sub { log_lines(qr/gracefully shutting down/) >= 3 }, 'reloaded');
my %old = map { $_ => 1 } @old;
my $held = sub { grep { $old{$_} } worker_pids() };
wait_for(sub { $held->() && grep { !$old{$_} } worker_pids() }, 'a new one, an old one is held');
push @ids, spread(20);
redis_start();
all_there(@ids);
ok($held->(), 'while an old one is there');
close $_ for @slow;
wait_for(sub { worker_pids() == 1 }, 'they are gone');



=== TEST 4: quit and stop; what serves left in memory is not lost either
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 64m;
--- config
    location = /refine/collect { refine_collect; }
    location = /s { refine_status; }
    location = /r {
        default_type application/json;
        return 200 '{"results":[{"productId":"a"}],"totalResults":1}';
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
redis_away();
my @ids = spread(9);
for my $signal (qw(QUIT TERM)) {
    push @ids, map { get('/r')->{headers}{'x-refine-serve-id'} } 1 .. 9;
    my ($pid, @workers) = (nginx_pid(), worker_pids());
    kill $signal, $pid;
    wait_for(sub { gone($pid) }, "gone by $signal");
    nginx_start();
}
push @ids, spread(9);
redis_start();
all_there(@ids);



=== TEST 5: master and workers are killed at once
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 64m;
--- config
    location = /refine/collect { refine_collect; }
    location = /s { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
redis_away();
my @ids = spread(40);
my @all = (nginx_pid(), worker_pids());
kill 'KILL', @all;
wait_for(sub { !grep { !gone($_) } @all }, 'gone');
nginx_start();
wait_for(sub { status()->{spooled}{events} == 40 }, 'found again');
redis_start();
all_there(@ids);



=== TEST 6: the catalog is taken out of the configuration, and comes back
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 64m;
--- http_extra
    refine_catalog other {
        organization_id o; catalog_id other; api_key k; enabled off;
        endpoint http://unix:$TEST_NGINX_MOCK:/events;
        queue redis://unix:$TEST_NGINX_REDIS;
        spool $TEST_NGINX_SCRATCH/spool 64m;
    }
--- config
    location = /refine/collect { refine_collect; }
    location = /s { refine_status; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
redis_away();
my @ids = spread(20);
my $block;
reload(sub { s/(refine_catalog shop \{.*?\n\s*\})//s and $block = $1;
             s/refine shop;/refine other;/ });
wait_for(sub { log_lines(qr/\[warn\] .*spool "\S+@{[ catalog() ]}" holds events of a catalog that is not configured, they stay there/) },
         'reported');
redis_start();
reload(sub { s/(?=refine_catalog other)/$block\n/;
             s/refine other;/refine shop;/ });
all_there(@ids);



=== TEST 7: quit and stop a moment after the disk has failed
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 64m;
--- config
    location = /s { refine_status; }
    location = /r {
        default_type application/json;
        return 200 '{"results":[{"productId":"a"}],"totalResults":1}';
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
redis_away();
my @ids;
for my $signal (qw(QUIT TERM)) {
    my $pid = nginx_pid();
    my ($dir) = glob scratch() . '/spool/*:' . catalog();
    rename $dir, "$dir.away" or die "$dir: $!";
    push @ids, map { get('/r')->{headers}{'x-refine-serve-id'} } 1 .. 9;
    rename "$dir.away", $dir or die "$dir: $!";
    kill $signal, $pid;
    wait_for(sub { gone($pid) }, "gone by $signal");
    nginx_start();
}
redis_start();
all_there(@ids);



=== TEST 8: without a spool it is told how many serves are lost at the end
--- catalog
    flush_interval 100ms;
    spool off;
--- config
    location = /r {
        default_type application/json;
        return 200 '{"results":[{"productId":"a"}],"totalResults":1}';
        refine_serve search;
    }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
redis_away();
get('/r') for 1 .. 9;
my $pid = nginx_pid();
kill 'QUIT', $pid;
wait_for(sub { gone($pid) }, 'gone');
my $told = qr/ \[error\] .* catalog "shop": (\d+) serves are lost: the worker ends/;
my $lost = 0;
$lost += (/$told/)[0] for log_lines($told);
is($lost, 9, 'told');
nginx_start();
