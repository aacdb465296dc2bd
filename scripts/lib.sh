# What the scripts share: where things are, a Python, a pip. Sourced; needs $checkout.
# Nothing in here changes the system, but for a root without any Python, who gets one by apt-get.

quiet=
# The same word as in toolman/data/launcher.sh and toolman/host.py.
# shellcheck source=/dev/null
host=$(
    ID=linux VERSION_ID=
    for release in /etc/os-release /usr/lib/os-release; do
        [ -r "$release" ] && . "$release" && break
    done
    echo "$ID$VERSION_ID-$(uname -m)"
)
root=${TOOLMAN_HOME:-${XDG_DATA_HOME:-${HOME:?}/.local/share}/toolman}/$host
cache=${TOOLMAN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/toolman}
case $root in /*) ;; *) root=$PWD/$root ;; esac
case $cache in /*) ;; *) cache=$PWD/$cache ;; esac
# A Python that no system has, and that this user may not install; see unpack_python.
private=$root/python
pip_hint="its words are above; check the network and pip's settings"
# Of the user's settings only those of pip's index are wanted.
unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_ROOT

say() {
    [ -n "$quiet" ] || printf '%s\n' "$*" >&2
}

# fail MESSAGE [HINT]
fail() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

# need_python: $python is one that can make virtual environments, 3.11 or later.
need_python() {
    find_python && return
    if [ ! -x "$(command -v apt-get)" ] || [ ! -x "$(command -v dpkg-deb)" ]; then
        fail 'toolman needs Python 3.11 or later, and finds none' 'install python3, then try again'
    elif [ "$(id -u)" = 0 ]; then
        say 'installing python3, for there is none'
        install_python
    else
        say 'unpacking a private python3, for there is none'
        unpack_python
    fi
    find_python || fail "Python 3.11 or later is needed; this system's is older"
}

find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11 \
        /usr/bin/python3 "$private/usr/bin/python3"; do
        python=$(command -v "$python") || continue
        "$python" -c 'import ssl, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
            return
    done
    return 1
}

install_python() {
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -q && apt-get install -qy --no-install-recommends \
        python3 python3-venv ca-certificates; } >"$scratch/apt.log" 2>&1 && return
    tail -n 5 "$scratch/apt.log" >&2
    fail 'apt-get could not install python3'
}

# unpack_python: the host's own packages below $private. They work there as they are, once the
# program knows where its libraries are. An rpath reaches the modules' libraries too, and unlike
# LD_LIBRARY_PATH it ends with this program.
unpack_python() {
    tree=$scratch/python
    unpack "$tree" python3 python3-pip-whl patchelf ||
        fail 'no python3 could be unpacked' \
            'ask root for: apt-get install python3 python3-venv ca-certificates'
    rpath=
    for libraries in "$tree"/usr/lib/*-linux-gnu* "$tree"/lib/*-linux-gnu*; do
        [ ! -d "$libraries" ] || rpath=$rpath:\$ORIGIN/../..${libraries#"$tree"}
    done
    real=$(cd "$tree/usr/bin" && readlink python3)
    patchelf=$tree/usr/bin/patchelf
    [ -x "$patchelf" ] || patchelf=patchelf
    "$patchelf" --force-rpath --set-rpath "${rpath#:}" "$tree/usr/bin/$real"
    mkdir -p "$root"
    rm -rf "$private"
    mv -T "$tree" "$private"
}

# unpack TREE PACKAGE...: what this host lacks of the packages and of what they depend on, by
# its own apt-get with private lists.
unpack() {
    into=$1
    shift
    mkdir -p "$scratch/lists/partial" "$scratch/debs/partial" "$into"
    private_apt update >"$scratch/apt.log" 2>&1
    if ! private_apt install -y --download-only --no-install-recommends "$@" \
        >>"$scratch/apt.log" 2>&1; then
        grep '^E:' "$scratch/apt.log" >&2
        return 1
    fi
    for deb in "$scratch"/debs/*.deb; do
        # A second libc does not fit the host's dynamic linker.
        case ${deb##*/} in libc6_* | libc-bin_*) continue ;; esac
        dpkg-deb --extract "$deb" "$into" || return
    done
}

