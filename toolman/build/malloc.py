"""mimalloc inside musl's libc.a, in the place of musl's own allocator.

musl's is small and hardened, and many times slower where threads allocate. What is replaced is
in the archive only: in a dynamic program the libc is that of the machine where it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman.build import flags, gcc, musl
from toolman.build.step import Command, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolman.build.blueprint import Blueprint
    from toolman.build.layout import Layout

# musl makes libc.a of its position-independent objects where the compiler defaults to such code.
# Of its allocator only that stays which the libc itself calls, and what calls the public
# functions. lite_malloc.lo also defines a weak `malloc`, which would satisfy a program before
# mimalloc's is looked at. `new` and `delete` are libstdc++'s, which call `malloc`: mimalloc's own
# would be defined twice.
_SCRIPT = """\
objects=$(ls obj/src/malloc/*.lo obj/src/malloc/*/*.lo)
lite=obj/src/malloc/lite_malloc.lo
dropped=
for object in $objects; do
    case $object in
    $lite | */libc_calloc.lo | */replaced.lo | */reallocarray.lo) continue ;;
    esac
    dropped="$dropped $object"
done
kept=$(find obj/src obj/compat -name '*.lo' ! -path "$lite" | sort)
for object in $dropped; do
    kept=$(printf '%s\\n' "$kept" | grep -vxF "$object")
done
"$OBJCOPY" --strip-symbol=malloc "$lite" lite_malloc.o
"$OBJCOPY" --wildcard --localize-symbol='_Z*' mimalloc.o
rm -f mimalloc.a
"$AR" rcs mimalloc.a mimalloc.o lite_malloc.o $kept
install -m 644 mimalloc.a "$LIBC"
"""


def steps(plan: Blueprint, layout: Layout) -> Iterator[Step]:
    """None but for `--malloc mimalloc`."""
    if plan.malloc != "mimalloc":
        return
    where, source = layout.objects("musl"), layout.source("mimalloc")
    tools = str(layout.out / "bin" / plan.triple)
    env = {
        "AR": f"{tools}-ar",
        "OBJCOPY": f"{tools}-objcopy",
        "LIBC": str(layout.sysroot / "lib/libc.a"),
    }
    yield Step(
        name="mimalloc: library",
        commands=(
            Command(
                argv=(
                    *musl.compiler(plan, layout),
                    *("-O2", "-fPIC", "-DNDEBUG", "-DMI_MALLOC_OVERRIDE", "-DMI_LIBC_MUSL=1"),
                    # Thread-local data that a static program reaches without a call.
                    "-ftls-model=local-exec",
                    *flags.hide(layout.shared, layout.work),
                    f"-I{source}/include",
                    *("-c", f"{source}/src/static.c", "-o", "mimalloc.o"),
                ),
                cwd=where,
            ),
            Command(argv=("sh", "-euc", _SCRIPT), cwd=where, env=env),
        ),
        needs=("mimalloc: source", musl.INSTALLED, gcc.SHARED_LIBGCC),
        seconds=15,
    )
