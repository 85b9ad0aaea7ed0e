"""``train``, ``generate``, ``replay`` and ``render`` as they are typed."""

import json
from pathlib import Path

import pytest

from etude.cli.__main__ import main
from etude.data.prepare import prepare
from etude.music.midi import write_midi
from etude.music.score import Score

SMALL = ["model=toy", "train=toy", "model.num_layers=1", "model.model_dim=32", "model.num_heads=2", "model.ff_dim=64"]
SMALL += ["model.ctx_len=64", "train.batch_tokens=256", "train.num_steps=4", "train.eval_every_steps=2"]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a corpus and a trained run."""
    folder = tmp_path_factory.mktemp("work")
    for number in range(10):
        (folder / "midi").mkdir(exist_ok=True)
        pitches = [60 + (number * step) % 12 for step in range(16)]
        write_midi(Score.of(range(0, 16 * 240, 240), [240] * 16, pitches), folder / "midi" / f"{number}.mid")
    prepare(folder / "midi", folder / "corpus", workers=1)
    return folder


@pytest.fixture(autouse=True)
def _here(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("ETUDE_RUNS", str(workplace / "runs"))


@pytest.fixture(scope="module")
def run_path(workplace):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ETUDE_RUNS", str(workplace / "runs"))
        assert main(["train", "llama-tiny", f"data.corpus={workplace / 'corpus'}", *SMALL]) == 0
    return next((workplace / "runs").iterdir())


def printed(capsys) -> dict:
    """Return the one JSON document of standard output."""
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("recipe", ["llama-tiny", "music-transformer-tiny"])
def test_a_trial_of_each_family_runs_through_the_command(recipe, capsys):
    """covers: K51, B48 (partly)"""
    assert main(["train", recipe, "data.corpus=corpus", *SMALL, "label=trial", "--json"]) == 0
    document = printed(capsys)
    assert set(document) == {"run", "path", "step", "seconds", "valid"}
    assert {"nats_per_token", "nats_per_note", "nats_per_sec", "accuracy"} <= set(document["valid"])
    files = {path.name for path in Path(document["path"]).iterdir()}
    expected = {"config.json", "environment.json", "status.json", "metrics.jsonl", "logs", "checkpoints", "best"}
    assert expected | {"done.json"} <= files


def test_the_same_command_again_resumes_and_changes_nothing(run_path, capsys):
    before = (run_path / "best" / "loss" / "model.safetensors").read_bytes()
    assert main(["train", "llama-tiny", "data.corpus=corpus", *SMALL]) == 0
    assert "resumed at step 4" in capsys.readouterr().err
    assert (run_path / "best" / "loss" / "model.safetensors").read_bytes() == before


def test_from_a_run_goes_on_and_with_another_value_derives_a_run_that_names_its_parent(run_path, capsys):
    """covers: K5"""
    assert main(["train", "-f", run_path.name[:8], "train.num_steps=6", "--json"]) == 0
    assert printed(capsys) | {"step": 6, "run": run_path.name} == printed_again(run_path)
    assert main(["train", "-f", run_path.name, "optim.peak_lr=5e-4", "--json"]) == 0
    derived = printed(capsys)
    assert derived["run"] != run_path.name
    assert json.loads((Path(derived["path"]) / "config.json").read_text())["run"]["parent"] == run_path.name


def printed_again(run_path: Path) -> dict:
    done = json.loads((run_path / "done.json").read_text())
    return {
        "run": run_path.name,
        "path": str(run_path),
        "step": done["step"],
        "seconds": round(done["seconds"], 3),
        "valid": done["valid"],
    }


def test_a_plan_prints_numbers_and_makes_nothing(workplace, capsys):
    """covers: star-38, B38 (partly)"""
    before = sorted(path.name for path in (workplace / "runs").glob("*"))
    words = ["train", "llama-tiny", "data.corpus=corpus", *SMALL, "train.seed=77", "--plan", "--json"]
    assert main(words) == 0
    plan = printed(capsys)
    assert plan["parameters"] > 0
    assert plan["memory_bytes"] > plan["parameters"] * 4
    assert {"disk_bytes", "step_seconds", "hours", "run"} <= set(plan)
    assert sorted(path.name for path in (workplace / "runs").glob("*")) == before


def test_generate_writes_takes_with_recipes_and_replay_gives_the_same_bytes(run_path, tmp_path, capsys):
    """covers: MT-14 (partly), star-53"""
    words = ["generate", str(run_path), "-n", "2", "--tokens", "40", "--seed", "3", "--out", str(tmp_path), "--json"]
    assert main(words) == 0
    takes = printed(capsys)["takes"]
    assert [take["seed"] for take in takes] == [3, 4]
    assert set(takes[0]) >= {"midi", "recipe", "seed", "notes", "seconds"}
    assert main(["replay", takes[1]["recipe"], "--out", str(tmp_path / "again"), "--json"]) == 0
    again = printed(capsys)["takes"][0]
    assert Path(again["midi"]).read_bytes() == Path(takes[1]["midi"]).read_bytes()


def test_values_given_on_the_command_line_reach_the_sampler(run_path, tmp_path, capsys):
    """covers: MT-14 (partly)"""
    common = ["generate", str(run_path), "--tokens", "40", "--json", "--out"]
    changed = [["--temperature", "0"], ["--top-k", "3"], ["--top-p", "0.5"], ["--min-p", "0.3"], ["--seed", "9"]]
    seen = set()
    for number, option in enumerate([[], *changed]):
        assert main([*common, str(tmp_path / str(number)), *option]) == 0
        seen.add(Path(printed(capsys)["takes"][0]["midi"]).read_bytes())
    assert len(seen) == 1 + len(changed)


def test_a_prompt_from_a_file_is_continued(run_path, tmp_path, capsys):
    """covers: MT-15"""
    words = ["generate", str(run_path), "--prompt", "midi/3.mid", "--prompt-notes", "4", "--seconds", "5"]
    assert main([*words, "--out", str(tmp_path), "--json"]) == 0
    take = printed(capsys)["takes"][0]
    assert take["seconds"] == pytest.approx(5.0 + 1.0, abs=1.0)


def test_render_writes_a_wav_that_lasts_at_least_as_long_as_the_notes(tmp_path, capsys):
    pytest.importorskip("midirenderer", reason="needs the audio extra")
    assert main(["render", "midi/1.mid", str(tmp_path / "one.wav"), "--json"]) == 0
    assert printed(capsys)["seconds"] >= 4.0
    assert (tmp_path / "one.wav").stat().st_size > 100_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "llama-tiny", "--clear"], "add --yes"),
        (["train"], "give a recipe or -f RUN"),
        (["train", "lama-tiny"], "did you mean 'llama-tiny'"),
        (["train", "llama-tiny", "train.num_step=3"], "did you mean 'num_steps'"),
        (["train", "llama-tiny", "data.corpus=nowhere"], "nowhere: no such folder"),
        (["train", "-f", "ffffffff"], "no run"),
        (["generate", "nothing"], "no such model folder or run"),
        (["generate", "nothing", "--top-p", "0"], "top_p = 0.0"),
        (["replay", "nothing.json"], "cannot be read as a take's recipe"),
        (["render", "nothing.mid", "x.wav"], r"nothing\.mid"),
    ],
)
def test_what_a_user_can_get_wrong_gets_one_line_and_exit_code_1(words, message, capsys):
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message.replace("\\", "") in captured.err
