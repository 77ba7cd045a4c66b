#!/bin/sh
#
# Prints C that holds files: embed.sh FILE...  Of text in lines that a browser
# does not need, indentation and lines that are a // comment, nothing is kept;
# so no file may have them within a string that counts.

set -eu

echo '/* made by embed.sh of the files beside it */'
echo
echo '#include "ngx_http_refine_file.h"'

for file; do
    name=$(basename "$file" | tr .- __)

    echo
    echo "static u_char  ngx_http_refine_embedded_${name}[] = {"
    sed -e 's/^[[:blank:]]*//' -e '/^\/\//d' -e '/^$/d' "$file" \
        | od -A n -v -t u1 | sed 's/[0-9][0-9]*/&,/g'
    echo '};'
done

echo
echo 'ngx_http_refine_embedded_t  ngx_http_refine_embedded[] = {'

for file; do
    name=$(basename "$file" | tr .- __)

    echo "    { ngx_string(\"$(basename "$file")\"),"
    echo "      { sizeof(ngx_http_refine_embedded_$name),"
    echo "        ngx_http_refine_embedded_$name } },"
done

echo '    { ngx_null_string, ngx_null_string }'
echo '};'
