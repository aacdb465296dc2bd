#!/bin/sh
# toolman's `go`: the real one, with the flags that make the programs of an environment static.
#
# GOFLAGS alone cannot do it (Go 1.19 to 1.27, measured):
# - A -ldflags or -tags on the command line replaces that of GOFLAGS. A program whose only cgo is
#   net or os/user then fails to link before Go 1.27, and `-ldflags -s` is what everybody types.
# - Go 1.19 knows no quotes in GOFLAGS, so `-linkmode=external -extldflags=-static` does not fit in.
# - -buildmode=pie needs -static-pie: with -static it makes no PIE, with both one that crashes.
# - CGO_ENABLED=0 and `-linkmode=external` exclude each other.
# So our flags go onto the command line, in front of the user's and inside the same flag.
#
# TOOLMAN_GO_LDFLAGS and TOOLMAN_GO_TAGS hold them, TOOLMAN_GO_GCCGOFLAGS those of gccgo's
# environment; without either, and with glibc, this only runs the real go. go-checks.sh stands in
# front of this text. It runs before every go command: builtins only, no process but go. Each name
# begins with `_`, for assigning to a variable that the caller exported would change it for go, too.
set -fu

main() {
    find_go
    _set=${TOOLMAN_GO_GCCGOFLAGS-${TOOLMAN_GO_LDFLAGS-}}
    [ -n "$_set${TOOLMAN_GO_LIBC-}" ] || exec "$_go" "$@"
    read_command "$@"
    # Those that link, and the two that report on what would be built. `get` has built nothing
    # since Go 1.18; to the others GOFLAGS says enough.
    case $_command in
    build | install | list | run | test | vet) ;;
    *) exec "$_go" "$@" ;;
    esac
    _mode='' _bare='' _tagged='' _own_tags='' _compiler=gc _listing='' _asked=''
    _flag=ldflags _all=''
    [ -z "${TOOLMAN_GO_GCCGOFLAGS-}" ] || _flag=gccgoflags _all=all=
    read_goflags
    read_arguments "$@"
    check "$@"
    [ -n "$_set" ] || exec "$_go" "$@"
    fit_ours

    _refs='' _count=0
    while [ "$_head" -gt 0 ]; do
        push "$1"
        shift
        _head=$((_head - 1))
    done
    push_ours
    begin rewrite
    while [ $# -gt 0 ] && [ -n "$_open" ]; do
        _arg=$1
        shift
        step
        push "$_arg"
    done
    eval "exec \"\$_go\" $_refs \"\$@\""
}

# push ARG: add ARG to the new command line, a list of variables: what eval reads is their names,
# never a word of the user's.
push() {
    _count=$((_count + 1))
    eval "_arg_$_count=\$1"
    _refs="$_refs \"\$_arg_$_count\""
}

# push_ours: what the user's flags do not hold already. A -ldflags counts for the packages that its
# pattern names, without one for those of the command line, and the last wins. So ours stands first
# if there is no other without a pattern, and then what GOFLAGS has, in its order. gccgo's are for
# all packages, and so always there: the sysroot among them keys Go's cache.
push_ours() {
    [ -n "$_bare" ] || push "-$_flag=$_all$_ours"
    _rest=${GOFLAGS-}
    while next_field; do
        _todo=$_rest
        if split_flag "$_field" && [ "$_name" = "$_flag" ] && ! is_ours; then
            merge_flags "$_value"
            push "-$_flag=$_value"
        fi
        _rest=$_todo
    done
    [ -z "$_tagged" ] || return 0
    merge_tags "$_own_tags"
    [ -z "$_value" ] || push "-tags=$_value"
}

# read_command ARGS: _command, and _head = how many arguments end with it and its -C.
# Go takes -C in front of the subcommand, or as the first flag behind it, and nowhere else.
read_command() {
    _chdir=''
    read_chdir "$@"
    shift "$_width"
    _head=$((_width + 1)) _command=${1-}
    [ $# -gt 0 ] || return 0
    shift
    read_chdir "$@"
    _head=$((_head + _width))
}

read_chdir() {
    _width=0
    case ${1-} in
    -C | --C) [ $# -lt 2 ] || _width=2 _chdir=$2 ;;
    -C=* | --C=*) _width=1 _chdir=${1#*=} ;;
    esac
}

# read_arguments ARGS: `look` at the flags behind the subcommand.
read_arguments() {
    shift "$_head"
    begin look
    for _arg; do
        step
        [ -n "$_open" ] || break
    done
}

# begin VERB: let `step` start anew, with VERB for the flags that have a value.
begin() {
    _do=$1 _open=1 _awaits='' _packages='' _loose=''
}

# step: read _arg as go would, and hand each flag that has a value to $_do, which may change it.
step() {
    if [ -n "$_awaits" ]; then
        "$_do" "$_awaits" "$_arg"
        _arg=$_value _awaits=''
    elif ! split_flag "$_arg"; then
        end_of_flags
    else
        _packages=${_packages:+over}
        _loose=''
        case $_arg in
        *=*)
            "$_do" "$_name" "$_value"
            _arg=${_arg%%=*}=$_value
            ;;
        *) ! takes_value "$_name" || _awaits=$_name ;;
        esac
        [ "$_command" != test ] || test_flag
    fi
}

