#!/bin/sh
# Builds the guest programs beside their sources; with --check only says whether the committed files are
# what the sources give.
#
# Byte-identical with Debian 12's packages:
#   apt-get install clang-14 lld-14 wasi-libc libclang-rt-14-dev-wasm32
set -eu
cd "$(dirname "$0")"

check=
[ "${1-}" = --check ] && check=1

build() {
    clang-14 --target=wasm32-wasi --sysroot=/usr -std=gnu11 -O2 -Wall -Wextra -Werror \
        -fno-ident -Wl,--strip-all -Wl,-z,stack-size=65536 -o "$2" "$1"
}

status=0
for name in wordcount probe; do
    source=$name/$name.c
    target=$name/$name.wasm
    if [ -n "$check" ]; then
        fresh=$(mktemp)
        build "$source" "$fresh"
        if cmp -s "$fresh" "$target"; then
            echo "$target: is what $source gives"
        else
            echo "$target: differs from what $source gives; run tdc/guest/build.sh and commit it" >&2
            status=1
        fi
        rm -f "$fresh"
    else
        build "$source" "$target"
    fi
done
exit $status