private_apt() {
    apt-get -q -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Dir::State::lists="$scratch/lists" -o Dir::Cache="$scratch" \
        -o Dir::Cache::archives="$scratch/debs" -o Dir::Cache::pkgcache="$scratch/packages.bin" \
        -o Dir::Cache::srcpkgcache="$scratch/sources.bin" "$@"
}

# need_pip: $pip is a directory that $python can run. It comes from the wheel beside the
# standard library, where Debian keeps its own, or else from Debian's package of that wheel.
need_pip() {
    wheel=$(find_pip_wheel) || :
    if [ -z "$wheel" ] && [ -x "$(command -v apt-get)" ]; then
        say 'unpacking a private pip, for there is none'
        unpack "$scratch/pip-package" python3-pip-whl || fail 'no pip could be unpacked' \
            'ask root for: apt-get install python3-venv'
        wheel=$(find_pip_wheel) || :
    fi
    [ -n "$wheel" ] || fail 'this Python comes without pip' "install the module 'ensurepip'"
    wheel_name=${wheel##*/}
    pip=$root/pip/$wheel_name
    [ -d "$pip" ] && return
    "$python" -m zipfile -e "$wheel" "$scratch/pip"
    # Debian's looks for the certificates of a package that may not be there.
    cat >>"$scratch/pip/pip/_vendor/certifi/core.py" <<'EOF'


import os
if not os.path.exists(where()):
    DEBIAN_CA_CERTS_PATH = os.path.join(os.path.dirname(__file__), "cacert.pem")
EOF
    mkdir -p "$root/pip"
    # Somebody else may have been faster.
    mv -T "$scratch/pip" "$pip" 2>/dev/null || [ -d "$pip" ]
}

find_pip_wheel() {
    for wheel in "$("$python" -c 'import os; print(os.path.dirname(os.__file__))')"/ensurepip/_bundled/pip-*.whl \
        /usr/share/python-wheels/pip-*.whl "$private"/usr/share/python-wheels/pip-*.whl \
        "$root"/pip/pip-*.whl "$scratch"/pip-package/usr/share/python-wheels/pip-*.whl; do
        [ -e "$wheel" ] && echo "$wheel" && return
    done
}

# pip_in PYTHON ARGUMENT...: pip, working for that Python's environment.
pip_in() {
    into=$1
    shift
    "$into" "$pip/pip" --quiet --disable-pip-version-check --no-input "$@"
}

# need_development: $development is an environment with this checkout and its development tools,
# whose caches go into it.
need_development() {
    development=$checkout/.venv
    [ -w "$checkout" ] || development=$cache/development/$host
    export RUFF_CACHE_DIR="$development/cache/ruff" MYPY_CACHE_DIR="$development/cache/mypy"
    export HYPOTHESIS_STORAGE_DIRECTORY="$development/cache/hypothesis"
    stamp=$(digest_of pyproject.toml scripts/lib.sh)$host$checkout
    [ "$(cat "$development/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    make_scratch "$root"
    need_python
    need_pip
    say "making the development environment $development"
    "$python" -m venv --clear --without-pip "$development"
    # pip knows dependency groups since 25.1.
    pip_in "$development/bin/python" install --no-user --upgrade 'pip>=25.1' &&
        "$development/bin/python" -m pip --quiet --disable-pip-version-check install --no-user \
            --editable "$checkout" --group "$checkout/pyproject.toml:dev" ||
        fail 'pip could not install the development tools' "$pip_hint"
    echo "$stamp" >"$development/stamp"
}

# digest_of PATH...: one word for all that these files of the checkout hold.
digest_of() {
    (cd "$checkout" && find "$@" -type f ! -path '*/__pycache__/*' -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-12)
}

# make_scratch: a directory that goes when the script ends, however it ends; on the file system
# of what is made, so that it can be renamed.
make_scratch() {
    scratch=$1/scratch.$$
    rm -rf "$scratch"
    mkdir -p "$scratch"
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}
