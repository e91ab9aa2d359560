"""The import rule of CONTRIBUTING.md, read from every file's imports; and no circle among them."""

import ast
import importlib
from pathlib import Path

import pytest

import model
from tests.conftest import ROOT

ROOMS = ("data", "evaluation", "toolbox", "pretraining", "plumbing", "bench", "tests")
# Programs that a user runs: no room imports them.
SCRIPTS = {"sft", "ppo", "preferences", "dpo", "show", "evaluate", "ablation", "demo"}
# Files of the top level that bring the rooms together.
READ_ALL = {"show", "evaluate", "ablation", "demo"}
# The papers' files: the rest of the top level.
PAPERS = {path.stem for path in ROOT.glob("*.py")} - READ_ALL


def room_of(module):
    """The room that a module is in; a file of the top level is a room of its own."""
    return module.split(".")[0]


def may_import(importer, imported):
    """Whether the rule lets the module `importer` import `imported`; both of ours, with dots."""
    here = room_of(importer)
    there = room_of(imported)
    if here == there:
        return True
    if there in ("bench", "tests"):
        return False
    if here == "tests":
        return True
    if here == "plumbing":
        return False
    if here == "data":
        return there == "plumbing"
    if here in PAPERS:
        return there in PAPERS | {"plumbing", "data"}
    if here in ("evaluation", "toolbox", "pretraining"):
        return there not in SCRIPTS
    return True  # show, evaluate, ablation, demo, and bench


def imports(path, top_level_only=False):
    """The modules of ours that a file imports, as they stand in its import statements.

    A relative import stays in its room, so that it is left out.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if module_file(inner) else node.module)
    return {module for module in found if module_file(module)}


def module_file(module):
    """The file of a dotted module of ours, or None."""
    path = ROOT / module.replace(".", "/")
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def ours():
    """{dotted module: its file} of all files of the project."""
    files = list(ROOT.glob("*.py"))
    for room in ROOMS:
        files += (ROOT / room).rglob("*.py")
    names = {}
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        names[".".join(part for part in parts if part != "__init__")] = file
    return names


MODULES = ours()


@pytest.mark.parametrize("importer, imported, allowed", [
    ("plumbing.files", "data.calls", False),
    ("data.calls", "plumbing.files", True),
    ("data.feedback", "losses", False),
    ("losses", "data.feedback", True),
    ("losses", "evaluation.dialogue", False),
    ("ppo", "sft", True),
    ("evaluation.dialogue", "model", True),
    ("evaluation.choices", "llama", True),
    ("plumbing.memory", "llama", False),
    ("evaluation.dialogue", "evaluate", False),
    ("evaluate", "toolbox.execute", True),
    ("evaluate", "bench.ppo_step", False),
    ("bench.ppo_step", "ppo", True),
    ("show", "tests.conftest", False),
])
def test_the_rule_on_examples(importer, imported, allowed):
    assert may_import(importer, imported) is allowed


@pytest.mark.parametrize("module", MODULES)
def test_a_file_imports_only_what_the_rule_lets_it(module):
    forbidden = [other for other in imports(MODULES[module]) if not may_import(module, other)]
    assert not forbidden, f"{MODULES[module]} must not import {', '.join(forbidden)}"


def test_no_import_is_hidden_in_a_function_to_get_round_the_rule():
    for module, file in MODULES.items():
        hidden = imports(file) - imports(file, top_level_only=True)
        assert not hidden, f"{module} imports {hidden} inside a function"


def taken(file):
    """{(module of ours, name)} that a file takes from it: `from m import name`, `m.name`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {}  # as a module of ours is called in the file -> the module
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names
                      if module_file(alias.name) and (alias.asname or "." not in alias.name)}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if module_file(inner):
                    names[alias.asname or alias.name] = inner
                elif module_file(node.module):
                    found.add((node.module, alias.name))
    bound = {node.id for node in ast.walk(tree)
             if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        is_dotted = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if is_dotted and node.value.id in names.keys() - bound:
            found.add((names[node.value.id], node.attr))
    return found


# What nobody runs without a GPU or for a figure would otherwise ask for names that are gone.
@pytest.mark.parametrize("module", MODULES)
def test_what_a_file_takes_from_another_is_there(module):
    for other, name in taken(MODULES[module]):
        if not other.startswith("bench"):
            assert hasattr(importlib.import_module(other), name), f"{module}: no {other}.{name}"


@pytest.mark.parametrize("module", MODULES)
def test_the_front_is_written_before_its_names_and_gives_no_others(module):
    """`model.load`, and `from lora import lora_of`: what a file defines comes from that file."""
    names = {name for other, name in taken(MODULES[module]) if other == "model"}
    assert names <= {*model.__all__, "__all__", "main"}
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.ImportFrom) or node.module != "model"


def test_no_circle_among_imports():
    graph = {module: imports(file) - {module} for module, file in MODULES.items()}
    done = set()

    def visit(module, above):
        assert module not in above, " -> ".join([*above, module])
        if module not in done:
            for other in graph.get(module, ()):
                visit(other, [*above, module])
            done.add(module)

    for module in graph:
        visit(module, [])


def test_no_file_edits_the_search_path():
    for module, file in MODULES.items():
        text = file.read_text(encoding="utf-8")
        if Path(file).name not in ("conftest.py", "test_imports.py"):
            assert "sys.path[" not in text and "sys.path.insert" not in text, module
