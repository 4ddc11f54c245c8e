"""Finding a method by name: ours, and those of installed packages.

A package offers a method under the entry point group ``lorafirst.rungs``; the entry point names an
``AdapterMethod`` or a ``WeightsMethod``. Only packages that somebody installed are asked; nothing is
downloaded.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from data_contracts.errors import InputError
from data_contracts.records.rungs import RUNG_GROUP
from tasks.training.methods.adapters import ADAPTER_METHODS
from tasks.training.methods.kinds import AdapterMethod, WeightsMethod
from tasks.training.methods.weights import WEIGHTS_METHODS

GROUP = RUNG_GROUP


@cache
def methods() -> dict[str, AdapterMethod | WeightsMethod]:
    """All methods by name.

    Raises:
        InputError: an installed package offers something that is no method, or under a name in use.
    """
    found: dict[str, AdapterMethod | WeightsMethod] = {
        method.name: method for method in (*ADAPTER_METHODS, *WEIGHTS_METHODS)
    }
    for point, method in offered():
        package = point.dist.name if point.dist else "an installed package"
        if not isinstance(method, AdapterMethod | WeightsMethod):
            raise _bad(
                package, "an AdapterMethod or a WeightsMethod", f"{point.value}: {type(method).__name__}"
            )
        if method.name in found:
            raise _bad(package, f"a name other than {', '.join(found)}", f"another method {method.name}")
        found[method.name] = method
    return found


@cache
def offered() -> tuple[tuple[EntryPoint, object], ...]:
    """What installed packages offer, each with the entry point that names it."""
    return tuple((point, point.load()) for point in entry_points(group=GROUP))


def brought_by(name: str) -> EntryPoint | None:
    """The entry point of the package that brings the method; ``None`` for one of ours."""
    return next((point for point, method in offered() if getattr(method, "name", None) == name), None)


def adapter_method(name: str) -> AdapterMethod:
    """Raises ``InputError`` where no method of this name leaves the base frozen."""
    method = methods().get(name)
    if isinstance(method, AdapterMethod):
        return method
    raise InputError.single(
        "pilot.method",
        expected=f"a method that leaves the base frozen: {', '.join(adapter_method_names())}",
        found=name if method is None else f"{name}, which updates base weights",
        remedy="name one of these" + ("" if method is None else "; base weights are updated by permit alone"),
    )


def weights_method(name: str) -> WeightsMethod:
    """Raises ``InputError`` where no method of this name updates base weights."""
    method = methods().get(name)
    if isinstance(method, WeightsMethod):
        return method
    why = ", which trains an adapter"
    if isinstance(method, AdapterMethod) and method.quantised:
        why = ": weights in 4 bits cannot be trained themselves"
    raise InputError.single(
        "full.method",
        expected=f"a method that updates base weights: {', '.join(weights_method_names())}",
        found=name if method is None else f"{name}{why}",
        remedy="name one of these; adapters are for pilot.method",
    )


def adapts(name: str) -> bool:
    """Whether a method of this name leaves the base frozen."""
    return isinstance(methods().get(name), AdapterMethod)


def adapter_method_names() -> tuple[str, ...]:
    return tuple(name for name, method in methods().items() if isinstance(method, AdapterMethod))


def weights_method_names() -> tuple[str, ...]:
    return tuple(name for name, method in methods().items() if isinstance(method, WeightsMethod))


def _bad(package: str, expected: str, found: str) -> InputError:
    return InputError.single(
        f"the package {package}, entry point group {GROUP}",
        expected=expected,
        found=found,
        remedy="mend that package, or uninstall it",
    )
