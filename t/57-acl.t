# The user that docs/operations.md tells to make for the module: the whole job
# runs as that user, nothing is refused, and nothing is allowed without need.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Delivery;
use Time::HiRes 'time';

master_on();
workers(2);

# the command as it stands there, for a shell, without "redis-cli"

sub documented {
    open my $in, '<', 't/../docs/operations.md' or die $!;
    my $text = join '', <$in>;
    my ($command) = $text =~ /^redis-cli (ACL SETUSER collector (?:.*\\\n)*.*)/m
        or die 'no ACL in docs/operations.md';

    return map { s/^'(.*)'\z/$1/r } split ' ', $command =~ s/\\\n//gr;
}

sub answer {
    my (@command) = @_;

    my $answer = redis(@command);
    die "@command: $answer" if ($answer // '') =~ /^-/;
    return $answer;
}

# What dead workers have left behind: three events and an entry that is none,
# claimed an hour ago, and a consumer that holds nothing and was last seen two
# hours ago, which can only be written into a dump.  One more that is no event is
# not claimed yet.

sub leftovers {
    my $events = 'refine:{acl_old}:events';

    answer('XGROUP', 'CREATE', $events, 'refine', 0, 'MKSTREAM');
    my @ids = (map { answer('XADD', $events, '*', 'e', line($_)) } 1 .. 3);
    push @ids, answer('XADD', $events, '*', 'x', 'none');
    answer('XREADGROUP', 'GROUP', 'refine', 'dead',
           'STREAMS', $events, '>');
    answer('XCLAIM', $events, 'refine', 'dead', 0, @ids, 'IDLE', 3_600_000);
    answer('XADD', $events, '*', 'x', 'unclaimed');
    answer('XGROUP', 'CREATECONSUMER', $events, 'refine', 'old');
    answer('HSET', 'refine:{acl_old}:stats', 'accepted', 3);

    my $seen = pack 'Q<', int((time - 7200) * 1000);
    my $dump = answer('DUMP', $events);
    $dump =~ s/(\x03old).{8}/$1$seen/s or die 'no consumer in the dump';
    answer('DEBUG', 'SET-SKIP-CHECKSUM-VALIDATION', 1);
    answer('RESTORE', $events, 0, $dump, 'REPLACE');
    return;
}

our $number = 100;

sub add {
    my ($n) = @_;

    my $r = post('/new', encode_json([map { click(++$number) } 1 .. $n]));
    is($r->{status}, 204, "$n events are stored");
    return;
}

sub status {
    my ($name) = @_;

    return decode_json(get('/s')->{body})->{catalogs}{$name};
}

sub all_sent {
    my ($name, $n) = @_;

    wait_for(sub { status($name)->{sent} == $n }, "$name: $n are delivered", 40);
    return;
}

{
    open my $out, '>', scratch() . '/password' or die $!;
    print $out "p\@ss\n";
    close $out;
    chmod 0600, scratch() . '/password';
}

$ENV{TEST_NGINX_PASSWORD} = scratch() . '/password';
our @acl = documented();

redis_stop();
redis_start('--enable-debug-command', 'yes');
answer('SELECT', 1);
leftovers();
answer(map { s/^>PASSWORD\z/>p\@ss/r } @acl);
answer('ACL', 'LOG', 'RESET');
answer('CONFIG', 'RESETSTAT');

run_tests();

__DATA__

=== TEST 1: all of the job, and nothing else
--- http_config
    refine_catalog old {
        organization_id o; catalog_id acl_old; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events;
        queue redis://collector@unix:$TEST_NGINX_REDIS:/1
              password=file:$TEST_NGINX_PASSWORD;
        flush_interval 50ms; claim_timeout 1s;
    }
    refine_catalog new {
        organization_id o; catalog_id acl_new; api_key k;
        endpoint http://unix:$TEST_NGINX_MOCK:/events;
        queue redis://collector@unix:$TEST_NGINX_REDIS:/1
              password=file:$TEST_NGINX_PASSWORD;
        flush_interval 50ms; claim_timeout 1s; batch_size 10;
    }
--- config
    location = /new { refine new; refine_collect; }
    location = /s { refine_status; }
    location = /refine/control { refine_control; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
wait_for(sub { status('new')->{redis}{state} eq 'up' }, 'greeted', 40);
wait_for(sub { defined status('new')->{redis}{durable} }, 'INFO is read', 40);

all_sent('old', 3);
wait_for(sub { log_lines(qr/"old": removed 1 entries without an event/) },
         'cleaned');

add(25);
all_sent('new', 25);

mock_set(catalog => 'acl_new', status => 422, match => '"e126"');
add(2);
wait_for(sub { status('new')->{dead} == 1 }, 'a dead letter');
all_sent('new', 26);

is(control('pause')->{status}, 200, 'paused');
add(1);
wait_for(sub { status('new')->{paused} }, 'seen in the status');
is(control('flush')->{status}, 409);
is(control('resume')->{status}, 200, 'resumed');
all_sent('new', 27);

mock_set(catalog => 'acl_new', delay => 2, times => 1);
my $posts = () = mock('acl_new');
add(1);
all_sent('new', 28);
is(scalar(() = mock('acl_new')) - $posts, 1,
   'its claim was renewed, nobody took it over');

is(post('/new', encode_json({ type => 'items_served', surface => 'home_page',
                              source => 'plp', itemIds => ['a'] }))->{status},
   204, 'a serve');
all_sent('new', 29);

mock_set(catalog => 'acl_new', status => 200);
like(control('replay&catalog=new')->{body}, qr/"replayed":1,/, 'replayed');
all_sent('new', 30);

mock_set(catalog => 'acl_new', status => 503);
add(1);
wait_for(sub { status('new')->{retrying} == 1 }, 'in a backoff');
reload();
mock_set(catalog => 'acl_new', status => 200);
wait_for(sub { control('resume'); status('new')->{sent} == 31 },
         'given back, and taken over', 40);

for my $name ('old', 'new') {
    my $s = status($name);
    is($s->{stale}, JSON::PP::false);
    is($s->{accepted}, $s->{sent} + $s->{failed} + $s->{queued}
                       + $s->{retrying}, "$name: the law holds");
}

my $refused = redis('ACL', 'LOG');
is_deeply($refused, [], 'nothing was refused') or diag(explain($refused));
is(scalar(log_lines(qr/NOPERM|can't run this|ACL failure|No permissions/)), 0);

# Redis 6.2 does not count subcommands apart

my $used = redis('INFO', 'commandstats');
my $apart = $used =~ /^cmdstat_script\|load:/m;
for my $rule (grep { s/^\+// } @{[ @main::acl ]}) {
    my $name = $apart ? $rule : $rule =~ s/\|.*//r;
    like($used, qr/^cmdstat_\Q$name\E:calls=[1-9]/m, "$rule is needed");
}
unlike("@main::acl", qr/[+]@|allkeys|~\*|nopass|allcommands/, 'no category');

for my $command (['KEYS', '*'], ['FLUSHALL'], ['CONFIG', 'GET', '*'],
                 ['GET', 'refine:x'], ['DEL', 'refine:{acl_new}:events'],
                 ['EVAL', 'return 1', 0], ['SCRIPT', 'FLUSH'],
                 ['XGROUP', 'DESTROY', 'refine:{acl_new}:events', 'refine'],
                 ['HGETALL', 'others'], ['XLEN', 'others'], ['ACL', 'LIST'])
{
    like(redis('ACL', 'DRYRUN', 'collector', @$command),
         qr/no permissions|can't|has no/i, "@$command");
}
is(redis('ACL', 'DRYRUN', 'collector', 'XLEN', 'refine:{x}:events'), 'OK');
