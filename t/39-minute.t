# The limit of Refine's smallest plan, as it is: 100 requests a minute, all of
# which delivery may use.  It takes up to two and a half minutes.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Time::HiRes qw(sleep time);

master_on();
workers(4);

run_tests();

__DATA__

=== TEST 1: four workers, far more events than a POST each could carry
--- catalog
    flush_interval 20ms;
    rate_share 100%;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(scalar worker_pids(), 4);
mock_set(rate => { limit => 100, window => 60 });
my ($n, $end) = (0, (int(time / 60) + 2) * 60 + 5);
while (time < $end) {
    my $r = post('/refine/collect', encode_json(click(++$n)));
    last if !$r || $r->{status} != 204;
    sleep 0.05;
}
my @posts = mock();
my %posts;
$posts{ $_->{window} }++ for @posts;
my ($first, $minute) = sort { $a <=> $b } keys %posts;
is(scalar(grep { $_->{status} == 429 && $_->{window} > $first } @posts), 0,
   'no POST was over the limit after the first minute');
ok($posts{$minute} <= 100, "$posts{$minute} POSTs in the minute");
ok($posts{$minute} >= 80, 'it is used');
mock_set();
wait_for(sub { sent() == $n }, "all $n are delivered", 20);
is(scalar unique(delivered()), $n);
conserved();
