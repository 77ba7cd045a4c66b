# An event that Refine does not take is found by halving and becomes a dead
# letter; all others are delivered once.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;

# sends a first event, so that Refine is known to take some

sub up {
    collect(click('up'));
    wait_for(sub { delivered() == 1 }, 'up');
    return;
}

run_tests();

__DATA__

=== TEST 1: one among 500, refused with 422
--- catalog
    flush_interval 1h;
--- config
    location = /refine/collect { refine_collect; client_max_body_size 2m;
                                 client_body_buffer_size 2m; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
collect(click('up'));
flush_now();
wait_for(sub { delivered() == 1 }, 'up');
mock_set(status => 422, match => '"bad"', body => encode_json({
    status => 422, message => "bad\nitem" . 'x' x 300 }));
for my $i (0 .. 4) {
    collect(map { click($_, $_ == 317 ? (itemId => 'bad') : ()) }
                $i * 100 + 1 .. $i * 100 + 100);
}
wait_for(sub { dead() == 1 }, 'a dead letter');
wait_for(sub { delivered() == 500 }, 'all others');
is(scalar unique(delivered()), 500, 'once');
my ($dead) = dead();
is($dead->{e}{eventId}, 'e317');
is($dead->{status}, 422);
is($dead->{reason}, 'bad?item' . 'x' x 192, 'printable, 200 bytes');
ok($dead->{attempts} >= 1, 'attempts');
ok(scalar(() = mock()) < 30, 'in few POSTs');
wait_for(sub { events() == 0 }, 'nothing is left');
is(stats()->{failed}, 1);
is(sent(), 500);
is(stats()->{accepted}, 501);
is(scalar log_lines(qr{refine: catalog "shop"(?!: redis)}), 2, 'up, and the dead letter');
is(scalar log_lines(qr/bad.item|e317/), 0, 'nothing of the event is logged');



=== TEST 2: one that makes Refine fail with 500
--- catalog
    flush_interval 50ms;
    max_retries 2;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
up();
mock_set(status => 500, match => '"bad"');
collect(map { click($_, $_ == 5 ? (itemId => 'bad') : ()) } 1 .. 16);
wait_for(sub { log_lines(qr/backs off: Refine answered 500/) }, 'an outage');
collect(click(100 + $_)) for 1 .. 3;
wait_for(sub { delivered() == 19 }, 'all others are delivered', 20);
wait_for(sub { dead() == 1 }, 'a dead letter', 20);
is((dead())[0]{e}{eventId}, 'e5');
is((dead())[0]{status}, 500);
is((dead())[0]{reason}, 'as told: 500');
is(scalar unique(delivered()), 19, 'once');
is(scalar log_lines(qr/backs off/), 1, 'one outage');
is(scalar log_lines(qr/has recovered/), 1);



=== TEST 3: one that makes Refine hang up
--- catalog
    flush_interval 50ms;
    max_retries 1;
--- config
    location = /refine/collect { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
up();
mock_set(drop => 1, match => '"bad"');
collect(click(1, itemId => 'bad'), click(2));
wait_for(sub { log_lines(qr/backs off: no answer/) }, 'an outage');
collect(click(3));
wait_for(sub { dead() == 1 }, 'a dead letter', 20);
is((dead())[0]{e}{eventId}, 'e1');
is((dead())[0]{status}, 0);
wait_for(sub { unique(delivered()) == 3 }, 'all others are delivered');



=== TEST 4: one alone that fails is kept until others pass
--- catalog
    flush_interval 50ms;
    max_retries 1;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
up();
mock_set(status => 500, match => '"bad"');
collect(click(1, itemId => 'bad'));
wait_for(sub { control('resume'); mock() > 8 }, 'tried over and over');
is(scalar dead(), 0, 'it may be an outage');
collect(click(2));
wait_for(sub { control('resume'); delivered() == 2 }, 'another one passes');
is(scalar dead(), 0, 'the first failed when none did');
my $n = 10;
wait_for(sub { post('/refine/collect', encode_json(click($n++)));
               dead() == 1 }, 'others pass, it fails again', 15);



=== TEST 5: 413
--- catalog
    flush_interval 1h;
    max_in_flight 1;
--- config
    location = /refine/collect { refine_collect; client_max_body_size 2m;
                                 client_body_buffer_size 2m; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
mock_set(status => 413, times => 1);
my $note = 'x' x 3500;
collect(map { click($_, metadata => { note => $note }) } 1 .. 80);
flush_now();
wait_for(sub { delivered() == 80 }, 'in halves, even as the first answer');
is(join(' ', map { scalar @{ $_->{body}{events} } } mock()), '80 40 40');
my $limit = length((mock())[0]{raw}) / 2 + 200;
collect(map { click($_, metadata => { note => $note }) } 101 .. 200);
flush_now();
wait_for(sub { delivered() == 180 }, 'delivered');
is(scalar(grep { length $_->{raw} > $limit } (mock())[1 .. $#{[mock()]}]), 0,
   'later batches keep to the limit');
mock_set(status => 413, match => '"bad"');
collect(click(300), click(301, itemId => 'bad'), click(302));
flush_now();
wait_for(sub { dead() == 1 }, 'a single one is a dead letter');
is((dead())[0]{e}{eventId}, 'e301');
is((dead())[0]{status}, 413);
wait_for(sub { delivered() == 182 }, 'the others');



=== TEST 6: one that failed while others passed outlives an outage
--- catalog
    flush_interval 50ms;
    max_retries 2;
--- config
    location = /refine/collect { refine_collect; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
# POSTs of the event, after the last of others that passed
sub alone { my $n = 0;
            $n = $_->{status} == 200 ? 0 : $n + 1 for mock(); return $n }
up();
mock_set(status => 500, match => '"bad"');
collect(click(1, itemId => 'bad'));
wait_for(sub { control('resume'); alone() >= 3 }, 'set aside');
collect(click(2));
wait_for(sub { control('resume'); sent() == 2 }, 'another one passes');
wait_for(sub { alone() >= 2 }, 'it fails alone');
collect(click(3));
wait_for(sub { sent() == 3 }, 'another one passes');
wait_for(sub { alone() >= 1 }, 'it fails again', 20);
is(scalar dead(), 0, 'one pass stands against one failure, no more');
collect(click(4));
wait_for(sub { dead() == 1 }, 'as often as others passed', 20);
is((dead())[0]{e}{eventId}, 'e1');
conserved();
