"""The house stands: imports point downwards, torch stays where it is needed, and nothing grows out of hand.

The rungs are those of the design; a package imports only from lower ones, its own files excepted, and that
holds for imports inside functions too. A ``settings.py`` stands below ``config.py`` wherever its package is.
"""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from etude.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "etude"
FILES = sorted(PACKAGE.rglob("*.py"))

RUNGS = {
    "errors": 0,
    "files": 1,
    "settings": 1,
    "randomness": 1,
    "registry": 1.2,  # between the design's whole numbers: names its settings and is named by models
    "conditions": 1.3,  # named by the settings of models, and read where their values come from
    "audio": 1.4,  # music/render.py writes through audio/wav.py
    "music": 1.5,
    "pages": 2,
    "fingerprints": 2,
    "attributes": 2,
    "corpora": 2,
    "models": 2,
    "optim_settings": 1.5,
    "optim_kinds": 1.5,
    "optim": 2,
    "runs": 2,
    "tokens": 3,
    "rolls": 3,
    "metrics": 3,
    "data": 4,
    "generate": 5,
    "tasks": 6,
    "config": 7,
    "model_card": 7.5,
    "model_folder": 8,
    "interchange": 9,
    "recipes": 9,
    "training": 9,
    "launch": 10,
    "studio": 11,
    "api": 11,
    "cli": 12,
}
BELOW_CONFIG = RUNGS["config"] - 1
ALLOWED_UPWARDS = {("music/score.py", "etude.pages")}  # a Score shows itself in a notebook
NEED_TORCH = {"models", "optim", "optim_kinds", "generate", "tasks", "training", "model_folder", "interchange", "api"}
TORCH_FREE_IN_THOSE = {"__init__.py", "settings.py"}
IMPORT_SYMUSIC = {"music/bridges.py", "music/midi.py", "music/render.py"}
CORE = {"numpy", "torch", "symusic", "pyarrow", "pydantic", "pyyaml", "typer", "rich", "safetensors"}
MODULE_OF = {"pyyaml": "yaml"}
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
MAX_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 300, 60, 10


def place(path):
    return path.relative_to(PACKAGE).as_posix()


def room(path):
    """The package or module directly below ``etude`` that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports_of(tree):
    """Yield the full dotted name of every import, and the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def rung_of(path):
    own = RUNGS[room(path)]
    return min(own, BELOW_CONFIG) if path.name == "settings.py" and path.parent != PACKAGE else own


def imported_rung(name):
    parts = name.split(".")
    own = RUNGS[parts[1]]
    return min(own, BELOW_CONFIG) if parts[2:3] == ["settings"] else own


def functions_of(tree):
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_every_package_and_module_has_a_rung():
    assert {room(path) for path in FILES} - {"__init__"} <= set(RUNGS)


@pytest.mark.parametrize("path", FILES, ids=place)
def test_imports_point_downwards(path):
    if room(path) == "__init__":
        return  # the public names of the package, imported on use, come from everywhere
    for name, line in imports_of(tree_of(path)):
        parts = name.split(".")
        if parts[0] != "etude" or name == "etude.__version__" or parts[1] == room(path):
            continue
        if (place(path), ".".join(parts[:2])) in ALLOWED_UPWARDS:
            continue
        assert imported_rung(name) < rung_of(path), f"line {line}: {place(path)} imports {name} from above or beside"


@pytest.mark.parametrize("path", FILES, ids=place)
def test_torch_is_imported_only_where_the_design_says(path):
    """covers: B15 (partly)"""
    if room(path) in NEED_TORCH and path.name not in TORCH_FREE_IN_THOSE:
        return
    found = {name for name, _ in imports_of(tree_of(path)) if re.match(r"torch\b|safetensors\.torch\b", name)}
    assert found == set()


def test_whatever_is_torch_free_really_loads_no_torch():
    """covers: B15 (partly)"""
    commands = {command.module for command in COMMANDS.values()} | {"etude.cli", "etude.cli.__main__"}
    names = []
    for path in FILES:
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if room(path) == "cli":
            names += [dotted] if dotted in commands else []
        elif room(path) not in NEED_TORCH or path.name in TORCH_FREE_IN_THOSE:
            names.append(dotted)
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules: sys.exit(name + ' loads torch')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=place)
def test_only_the_edge_of_the_music_room_imports_symusic(path):
    if place(path) in IMPORT_SYMUSIC:
        return
    assert not [name for name, _ in imports_of(tree_of(path)) if name.split(".")[0] == "symusic"]


@pytest.mark.parametrize("path", FILES, ids=place)
def test_only_commands_print_and_exit(path):
    if room(path) == "cli":
        return
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "exit", "quit", "sys.exit", "os._exit"}, f"line {node.lineno}: {called}"
        if isinstance(node, ast.Raise) and node.exc is not None:
            assert "SystemExit" not in ast.unparse(node.exc), f"line {node.lineno}: only commands exit"


