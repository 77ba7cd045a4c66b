# The options consent, require_consent and bot: what they may say.

use lib 't/lib';
use Test::Nginx::Socket 'no_plan';
use Refine;
use Conf;

sub invalid {
    my ($option, $value, $allowed) = @_;

    $value = shown($value);
    return qq{invalid value "$value" of "$option" in refine_catalog "shop", }
           . "allowed: $allowed";
}

my $words = 'granted, 1, denied, 0, pending, or text with variables';

block_good("consent $_;") for
    'granted', '1', 'denied', '0', 'pending', '$cookie_consent',
    '"$cookie_a$cookie_b"', 'x$cookie_consent';

block_bad("consent $_;", invalid('consent', $_, $words)) for
    'yes', 'on', 'off', 'true', 'Granted', 'grante', 'granted,', '10', '2',
    'gr' . 'x' x 300;
block_bad("consent 'granted, 1';", invalid('consent', 'granted, 1', $words));
block_bad("consent '';", 'empty value of "consent" in refine_catalog "shop"');
block_bad('consent $no_such_variable;', 'unknown "no_such_variable" variable');
block_bad('consent $;', 'invalid variable name');
block_bad('consent;', 'invalid number of values of "consent" in '
                      . 'refine_catalog "shop", allowed: 1 to 1');
block_bad('consent 1 2;', 'invalid number of values of "consent"');
block_bad('consent 1; consent 1;', 'duplicate option "consent"');

block_good("bot $_;") for '1', '0', '$http_x_bot', '"${http_x_bot}x"';
block_bad("bot $_;", invalid('bot', $_, '1, 0, or text with variables')) for
    'on', 'off', 'Googlebot', '~*bot', '2', '10';
block_bad("bot '';", 'empty value of "bot" in refine_catalog "shop"');
block_bad('bot $no_such_variable;', 'unknown "no_such_variable" variable');
block_bad('bot 1 1;', 'invalid number of values of "bot"');
block_bad('bot 1; bot 0;', 'duplicate option "bot"');

block_good("require_consent $_;") for 'on', 'off';
block_bad("require_consent $_;", invalid('require_consent', $_, 'on or off'))
    for 'yes', '1', '$cookie_consent';
block_bad('require_consent on; require_consent on;',
          'duplicate option "require_consent"');
