#!/bin/sh
#
# Installs what is missing from the distribution's packages.
# usage: deps.sh build|demo|test|chaos|browser|engines|fuzz|deb|valgrind|smoke|bench,
# or smoke-root in the root of "make smoke"

set -eu

build="build-essential nginx nginx-dev libhiredis-dev libcjson-dev zlib1g-dev libdeflate-dev"
demo="$build redis-server python3 curl openssl"
chaos="$demo faketime"
fuzz="$build clang libclang-rt-dev"
suite="$demo perl libtest-base-perl libtest-longstring-perl
      libtext-diff-perl libipc-run-perl liblist-moreutils-perl liburi-perl
      libwww-perl libhttp-date-perl libfilter-perl procps
      libnginx-mod-http-lua libnginx-mod-http-js libnginx-mod-http-subs-filter
      libnginx-mod-http-headers-more-filter libnginx-mod-http-brotli-filter"
deb="$build dpkg-dev debhelper"
browser="$demo chromium chromium-driver perl"
engines="$browser firefox-esr webkit2gtk-driver xvfb"
test="$suite clang libclang-rt-dev libcmocka-dev faketime chromium chromium-driver"
valgrind="$suite valgrind"
smoke="debootstrap"
smoke_root="$suite valkey-server"
bench="$demo wrk libnginx-mod-http-lua lua-nginx-redis lua-cjson"

case "${1:-build}" in
    build) wanted=$build ;;
    demo)  wanted=$demo ;;
    test)  wanted=$test ;;
    chaos) wanted=$chaos ;;
    browser)    wanted=$browser ;;
    engines)    wanted=$engines ;;
    fuzz)  wanted=$fuzz ;;
    deb)   wanted=$deb ;;
    bench) wanted=$bench ;;
    smoke) wanted=$smoke ;;
    valgrind)   wanted=$valgrind ;;
    smoke-root) wanted=$smoke_root ;;
    *)     echo "usage: $0 build|demo|test|chaos|browser|engines|fuzz|deb|valgrind|smoke|bench" \
                >&2
           exit 2 ;;
esac

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        echo "$0: must be root, or have sudo, to run: $*" >&2
        exit 1
    fi
}

installed() {
    dpkg-query -W -f '${Status}\n' "$1" 2> /dev/null \
        | grep -q 'ok installed'
}

if ! command -v dpkg-query > /dev/null; then
    echo "$0: no dpkg here; install the equivalents of: $wanted" >&2
    exit 0
fi

missing=

for package in $wanted; do
    installed "$package" || missing="$missing $package"
done

if [ -n "$missing" ]; then
    echo "installing:$missing"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing
fi

# Test::Nginx is packaged since Debian 13's successor.  The package holds Perl
# only, and needs nothing that Debian 12 lacks; so where the machine's own
# suite has none, it is taken from the unstable suite of the machine's own
# sources, through a list that is gone afterwards.

test_nginx() {
    perl -MTest::Nginx::Socket -e 1 2> /dev/null && return 0

    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq libtest-nginx-perl 2> /dev/null && return 0

    dir=$(mktemp -d)
    mkdir -p "$dir/parts" "$dir/lists/partial"
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")

    for source in /etc/apt/sources.list.d/*.sources; do
        [ -f "$source" ] || continue
        awk -v suite="$suite" '
            BEGIN { RS = ""; ORS = "\n\n" }
            $0 ~ "Suites:[^\n]*" suite && !/-security/ {
                sub(/Suites:[^\n]*/, "Suites: sid"); print
            }' "$source" >> "$dir/parts/sid.sources"
    done

    if [ -f /etc/apt/sources.list ]; then
        awk -v suite="$suite" '
            $1 == "deb" && $0 ~ " " suite " " {
                sub(" " suite " ", " sid "); print
            }' /etc/apt/sources.list >> "$dir/parts/sid.list"
    fi

    chmod -R a+rX "$dir"

    # signatures are checked as ever; only the age of a mirror's copy is not

    options="-o Acquire::Check-Valid-Until=false
             -o Dir::Etc::sourcelist=/dev/null
             -o Dir::Etc::sourceparts=$dir/parts
             -o Dir::State::lists=$dir/lists -o APT::Sandbox::User=root"

    if (cd "$dir" && as_root apt-get $options -qq update \
        && as_root apt-get $options -qq download libtest-nginx-perl) \
        && as_root env DEBIAN_FRONTEND=noninteractive \
               apt-get install -y -qq "$dir"/libtest-nginx-perl_*.deb
    then
        as_root rm -rf "$dir"
        return 0
    fi

    as_root rm -rf "$dir"
    echo "$0: the package libtest-nginx-perl cannot be had here;" \
         "install it with: cpan Test::Nginx" >&2
    return 1
}

case "$1" in
    test | valgrind | smoke-root) test_nginx ;;
esac
