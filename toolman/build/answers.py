"""What configure scripts have found out about the host, so that they ask it once.

A component has ten of them, and each asks the host the same hundred questions for every target.
GCC's and binutils' top-level makefiles give each script a file `config.cache` of its own; the
answers about the host are taken from there when a component is built, and laid there for the
next target. Answers about the target, paths, and what the user's flags are stay out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman.build.step import Command

if TYPE_CHECKING:
    from toolman.build.layout import Layout

# Autoconf's names for functions, headers, types and the like, and libtool's for what works.
_KEPT = (
    r"^(ac_cv_(c|cxx|f|func|have|header|lib|member|search|sizeof|struct|sys|type|working)"
    r"|gcc_cv_(func|have_decl|header))_[A-Za-z0-9_]+=\$\{[^/]*\}$"
    r"|^lt_cv_[A-Za-z0-9_]+=\$\{[A-Za-z0-9_]+=(yes|no)\}$"
)
_LAY = '[ ! -d "$1" ] || cp -R "$1/." .'
_KEEP = """\
[ ! -d "$1" ] || exit 0
mkdir -p .answers "${1%/*}"
for one in $(find . -mindepth 2 -maxdepth 3 -name config.cache); do
    mkdir -p ".answers/${one%/*}"
    grep -E "$2" "$one" > ".answers/$one" || :
done
mv -T .answers "$1" || [ -d "$1" ]"""


def lay(layout: Layout, component: str) -> Command:
    """Give the scripts of `component` what is known."""
    return _shell(layout, component, _LAY)


def keep(layout: Layout, component: str) -> Command:
    """Keep what the scripts of `component` have found, unless it is known. None may run now."""
    return _shell(layout, component, _KEEP, _KEPT)


def _shell(layout: Layout, component: str, text: str, *words: str) -> Command:
    known = str(layout.answers(component))
    return Command(argv=("sh", "-euc", text, "sh", known, *words), cwd=layout.objects(component))
