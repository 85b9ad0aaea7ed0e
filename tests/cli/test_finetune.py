"""``finetune`` and ``merge`` as they are typed, and what they say of learning by heart."""

import json
from pathlib import Path

import pytest
from small_runs import tune

from etude.cli.__main__ import main
from etude.cli.finetune_result import Curve, how_it_went
from etude.config import RunConfig
from etude.music.edit import transpose
from etude.music.midi import read_midi, write_midi
from etude.pages.finetune import Heard, Pair
from etude.training.train import Trained

TOY = ["model.num_layers=2", "model.model_dim=32", "model.num_heads=2", "model.ff_dim=64", "model.ctx_len=64"]
TOY += [
    "train.batch_tokens=512",
    "train.num_steps=24",
    "train.eval_every_steps=24",
    "optim.warmup_steps=5",
    "train.sample_takes=0",
]
QUICK = ["train.batch_tokens=512", "train.num_steps=16", "optim.schedule_steps=16", "train.eval_every_steps=8"]
QUICK += ["optim.warmup_steps=2", "optim.peak_lr=5e-3"]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a model of tunes, and a folder of other tunes."""
    folder = tmp_path_factory.mktemp("work")
    for name, first, count in (("theirs", 0, 20), ("mine", 50, 12)):
        (folder / name).mkdir()
        for number in range(first, first + count):
            piece = tune(number, num_notes=64)
            write_midi(piece if name == "theirs" else transpose(piece, -24), folder / name / f"{number}.mid")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ETUDE_RUNS", str(folder / "runs"))
        assert main(["prepare", "theirs", "corpus", "--workers", "1"]) == 0
        assert main(["train", "llama-tiny", "data.corpus=corpus", *TOY]) == 0
    return folder


@pytest.fixture(autouse=True)
def _here(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("ETUDE_RUNS", str(workplace / "runs"))


@pytest.fixture(scope="module")
def base(workplace) -> str:
    return next(path.parent.name for path in (workplace / "runs").glob("*/done.json"))


def test_a_folder_of_midi_becomes_a_model_and_a_page_to_listen_to(base, workplace, capsys):
    """covers: AP-14 (partly), star-40"""
    words = ["finetune", base[:8], "mine", *QUICK, "--takes", "2", "--seconds", "2", "--json"]
    assert main(words) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert set(document) >= {"run", "path", "step", "seconds", "valid", "before", "page", "novelty"}
    assert {"nats_per_token", "nats_per_note", "nats_per_sec", "accuracy"} <= set(document["valid"])
    assert document["valid"]["nats_per_token"] < document["before"]["nats_per_token"]
    assert document["novelty"]["copies"] == 0
    assert document["novelty"]["longest_run"] <= document["novelty"]["limit_notes"] == 24
    for line in ("12 pieces", "10 to learn from, 2 held out", "licences: unknown (12)", "training: all weights"):
        assert line in captured.err
    listen = Path(document["page"])
    assert listen.parent == Path(document["path"]) / "listen"
    for part in ("Before and after", "Does it copy?", "From nothing", "Continuing the first 6 s of", "✓ new"):
        assert part in listen.read_text()
    files = {path.name for path in listen.parent.iterdir()}
    assert {
        f"take-{k}-{when}.{end}" for k in (1, 2) for when in ("before", "after") for end in ("mid", "json")
    } <= files
    assert json.loads((Path(document["path"]) / "config.json").read_text())["run"]["parent"] == base
    assert (workplace / "runs" / "corpora").is_dir()


def test_the_same_command_again_goes_on_with_the_same_run_and_show_names_its_parent(base, capsys):
    words = ["finetune", base, "mine", *QUICK, "--takes", "0"]
    assert main(words) == 0
    assert "resumed at step" in capsys.readouterr().err
    assert main(["runs", "show", base, "--json"]) == 0
    (child,) = json.loads(capsys.readouterr().out)["children"]
    assert main(["runs", "show", child]) == 0
    shown = capsys.readouterr().out
    assert f"tuned from   {base}" in shown
    assert "starts with  weights " in shown


def test_adapters_are_learned_and_merged_into_a_model_that_plays_the_same(base, tmp_path, capsys):
    """covers: MT-29 (partly), star-37"""
    assert main(["finetune", base, "mine", *QUICK, "--lora", "--takes", "1", "--seconds", "3", "--json"]) == 0
    best = Path(json.loads(capsys.readouterr().out)["path"]) / "best" / "loss"
    assert main(["merge", str(best / "adapter"), str(tmp_path / "merged"), "--json"]) == 0
    json.loads(capsys.readouterr().out)
    played = []
    for number, model in enumerate((best, tmp_path / "merged")):
        out = tmp_path / str(number)
        assert main(["generate", str(model), "--tokens", "60", "--seed", "4", "--out", str(out)]) == 0
        played.append(read_midi(out / "take-0000.mid"))
    assert played[0] == played[1]
    assert (tmp_path / "merged" / "model.safetensors").read_bytes() == (best / "model.safetensors").read_bytes()
    assert main(["merge", str(best / "adapter"), str(tmp_path / "merged")]) == 1


def test_a_model_can_be_given_conditions_that_it_did_not_have(base, capsys):
    assert main(["finetune", base, "mine", *QUICK, "--control", "note_density", "--takes", "0", "--json"]) == 0
    captured = capsys.readouterr()
    assert "ids are new to the model; they begin as the mean of the others" in captured.err
    config = json.loads((Path(json.loads(captured.out)["path"]) / "config.json").read_text())
    assert config["data"]["tokenizer"]["attributes"][0]["name"] == "note_density"


def test_a_plan_says_what_would_be_trained_and_trains_nothing(base, workplace, capsys):
    before = sorted(path.name for path in (workplace / "runs").iterdir())
    assert main(["finetune", base, "mine", "--train", "head", "--plan"]) == 0
    err = capsys.readouterr().err
    assert "the head gets weights of its own" in err
    assert "training: the head, 12,480 of" in err
    assert sorted(path.name for path in (workplace / "runs").iterdir()) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["finetune", "nothing", "mine"], "no such model folder or run"),
        (["finetune", "BASE", "nowhere"], "nowhere"),
        (["finetune", "BASE", "mine", "train.num_step=3"], "did you mean 'num_steps'"),
        (["finetune", "BASE", "mine", "--control", "note_densty"], "did you mean 'note_density'"),
        (["finetune", "BASE", "mine", "--clear"], "add --yes"),
        (["finetune", "BASE", "mine", "--lora", 'start.lora_targets=["x"]'], "no linear layer is named so"),
        (["merge", "nowhere", "out"], "no such model folder or run"),
    ],
)
def test_what_a_user_can_get_wrong_gets_one_line_and_exit_code_1(words, message, base, capsys):
    assert main([base if word == "BASE" else word for word in words]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err.splitlines()[-1]


def said_of(losses: list[float], *, copies: int = 0, num_steps: int = 1000) -> str:
    steps = [10 * k for k in range(len(losses))]
    best = min(range(len(losses)), key=losses.__getitem__)
    numbers = [{"nats_per_token": losses[0]}, {"nats_per_token": losses[best]}]
    curve = Curve({"held-out pieces": (steps, losses)}, *numbers, steps[best])
    config = RunConfig.parse({"model": {"kind": "decoder"}, "train": {"num_steps": num_steps}})
    trained = Trained("run", Path("run"), steps[-1], 1.0, numbers[1], None)
    score = tune(0)
    pairs = [
        Pair(
            asked="", before=Heard(score=score, name=""), after=Heard(score=score, name=f"take-{k}", is_new=k >= copies)
        )
        for k in range(2)
    ]
    return " ".join(how_it_went(curve, config, trained, pairs))


def test_learning_by_heart_is_said():
    said = said_of([3.0, 2.0, 2.2, 2.5])
    assert "fell from 3.000 to 2.000 nats a token, 33% less; the best model is that of step 10 of 30" in said
    assert "After step 10 the loss on held-out pieces rose to 2.500" in said
    assert "what came after is not kept" in said


def test_no_gain_is_said():
    assert "nothing was gained" in said_of([2.0, 2.1, 2.2])
    assert "nothing was gained" not in said_of([2.0, 1.9])


def test_a_run_that_was_still_getting_better_says_how_to_go_on():
    assert "train.num_steps=60 optim.schedule_steps=60" in said_of([3.0, 2.5, 2.2, 2.1], num_steps=30)
    assert "train.num_steps" not in said_of([3.0, 2.5, 2.2, 2.1], num_steps=40)


def test_copies_are_named():
    assert "1 of 2 takes copy your music: take-0." in said_of([3.0, 2.0], copies=1)
    assert "None of 2 takes copies your music" in said_of([3.0, 2.0])
