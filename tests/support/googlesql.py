"""GoogleSQL itself: Google's analyzer and its reference implementation, from the Python package `zetasql` (WebAssembly).

BigQuery speaks GoogleSQL. What this accepts and answers is what the language means; it knows neither BigQuery's own limits
(a correlated subquery that cannot be made a join, an outer join without an equality) nor its prices.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CACHE = Path(__file__).parents[2] / ".cache" / "googlesql"
NOT_IN_BIGQUERY = (
    *(
        "LAMBDA",
        "LATERAL",
        "AGGREGATE_FILTERING",
        "ARRAY_ORDERING",
        "ARRAY_EQUALITY",
        "ARRAY_AGGREGATION",
        "ARRAY_FIND",
    ),
    *(
        "ARRAY_ZIP",
        "MAP_TYPE",
        "ALIASES_FOR_STRING",
        "MULTILEVEL",
        "CHAINED_FUNCTION",
        "ADDITIONAL_DATE_TIME",
        "MULTIWAY",
    ),
    *("UNNEST_AND_FLATTEN", "SINGLETON_UNNEST", "WITH_EXPRESSION", "DISABLE_OUTER_JOIN_ARRAY", "DISABLE_FLOAT32"),
    *("CONCAT_MIXED_TYPES", "LIMIT_IN_AGGREGATE_", "NANOS", "PICOS", "IN_DEVELOPMENT", "_TEST_"),
)
"""Parts of the names of features that the language has and BigQuery has not."""


class GoogleSqlError(Exception):
    """GoogleSQL does not accept it, or it fails on the rows: the language's own words."""


class GoogleSql:
    """One instance of the reference implementation. Not thread-safe."""

    def __init__(self) -> None:
        from wasmtime import Linker, Store, WasiConfig

        engine, module = _module()
        wasi = WasiConfig()
        wasi.inherit_stderr()
        zones = find_spec("tzdata")
        assert zones is not None and zones.origin is not None
        wasi.preopen_dir(str(Path(zones.origin).with_name("zoneinfo")), "/usr/share/zoneinfo")
        self.store = Store(engine)
        self.store.set_wasi(wasi)
        linker = Linker(engine)
        linker.define_wasi()
        self.exports = linker.instantiate(self.store, module).exports(self.store)
        self.exports["_initialize"](self.store)
        self.memory = self.exports["memory"]
        self.language = self._language()
        self.catalog = self._functions()

    def ask(self, sql: str) -> tuple[list[tuple[str, str]], list[list[Any]]]:
        """Run one query without tables.

        Returns:
            Column names with their types (`STRING`, `INT64`, `BOOL` …), and the rows as plain values.

        Raises:
            GoogleSqlError: it is not accepted, or fails.
        """
        from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as wire

        prepared = self.prepare(sql)
        number = prepared.prepared.prepared_query_id
        try:
            asked = wire.EvaluateQueryRequest(prepared_query_id=number)
            answer = self._call("EvaluateQuery", asked, wire.EvaluateQueryResponse)
        finally:
            self._call("UnprepareQuery", wire.UnprepareQueryRequest(prepared_query_id=number), None)
        columns = [(c.name, _kind(c.type)) for c in prepared.prepared.columns]
        rows = [
            [_value(cell, kind) for cell, (_, kind) in zip(row.cell, columns, strict=True)]
            for row in answer.content.table_data.row
        ]
        return columns, rows

    def prepare(self, sql: str) -> Any:
        """Analyse one query, and keep it to be run.

        Raises:
            GoogleSqlError: it is not accepted.
        """
        from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as wire

        request = wire.PrepareQueryRequest(sql=sql)
        request.options.language_options.CopyFrom(self.language)
        request.options.default_timezone = "UTC"
        request.registered_catalog_id = self.catalog
        return self._call("PrepareQuery", request, wire.PrepareQueryResponse)

    def _language(self) -> Any:
        from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as wire
        from zetasql.wasi._pb2.zetasql.proto import options_pb2
        from zetasql.wasi._pb2.zetasql.public import options_pb2 as public

        asked = wire.LanguageOptionsRequest(maximum_features=True)
        found = self._call("GetLanguageOptions", asked, options_pb2.LanguageOptionsProto)
        found.product_mode = public.PRODUCT_EXTERNAL
        names = public.LanguageFeature.items()
        left_out = {number for name, number in names if any(part in name for part in NOT_IN_BIGQUERY)}
        kept = [feature for feature in found.enabled_language_features if feature not in left_out]
        del found.enabled_language_features[:]
        found.enabled_language_features.extend(kept)
        return found

    def _functions(self) -> int:
        """The built-in functions, made known once: to list them anew for each query takes most of its time."""
        from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as wire

        request = wire.RegisterCatalogRequest()
        request.simple_catalog.name = "catalog"
        request.simple_catalog.builtin_function_options.language_options.CopyFrom(self.language)
        return int(self._call("RegisterCatalog", request, wire.RegisterResponse).registered_id)

    def _call(self, method: str, request: Any, response: Any) -> Any:
        data = request.SerializeToString()
        size, place = len(data), self.exports["wasm_malloc"](self.store, max(len(data), 1))
        out = self.exports["wasm_malloc"](self.store, 4)
        self._write(place, data)
        try:
            found = self.exports[f"ZetaSqlLocalService_{method}"](self.store, place, size, out)
            if not found:
                where = self.exports["wasm_get_last_error"](self.store)
                length = self.exports["wasm_get_last_error_size"](self.store)
                raise GoogleSqlError(self._read(where, length).decode())
            answer = self._read(found, int.from_bytes(self._read(out, 4), "little"))
            self.exports["wasm_free"](self.store, found)
        finally:
            self.exports["wasm_free"](self.store, place)
            self.exports["wasm_free"](self.store, out)
        return response.FromString(answer) if response is not None else None

    def _write(self, at: int, data: bytes) -> None:
        import ctypes

        ctypes.memmove(ctypes.addressof(self.memory.data_ptr().contents) + at, data, len(data))

    def _read(self, at: int, size: int) -> bytes:
        import ctypes

        return ctypes.string_at(ctypes.addressof(self.memory.data_ptr().contents) + at, size)


