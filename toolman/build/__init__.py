"""The procedure of a cross GCC: from source trees to a finished tree.

    step       what a step is: commands, what it needs, what it owns
    layout     where things lie while a toolchain is built
    plan       the order: the page that says how a cross GCC is made
    hostlibs binutils gcc musl glibc headers libgo malloc
               the steps of one component each, with the reasons for its flags
    runner     runs steps side by side under one pool of jobs; goes on where it was stopped
    finish     from what was installed to a toolchain: stripped, relocatable, described

Nothing in here fetches anything: `origins.source` hands in tarballs and host tools.
"""
