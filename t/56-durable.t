# What Redis' settings promise, read from INFO: told once, and in the status.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Prometheus;

master_on();
workers(2);

our $CONFIG = <<'END';
    location = /refine/collect { refine_collect; }
    location = /s { refine_status; }
    location = /t { return 204; }
END

# true, false, or undef for null

sub durable {
    my $redis = decode_json(get('/s')->{body})->{catalogs}{shop}{redis};

    return if !defined $redis->{durable};
    return $redis->{durable} ? 'yes' : 'no';
}

sub metric {
    my $text = Prometheus::parse(get('/s?format=prometheus')->{body});

    return Prometheus::value($text, 'refine_redis_durable', catalog => 'shop');
}

sub up {
    wait_for(sub { log_lines(qr/redis .* is up/) == 2 }, 'both are up', 40);
    return;
}

# either worker may answer, from what it has read within a second

sub is_durable {
    my ($value) = @_;

    wait_for(sub { (durable() // '') eq $value }, "durable: $value", 40);
    wait_for(sub { (metric() // '') eq ($value eq 'yes' ? 1 : 0) }, 'metric',
             40);
    return;
}

sub told { return log_lines(qr/\[warn\] .*may lose events/) }

sub reconnect {
    my $before = () = log_lines(qr/redis .* is up/);
    redis('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    wait_for(sub { log_lines(qr/redis .* is up/) == $before + 2 },
             'both workers are back', 40);
    return;
}

# --- settings    of Redis when nginx starts: CONFIG SET

add_block_preprocessor(sub {
    my ($block) = @_;

    my $answer = redis('CONFIG', 'SET', split ' ', $block->settings);
    die "CONFIG SET: $answer" if $answer ne 'OK';
});

run_tests();

__DATA__

=== TEST 1: no append-only file, then one
--- settings: appendonly no
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
up();
is_durable('no');
wait_for(sub { told() }, 'told');
reconnect();
is_durable('no');
is(scalar(told()), 1, 'told once, for two workers and two connections');
like((told())[0], qr/refine: catalog "shop": redis unix:\S+ may lose events: /);
like((told())[0], qr/lose events: appendonly is off\n/);
redis('CONFIG', 'SET', 'appendonly', 'yes');
wait_for(sub { (durable() // '') eq 'yes' }, 'seen without a new connection', 40);
reconnect();
is_durable('yes');
wait_for(sub { log_lines(qr/\[notice\] .*"shop": redis \S+ keeps events by now/)
               == 1 }, 'told');
redis('CONFIG', 'SET', 'appendonly', 'no');
reconnect();
wait_for(sub { told() == 2 }, 'told again when it has become so again');
is_durable('no');



=== TEST 2: policies that evict
--- settings: appendonly yes maxmemory-policy allkeys-lru
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
up();
is_durable('no');
wait_for(sub { told() }, 'told');
like((told())[0], qr/may lose events: maxmemory-policy is allkeys-lru\n/);
redis('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-random', 'appendonly', 'no');
reconnect();
wait_for(sub { told() == 2 }, 'told that more is wrong');
like((told())[1], qr/events: appendonly is off, maxmemory-policy is allkeys-r/);
redis('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'appendonly', 'yes');
reconnect();
is_durable('yes');
is(scalar(told()), 2);



=== TEST 3: policies that take none of the queue's keys
--- settings: appendonly yes maxmemory-policy volatile-lru
--- catalog
    flush_interval 1h;
--- config eval: $::CONFIG
--- request
GET /t
--- error_code: 204
--- check
up();
is_durable('yes');
reconnect();
is(scalar(told()), 0);
is(scalar(log_lines(qr/keeps events/)), 0, 'good from the start: not a word');
