# What happens to nginx under load: reloads, a binary upgrade, every end there
# is, other settings.  What was answered with 2xx arrives; once, unless somebody
# was killed.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Load;
use Time::HiRes qw(sleep time);

master_on();
workers(2);

add_block_preprocessor(sub {
    my ($block) = @_;

    # the new binary of an upgrade gets no other environment
    $block->set_value('main_config', "env LD_PRELOAD; env ASAN_OPTIONS;\n");
    $block->set_value('request', "GET /t\n") if !defined $block->request;
    $block->set_value('error_code', "204");
    $block->set_value('config', <<'END');
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
END
});


sub soon { sleep 0.3 }

# no process of this nginx is left

sub all_gone {
    my ($seconds, @pids) = @_;

    wait_for(sub { !grep { !gone($_) } @pids }, 'all of it has ended', $seconds);
    return;
}

run_tests();

__DATA__

=== TEST 1: reloads with other numbers of workers
--- catalog
    flush_interval 50ms;
    batch_size 20;
--- check
load_start(3);
for my $n (4, 1, 3) {
    soon();
    reload(sub { s/worker_processes  \d+/worker_processes  $n/ });
    wait_for(sub { worker_pids() == $n }, "$n workers");
}
soon();
arrived([load_end()]);
is(scalar log_lines(qr/backs off|is held/), 0, 'no outage');
conserved();



=== TEST 2: a binary upgrade
--- catalog
    flush_interval 50ms;
    batch_size 20;
--- check
load_start(3);
soon();
my $old = nginx_pid();
my @workers = worker_pids();
kill 'USR2', $old;
wait_for(sub { (nginx_pid() // $old) != $old && worker_pids() },
         'a new master, with workers', 20);
soon();
ok(!gone($old), 'beside the old one');
kill 'QUIT', $old;
all_gone(12, $old, @workers);
soon();
arrived([load_end()]);
conserved();



=== TEST 3: quit, and another start
--- catalog
    flush_interval 50ms;
    batch_size 20;
--- check
load_start(3);
soon();
for my $i (1, 2) {
    my @pids = (nginx_pid(), worker_pids());
    kill 'QUIT', $pids[0];
    all_gone(12, @pids);
    start_nginx();
    soon();
}
arrived([load_end()]);
conserved();



=== TEST 4: a fast shutdown
--- catalog
    flush_interval 50ms;
    batch_size 20;
    claim_timeout 2s;
--- check
load_start(3);
soon();
for my $i (1, 2) {
    my @pids = (nginx_pid(), worker_pids());
    kill 'TERM', $pids[0];
    all_gone(5, @pids);
    start_nginx();
    soon();
}
arrived([load_end()], killed => 1);
conserved();



=== TEST 5: workers are killed
--- catalog
    flush_interval 50ms;
    batch_size 20;
    claim_timeout 2s;
--- check
load_start(3);
for my $i (1, 2) {
    soon();
    my @pids = worker_pids();
    kill_workers(@pids);
    wait_for(sub { my %now = map { $_ => 1 } worker_pids();
                   keys %now == 2 && !grep { $now{$_} } @pids }, 'others start');
}
soon();
arrived([load_end()], killed => 1);
conserved();



=== TEST 6: the master is killed: its workers go on, and can be ended
--- catalog
    flush_interval 50ms;
    batch_size 20;
    claim_timeout 2s;
--- check
load_start(3);
soon();
my @workers = worker_pids();
my $master = nginx_pid();
kill 'KILL', $master;
all_gone(5, $master);
my $stored = stats()->{accepted};
wait_for(sub { stats()->{accepted} > $stored + 20 }, 'they go on');
kill 'QUIT', @workers;
all_gone(12, @workers);
start_nginx();
soon();
arrived([load_end()], killed => 1);
conserved();



=== TEST 7: master and workers are killed at once
--- catalog
    flush_interval 50ms;
    batch_size 20;
    claim_timeout 2s;
--- check
load_start(3);
soon();
my @pids = (nginx_pid(), worker_pids());
kill 'KILL', @pids;
all_gone(5, @pids);
start_nginx();
soon();
arrived([load_end()], killed => 1);
conserved();
