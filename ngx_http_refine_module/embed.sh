#!/bin/sh
#
# Prints C that holds files: embed.sh FILE...  Of text in lines that a browser
# does not need, indentation and lines that are a // comment, nothing is kept;
# so no file may have them within a string that counts.

set -eu

text() {
    sed -e 's/^[[:blank:]]*//' -e '/^\/\//d' -e '/^$/d' "$1"
}

version() {
    text "$1" | cksum | { read -r crc _; printf '%08x' "$crc"; }
}

echo '/* made by embed.sh of the files beside it */'
echo
echo '#include "ngx_http_refine_embedded.h"'

for file; do
    echo
    echo "static u_char  ngx_http_refine_$(basename "$file" | tr .- __)[] = {"
    text "$file" | od -A n -v -t u1 | sed 's/[0-9][0-9]*/&,/g'
    echo '};'
done

echo
echo 'ngx_http_refine_embedded_t  ngx_http_refine_embedded_files[] = {'

for file; do
    name=ngx_http_refine_$(basename "$file" | tr .- __)

    echo "    { ngx_string(\"$(basename "$file")\"),"
    echo "      ngx_string(\"$(version "$file")\"),"
    echo "      { sizeof($name), $name } },"
done

echo '    { ngx_null_string, ngx_null_string, ngx_null_string }'
echo '};'