@pytest.mark.parametrize("path", FILES, ids=place)
def test_no_module_and_no_function_grows_out_of_hand(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_LINES, f"{text.count(chr(10))} lines, at most {MAX_LINES}"
    for function in functions_of(ast.parse(text)):
        first = function.body[0].lineno
        lines = function.end_lineno - first + 1
        if ast.get_docstring(function) is not None:
            lines = function.end_lineno - function.body[0].end_lineno
        assert lines <= MAX_FUNCTION_LINES, f"{function.name}: {lines} lines, at most {MAX_FUNCTION_LINES}"
        arguments = function.args
        count = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs)
        # a command's parameters are its options
        if room(path) != "cli":
            assert count <= MAX_PARAMETERS, f"{function.name}: {count} parameters, at most {MAX_PARAMETERS}"


@pytest.mark.parametrize("path", FILES, ids=place)
def test_nothing_unsafe_is_ever_unpickled_or_evaluated(path):
    """covers: star-88 (partly)"""
    tree = tree_of(path)
    assert not [name for name, _ in imports_of(tree) if name.split(".")[0] in PICKLES]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        where = f"line {node.lineno}: {called}"
        assert called not in {"eval", "exec", "compile", "__import__"}, where
        assert called not in {"yaml.full_load", "yaml.unsafe_load", "yaml.load_all"}, where
        if called == "yaml.load":
            assert keywords.get("Loader") in {"_Loader", "yaml.SafeLoader"}, where
        if called == "torch.load":
            assert keywords.get("weights_only") == "True", where
        assert keywords.get("allow_pickle", "False") == "False", where


def test_the_yaml_loader_is_the_safe_one():
    """covers: star-88 (partly)"""
    import yaml

    from etude.recipes import resolve

    assert issubclass(resolve.__globals__["override"].__globals__["_Loader"], yaml.SafeLoader)


def test_everything_has_a_name_of_its_own():
    nameless = {"util", "utils", "common", "helper", "helpers", "base", "manager", "misc", "core"}
    parts = {part.removesuffix(".py") for path in FILES for part in path.relative_to(PACKAGE).parts}
    assert parts & nameless == set()


def is_public(node):
    return not node.name.startswith("_")


@pytest.mark.parametrize("path", FILES, ids=place)
def test_everything_public_says_what_it_is(path):
    tree = tree_of(path)
    assert ast.get_docstring(tree), "the file says nothing of itself"
    undocumented = []
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in tree.body:
        if not isinstance(node, defined) or not is_public(node):
            continue
        inner = [one for one in node.body if isinstance(one, defined) and is_public(one)]
        owners = [node, *(inner if isinstance(node, ast.ClassDef) else [])]
        undocumented += [f"{node.name}: {one.name}" for one in owners if not ast.get_docstring(one)]
    assert undocumented == []


def test_the_core_needs_these_libraries_and_no_others():
    """covers: B47 (partly)"""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    floors = {re.split(r"[<>=!~ ]", line)[0]: line for line in project["dependencies"]}
    assert set(floors) == CORE
    assert all(re.fullmatch(r"[a-z]+>=[\d.]+", line) for line in floors.values()), "floors, not pins"
    assert "pyyaml" in (ROOT / "docs" / "decisions.md").read_text().lower()


def test_the_set_that_the_tests_ran_with_leaves_torch_to_the_user():
    """covers: B47 (partly)"""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert pinned >= CORE - {"torch"}
    assert not {name for name in pinned if name.startswith(("torch", "nvidia", "triton"))}


@pytest.mark.parametrize("path", FILES, ids=place)
def test_whatever_is_no_core_library_is_imported_where_it_is_used(path):
    """covers: B47 (partly)"""
    core = {MODULE_OF.get(name, name) for name in CORE} | {"etude"} | set(sys.stdlib_module_names)
    for node in tree_of(path).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert {name.split(".")[0] for name in names} <= core, f"line {node.lineno}"


def tracked_texts():
    """Every tracked file that is text, by its path; without git, everything that git would not ignore."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    ).stdout.split("\0")
    for name in filter(None, listed):
        path = ROOT / name
        if path.is_file():
            try:
                yield name, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


# built from parts, so that this file does not find itself
MACHINE_PATH = re.compile(
    "|".join([r"/ho" r"me/\w+", r"/ro" r"ot/\w", r"/Us" r"ers/\w+", r"C:\\Us" r"ers", r"(?<![\w.])/wo" r"rk/"])
)
INDEX_HOST = re.compile(
    "|".join([r"py" r"pi\.\w", r"python" r"hosted\.", r"download\.py" r"torch", r"art" r"ifactory", r"index-u" r"rl"])
)


def test_no_tracked_file_names_a_machine_or_a_package_index():
    found = [
        f"{name}: {match.group()}"
        for name, text in tracked_texts()
        for pattern in (MACHINE_PATH, INDEX_HOST)
        if (match := pattern.search(text))
    ]
    assert found == []
