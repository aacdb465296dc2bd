"""Origins: the ways to get a toolchain's bytes.

An origin is a module with
    offers(request) → None, or the reason why it cannot meet the request;
    plan(request, …) → what it would fetch: components and bytes;
    make(plan, into, …) → the description of the tree that it has finished in `into`.
`install` asks them in the order of design.md.
"""
