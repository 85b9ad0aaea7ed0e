"""What is written is true: examples run, links lead somewhere, files and settings that are named exist.

Python blocks of ``docs/*.md`` run from top to bottom in an empty folder, a page's blocks in one namespace.
The README's commands take minutes and are not run here.
"""

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest
from typer.main import get_command

from etude.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*DOCS, *sorted(ROOT.glob("*.md"))]
SOURCES = [path for path in sorted((ROOT / "etude").rglob("*.py")) if ">>>" in path.read_text("utf-8")]

_OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
_FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HTML_LINK = re.compile(r"<(?:img|a)\s[^>]*(?:src|href)=\"(?P<target>[^\"]+)\"")
_SETTING = re.compile(r"(?<![\w./])(?P<section>model|task|data|optim|train)\.(?P<name>[a-z_]+)=")
_COMMAND = re.compile(r"(?:^|`)(?:\$ )?etude +(?P<words>[^`\n#]+)", re.MULTILINE)
_FILE = re.compile(r"`((?:etude|tests|docs|scripts|benchmarks)/[\w./]+)`")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _python_blocks(path: Path) -> list[str]:
    """Return the python blocks of a page, each moved down to the line where the page has it."""
    text = path.read_text("utf-8")
    blocks = [match for match in _FENCE.finditer(text) if match["language"] == "python"]
    return ["\n" * text.count("\n", 0, match.start("body")) + match["body"] for match in blocks]


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _leads_somewhere(target: str, path: Path) -> bool:
    file, _, anchor = target.partition("#")
    linked = path.parent / file if file else path
    return linked.exists() and (not anchor or anchor in _anchors(linked.read_text("utf-8")))


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_the_examples_in_docstrings_run(path):
    name = _name(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    result = doctest.testmod(importlib.import_module(name), optionflags=_OPTIONS)
    assert result.attempted > 0, "an example stands where doctest does not look"
    assert result.failed == 0


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_the_python_of_a_page_is_python(path):
    for block in _python_blocks(path):
        if ">>>" not in block:
            ast.parse(block, filename=_name(path))


@pytest.mark.parametrize("path", DOCS, ids=_name)
def test_the_python_of_a_page_of_docs_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": path.stem}
    for block in _python_blocks(path):
        if ">>>" in block:
            example = doctest.DocTestParser().get_doctest(block, names, _name(path), _name(path), 0)
            assert doctest.DocTestRunner(optionflags=_OPTIONS).run(example, clear_globs=False).failed == 0
            names.update(example.globs)
        else:
            exec(compile(block, _name(path), "exec"), names)


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_every_link_to_a_file_or_heading_leads_somewhere(path):
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", path.read_text("utf-8")))
    targets = [match["target"] for pattern in (_LINK, _HTML_LINK) for match in pattern.finditer(prose)]
    inside = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in inside if not _leads_somewhere(target, path)] == []


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_every_file_that_a_page_names_exists(path):
    """A name with a placeholder, such as ``etude/tokens/<name>.py``, is left alone."""
    named = _FILE.findall(path.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.fixture(scope="module")
def known_settings():
    """Return the names of the settings of each section, over all recipes."""
    from etude.recipes import RECIPES, resolve

    names = set()
    for recipe in RECIPES:
        config = resolve(recipe, [])
        for section in type(config).model_fields:
            if isinstance(value := getattr(config, section), Settings):
                names |= {f"{section}.{name}" for name in type(value).model_fields}
    return names


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_every_setting_that_a_page_sets_exists(path, known_settings):
    found = {f"{match['section']}.{match['name']}" for match in _SETTING.finditer(path.read_text("utf-8"))}
    assert found - known_settings == set()


def _unknown_in_command(words: list[str]) -> list[str]:
    """Return the commands and options among words typed after ``etude`` that do not exist."""
    from etude.cli.__main__ import app

    command = get_command(app)
    while words and hasattr(command, "list_commands") and words[0][0] != "-":
        context = command.context_class(command)
        if words[0] not in command.list_commands(context):
            return [words[0]]
        command, words = command.get_command(context, words[0]), words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    typed = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [option for option in typed if option not in known | {"--help", "-h"}]


@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "spec.md"], ids=_name)
def test_every_command_and_option_that_a_page_shows_exists(path):
    """The specification is left out: it speaks of what is to come as well."""
    shown = [match["words"] for match in _COMMAND.finditer(path.read_text("utf-8"))]
    unknown = {line: _unknown_in_command(re.sub(r"[\[\]\\]", " ", line).split()) for line in shown}
    assert {line: names for line, names in unknown.items() if names} == {}


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_every_make_target_that_a_page_names_exists(path):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = re.findall(r"(?:^|`)make ([\w-]+)", path.read_text("utf-8"), re.MULTILINE)
    assert set(named) - set(targets) == set()


def test_the_ladder_for_contributors_is_the_one_that_is_tested():
    test = (ROOT / "tests" / "test_architecture.py").read_text("utf-8")
    assigned = [node for node in ast.parse(test).body if isinstance(node, ast.Assign)]
    (rungs,) = (ast.literal_eval(node.value) for node in assigned if ast.unparse(node.targets[0]) == "RUNGS")
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)
    told = {name: int(rung) for rung, names in rows for name in re.findall(r"`(\w+)`", names)}
    built = {path.stem for path in (ROOT / "etude").iterdir() if path.stem[0] != "_"}
    assert told == {name: int(rung) for name, rung in rungs.items() if name in built}
