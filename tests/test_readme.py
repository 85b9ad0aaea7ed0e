"""The README's commands, typed as they stand, on a folder of the built-in pieces.

Only sizes are made smaller: a training gets ``model=toy train=toy``, and RUN becomes the run that it printed.
"""

import re
import shlex
from pathlib import Path

import pytest

from etude.cli.__main__ import main
from etude.corpora.sampler import iter_pieces
from etude.music.midi import write_midi

pytestmark = pytest.mark.services
README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def blocks(language: str, heading: str) -> list[str]:
    """Return the blocks of one language under a heading."""
    _, _, section = README.partition(f"\n## {heading}\n")
    return re.findall(rf"```{language}\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with somebody's MIDI, labels and a theme in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETUDE_RUNS", str(tmp_path / "runs"))
    Path("my-midi").mkdir()
    rows = ["file,composer,group"]
    for number, piece in enumerate(iter_pieces("train", genres=["chorale"])):
        if number == 12:
            break
        write_midi(piece.score, f"my-midi/{number}.mid")
        rows.append(f"{number}.mid,{piece.composer},{piece.group}")
    Path("labels.csv").write_text("\n".join(rows) + "\n")
    write_midi(piece.score, "theme.mid")
    return tmp_path


def test_the_commands_for_ones_own_music_run(workplace, capsys):
    (commands,) = blocks("sh", "Your own music")
    run = ""
    for line in commands.splitlines():
        words = shlex.split(line, comments=True)
        assert words.pop(0) == "etude"
        words = [run if word == "RUN" else word for word in words]
        if words[0] == "train":
            words += ["model=toy", "train=toy"]
        assert main(words) == 0, line
        if words[0] == "train":
            run = str(next(Path("runs").iterdir()))
    assert {path.suffix for path in Path("takes").iterdir()} == {".mid", ".json", ".wav"}
    first = Path("takes/take-0000.mid").read_bytes()
    assert Path("replayed/take-0000.mid").read_bytes() == first


def test_the_python_for_ones_own_music_runs(workplace):
    (code,) = blocks("python", "Your own music")
    small = code.replace('small", "corpus")', 'small", "corpus", model="toy", train="toy")')
    assert small != code
    exec(compile(small, "README.md", "exec"), {})
    assert len(list(Path().glob("take-*.mid"))) == 4