# split_flag ARG: _name and _value of `-name=value`; false if Go's flag package sees no flag.
split_flag() {
    case $1 in
    - | -- | ---* | -=* | --=*) return 1 ;;
    --*) _name=${1#--} ;;
    -*) _name=${1#-} ;;
    *) return 1 ;;
    esac
    _value=${_name#*=}
    _name=${_name%%=*}
}

# end_of_flags: after _arg come packages or the program's arguments, which are not ours to touch.
# `go test` alone takes flags behind its packages, until a word that can be neither a package nor
# the value of a flag that it does not know.
end_of_flags() {
    if [ "$_arg" = -- ]; then
        _open=''
    elif [ "$_command" != test ]; then
        _open='' _package=1
    elif [ "$_packages" != over ]; then
        _packages=in _package=1
    elif [ -z "$_loose" ]; then
        _open=''
    fi
    _loose=''
}

test_flag() {
    if [ "$_name" = args ]; then
        _open=''
    elif ! takes_value "$_name" && ! is_switch "$_name"; then
        _packages=over
        [ "${_arg#*=}" != "$_arg" ] || _loose=1
    fi
}

# takes_value NAME: the flag waits for a value, in one of the subcommands that come here.
takes_value() {
    case ${1#test.} in
    asmflags | buildmode | compiler | covermode | coverpkg | exec | gccgoflags | gcflags) ;;
    installsuffix | ldflags | mod | modfile | o | overlay | p | pgo | pkgdir | tags | toolexec) ;;
    debug-actiongraph | debug-runtime-trace | debug-trace | f | reuse | vettool) ;;
    bench | benchtime | blockprofile | blockprofilerate | count | coverprofile | cpu) ;;
    cpuprofile | fuzz | fuzzminimizetime | fuzztime | list | memprofile | memprofilerate) ;;
    mutexprofile | mutexprofilefraction | outputdir | parallel | run | shuffle | skip) ;;
    timeout | trace | vet) ;;
    *) return 1 ;;
    esac
}

# is_switch NAME: `go test` knows the flag, which takes no value.
is_switch() {
    case ${1#test.} in
    a | artifacts | asan | benchmem | buildvcs | c | cover | failfast | fullpath | i | json) ;;
    linkshared | modcacherw | msan | n | race | short | trimpath | v | work | x) ;;
    *) return 1 ;;
    esac
}

# look NAME VALUE: what must be known of all flags before the first is changed.
look() {
    _value=$2
    case $1 in
    buildmode) _mode=$2 ;;
    compiler) _compiler=$2 ;;
    mod | modfile | overlay) _listing="$_listing -$1=$2" ;;
    tags) _tagged=1 _asked=$2 ;;
    "$_flag")
        split_pattern "$2"
        [ -n "$_pattern$_all" ] || _bare=1
        ;;
    esac
}

# rewrite NAME VALUE: _value = VALUE with ours in it.
rewrite() {
    case $1 in
    "$_flag") merge_flags "$2" ;;
    tags) merge_tags "$2" ;;
    *) _value=$2 ;;
    esac
}

# read_goflags: the user's flags in GOFLAGS count where the command line has none of their kind.
read_goflags() {
    _rest=${GOFLAGS-}
    while next_field; do
        split_flag "$_field" || continue
        case $_name in
        tags) _own_tags=$_value ;;
        *) is_ours || look "$_name" "$_value" ;;
        esac
    done
}

# is_ours: _name and _value are the flags that the environment itself put into GOFLAGS.
is_ours() {
    [ "$_name" = "$_flag" ] || return 1
    case "$_set " in
    "$_value "*) [ -n "$_value" ] ;;
    *) return 1 ;;
    esac
}

# fit_ours: _ours and _static, its word for the C linker, for this call's -buildmode.
fit_ours() {
    _ours=$_set _static=''
    if [ "$_flag" = gccgoflags ]; then
        case $_mode in
        c-shared | shared)
            drop_static "$_ours"
            _ours=$_words
            ;;
        esac
        return
    fi
    # Without cgo, Go's own linker makes a static program, and refuses the external one.
    [ "${CGO_ENABLED-}" != 0 ] || _ours=''
    case $_mode in
    pie) fit_static -static-pie ;;
    # A static link would put a libc of its own into the shared object.
    c-shared | plugin | shared) fit_static '' ;;
    esac
    _rest=$_ours
    while next_field; do
        case $_field in
        -extldflags=*) _static=${_field#*=} ;;
        esac
    done
}

