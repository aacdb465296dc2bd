#!/bin/sh
# toolman's `go_linux_arm64_exec` and its kin. By a program of that name `go run` and `go test` start
# what they have built, if GOOS and GOARCH are not the host's and no -exec is given.
if ! command -v toolman >/dev/null; then
    echo 'error: no toolman on PATH, which would run this program' >&2
    exit 127
fi
# Outside of an environment, its own name says for which platform.
_arch=${0##*/go_linux_}
exec toolman run "${TOOLMAN_ENV:-linux/${_arch%_exec}}" "$@"