@cache
def _module() -> tuple[Any, Any]:
    """The compiled module: compiling takes minutes, so it is kept."""
    from wasmtime import Config, Engine, Module, WasmtimeError

    spec = find_spec("zetasql.wasi")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).with_name("zetasql.wasm").read_bytes()
    config = Config()
    config.shared_memory = True
    engine = Engine(config)
    file = CACHE / f"{hashlib.sha256(source + version('wasmtime').encode()).hexdigest()[:16]}.cwasm"
    try:
        return engine, Module.deserialize_file(engine, str(file))
    except (WasmtimeError, OSError):
        pass
    module = Module(engine, source)
    CACHE.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_bytes(module.serialize())
    part.replace(file)
    return engine, module


_KINDS = {
    2: "INT64",
    5: "BOOL",
    7: "FLOAT64",
    8: "STRING",
    9: "BYTES",
    10: "DATE",
    19: "TIMESTAMP",
    16: "ARRAY",
    17: "STRUCT",
}
_KINDS |= {20: "TIME", 21: "DATETIME", 23: "NUMERIC", 24: "BIGNUMERIC", 26: "JSON", 27: "INTERVAL"}


def _kind(kind: Any) -> str:
    return _KINDS.get(kind.type_kind, f"type {kind.type_kind}")


def _value(cell: Any, kind: str) -> Any:
    name = cell.WhichOneof("value")
    if name is None:
        return None
    value = getattr(cell, name)
    if kind == "DATETIME":
        from datetime import datetime

        packed, nanos = value.bit_field_datetime_seconds, value.nanos
        parts = (packed >> 26, packed >> 22 & 15, packed >> 17 & 31, packed >> 12 & 31, packed >> 6 & 63, packed & 63)
        return datetime(*parts, nanos // 1000)
    if kind == "DATE":
        from datetime import date, timedelta

        return date(1970, 1, 1) + timedelta(days=value)
    return value
