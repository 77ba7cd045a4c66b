# Tests for a catalog without "queue": the spool is its queue.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use JSON::PP;

master_on();
workers(2);


sub shop { decode_json(get('/s')->{body})->{catalogs}{shop} }

sub segments { my @files = glob scratch() . '/spool/*:' . catalog() . '/*.spool';
               @files }

sub letters {
    my @lines;

    for my $file (glob scratch() . '/spool/*:' . catalog() . '/dead*.ndjson') {
        open my $in, '<', $file or next;
        push @lines, map { decode_json($_) } <$in>;
    }

    return @lines;
}

sub ids { sort { $a cmp $b } map { "e$_" } @_ }

# the law, whenever anybody looks

sub lawful {
    my ($s) = @_;

    my $dropped = 0;
    $dropped += $_ for values %{ $s->{dropped} };
    is($s->{accepted},
       $s->{sent} + $s->{failed} + $dropped + $s->{queued} + $s->{retrying},
       'the law');
    return $s;
}

sub delivered_once {
    my (@ids) = @_;

    wait_for(sub { unique(delivered()) >= @ids }, 'delivered', 20);
    is_deeply([sort { $a cmp $b } delivered()], [sort { $a cmp $b } @ids],
              'each once');
    wait_for(sub { lawful(shop())->{sent} == @ids }, 'counted');
    wait_for(sub { shop()->{spooled}{events} == 0 && segments() == 0 },
             'nothing left on the disk');
    return;
}

sub rewrite {
    my ($change) = @_;

    my $file = $Test::Nginx::Util::ConfFile;
    local $_ = do { local (@ARGV, $/) = ($file); <> };
    $change->();
    open my $out, '>', "$file.new" or die;
    print $out $_;
    close $out;
    rename "$file.new", $file or die;
    my @old = worker_pids();
    kill 'HUP', nginx_pid();
    wait_for(sub { my %now = map { $_ => 1 } worker_pids();
                   %now && !grep { $now{$_} } @old }, 'reloaded', 20);
    return;
}

add_block_preprocessor(sub {
    my ($block) = @_;

    $block->set_value('config', $block->config . <<'END');
    location = /refine/collect { refine_collect; add_header X-Outcome $refine_outcome; }
    location = /refine/control { refine_control; }
    location = /s { refine_status; }
    location = /t { return 204; }
END
    $block->set_value('request', 'GET /t');
    $block->set_value('error_code', 204);
});

run_tests();

__DATA__

=== TEST 1: stored, delivered, counted
--- no_queue
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
    location = /r {
        default_type application/json;
        return 200 '{"results":[{"productId":"a"}],"totalResults":1}';
        refine_serve search surface=here;
    }
--- check
collect(click($_)) for 1 .. 20;
collect(map { click($_) } 21 .. 60);
delivered_once(ids(1 .. 60));
my $s = shop();
is($s->{accepted}, 60, 'accepted');
is($s->{events}{click}, 60, 'by type');
is($s->{redis}{state}, 'none', 'no Redis');
ok(!$s->{stale}, 'not stale');
is($s->{bytes}, 0, 'no bytes without events');
is(post('/refine/collect', encode_json(click(61)))->{headers}{'x-outcome'}, 'stored', 'outcome');
is(post('/refine/collect', encode_json(click(61)))->{headers}{'x-outcome'}, 'duplicate', 'known');
get('/r');
wait_for(sub { shop()->{sent} == 62 }, 'a serve');
is(shop()->{events}{items_served}, 1);
is(shop()->{surfaces}[0]{surface}, 'here');
like(get('/s?format=prometheus')->{body}, qr/^refine_redis_state\{catalog="shop",state="none"\} 1$/m);
unlike(get('/s?format=prometheus')->{body}, qr/^refine_redis_up/m, 'nobody is woken');
is((stat((glob scratch() . '/spool/*:' . catalog() . '/counters')[0]))[2] & 0777, 0600, 'its mode');
is(scalar(my @l = log_lines(qr/they go to the spool|are in redis now/)), 0, 'not told as an outage');



