"""The laws of the structure, read from the imports themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
PACKAGE = "compliancectl"
FILES = sorted(SRC.glob("compliancectl/**/*.py"))
VERBS = {f"{PACKAGE}.{name}" for name in ("collect", "evaluate", "bundle", "verify", "replay", "diff", "merge")}

OWNERS = {
    "duckdb": ["query"],
    "sqlglot": ["query", "engines"],
    "pyspark": ["engines"],
    "py4j": ["engines"],
    "weasyprint": ["report"],
    "jinja2": ["report"],
    "typer": ["cli"],
    "rich": ["cli"],
    "google": ["collectors.gcp", "collectors.postgres", "engines", "sandbox.google", "googleapi"],
    "grpc": ["collectors.gcp", "sandbox.google"],
    "github": ["collectors.github"],
    "graphql": ["sandbox.github"],
    "psycopg": ["collectors.postgres", "sandbox.postgres"],
    "cryptography": ["seal", "sandbox", "collectors.probes"],
    "dns": ["collectors.probes", "sandbox.edge"],
    "msgspec": ["contract"],
    "tenacity": ["collectors"],
    "rfc8785": ["canonical"],
    "rfc3161_client": ["seal"],
    "pyhanko": ["seal"],
    "sigstore": ["seal"],
}
"""Heavy library → the parts of the package that may import it."""


def module_name(file: Path) -> str:
    parts = list(file.relative_to(SRC).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(node: ast.AST, *, deep: bool = True, typing_only: bool = False) -> Iterator[str]:
    """Names that a module imports; `deep` includes those inside functions."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child) and not typing_only:
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif deep or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports(child, deep=deep, typing_only=typing_only)


MODULES = {module_name(file): file for file in FILES}


@cache
def all_imports(file: Path, *, deep: bool = True) -> frozenset[str]:
    return frozenset(imports(tree(file), deep=deep))


def own_imports(file: Path, *, deep: bool = True) -> set[str]:
    return {name for name in all_imports(file, deep=deep) if name in MODULES}


def part_of(module: str, part: str) -> bool:
    full = f"{PACKAGE}.{part}"
    return module == full or module.startswith(f"{full}.")


def test_nouns_import_no_verbs() -> None:
    allowed = {PACKAGE, f"{PACKAGE}.errors", f"{PACKAGE}.clock"}
    for module, file in MODULES.items():
        if part_of(module, "model"):
            strangers = {n for n in own_imports(file) if n not in allowed and not part_of(n, "model")}
            assert not strangers, f"{module} imports {strangers}"


def test_verbs_do_not_import_each_other() -> None:
    for verb in sorted(VERBS & set(MODULES)):
        assert not own_imports(MODULES[verb]) & (VERBS - {verb}), verb


def test_only_the_command_line_imports_the_verbs() -> None:
    for module, file in MODULES.items():
        if not part_of(module, "cli") and module not in VERBS:
            assert not own_imports(file) & VERBS, f"{module} imports a verb"


def test_production_code_does_not_know_the_sandbox() -> None:
    for module, file in MODULES.items():
        if not part_of(module, "sandbox") and module != f"{PACKAGE}.cli.demo":
            assert not any(part_of(n, "sandbox") for n in own_imports(file)), module
            assert "sandbox" not in {n.id for n in ast.walk(tree(file)) if isinstance(n, ast.Name)}, module


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_heavy_libraries_have_one_owner(library: str) -> None:
    users = {m for m, f in MODULES.items() if any(n.partition(".")[0] == library for n in all_imports(f))}
    strangers = {m for m in users if not any(part_of(m, owner) for owner in OWNERS[library])}
    assert users, f"nothing imports {library}: take it out of the dependencies"
    assert not strangers, f"{library} is imported by {sorted(strangers)}"


def test_there_are_no_import_cycles() -> None:
    graph = {m: own_imports(f, deep=False) - {m} for m, f in MODULES.items()}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join([*path, module])
        if module not in done:
            for name in sorted(graph[module]):
                # `from package import module` names the package too; a package that re-exports is no cycle of its own.
                if not module.startswith(f"{name}."):
                    visit(name, (*path, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_only_one_module_reads_the_clock() -> None:
    for module, file in MODULES.items():
        if module == f"{PACKAGE}.clock":
            continue
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today"):
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                assert owner not in ("datetime", "date"), f"{file}:{node.lineno} reads the clock"
            if isinstance(node, ast.Attribute) and node.attr == "time" and isinstance(node.value, ast.Name):
                assert node.value.id != "time", f"{file}:{node.lineno} reads the clock"


def test_only_the_command_line_prints_or_exits() -> None:
    for module, file in MODULES.items():
        if part_of(module, "cli"):
            continue
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("print", "sys.exit", "exit"), f"{file}:{node.lineno} calls {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SRC)))
def test_sizes_and_docstrings(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400, "split this module"
    parsed = ast.parse(text)
    if text.strip():
        assert ast.get_docstring(parsed), "the module says nothing about itself"
    for node in ast.walk(parsed):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert body_lines(node) <= 60, f"{node.name} (line {node.lineno}) is too long"
    for node in parsed.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} (line {node.lineno}) has no docstring"


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body and body[-1].end_lineno else 0
