#!/bin/sh
# toolman's launcher, as scripts/install put it here. It answers the one call that a build makes
# often, `toolman env TARGET`, from the file that was rendered at install, without starting
# Python: only if no option, variable, other environment, override or pin asks for more.
# Its own names begin with `_`: one that the caller exports would be changed for programs too.

# The same word as Host.key: a home directory may be shared by hosts of several kinds.
_host=$(
    ID=linux VERSION_ID=
    for _release in /etc/os-release /usr/lib/os-release; do
        [ -r "$_release" ] && . "$_release" && break
    done
    printf %s- "$ID$VERSION_ID"
    exec uname -m
)
_root=${TOOLMAN_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/toolman}/$_host

# pinned: whether a toolman.toml stands at or above this directory, where no link hides it.
pinned() {
    _directory=$(pwd -P) || return 0
    while [ ! -e "$_directory/toolman.toml" ]; do
        [ -n "$_directory" ] || return 1
        _directory=${_directory%/*}
    done
}

if [ "${1-}" = env ] && [ $# = 2 ]; then
    case $2 in
    # These are no targets, though a file may answer to them.
    /* | */ | *//* | .* | */.*) _answer= ;;
    *) _answer=$_root/env/words/$2.sh ;;
    esac
    # Another environment than this has to be taken back first.
    if [ -r "$_answer" ] && [ -z "${TOOLMAN_ENV_OPTIONS-}" ] &&
        [ ! -e "$_root/overrides.json" ] && ! pinned &&
        { [ -z "${TOOLMAN_ENV-}" ] || [ "$_answer" -ef "$_root/env/$TOOLMAN_ENV.sh" ]; }; then
        exec cat "$_answer"
    fi
fi

if [ ! -x "$_root/venv/bin/python" ]; then
    echo "error: toolman is not installed for this host ($_host)" >&2
    echo "hint: run scripts/install of a checkout of toolman" >&2
    [ "${1-}" = env ] && echo 'false;'
    exit 1
fi
exec "$_root/venv/bin/python" -I -m toolman "$@"