=== TEST 2: a backlog while Refine is away, in batches, then all of it
--- no_queue
--- catalog
    flush_interval 100ms;
    batch_size 50;
    spool $TEST_NGINX_SCRATCH/spool 64m;
--- config
--- check
mock_set(status => 503);
collect(map { click($_) } 100 * $_ .. 100 * $_ + 99) for 1 .. 15;
wait_for(sub { lawful(shop())->{refine}{state} eq 'backoff' }, 'backoff');
my $s = shop();
is($s->{accepted}, 1500);
is($s->{queued} + $s->{retrying}, 1500);
wait_for(sub { shop()->{oldestAgeMs} > 0 }, 'it ages');
mock_set();
is(control('resume')->{status}, 200, 'resume');
delivered_once(ids(100 .. 1599));



=== TEST 3: flush waits for all that was stored, by whatever worker
--- no_queue
--- catalog
    flush_interval 1h;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
collect(click($_)) for 1 .. 30;
is(scalar(my @d = delivered()), 0, 'none yet');
is(control('flush&timeout=20s')->{status}, 200, 'flushed');
delivered_once(ids(1 .. 30));



=== TEST 4: pause, over a restart, and resume
--- no_queue
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
is(control('pause')->{status}, 200);
collect(click($_)) for 1 .. 10;
kill_workers(worker_pids());
wait_for(sub { worker_pids() == 2 }, 'others');
my $s = lawful(shop());
ok($s->{paused}, 'paused');
is($s->{accepted}, 10);
is($s->{queued}, 10, 'queued');
is(control('flush&timeout=1s')->{status}, 409, 'no flush');
is(control('resume')->{status}, 200);
delivered_once(ids(1 .. 10));



=== TEST 5: workers are killed while a batch is under way: it is sent again
--- no_queue
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 16m fsync=always;
--- config
--- check
mock_set(delay => 4);
collect(click($_)) for 1 .. 20;
wait_for(sub { shop()->{retrying} }, 'claimed');
kill_workers(worker_pids());
wait_for(sub { worker_pids() == 2 }, 'others');
my $s = lawful(shop());
is($s->{accepted}, 20);
mock_set();
wait_for(sub { unique(delivered()) == 20 }, 'all of them', 20);
wait_for(sub { segments() == 0 }, 'deleted', 20);
wait_for(sub { my $s = lawful(shop()); $s->{queued} + $s->{retrying} == 0 }, 'none is queued', 20);



=== TEST 6: dead letters, in a file, and back
--- no_queue
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
collect(click(1));
wait_for(sub { delivered() == 1 }, 'a 2xx before');
mock_set(status => 400, match => '"e5"');
mock_set(status => 400, match => '"e7"');
collect(map { click($_) } 2 .. 9);
wait_for(sub { shop()->{failed} == 2 }, 'two of them');
wait_for(sub { my $s = lawful(shop()); $s->{sent} == 7 }, 'the others');
my @letters = letters();
is_deeply([sort map { $_->{event}{eventId} } @letters], [qw(e5 e7)]);
is($letters[0]{status}, 400, 'status');
ok($letters[0]{reason}, 'reason');
cmp_ok($letters[0]{attempts}, '>=', 1, 'attempts');
is(shop()->{dead}, 2, 'counted');
wait_for(sub { segments() == 0 }, 'the cursor went on');
mock_set();
is(control('replay&reason=nothing')->{status}, 200, 'of another reason');
is(shop()->{dead}, 2, 'none');
is(control('replay')->{status}, 200, 'replay');
wait_for(sub { my $s = lawful(shop()); $s->{sent} == 9 }, 'delivered');
my $s = shop();
is($s->{dead}, 0);
is(scalar letters(), 0, 'no letters');
is($s->{accepted}, 11, 'newly accepted');
is($s->{failed}, 2);
is($s->{deadReplayed}, 2, 'counted');
my ($file) = glob scratch() . '/spool/*:' . catalog() . '/dead.ndjson';
my $torn = '{"at":1,"status":400,"attempts":1,"reason":"x","event":{"eventId":"e10","ty';
open my $out, '>', $file or die;
print $out $torn;
close $out;
mock_set(status => 400, match => '"e11"');
collect(click(11));
wait_for(sub { shop()->{failed} == 3 }, 'one behind a line that was torn');
mock_set();
is(control('replay')->{status}, 200, 'replay');
wait_for(sub { lawful(shop())->{sent} == 10 }, 'is delivered');
open my $in, '<', $file or die;
is(join('', <$in>), "$torn\n", 'which stays');



