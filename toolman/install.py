"""The one orchestration: from a request to an installed toolchain."""

from __future__ import annotations

import importlib
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from toolman import library, placing, publish, store, syncing, toolchain
from toolman.checkpoint import checkpoint
from toolman.errors import AbsentError, InputError, NetworkError
from toolman.origins import meets
from toolman.recipe import recipes
from toolman.request import LANGUAGES, MALLOCS, ORIGINS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from toolman.context import Context
    from toolman.origins import Plan
    from toolman.request import Request
    from toolman.toolchain import Description, Toolchain

    Check = Callable[[Description], None]


_LINKED = "linked"
_AGAIN = ("prebuilt", "distro")  # these can tell whether they would give equal bytes
_PUBLISHED = "prebuilt"  # the origin of what other publishers offer
_SLOW = "source"


@dataclass(frozen=True, kw_only=True)
class Result:
    """An installed toolchain, and whether this call has installed it."""

    toolchain: Toolchain
    fresh: bool


class Exactly(Protocol):
    """A toolchain of which it is known what it must be."""

    @property
    def name(self) -> str: ...

    def is_met_by(self, about: Description) -> bool:
        """Whether a toolchain in the store is it."""

    def plan(self, ctx: Context) -> tuple[str, Plan]:
        """An origin, and its plan to make it."""

    def check(self, about: Description) -> None:
        """Raise if what was made is not it after all."""


def ensure(request: Request, ctx: Context, origin: str | None = None) -> Result:
    """Have a toolchain that meets `request`; quick and without network if there is one.

    Raises:
        InputError: no origin offers it.
        ToolmanError: as the origins raise.
    """
    present = _present(request, ctx, origin)
    if present:
        if not publish.is_current(ctx.store):
            publish.publish(ctx.store)
        return Result(toolchain=present, fresh=False)
    return _put(
        request.target.name,
        lambda: _present(request, ctx, origin),
        lambda work: _make(_planned(request, ctx, origin), ctx, work),
        ctx,
    )


def plan(request: Request, ctx: Context, origin: str | None = None) -> tuple[str, Plan] | None:
    """The origin that `ensure` would take, and what it would fetch; None if there is nothing to do.

    Raises: as `ensure`.
    """
    if _present(request, ctx, origin):
        return None
    return _planned(request, ctx, origin)


def ensure_exactly(wanted: Exactly, ctx: Context) -> Result:
    """Have this very toolchain, and make it what its name means; another one stays in the store.

    Quick and without network if it is in the store.

    Raises:
        ToolmanError: as `wanted` and the origins raise.
    """
    name = wanted.name
    present = _stored(wanted, ctx)
    active = ctx.store.active(name)
    if present and active and ctx.store.base(active) == present and publish.is_current(ctx.store):
        return Result(toolchain=active, fresh=False)
    return _put(
        name,
        lambda: _stored(wanted, ctx),
        lambda work: _make(wanted.plan(ctx), ctx, work, wanted.check),
        ctx,
    )


def resolve(
    request: Request, ctx: Context, origin: str | None = None, *, firm: bool = False
) -> tuple[str, Plan]:
    """Ask the origins in order, whatever is installed: the first that offers it, and its plan.

    What cannot be reached goes on to the next unless `firm`; wrong bytes never do.

    Raises:
        InputError: no origin offers it.
        NetworkError, IntegrityError: as the origins raise.
    """
    if origin == _LINKED:
        hint = f"toolman link {request.target} DIR"
        raise InputError("a linked toolchain is not installed", hint=hint)
    origin = _origin_of(request, origin)
    reasons = []
    for name in [origin] if origin else ORIGINS:
        found = _asked(name, request, ctx)
        if not isinstance(found, str | NetworkError):
            return name, found
        if isinstance(found, NetworkError) and (firm or name == (origin or ORIGINS[-1])):
            raise found
        # That an index which the user has added is out of reach is no detail.
        tell = ctx.reporter.step if isinstance(found, NetworkError) else ctx.reporter.detail
        tell(f"{request}: not from {name}: {found}")
        reasons.append(f"{name}: {found}")
    # Of an index only `plan` knows what it has.
    promising = ORIGINS[1:] if origin and not request.publisher else ()
    others = [name for name in promising if not _origin(name).offers(request, ctx)]
    hint = f"origin {others[0]} offers it" if others else "see: toolman list --available"
    raise InputError(f"no origin offers {request}: {'; '.join(reasons)}", hint=hint)


