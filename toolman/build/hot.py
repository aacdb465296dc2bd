"""Of GCC's files those that the compilers spend their time in.

Measured by perf with GCC 14 for aarch64: SQLite, and C++20 that uses <regex>, <format>, <ranges>
and <thread>, each with `-O2` and with `-O0 -g`. Of what is not generated these files took 93 % of
the time, and less than half of the processor time that it takes to compile them all. The files of
other machines stand here for aarch64's; what a later GCC has new is not here.
"""

from __future__ import annotations

FILES = """
aarch64 alias arm attribs bitmap calls cfg cfganal cfgbuild cfgcleanup cfgexpand cfghooks
cfgloop cfgrtl cgraph cgraphbuild combine cprop cse cselib dce df-core df-problems df-scan
diagnostic-spec dominance domwalk dumpfile dwarf2cfi dwarf2out emit-rtl et-forest except
explow expr final fold-const function function-abi ggc-page gimple gimple-expr gimple-fold
gimple-iterator gimple-range gimple-range-cache gimple-range-fold gimple-range-gori
gimple-range-infer gimple-range-op gimple-range-path gimple-walk gimplify graphds haifa-sched
hash-table hooks i386 input ipa ipa-fnsummary ipa-polymorphic-call ipa-predicate ipa-utils ira
ira-build ira-color ira-costs ira-lives jump lists loop-init lra lra-assigns lra-constraints
lra-eliminations lra-lives lra-spills memory-block passes postreload predict profile-count
range-op recog regcprop reginfo regstat riscv rtl rtlanal sbitmap sched-deps sched-rgn sort
sparseset sreal statistics stor-layout symtab tree tree-cfg tree-cfgcleanup tree-dfa tree-eh
tree-inline tree-into-ssa tree-iterator tree-phinodes tree-ssa tree-ssa-alias tree-ssa-ccp
tree-ssa-coalesce tree-ssa-dce tree-ssa-dom tree-ssa-live tree-ssa-operands tree-ssa-propagate
tree-ssa-sccvn tree-ssa-scopedtables tree-ssa-structalias tree-ssanames value-pointer-equiv
value-query value-range value-range-storage value-relation varasm warning-control wide-int
c-family/c-gimplify c-family/c-semantics c/c-fold c/gimple-parser cp/call cp/class
cp/constexpr cp/constraint cp/cp-gimplify cp/cvt cp/decl2 cp/expr cp/lex cp/mangle
cp/name-lookup cp/parser cp/pt cp/search cp/semantics cp/tree cp/typeck rtl-ssa/blocks
rtl-ssa/insns
"""
"""Words: objects below `gcc/`, without `.o`."""