=== TEST 7: the oldest dead letters go
--- no_queue
--- catalog
    flush_interval 50ms;
    batch_size 10;
    dead_letters 4;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
collect(click(1));
wait_for(sub { delivered() == 1 }, 'a 2xx before');
mock_set(status => 400, match => '"eventId":"e');
for my $n (2 .. 12) {
    collect(click($n));
    wait_for(sub { shop()->{failed} == $n - 1 }, "letter $n");
}
my $s = lawful(shop());
cmp_ok($s->{dead}, '<=', 4, 'kept');
cmp_ok($s->{dead}, '>=', 2, 'kept');
is($s->{dead} + $s->{deadTrimmed}, 11, 'all are accounted for');
is(scalar letters(), $s->{dead});



=== TEST 8: max_queue_size
--- no_queue
--- catalog
    flush_interval 1h;
    batch_size 10000;
    max_queue_size 5;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
collect(click($_)) for 1 .. 5;
my $r = post('/refine/collect', encode_json(click(6)));
is($r->{status}, 503);
like($r->{body}, qr/the queue is full/);
wait_for(sub { shop()->{rejected}{queue_full} == 1 }, "counted");
is(control('flush&timeout=20s')->{status}, 200, 'flushed');
collect(click(7));
is(lawful(shop())->{accepted}, 6);



=== TEST 9: max_queue_bytes
--- no_queue
--- catalog
    flush_interval 1h;
    batch_size 10000;
    max_queue_bytes 64k;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
collect(map { click($_, metadata => { a => 'x' x 3000 }) } 1 .. 17);
my $r = post('/refine/collect', encode_json([
             map { click($_, metadata => { a => 'x' x 3000 }) } 20 .. 24 ]));
is($r->{status}, 503);
like($r->{body}, qr/the queue is full/);
wait_for(sub { shop()->{rejected}{queue_bytes} == 5 }, "counted");
is(lawful(shop())->{rejected}{queue_full}, 0, 'not under the other limit');



=== TEST 10: a reload with one worker, then quit in mid-delivery and a start
--- no_queue
--- catalog
    flush_interval 100ms;
    batch_size 10;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
mock_set(status => 503);
collect(click($_)) for 1 .. 40;
wait_for(sub { shop()->{refine}{state} eq 'backoff' }, 'backoff');
rewrite(sub { s/worker_processes  2/worker_processes  1/ or die });
is(lawful(shop())->{accepted}, 40);
collect(click($_)) for 41 .. 50;
mock_set();
control('resume');
delivered_once(ids(1 .. 50));



=== TEST 11: a queue in Redis is added: it takes what the spool holds
--- no_queue
--- catalog
    flush_interval 1h;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
    location = /r {
        default_type application/json;
        return 200 '{"results":[{"productId":"a"}],"totalResults":1}';
        refine_serve search surface=here;
    }