def link(name: str, root: Path, ctx: Context) -> Toolchain:
    """Make the toolchain in the user's directory `root` known as `name`.

    Raises:
        InputError: there is no toolchain, or another one has that name.
    """
    from toolman.origins import linked

    about = linked.describe(name, root, ctx.host)
    store.check_writable(ctx.paths.data)
    with placing.alone(name, ctx), ctx.store.stage(name) as work:
        tree = work / "tree"
        tree.mkdir()
        toolchain.write(tree, about)
        fresh = not (ctx.paths.store / about.entry).exists()
        place = ctx.store.add(tree, about.entry)
        made = toolchain.Toolchain(path=place, about=about)
        placing.publish(made, [made] * fresh, ctx)
    return made


def uninstall(name: str, ctx: Context) -> list[Toolchain]:
    """Remove all toolchains called `name`; a linked one's files stay with the user.

    Raises:
        InputError: there is none.
    """
    store.check_writable(ctx.paths.data)
    with placing.alone(name, ctx), ExitStack() as graves:
        doomed = [one for one in ctx.store.toolchains() if one.name == name]
        for path in [*(one.path for one in doomed), *_built_by(doomed, ctx)]:
            graves.enter_context(ctx.store.removed(path, name))
        publish.publish(ctx.store)
    if not doomed:
        raise InputError(f"{name} is not installed", hint="see: toolman list")
    return doomed


def _built_by(doomed: Sequence[Toolchain], ctx: Context) -> Iterator[Path]:
    """The libraries in the store that these toolchains have built."""
    names = {one.path.name for one in doomed}
    for path in ctx.store.entries():
        found = library.read(path)
        if found and found.toolchain in names:
            yield path


def renew(broken: Toolchain, ctx: Context) -> None:
    """Put the same toolchain in the place of one that is damaged.

    Raises:
        InputError: the same bytes are not to be had; the hint says what to do.
        ToolmanError: as the origin raises.
    """
    about = broken.about
    if about.origin not in _AGAIN:
        raise InputError(f"{about.name}: {about.origin} gives no equal bytes", hint=_anew(about))
    _check_writable(ctx)
    with placing.alone(about.name, ctx), ctx.store.stage(about.name) as work:
        chosen = _origin(about.origin).again(about, ctx)
        if chosen is None:
            raise InputError(f"{about.name}: its bytes are to be had no more", hint=_anew(about))
        made = _made(about.origin, chosen, ctx, work / "tree")
        checkpoint("before-renewed")
        ctx.store.add(work / "tree", made.entry, sealed=True, anew=True)
        publish.publish(ctx.store)


def _put(
    name: str,
    find: Callable[[], Toolchain | None],
    make: Callable[[Path], Toolchain],
    ctx: Context,
) -> Result:
    """What `find` gives, else what `make` makes, becomes what `name` means, when it has the
    libraries that were there before.

    Raises:
        ToolmanError: as these raise, and `laying.follow`; the name means what it did.
    """
    _check_writable(ctx)
    with placing.alone(name, ctx), ctx.store.stage(name) as work:
        checkpoint("after-lock")
        follow, there = placing.followers(name, ctx), ctx.store.entries()
        present = find()
        made = present or make(work)
        laid = follow(made)
        placing.publish(laid, [one for one in (laid, made) if one.path not in there], ctx)
        if not present:
            _origin(made.about.origin).clean(made.about, ctx)
    return Result(toolchain=laid, fresh=present is None)


def _check_writable(ctx: Context) -> None:
    for directory in (ctx.paths.data, ctx.paths.cache):
        store.check_writable(directory)


def _any(about: Description) -> None:
    """No toolchain is wrong."""


def _stored(wanted: Exactly, ctx: Context) -> Toolchain | None:
    every = ctx.store.toolchains()
    named = [one for one in every if one.name == wanted.name and not one.about.base]
    return next((one for one in named if wanted.is_met_by(one.about)), None)


def _present(request: Request, ctx: Context, origin: str | None) -> Toolchain | None:
    found = ctx.store.active(request.target.name)
    if found is None or not found.root.is_dir():
        return None
    if origin not in (None, found.about.origin):
        return None
    return found if meets(found.about, request) else None


def _planned(request: Request, ctx: Context, origin: str | None) -> tuple[str, Plan]:
    return resolve(_with_present(request, ctx, origin), ctx, origin)


