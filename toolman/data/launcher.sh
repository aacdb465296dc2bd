#!/bin/sh
# toolman's launcher, as scripts/install put it here. It answers the one call that a build makes
# often, `toolman env TARGET`, from the file that was rendered at install, without starting
# Python: only if no option, variable, other environment or pin asks for more.

ID=linux VERSION_ID=
[ -r /etc/os-release ] && . /etc/os-release
# The same word as Host.key: a home directory may be shared by hosts of several kinds.
root=${TOOLMAN_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/toolman}/$ID$VERSION_ID-$(uname -m)

pinned() {
    directory=$PWD
    while :; do
        [ -e "$directory/toolman.toml" ] && return 0
        [ -n "$directory" ] || return 1
        directory=${directory%/*}
    done
}

answer=$root/env/words/${2-}.sh
if [ "${1-}" = env ] && [ $# = 2 ] && [ -f "$answer" ] && ! pinned; then
    # Another environment than this has to be taken back first.
    if [ -z "${TOOLMAN_ENV-}" ] || [ "$answer" -ef "$root/env/$TOOLMAN_ENV.sh" ]; then
        cat "$answer" && exit
    fi
fi

if [ ! -x "$root/venv/bin/python" ]; then
    echo "error: toolman is not installed for this host (${root##*/})" >&2
    echo "hint: run scripts/install of a checkout of toolman" >&2
    [ "$1" = env ] && echo 'false;'
    exit 1
fi
exec "$root/venv/bin/python" -P -m toolman "$@"
