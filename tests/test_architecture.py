"""Imports point inward, each I/O library has one importer, each module says what it is for, tests mirror the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import syncd

PACKAGE = Path(syncd.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

RANKS = {
    "errors": 0,
    "model": 1,
    "lifecycle": 1,
    "figures": 1,
    "printable": 1,
    "settings": 1,
    "apikey": 1,
    "config_template": 1,
    "config_values": 1,
    "patterns": 1,
    "toml": 1,
    "toml_lines": 1,
    "config": 1,
    "rules": 1,
    "watch": 2,
    "extract": 2,
    "ledger": 2,
    "upload": 2,
    "card": 3,
    "daemon": 3,
    "sandbox": 3,
    "web": 3,
    "cli": 4,
}
SINGLE_IMPORTERS = {
    "watchdog": "watch",
    "PIL": "extract",
    "piexif": "extract",
    "sqlalchemy": "ledger",
    "alembic": "ledger",
    "requests": "upload",
    "urllib3": "upload",
    "python_multipart": "sandbox",
    "typer": "cli",
    "rich": "cli",
    "starlette": "sandbox",
    "uvicorn": "sandbox",
}


def room(module: Path) -> str:
    """The package or module right below syncd that a file belongs to."""
    first = module.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(PACKAGE)))
def test_imports_point_inward(module: Path) -> None:
    own = room(module)
    if own in {"__init__", "__main__"}:
        return
    for name in imports(module):
        parts = name.split(".")
        if parts[0] == "syncd" and len(parts) > 1 and parts[1] in RANKS:
            other = parts[1]
            same_low_rank = RANKS[other] == RANKS[own] <= 1
            assert other == own or RANKS[other] < RANKS[own] or same_low_rank, f"{own} must not import {name}"
        allowed = SINGLE_IMPORTERS.get(parts[0])
        assert allowed in {None, own}, f"only {allowed} may import {parts[0]}"


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(PACKAGE)))
def test_a_module_says_what_it_is_for(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a docstring in a sentence"
    if module.name == "__init__.py":
        code = [n for n in tree.body if not isinstance(n, (ast.Expr, ast.Assign))]
        assert not code, "an __init__ holds a docstring, no code"


def test_there_is_no_junk_drawer() -> None:
    names = {part.removesuffix(".py") for module in MODULES for part in module.relative_to(PACKAGE).parts}
    assert not names & {"utils", "util", "helpers", "common", "constants", "manager", "misc", "core"}


def test_tests_mirror_the_source() -> None:
    tests = Path(__file__).parent
    beside_the_mirror = {"whole", "fakes", "long"}
    for test in tests.rglob("test_*.py"):
        inside = test.relative_to(tests)
        if inside.parts[0] in beside_the_mirror or inside.name == "test_architecture.py":
            continue
        mirrored = PACKAGE / inside.with_name(inside.name.removeprefix("test_"))
        assert mirrored.exists() or mirrored.with_suffix("").is_dir(), f"{inside} mirrors nothing in syncd/"