# fit_static WORD: WORD in the place of -static, which CGO_LDFLAGS must not bring back.
fit_static() {
    case $_ours in
    *-extldflags=-static*) _ours=${_ours%%=-static*}=$1${_ours#*=-static} ;;
    esac
    [ -n "${CGO_LDFLAGS-}" ] || return 0
    drop_static "$CGO_LDFLAGS"
    CGO_LDFLAGS=$_words
}

# drop_static FIELDS: _words = FIELDS without those that choose a static or a static-pie link.
drop_static() {
    _rest=$1 _words=''
    while next_field; do
        case $_field in
        -static | --static | -static-pie | --static-pie) ;;
        *) _words=$_words${_words:+ }$_quote$_field$_quote ;;
        esac
    done
    _words=$_words$_rest
}

# split_pattern VALUE: _pattern = the `all=` of a -ldflags or empty, _flags = what follows.
# False if go will reject VALUE, which it then must see unchanged.
split_pattern() {
    _pattern=''
    case ${1#"${1%%[![:space:]]*}"} in
    '' | -*) ;;
    [=\"\']*) return 1 ;;
    *=*) _pattern=${1%%=*}= ;;
    *) return 1 ;;
    esac
    _flags=${1#"$_pattern"}
}

# merge_flags VALUE: ours in front; the user's come last and win, as with -linkmode=internal.
merge_flags() {
    _value=$1
    split_pattern "$1" || return 0
    [ -n "$_ours" ] || return 0
    case $_flags in
    *-extldflags*) merge_extldflags ;;
    esac
    _value=$_pattern$_ours${_flags:+ $_flags}
}

# merge_extldflags: of several -extldflags the linker takes the last, so _static goes into each.
merge_extldflags() {
    _out='' _rest=$_flags
    while next_field; do
        _out=$_out$_gap
        case $_field in
        -extldflags | --extldflags)
            _out=$_out$_quote$_field$_quote
            next_field || break
            _out=$_out$_gap
            add_static '' "$_field"
            ;;
        -extldflags=* | --extldflags=*) add_static "${_field%%=*}=" "${_field#*=}" ;;
        *) _out=$_out$_quote$_field$_quote ;;
        esac
    done
    _flags=$_out$_rest
}

# add_static START WORDS: append to _out the field START + _static + WORDS, quoted as it must be.
# A field can hold one kind of quote only; what holds both is left as it is.
add_static() {
    _raw=$_quote$_field$_quote _mark=$_quote _after=$_rest
    drop_static "$2"
    _rest=$_after
    _words=$1$_static${_static:+${_words:+ }}$_words
    [ -n "$_mark" ] || case $_words in
    *\"*) _mark=\' ;;
    *) _mark=\" ;;
    esac
    case $_words in
    *"$_mark"*) _out=$_out$_raw ;;
    *) _out=$_out$_mark$_words$_mark ;;
    esac
}

# merge_tags VALUE: those of ours that VALUE lacks, in front. Blanks and commas both divide tags,
# but never in one value.
merge_tags() {
    _value=$1
    case $1 in
    *[\ \']*) _comma=' ' ;;
    *) _comma=, ;;
    esac
    _tags=''
    IFS=,
    for _tag in ${TOOLMAN_GO_TAGS-}; do
        case $_comma$_value$_comma in
        *"$_comma$_tag$_comma"*) ;;
        *) _tags=$_tags${_tags:+$_comma}$_tag ;;
        esac
    done
    unset IFS
    _value=$_tags${_tags:+${_value:+$_comma}}$_value
}

# next_field: cut the next field off _rest, as Go's quoted.Split does: a quote counts only at the
# start of a field, and nothing is escaped. _gap$_quote$_field$_quote is how it was spelled.
# False at the end, and at a quote that is never closed: _rest keeps that, for go to complain of.
next_field() {
    _gap=${_rest%%[![:space:]]*}
    _field=${_rest#"$_gap"}
    case $_field in
    \"*\"* | \'*\'*)
        _quote=${_field%"${_field#?}"}
        _field=${_field#?}
        _field=${_field%%"$_quote"*}
        ;;
    '' | [\"\']*) return 1 ;;
    *)
        _quote=''
        _field=${_field%%[[:space:]]*}
        ;;
    esac
    _rest=${_rest#"$_gap$_quote$_field$_quote"}
}

main "$@"
