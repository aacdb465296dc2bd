"""The files of the sources of ten lines that `fakesrc` serves, and of the tools beside them.

`@WORD@` stands for what `fakesrc` puts there.
"""

from __future__ import annotations

RECORD = """#!/bin/sh
# record COMPONENT RULE [WORD...]
set -eu
control=${0%/*}
call=$control/.$$
mkdir "$call"
hook=$control/hooks/$1:$2
final=$control/calls/$(date +%s%N):$1:$2
shift 2
pwd >"$call/cwd"
printf '%s\\0' "$@" >"$call/words"
env -0 >"$call/environ"
mv "$call" "$final"
if [ -f "$hook" ]; then . "$hook"; fi
"""

CONFIGURE = """#!/bin/sh
set -eu
@RECORD@ @NAME@ configure "$@"
prefix= target= sysroot= mpc=
for word; do
    case $word in
    --prefix=*) prefix=${word#*=} ;;
    --target=*) target=${word#*=} ;;
    --with-build-sysroot=*) sysroot=${word#*=} ;;
    --with-gmp=* | --with-mpfr=* | --with-mpc=*)
        library=${word#--with-}
        [ -f "${library#*=}/lib/lib${library%%=*}.a" ] || exit 9 ;;
    esac
done
source=$(dirname "$0")
for name in ARCH CC LIBCC; do
    eval "echo \\"$name = \\${$name-}\\""
done >Makefile
{
    echo "prefix = $prefix"
    echo "target = $target"
    echo "sysroot = $sysroot"
    echo "srcdir = $source"
    cat "$source/Makefile"
} >>Makefile
"""

MAKEFILES = {
    "linux-headers": """
headers:
	@$(record) $@
	mkdir -p usr/include/linux usr/include/asm usr/include/scsi
	echo '#define LINUX_$(ARCH)' >usr/include/linux/version.h
	touch usr/include/linux/.install usr/include/scsi/scsi.h
""",
    "binutils": """
all-libiberty:
	@$(record) $@
	mkdir -p libiberty && ar rc libiberty/libiberty.a
.DEFAULT_GOAL = all
all:
	@$(record) $@
	test -f "$$LIBS"
install-strip:
	@$(record) $@
	mkdir -p $(DESTDIR)/bin $(DESTDIR)/share/man $(DESTDIR)/$(target)/bin
	for tool in ar as ld nm objcopy ranlib strip; do \\
	    cp $(srcdir)/tool $(DESTDIR)/bin/$(target)-$$tool; \\
	    ln -f $(DESTDIR)/bin/$(target)-$$tool $(DESTDIR)/$(target)/bin/$$tool; \\
	done
	echo manual >$(DESTDIR)/share/man/ld.1
""",
    "gmp": """
all: ; @$(record) $@
install:
	@$(record) $@
	mkdir -p $(prefix)/lib && touch $(prefix)/lib/lib$(name).a
""",
    "gcc": """
libdir = $(DESTDIR)/lib/gcc/$(target)/99.1
all-%:
	@$(record) $@
	mkdir -p $*
configure-gcc:
	@$(record) $@
	mkdir -p gcc
all-gcc:
	@$(record) $@
	$(target)-as --version
	mkdir -p gcc && cp $(srcdir)/gcc/compiler gcc/xgcc
configure-target-libgcc:
	@$(record) $@
	mkdir -p $(target)/libgcc
	(echo 'sysroot = $(sysroot)'; cat $(srcdir)/libgcc) >$(target)/libgcc/Makefile
all-target-libgcc:
	@$(record) $@
	test -f $(target)/libgcc/libgcc.a -a -f $(sysroot)/lib/libc.so
	touch $(target)/libgcc/libgcc_s.so
all-target-%:
	@$(record) $@
	test -f $(target)/libgcc/libgcc_s.so
	mkdir -p $(target)/$* && touch $(target)/$*/made
install-gcc:
	mkdir -p $(libdir)/install-tools $(libdir)/include $(DESTDIR)/share $(DESTDIR)/bin
	for name in gcc g++ gccgo gfortran gcc-99.1 lto-dump; do \\
	    sed 's/@TARGET@/$(target)/' gcc/xgcc >$(DESTDIR)/bin/$(target)-$$name; \\
	    chmod +x $(DESTDIR)/bin/$(target)-$$name; \\
	done
	touch $(libdir)/install-tools/mkheaders $(DESTDIR)/share/gcc.info
	mkdir -p $(DESTDIR)/$(target)/lib && touch $(DESTDIR)/$(target)/lib/libstdc++.la
	@$(record) $@
install-target-libgcc:
	@$(record) $@
	cp $(target)/libgcc/libgcc.a $(libdir)
install-target-%:
	@$(record) $@
	test -f $(target)/$*/made
""",
    "musl": """
prefix = /usr
# As musl's own: what is made for a machine lies in the directory where make runs.
obj/include/bits/alltypes.h:
	mkdir -p obj/include/bits && echo '#define FOR_$(ARCH)' >$@
install-headers: obj/include/bits/alltypes.h
	@$(record) $@
	mkdir -p $(DESTDIR)$(prefix)/include/bits
	cp obj/include/bits/alltypes.h $(DESTDIR)$(prefix)/include/bits
	cp $(srcdir)/stdio.h $(DESTDIR)$(prefix)/include
lib/libc.a:
	@$(record) $(@F)
	test -x $(firstword $(CC))
	mkdir -p lib obj/src/malloc/mallocng obj/compat
	echo '!<arch>' >$@
	touch obj/src/malloc/lite_malloc.lo obj/src/malloc/mallocng/malloc.lo obj/src/puts.lo
all: lib/libc.a
	@$(record) $@
	test -f $(LIBCC)
	touch lib/libc.so
install:
	@$(record) $@
	mkdir -p $(DESTDIR)/lib && cp lib/* $(DESTDIR)/lib
.DEFAULT_GOAL = all
""",
    "glibc": """
install-headers:
	@$(record) $@
	test -x $(firstword $(CC))
	mkdir -p $(install_root)/include/gnu $(install_root)/lib
	cp $(srcdir)/stdio.h $(install_root)/include
all:
	@$(record) $@
	test -f $(dir $(firstword $(CC)))../*/libgcc/libgcc.a
install:
	@$(record) $@
	mkdir -p $(install_root)/etc && touch $(install_root)/lib/libc.so $(install_root)/etc/rpc
.DEFAULT_GOAL = all
""",
}
# The libraries of the host are alike; mimalloc has no makefile.
MAKEFILES |= dict.fromkeys(("mpfr", "mpc"), MAKEFILES["gmp"])

