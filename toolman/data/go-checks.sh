#!/bin/sh
# The first half of toolman's `go`; go.sh is the other. It finds the real go, and stops what cannot
# work before the build, with the reason.
#
# TOOLMAN_GO_LIBC is set where the libc is musl. TOOLMAN_GO_CHECK=off lets everything through.
# Only in gccgo's environment this starts another process.

# find_go: _go = the first `go` behind this file on PATH. What stands in front of it is taken only
# if nothing is behind: it may be another toolman's shim, which looks for one behind itself.
find_go() {
    _go='' _front=''
    IFS=:
    for _dir in ${PATH-}; do
        _file=${_dir:-.}/go
        [ -f "$_file" ] && [ -x "$_file" ] || continue
        if [ "$_file" -ef "$0" ]; then
            _front=${_front:-$_go} _go=''
        else
            _go=${_go:-$_file}
        fi
    done
    unset IFS
    # exec keeps the process id: two shims that hand a call to each other end here.
    if [ -z "$_go" ] && [ "${TOOLMAN_GO_SHIM-}" != $$ ]; then
        _go=$_front
        export TOOLMAN_GO_SHIM=$$
    fi
    [ -z "$_go" ] || return 0
    echo 'error: no go on PATH but the shim of toolman' >&2
    echo 'hint: install Go, or put the directory of its go program on PATH' >&2
    exit 127
}

# check ARGS: leave with exit code 2 if the call cannot work.
check() {
    [ "${TOOLMAN_GO_CHECK-}" != off ] || return 0
    case $_command in
    list) return ;;
    vet) ;;
    *) [ "${TOOLMAN_GO_LIBC-}" != musl ] || check_mode ;;
    esac
    case $_set$_flag,$_compiler in
    ldflags,*) ;; # no flags of ours that could be the wrong compiler's
    *gccgoflags,gccgo) check_gccgo "$@" ;;
    *gccgoflags,* | *ldflags,gccgo)
        tell "note: this is the environment of another compiler than $_compiler" \
            "eval \$(toolman env --compiler $_compiler ${TOOLMAN_ENV-})"
        ;;
    esac
}

# tell TEXT HINT
tell() {
    printf '%s\nhint: %s\n' "$1" "$2" >&2
}

# check_mode: Go's start-up code in a library for C takes the program's arguments from where glibc
# alone puts them, for the functions in .init_array. A plugin is loaded by a Go that runs already:
# it works, where the program can load anything.
check_mode() {
    _cure="--libc gnu linux/${GOARCH-}"
    case $_mode in
    c-archive) _why='a program with it crashes as it starts (golang/go#13492)' ;;
    c-shared)
        _why='a program with it crashes as it starts (golang/go#13492)'
        _why="$_why, and one that dlopens it then (golang/go#54805)"
        ;;
    plugin)
        [ "$_flag" = ldflags ] && [ -n "$_set" ] || return 0
        _cure="--dynamic ${TOOLMAN_ENV-}"
        _why='programs are static here, and so have no dlopen'
        ;;
    *) return 0 ;;
    esac
    tell "error: -buildmode=$_mode does not work with musl: $_why" \
        "eval \$(toolman env $_cure); to try it nevertheless: TOOLMAN_GO_CHECK=off"
    exit 2
}

# check_gccgo ARGS: ask toolman what gccgo lacks for the packages of this call. What it does not
# know, a file or a package that is not there, go will say.
check_gccgo() {
    command -v toolman >/dev/null || return 0
    read_packages "$@"
    _said=$(
        [ -z "$_chdir" ] || cd "$_chdir" || exit 0
        export GOFLAGS="${GOFLAGS-}$_listing"
        case $_command in
        test | vet) _tests=--tests ;;
        *) _tests='' ;;
        esac
        eval "exec toolman explain -q --compiler gccgo --target \"\$TOOLMAN_ENV\" \
            --tags=\"\$_asked\" \$_tests -- $_refs" 2>/dev/null
    )
    _code=$?
    [ -n "$_said" ] || return 0
    printf '%s\n' "$_said" >&2
    [ $_code != 1 ] || exit 2
}

# read_packages ARGS: _refs = the packages among them, as `push` spells them.
read_packages() {
    shift "$_head"
    begin look
    _refs='' _count=0 _listing=''
    for _arg; do
        _package=''
        if [ -n "$_open" ]; then
            step
        else
            case $_command,$_arg in
            test,*) break ;;
            run,*.go | build,* | install,* | vet,*) _package=1 ;;
            run,*) break ;;
            esac
        fi
        [ -z "$_package" ] || push "$_arg"
    done
}

