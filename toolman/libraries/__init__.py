"""Libraries for targets: from pinned sources to the sysroot of a toolchain.

    recipe     what a library is made of: `recipes/libraries/<name>.toml`
    choice     from words to the set of libraries that a target gets, in the order to build
    systems    the build systems: the steps of one library
    finish     from what was installed to what is kept: static, relocatable, no path of this machine
    building   fetches, builds, and puts each library into the store
    laying     lays libraries over a toolchain: a new toolchain, of hard links

A toolchain is never changed. The one that its libraries are laid over is its `base`.
"""
