# The option "spool": what "nginx -t" says of it, and which directories it makes.

use lib 't/lib';
use Test::More;
use Refine;
use Conf;

my $forms = 'PATH SIZE [fsync=always|interval|off], or off';
my $dir = scratch() . '/spool';
my $name = "$dir/refine:cat_1";

sub mode { my @stat = stat $_[0]; return @stat && sprintf '%04o', $stat[2] & 07777 }

# --- values

conf_good("spool $_", block("spool $_;"))
    for 'off', "$dir 1m", "$dir/ 1024g fsync=off", "$dir 16m fsync=interval",
        "$dir 16m fsync=always", "spool 16m";

block_bad("spool $$_[0];",
          qq{invalid value "$$_[1]" of "spool" in refine_catalog "shop", allowed: $$_[2]})
    for ["$dir", $dir, $forms],
        ['on', 'on', $forms],
        ["$dir x", 'x', '1m to 1024g'],
        ["$dir 1023k", '1023k', '1m to 1024g'],
        ["$dir 1025g", '1025g', '1m to 1024g'],
        ["$dir 1m fsync=1s", 'fsync=1s', 'fsync=always, fsync=interval or fsync=off'],
        ["$dir 1m always", 'always', 'fsync=always, fsync=interval or fsync=off'];

block_bad("spool $dir 1m; spool off;", 'duplicate option "spool" in refine_catalog "shop"');
block_bad("spool $dir 1m fsync=off x;", 'invalid number of values of "spool"');
block_bad('spool /' . 'x' x 4050 . ' 1m;',
          'the path of the "spool" in refine_catalog "shop" is too long: "/xxx');

# --- without a queue

my $alone = options_except('queue');

conf_good('no queue', "refine_catalog shop { $alone spool $dir 1m; }");
conf_bad('no queue, no spool', "refine_catalog shop { $alone spool off; }",
         'no "queue" in refine_catalog "shop", which needs organization_id, '
         . 'catalog_id, api_key, and queue or a spool');
conf_bad('a directory that is not the workers\' to write to',
         "refine_catalog shop { $alone spool /proc/none 1m; }",
         'the spool "/proc/none" of refine_catalog "shop" cannot be made');


# --- directories

is(mode($dir), '0700', 'PATH is made');
is(mode($name), '0700', 'and that of the catalog');
is(mode(scratch() . '/spool/refine:cat_1'), '0700', 'relative to the prefix');

conf_good('an id with a slash', block("spool $dir 1m; catalog_id a/b%c;"));
is(mode("$dir/refine:a%2Fb%25c"), '0700', 'which is escaped');

for my $path ($dir, $name) {
    chmod 0707, $path;
    block_bad("spool $dir 1m;",
              qq{refine: the spool "$path" of refine_catalog "shop" can be written to by everyone, its mode should be 0700});
    chmod 0500, $path;
    block_bad("spool $dir 1m;",
              qq{refine: the spool "$path" of refine_catalog "shop" cannot be written to by its owner, its mode should be 0700});
    chmod 0700, $path;
}

my $text = conf_file('text', 'x');
block_bad("spool $text 1m;", qq{refine: the spool "$text" of refine_catalog "shop" is not a directory});
block_bad("spool $text/a 1m;", qr{refine: the spool "\Q$text/a\E" of refine_catalog "shop" cannot be made: mkdir\(\) failed \(20: });

conf_bad('two catalogs in one directory',
         block("spool $dir 1m;") . block("spool $dir/ 1m; queue redis://127.0.0.1:6380;", 'two'),
         qq{refine_catalog "shop" and "two" have the same spool "$name", allowed: a PATH each, or another prefix= of "queue"});
conf_good('two catalogs in one PATH',
          block("spool $dir 1m;") . block("spool $dir 1m; catalog_id cat_2;", 'two'));

SKIP: {
    # somebody else's can only be made by root

    last SKIP if $>;

    my $user = (stat $name)[4];
    chown 1, 1, $name;
    block_bad("spool $dir 1m;", qr{refine: the spool "\Q$name\E" of refine_catalog "shop" belongs to the user 1, allowed: that of the workers, $user\b});
    chown $user, -1, $name;
}

done_testing();