def _with_present(request: Request, ctx: Context, origin: str | None) -> Request:
    """What is there adds up: `install --with gccgo` takes neither C++ nor GCC 15 away again."""
    found = ctx.store.active(request.target.name)
    if found is None:
        return request
    every = {*found.about.languages, *request.languages}
    request = replace(request, languages=tuple(one for one in LANGUAGES if one in every))
    other = request.publisher or origin not in (None, found.about.origin)
    if found.about.recipe is None or other:
        return request
    recipe = request.recipe or (None if request.gcc else _recipe_again(found))
    chosen = found.about.malloc if found.about.malloc != MALLOCS[0] else None
    return replace(request, recipe=recipe, malloc=request.malloc or chosen)


def _anew(about: Description) -> str:
    also = [one for one in about.languages if one != LANGUAGES[0]]
    words = f"toolman uninstall {about.name} && toolman install {about.name}"
    words += f" --publisher {about.publisher}" if about.publisher else ""
    return f"{words} --with {','.join(also)}" if also else words


def _recipe_again(found: Toolchain) -> str | None:
    """The recipe that `found` was built by.

    Raises:
        InputError: it does not come with toolman: a file of the user's, or a publisher's.
    """
    label = found.about.recipe
    if label in {one.name for one in recipes()}:
        return label
    raise InputError(
        f"{found.name} was built by a recipe that does not come with toolman, {label}",
        hint="name its file: --recipe FILE; or another recipe, see: toolman list --recipes",
    )


def _make(planned: tuple[str, Plan], ctx: Context, work: Path, check: Check = _any) -> Toolchain:
    name, chosen = planned
    fetched = f", {chosen.download / 1e6:.1f} MB to download" if chosen.download else ""
    ctx.reporter.step(f"{chosen.request}: origin {name}, {chosen.summary}{fetched}")
    if name == _SLOW:
        _tell_publishers(chosen.request, ctx)
    tree = work / "tree"
    about = _made(name, chosen, ctx, tree, check)
    place = ctx.store.add(tree, about.entry, sealed=True)
    return toolchain.Toolchain(path=place, about=about)


def _made(name: str, chosen: Plan, ctx: Context, tree: Path, check: Check = _any) -> Description:
    """Make the toolchain `chosen` in the new directory `tree`, sealed and ready for the store."""
    # Slow to import: kept off the path of what is installed already.
    from toolman import manifest, smoke

    store.check_space(chosen.space(ctx))
    tree.mkdir()
    about: Description = _origin(name).make(chosen, tree, ctx)
    check(about)
    checkpoint("before-smoke")
    toolchain.write(tree, about)
    if not (tree / toolchain.SBOM).exists():  # the archive that it came in had none
        from toolman import sbom

        sbom.write(tree, about, chosen.request.recipe)
    # They only read it, and the last one mostly waits for the compiler.
    own = about.publisher is None  # into another publisher's archive nobody has looked
    with syncing.meanwhile(tree), manifest.sealing(tree, believed=own):
        smoke.test(toolchain.Toolchain(path=tree, about=about), tree.parent)
    return about


def _origin_of(request: Request, origin: str | None) -> str | None:
    """The one origin that may be taken, if there is only one.

    Raises:
        InputError: a publisher's toolchain is asked of another one.
    """
    if request.publisher is None:
        return origin
    if origin not in (None, _PUBLISHED):
        raise InputError(
            f"what {request.publisher} publishes is of origin {_PUBLISHED}, not {origin}",
            hint="leave --origin out",
        )
    return _PUBLISHED


def _tell_publishers(request: Request, ctx: Context) -> None:
    """A build takes minutes: say who has it ready. Taken it is only when that is asked for."""
    from toolman.origins import foreign

    names = dict.fromkeys(one.publisher.name for one in foreign.fitting(request, ctx))
    if names:
        said = " or ".join(f"--publisher {name}" for name in names)
        ctx.reporter.step(f"this builds it here, in minutes; others have it ready: {said}")


def _asked(name: str, request: Request, ctx: Context) -> Plan | str | NetworkError:
    """The plan of an origin, or why it has none: it does not offer that, or is out of reach."""
    module = _origin(name)
    reason: str | None = module.offers(request, ctx)
    if reason:
        return reason
    try:
        plan: Plan = module.plan(request, ctx)
    except AbsentError as error:
        return str(error)
    except NetworkError as error:
        return error
    return plan


def _origin(name: str) -> Any:
    return importlib.import_module(f"toolman.origins.{name}")
