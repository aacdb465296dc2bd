# The rest of <triple>-run: what `toolman run` does, without a start of Python, for build systems run
# thousands of tests. What it does not know, `toolman run` does, and says what is wrong.
# _how is `native`, `ask` where only the kernel knows whether it runs such programs, or `qemu`.

case ${1-} in
*/*) [ -f "$1" ] && [ -r "$1" ] || exec toolman run "$_name" "$@" ;;
*) exec toolman run "$_name" "$@" ;;
esac
# A test that is a script is the host's.
IFS= read -r _line <"$1"
case $_line in
'#!'*) exec "$@" ;;
esac
case $_how in
native)
    # The sysroot's loader runs a dynamic program, not the host's.
    grep -q "$_loader" "$1" || exec "$@"
    ;;
qemu)
    for _qemu in "qemu-$_machine" "qemu-$_machine-static"; do
        command -v "$_qemu" >/dev/null && exec "$_qemu" -L "$_sysroot" "$@"
        for _file in "$_store"/qemu-user-*/usr/bin/"$_qemu"; do
            [ -x "$_file" ] && exec "$_file" -L "$_sysroot" "$@"
        done
    done
    ;;
esac
exec toolman run "$_name" "$@"
