# Tests for the fields of an event as the collector takes them: every rule of
# the table is met, and broken.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use JSON::PP;

# posts an event with fields changed (undef: left out; \'text': as it is)

sub send_event {
    my ($base, %change) = @_;

    my %event = (%$base, %change);
    my @fields;

    for my $name (sort keys %event) {
        next if !defined $event{$name};
        my $json = JSON::PP->new->allow_nonref->utf8;
        push @fields, $json->encode($name) . ':'
            . (ref $event{$name} eq 'SCALAR' ? ${ $event{$name} }
                                             : $json->encode($event{$name}));
    }

    return post('/c', '{' . CORE::join(',', @fields) . '}');
}

sub last_event { (events())[-1] }

# field => [values that are taken], then those that are refused

sub check_field {
    my ($base, $field, $good, $bad) = @_;

    for my $value (@$good) {
        my $r = send_event($base, $field => $value);
        is($r->{status}, 204, "$base->{type}: $field: " . show($value));
    }

    for my $value (@$bad) {
        my $r = send_event($base, $field => $value);
        is($r->{status}, 400, "$base->{type}: $field: not " . show($value));
        like($r->{body}, qr/"index":0,"field":"\Q$field\E/, 'names it');
    }
}

sub show {
    my ($value) = @_;
    return 'nothing' if !defined $value;
    my $text = ref $value eq 'SCALAR' ? $$value
               : JSON::PP->new->allow_nonref->ascii->encode($value);
    return length $text > 40 ? CORE::substr($text, 0, 40) . '...' : $text;
}

our %CLICK = (type => 'click', serveId => 's1', itemId => 'a', position => \'0');
our %CART = (type => 'add_to_cart', serveId => 's1', itemId => 'a');
our %SERVED = (type => 'items_served', surface => 'home_page',
               source => 'visitor-recs', itemIds => ['a', 'b']);
our %BUY = (type => 'purchase', orderId => 'o1', value => \'25.5',
            currency => 'EUR', items => \'[{"itemId":"a","quantity":2,"unitPrice":10},{"itemId":"b","quantity":1,"unitPrice":5.5}]');

run_tests();

__DATA__

=== TEST 1: ids, item, position of a click
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
check_field(\%CLICK, 'type', [],
            [undef, '', 'Click', 'clicks', \'1', \'null', \'["click"]']);
check_field(\%CLICK, 'eventId', ['a', 'A-z_9' x 8, 'x' x 64, undef, \'null'],
            ['', 'x' x 65, 'a b', 'a"b', "a\nb", "\x{e4}", \'7']);
check_field(\%CLICK, 'serveId', ['a', '!#$%()*+,-./:;=?@[]^_`{|}~', 'x' x 128],
            [undef, '', 'x' x 129, 'a b', 'a"b', 'a<b', 'a>b', 'a&b', "a'b",
             'a\\b', "a\tb", "a\r\nX: y", "\x{e4}", \'7', \'null']);
check_field(\%CLICK, 'itemId',
            ['a', 'with space', "\x{e4}\x{20ac}\x{1f600}", 'x' x 256, '"<&>\\'],
            [undef, '', 'x' x 257, "\x{20ac}" x 86, "a\nb", "a\x{7f}b", \'7',
             \'null', \'["a"]', \'"a\u001fb"']);
check_field(\%CLICK, 'position', [\'0', \'1000000', \'-0', \'1e3', \'5.0'],
            [undef, \'-1', \'1000001', \'0.5', \'1e999', \'-1e999',
             \'9223372036854775808', \'"0"', \'null', \'true', \'[]', \'{}']);
like(post('/c', '{"type":"click","serveId":"s","itemId":"a","position":NaN}')
     ->{body}, qr/not JSON/, 'NaN');



=== TEST 2: what is stored of a click
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"\u00e4\ud83d\ude00\"\\\/","position":3,"price":7,"Type":"view","context":{"ip":"6.6.6.6"},"visitorId":"v_x","sessionId":"s_x","receivedAt":1,"metadata":{"a":[1,{"b":null}],"c":true}}
--- more_headers
User-Agent: Mozilla "x" \ end
--- error_code: 204
--- check
my $e = last_event();
is($e->{type}, 'click');
is($e->{itemId}, "\x{e4}\x{1f600}\"\\/");
is($e->{position}, 3);
is_deeply($e->{metadata}, { a => [1, { b => undef }], c => JSON::PP::true });
is($e->{price}, undef, 'other fields are left out');
is($e->{Type}, undef);
like($e->{visitorId}, qr/^v_[0-9A-Za-z]{22}$/, "the server's, not the event's");
like($e->{sessionId}, qr/^s_[0-9A-Za-z]{22}$/);
is($e->{context}{ip}, '127.0.0.0');
is($e->{context}{userAgent}, 'Mozilla "x" \ end');
is($e->{context}{bot} // 0, 0);
is($e->{context}{prefetch} // 0, 0);
like($e->{eventId}, qr/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
     'a UUIDv7 is made');
cmp_ok(CORE::abs($e->{receivedAt} / 1000 - CORE::time), '<', 5);
is($e->{timestamp}, $e->{receivedAt});
my ($row) = @{ redis('XRANGE', 'refine:{' . catalog() . '}:events', '-', '+') };
is($row->[1][0], 'e', 'one field, e');
like($row->[1][1], qr/^\{"eventId":"/, 'which starts with the id');



=== TEST 3: timestamp and sentAt
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
my $now = CORE::int(1000 * CORE::time);
my $hour = 3600_000;
my $send = sub {
    my ($timestamp, $sent) = @_;
    my $event = '{"type":"add_to_cart","serveId":"s","itemId":"a","timestamp":'
                . $timestamp . '}';
    is(post('/c', $sent ? qq({"sentAt":$sent,"events":[$event]}) : $event)
       ->{status}, 204);
    return last_event();
};
is($send->($now - $hour)->{timestamp}, $now - $hour, 'as given');
my $e = $send->($now - 8 * 24 * $hour);
is($e->{timestamp}, $e->{receivedAt}, 'too old');
is($send->($now - 6 * 24 * $hour)->{timestamp}, $now - 6 * 24 * $hour);
$e = $send->($now + 10 * 60_000);
is($e->{timestamp}, $e->{receivedAt}, 'in the future');
is($send->($now + 60_000)->{timestamp}, $now + 60_000);
for my $off (-40 * 365 * 24 * $hour, -$hour, 30 * 24 * $hour) {
    $e = $send->($now + $off - 5000, $now + $off);
    cmp_ok(CORE::abs($e->{timestamp} - ($e->{receivedAt} - 5000)), '<=', 1,
           "5 s before it was sent, by a clock that is $off ms off");
}
check_field(\%CLICK, 'timestamp', [\'0', \'-1', \'1e18', \'null'],
            [\'"1"', \'true', \'1e999']);



=== TEST 4: items_served
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
for my $field ('surface', 'source') {
    check_field(\%SERVED, $field, ['a', 'anything else', 'x' x 64],
                [undef, '', 'x' x 65, "a\nb", \'1', \'null']);
}
check_field(\%SERVED, 'itemIds',
            [[], ['a'], [map { "i$_" } 1 .. 1000]],
            [undef, [''], [\1], ['a', 'x' x 257], [map { "i$_" } 1 .. 1001],
             ["a\n"], \'"a"', \'null', \'{}', \'[1]', \'[null]']);
like(send_event(\%SERVED, itemIds => ['a', 'b', ''])->{body},
     qr/"field":"itemIds\[2\]"/);
send_event(\%SERVED, itemIds => ['b', 'a', 'b', 'c', 'a']);
is_deeply(last_event()->{itemIds}, ['b', 'a', 'c'], 'once, at its first place');
check_field(\%SERVED, 'totalResults', [undef, \'null', \'0', \'9007199254740991', \'7'],
            [\'-1', \'1.5', \'"7"', \'1e999']);
check_field(\%SERVED, 'query', [undef, '', 'red shoes', "a\nb \x{20ac}", 'x' x 1024],
            ['x' x 1025, \'1']);
send_event(\%SERVED, query => "  Red\tShoes + % ");
is(last_event()->{query}, "  Red\tShoes + % ", 'verbatim');
for my $field ('filters', 'metadata') {
    check_field(\%SERVED, $field,
                [undef, { a => 1 }, { a => 'x' x 4000 }, \'{"a":{"b":{"c":{"d":1}}}}'],
                [{ a => 'x' x 4096 }, \'"text"', \'1',
                 \'{"a":{"b":{"c":{"d":{"e":{}}}}}}', \'{"a":1,"a":2}',
                 \'{"a":{"b":1,"b":1}}']);
}
check_field(\%SERVED, 'filters',
            [[{ field => 'color', operator => 'eq', value => 'red' }]], []);
check_field(\%SERVED, 'sortBy',
            [undef, 'price', { field => 'price', order => 'ascending' }],
            [\'1', 'x' x 4096]);
send_event(\%SERVED, serveId => 'serve-1', eventId => 'other');
is(last_event()->{eventId}, 'serve-1', 'a serve is known by its id');
is(last_event()->{serveId}, 'serve-1');
my $n = scalar events();
is(send_event(\%SERVED, serveId => 'serve-1', eventId => 'third')->{status}, 204);
is(scalar events(), $n, 'and logged once');
check_field(\%SERVED, 'serveId', [undef, 'x' x 128],
            ['', 'x' x 129, 'a b', '<', \'1']);



=== TEST 5: purchase
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
is(send_event(\%BUY)->{status}, 204);
is(last_event()->{value}, 25.5);
is(last_event()->{metadata}, undef, 'the sum is right');
is(send_event(\%BUY, value => \'20')->{status}, 204, 'accepted all the same');
ok(last_event()->{metadata}{valueMismatch}, 'and marked');
check_field(\%BUY, 'orderId', ['x' x 128, "\x{e4} 1"],
            [undef, '', 'x' x 129, "a\n", \'1']);
check_field(\%BUY, 'value', [\'0', \'1e6', \'0.01'],
            [undef, \'-0.01', \'1e999', \'"25"', \'null']);
check_field(\%BUY, 'currency', ['USD'],
            [undef, '', 'eur', 'EURO', 'EU', 'E1R', \'978']);
check_field(\%BUY, 'items',
            [[map { { itemId => "i$_", quantity => 1, unitPrice => 1 } } 1 .. 500],
             \'[{"itemId":"a","quantity":1,"unitPrice":0}]'],
            [undef, [], \'{}', \'[1]', \'[{}]',
             [map { { itemId => "i$_", quantity => 1, unitPrice => 1 } } 1 .. 501],
             \'[{"itemId":"a","quantity":0,"unitPrice":1}]',
             \'[{"itemId":"a","quantity":1.5,"unitPrice":1}]',
             \'[{"itemId":"a","quantity":1,"unitPrice":-1}]',
             \'[{"itemId":"a","quantity":1,"unitPrice":1e999}]',
             \'[{"itemId":"","quantity":1,"unitPrice":1}]',
             \'[{"itemId":"a","quantity":1}]',
             \'[{"itemId":"a","itemId":"b","quantity":1,"unitPrice":1}]']);
like(send_event(\%BUY, items => \'[{"itemId":"a","quantity":1,"unitPrice":1},{"itemId":"b","quantity":"1","unitPrice":1}]')->{body},
     qr/"field":"items\[1\]\.quantity"/);



=== TEST 6: fields of all
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /t { return 204; }
--- request
GET /t
--- error_code: 204
--- check
for my $base (\%CLICK, \%CART, \%SERVED, \%BUY) {
    check_field($base, 'userId', [undef, '', 'u-1', 'x' x 128],
                ['x' x 129, "a\n", \'7']);
    for my $field ('page', 'referrer') {
        check_field($base, $field, [undef, 'https://shop.example/p?a=b#c'],
                    ['https://shop.example/' . 'x' x 2048, \'7']);
    }
}
check_field(\%CART, 'position', [undef, \'5'], [\'-1', \'"1"']);



=== TEST 7: a known field twice, or in the wrong case
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
    location = /s { refine_status; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"a","itemId":"b","position":0}
--- error_code: 400
--- response_body_like: "field":"itemId"
--- check
is(post('/c', '{"type":"click","serveId":"s1","itemID":"a","position":0}')
   ->{status}, 400, 'itemID');
is(post('/c', '{"type":"click","serveId":"s1","itemId":"a","position":0,'
        . '"x":1,"x":2}')->{status}, 204, 'what is left out may repeat');
is(post('/c', '{"type":"click","serveId":"s1","productId":"p","position":0}')
   ->{status}, 204, 'productId is an alias');
is(last_event()->{itemId}, 'p');
like(post('/c', '{"type":"click","serveId":"s1","productId":"p","itemId":"a",'
          . '"position":0}')->{body}, qr/"field":"(?:itemId|productId)"/,
     'not both');
my $s = decode_json(get('/s')->{body})->{catalogs}{shop};
is($s->{rejected}{duplicate_field}, 2);
is($s->{rejected}{missing}, 1);



=== TEST 8: nothing a browser sends breaks out of the line or the log
--- catalog
    flush_interval 1h;
--- config
    location = /c { refine_collect; }
--- request
POST /c
{"type":"click","serveId":"s1","itemId":"\"},{\"eventId\":\"x","position":0}
--- error_code: 204
--- check
is(scalar events(), 1);
is(last_event()->{itemId}, '"},{"eventId":"x');
my $r = post('/c', '{"type":"click","serveId":"s\r\nX-Evil: 1","itemId":"a","position":0}');
is($r->{status}, 400);
is($r->{headers}{'x-evil'}, undef);
is(post('/c', '{"type":"click","serveId":"s","itemId":"a","position":0}',
        'User-Agent' => "bad \xff\xfe \"} agent")->{status}, 204);
like(last_event()->{context}{userAgent}, qr/^bad \x{fffd}\x{fffd} "\} agent$/,
     'bytes that are not UTF-8 are replaced');
is(scalar(log_lines(qr/Evil/)), 0);
