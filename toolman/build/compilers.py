"""How the files of GCC's own directory are compiled: well where it pays, and otherwise fast.

What is said here is appended to the makefile that GCC's configure has written there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman.build import flags, hot

if TYPE_CHECKING:
    from toolman.build.layout import Layout
    from toolman.build.step import Command

# With -O2 only what is worth it is compiled: -O1 takes two thirds of the time, -O0 a third. What
# GCC generates from its descriptions of machines and patterns are its largest files, and 3 % of a
# compiler's time; what builds instructions and folds front ends' trees, not half of a percent.
_UNOPTIMIZED = "insn-emit% generic-match%"
# What most files of the middle and the back end begin with takes a fifth of their time.
_HEADERS = "config system coretypes backend target rtl tree gimple tree-pass ssa"
# For system.h: what it is asked for by some.
_INCLUDED = "ALGORITHM ARRAY FUNCTIONAL LIST MAP MEMORY SET STRING VECTOR"
_MAKEFILE = """\
HOT := {hot}
LEVEL = $(if $(filter $(HOT),$@),2,$(if $(filter {unoptimized},$@),0,1))
# The code of machines has its own view of these headers, and front ends may not see all of them.
MIDDLE := $(shell grep -L -e IN_TARGET_CODE -e REG_OK_STRICT \\
  $$(grep -l '^#include "backend.h"' $(srcdir)/*.cc $(srcdir)/rtl-ssa/*.cc))
MIDDLE := $(filter $(MIDDLE:$(srcdir)/%.cc=%.o) gimple-match%,$(ALL_HOST_BACKEND_OBJS))
# The last of GCC's own flags.
COVERAGE_FLAGS = -O$(LEVEL) $(if $(filter $(MIDDLE),$@),-include middle$(LEVEL).h)
# Tables for unwinding, in programs that throw nothing and have no symbols.
NOEXCEPTION_FLAGS = -fno-exceptions -fno-rtti -fno-asynchronous-unwind-tables
# Nobody reads warnings of released sources. This one would be an error.
WARN_CXXFLAGS = -Wno-narrowing

$(MIDDLE): | middle1.h.gch middle2.h.gch

# No two runs of a compiler write the same bytes. ccache takes `.sum` for what is in them.
middle%.h.gch: | $(generated_files)
	$(COMPILER) -E $(ALL_COMPILERFLAGS) -O$* $(ALL_CPPFLAGS) middle$*.h | sha256sum > $@.sum
	$(COMPILER) -x c++-header $(ALL_COMPILERFLAGS) -O$* $(ALL_CPPFLAGS) middle$*.h -o $@
"""


def makefile(layout: Layout) -> Command:
    """Append to GCC's makefile what its files are compiled with."""
    first = [f"#define INCLUDE_{name}" for name in _INCLUDED.split()]
    first += [f'#include "{name}.h"' for name in _HEADERS.split()]
    hot_ones = " ".join(f"{name}.o" for name in hot.FILES.split())
    files = {
        "middle1.h": "\n".join(first) + "\n",
        "middle2.h": "\n".join(first) + "\n",
        "Makefile": _MAKEFILE.format(hot=hot_ones, unoptimized=_UNOPTIMIZED),
    }
    text = "".join(f"cat >> {name} <<'END'\n{lines}END\n" for name, lines in files.items())
    return flags.shell(layout.objects("gcc") / "gcc", text)
