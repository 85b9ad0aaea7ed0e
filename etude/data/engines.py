"""Where files are read: in processes of this machine, or on all machines of a Ray cluster.

An engine is a function with the signature and the outcomes of ``workers.run_in_order``. ``module:function``
stands wherever a name does.
"""

from collections.abc import Callable, Iterator
from importlib import import_module

from etude.data.line import Outcome
from etude.errors import CorpusError, nearest

ENGINES = {
    "local": "etude.data.workers:run_in_order",
    "ray": "etude.data.ray_engine:run_in_order",
}


def engine_named(name: str) -> Callable[..., Iterator[Outcome]]:
    """Return the engine of a name.

    Raises:
        CorpusError: there is no such engine.

    Example:
        >>> engine_named("local").__module__
        'etude.data.workers'
    """
    module, colon, function = ENGINES.get(name, name).partition(":")
    if not colon:
        raise CorpusError(f"engine = {name!r}: no such engine; {nearest(name, ENGINES)}")
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise CorpusError(f"engine = {name!r}: {error}; expected 'module:function' that can be imported") from None