--- check
collect(click($_)) for 1 .. 20;
get('/r');
wait_for(sub { shop()->{accepted} == 21 }, 'stored');
my $redis = redis_path();
rewrite(sub { s/(flush_interval)/queue redis:\/\/unix:$redis;\n$1/ or die });
wait_for(sub { (stats()->{accepted} // 0) == 21 }, 'they are in Redis', 20);
is(stats()->{'events:click'}, 20, 'by type');
is(stats()->{'events:items_served'}, 1);
wait_for(sub { segments() == 0 }, 'nothing on the disk');
is(control('flush&timeout=20s')->{status}, 200, 'flushed');
is(scalar unique(delivered()), 21);



=== TEST 12: what is older than retry_window
--- no_queue
--- catalog
    flush_interval 100ms;
    retry_window 1s;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
mock_set(status => 503);
collect(click($_)) for 1 .. 5;
wait_for(sub { shop()->{failed} == 5 }, 'given up', 30);
is_deeply([sort map { $_->{event}{eventId} } letters()], [ids(1 .. 5)]);
is((letters())[0]{reason}, 'older than retry_window');
wait_for(sub { segments() == 0 }, 'nothing left');
lawful(shop());



=== TEST 13: an event that gets 500 does not keep the others
--- no_queue
--- catalog
    flush_interval 100ms;
    max_retries 1;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
mock_set(status => 500, match => '"e3"');
collect(click($_)) for 1 .. 5;
wait_for(sub { control('resume'); collect(click('x' . ++$main::x)); shop()->{failed} == 1 }, 'it alone', 60);
is_deeply([map { $_->{event}{eventId} } letters()], ['e3']);
wait_for(sub { my %d = map { $_ => 1 } delivered(); 4 == grep { $d{$_} } ids(1, 2, 4, 5) }, 'the others');



=== TEST 14: what is too old cannot be written as dead letters: delivery goes on
--- no_queue
--- catalog
    flush_interval 100ms;
    retry_window 1s;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
collect(click(1));
wait_for(sub { delivered() == 1 }, 'a 2xx before');
my ($dir) = glob scratch() . '/spool/*:' . catalog();
mkdir "$dir/dead.ndjson" or die;
mock_set(status => 503);
collect(click(2), click(3));
wait_for(sub { log_lines(qr/dead letters cannot be written/) }, 'given up in vain', 30);
mock_set();
control('resume');
wait_for(sub { delivered() == 3 }, 'delivered after all', 30);
collect(click(4));
wait_for(sub { lawful(shop())->{sent} == 4 }, 'and what came later');
is(shop()->{failed}, 0);
rmdir "$dir/dead.ndjson";



=== TEST 15: what a worker that was killed could not count is delivered
--- no_queue
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
is(control('pause')->{status}, 200);
collect(map { click($_) } 1 .. 50);
my ($file) = segments();
(my $other = $file) =~ s/\d+-\d+-\d+(?=\.spool)/00000000000001-00000000-1/ or die;
is(system('cp', $file, $other), 0, 'a segment that is in no figure');
is(control('resume')->{status}, 200);
my $least = 0;
wait_for(sub { my $s = lawful(shop());
               $least = $s->{queued} if $s->{queued} < $least;
               $s->{sent} == 100 && $s->{accepted} == 100 }, 'delivered and counted', 20);
is($least, 0, 'never less than none is queued');



=== TEST 16: dead letters that a worker that was killed could not count
--- no_queue
--- catalog
    flush_interval 100ms;
    spool $TEST_NGINX_SCRATCH/spool 16m;
--- config
--- check
collect(click(1));
wait_for(sub { delivered() == 1 }, 'a 2xx before');
mock_set(status => 400, match => '"eventId":"e');
collect(click(2));
wait_for(sub { shop()->{dead} == 1 }, 'a letter');
my ($file) = glob scratch() . '/spool/*:' . catalog() . '/dead.ndjson';
open my $out, '>>', $file or die;
print $out '{"at":1,"status":400,"attempts":1,"reason":"x","event":' . encode_json(click($_)) . "}\n" for 3, 4;
close $out;
collect(click(5));
wait_for(sub { shop()->{failed} == 2 }, 'another one');
is(shop()->{dead}, 4, 'they are counted with it');
is(scalar letters(), 4);
