"""Render a MIDI file to a WAV file, with a built-in soundfont or any other.

Example:
    etude render takes/take-0000.mid take.wav
    etude render song.mid song.wav --soundfont grand.sf2
"""

from pathlib import Path
from typing import Annotated

import typer

from etude.cli.show import report


def run(
    midi: Annotated[Path, typer.Argument(help="a MIDI file")],
    out: Annotated[Path, typer.Argument(help="the WAV file to write")],
    soundfont: Annotated[Path | None, typer.Option(help="an .sf2 file instead of the built-in one")] = None,
    sample_rate_hz: Annotated[
        int, typer.Option("--sample-rate", min=8000, max=192000, help="samples a second")
    ] = 44100,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Render a MIDI file to audio."""
    from etude.music.midi import read_midi
    from etude.music.render import render_wav

    score = read_midi(midi)
    seconds = render_wav(score, out, sample_rate_hz=sample_rate_hz, soundfont=soundfont, stereo=True)
    report({"wav": str(out), "seconds": round(seconds, 3)}, as_json=as_json, lines=[f"{out}  {seconds:.1f} s"])
