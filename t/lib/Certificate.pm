package Certificate;

# Certificates made for the run, below the scratch folder.

use strict;
use warnings;

use Exporter 'import';
use POSIX ();
use Refine;

our @EXPORT = qw(certificate certificate_file);


sub certificate_file { scratch() . "/$_[0]" }


sub openssl {
    my (@args) = @_;

    my $log = certificate_file('openssl.log');
    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        open STDOUT, '>>', $log;
        open STDERR, '>&', \*STDOUT;
        delete $ENV{LD_PRELOAD};
        exec 'openssl', @args or POSIX::_exit(127);
    }

    waitpid $pid, 0;
    die "openssl @args: see $log" if $?;
    return;
}


# NAME.crt and NAME.key: signed by the certificate "ca", or by itself when that
# is empty; names is a subjectAltName.  Without days left it was valid in 2020:
# since OpenSSL 3.5 the number cannot be negative, before 3.4 there was no date.

sub certificate {
    my ($name, $ca, $names, $days) = @_;

    my $file = certificate_file($name);

    open my $out, '>', "$file.cnf" or die "$file.cnf: $!";
    print $out "[req]\ndistinguished_name = dn\nprompt = no\n",
               "[dn]\nCN = the $name\n[ext]\n",
               $names ? "basicConstraints = CA:FALSE\nsubjectAltName = $names\n"
                      : "basicConstraints = critical,CA:TRUE\n"
                        . "keyUsage = keyCertSign\n";
    close $out;

    openssl('req', '-new', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', "$file.key",
            '-out', "$file.csr", '-config', "$file.cnf");

    my $signer = certificate_file($ca);
    my @valid = ('-days', $days // 30);

    @valid = ('-not_before', '200101000000Z', '-not_after', '200102000000Z')
        if $days && $days < 0 && `openssl x509 -help 2>&1` =~ /-not_after/;

    openssl('x509', '-req', '-in', "$file.csr", '-out', "$file.crt",
            @valid, '-extfile', "$file.cnf", '-extensions', 'ext',
            $ca ? ('-CA', "$signer.crt", '-CAkey', "$signer.key",
                   '-CAcreateserial') : ('-signkey', "$file.key"));

    # workers read nothing of it, but Redis may run as somebody else

    chmod 0644, "$file.key";
    return;
}


1;
