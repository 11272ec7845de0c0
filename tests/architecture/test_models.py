"""Models are built when they are first used; here all are, so that a mistake in one does not wait for its user."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from compliancectl import model
from compliancectl.model.base import Model


def kinds(base: type[Model]) -> Iterator[type[Model]]:
    for kind in base.__subclasses__():
        if kind.__module__.startswith(model.__name__):
            yield kind
        yield from kinds(kind)


def test_every_model_can_be_built() -> None:
    for module in pkgutil.iter_modules(model.__path__):
        importlib.import_module(f"{model.__name__}.{module.name}")
    found = set(kinds(Model))
    assert len(found) > 100
    for kind in found:
        kind.model_rebuild()
        assert kind.__pydantic_complete__, kind
