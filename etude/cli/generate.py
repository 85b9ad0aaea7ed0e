"""Generate takes from a trained model, each with a recipe that makes it again.

Example:
    etude generate runs/RUN --seconds 30 -n 4 --out takes
    etude generate runs/RUN --prompt theme.mid --prompt-seconds 8 --seconds 20 --seed 7
    etude generate runs/RUN --attributes composer=Bach,note_density=6 --seconds 30
"""

from pathlib import Path
from typing import Annotated

import typer

from etude.cli.show import progress_bar, report, take_line, take_row


def run(
    model: Annotated[str, typer.Argument(help="a model folder, a run folder, or the beginning of a run's id")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="how many takes")] = 1,
    seconds: Annotated[float | None, typer.Option(help="length of the new music")] = None,
    tokens: Annotated[int | None, typer.Option(help="number of new tokens, instead of seconds")] = None,
    until_end: Annotated[bool, typer.Option(help="let the model end the piece before the limit")] = False,
    prompt: Annotated[Path | None, typer.Option(help="a MIDI file to continue")] = None,
    prompt_seconds: Annotated[float | None, typer.Option(help="use only its first seconds")] = None,
    prompt_notes: Annotated[int | None, typer.Option(help="use only its first notes")] = None,
    attributes: Annotated[
        str | None, typer.Option(help="what it is to be: name=value,name=value, of what the model was trained with")
    ] = None,
    temperature: Annotated[float, typer.Option(help="below 1 safer, above 1 wilder, 0 the most probable")] = 0.95,
    top_k: Annotated[int, typer.Option(help="draw from the k most probable; 0 is off")] = 0,
    top_p: Annotated[float, typer.Option(help="draw from the most probable that reach p together; 1 is off")] = 0.95,
    min_p: Annotated[float, typer.Option(help="drop what is below this share of the most probable; 0 is off")] = 0.02,
    grammar: Annotated[bool, typer.Option(help="draw only tokens with which the piece stays valid")] = True,
    longest_note: Annotated[
        float, typer.Option(help="a note that has sounded so many seconds must end; 0 is off")
    ] = 12.0,
    seed: Annotated[int, typer.Option(help="seed of the first take; take k has seed + k")] = 0,
    exact: Annotated[
        bool, typer.Option("--exact", help="float32 in which take k of a batch equals the same take alone")
    ] = False,
    out: Annotated[Path, typer.Option(help="folder for the takes")] = Path("takes"),
    audio: Annotated[bool, typer.Option("--audio", help="render each take to a WAV file as well")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Generate takes from a trained model."""
    from etude.generate.conditions import parse_attributes
    from etude.generate.prompt import read_prompt
    from etude.generate.sample import Length, Sampling
    from etude.generate.takes import next_number
    from etude.model_folder import load

    sampling = Sampling(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        grammar=grammar,
        longest_note_sec=longest_note or None,
    )
    length = Length(seconds=seconds, tokens=tokens, until_end=until_end)
    score = None if prompt is None else read_prompt(prompt, seconds=prompt_seconds, notes=prompt_notes)
    loaded = load(model, device=device)
    total = length.max_tokens(loaded.network.settings.ctx_len)
    with progress_bar("generating", total=total, unit="tokens") as advance_to:
        takes = loaded.generate(
            count,
            seconds=seconds,
            tokens=tokens,
            until_end=until_end,
            prompt=score,
            attributes=None if attributes is None else parse_attributes(attributes),
            seed=seed,
            sampling=sampling,
            exact=exact,
            on_tokens=advance_to,
        )
    rows = []
    for number, take in enumerate(takes, next_number(out)):
        midi_path, recipe_path = take.save(out, f"take-{number:04d}")
        rows.append(take_row(take, midi_path, recipe_path))
        if audio:
            from etude.music.render import render_wav

            rows[-1]["wav"] = str(midi_path.with_suffix(".wav"))
            render_wav(take.score, rows[-1]["wav"], stereo=True)
    report({"takes": rows}, as_json=as_json, lines=[take_line(row) for row in rows])