LIBGCC = """
parts = libgcc.a libgcc_eh.a libgcc-extra-parts
.PHONY: $(parts)
$(parts):
	@$(record) $@
	test -f $(sysroot)/include/stdio.h
	printf '!<arch>\\nmember\\n' >$@
"""

# Without `-o` or `-c` it is asked for something.
COMPILER = r"""#!/bin/sh
lib=${0%/*}/../lib/gcc/@TARGET@/99.1
case $* in
*-dumpspecs*) printf '*link:\n%%{static:-static}\n\n' ;;
*-print-libgcc-file-name*) echo "$lib/libgcc.a" ;;
*-dumpfullversion*) echo 99.1 ;;
*-dumpmachine*) echo @TARGET@ ;;
*-o*)
    while [ "$1" != -o ]; do shift; done
    case @TARGET@ in @CASES@ esac
    {
        printf '\177ELF\002\001\001' && head -c 9 /dev/zero
        printf "\002\000$machine\001\000\000\000" && head -c 40 /dev/zero
    } >"$2" && chmod +x "$2" ;;
esac
"""
# ar, objcopy …: what they are to write is there afterwards.
TOOL = """#!/bin/sh
for word; do
    case $word in *.a | *.o) [ -e "$word" ] || echo made >"$word" ;; esac
done
"""

# What it compiles without linking is not there to be compiled.
CCACHE = """\
#!/bin/sh
[ "$1" != --version ] || exec echo ccache 99.1
exec "$@"
"""
HOST_COMPILER = """#!/bin/sh
case $* in
*' -c '*)
    @RECORD@ host gcc "$@"
    while [ "$1" != -o ]; do shift; done
    echo object >"$2" ;;
*) exec @GCC@ "$@" ;;
esac
"""
