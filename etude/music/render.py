"""A Score to sound, with parts that pip installs: ``pip install 'etude[audio]'``.

The synthesizer is ``midirenderer`` (MIT); it plays SoundFont 2 files. Unless another is named, the
soundfont is TimGM6mb by Tim Brechbill, which comes inside the package ``pretty_midi``; it is published under
the GNU General Public License, version 2. Sound made with it is yours; passing on the file itself, for
example inside an application, follows that licence. With ``soundfont=`` any other .sf2 file is played.

The sustain pedal holds notes, half-way positions from 64 up; sostenuto and soft pedal are not heard. Sound
goes on for ``TAIL_SEC`` after the last note, so that it can fade out.
"""

import io
import wave
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from etude.audio.resample import resample
from etude.audio.wav import write_wav
from etude.errors import EtudeError, MissingExtraError
from etude.music.midi import midi_bytes
from etude.music.score import WHOLE_PIECE, Controls, Score

TAIL_SEC = 2.0
"""Seconds of sound after the last event."""

MAX_SEC = 2 * 60 * 60.0
"""The longest piece that is rendered: two hours take 3 GB of memory."""

_SYNTHESIZER_HZ = 48_000
_EXPRESSION = 11
# the synthesizer is quiet: a lone note of velocity 100 peaks at a twentieth
_GAIN = 4.0
_LARGEST_PEAK = 0.89


def render(score: Score, *, sample_rate_hz: int = 44_100, soundfont: Path | str | None = None) -> np.ndarray:
    """Play a Score.

    Loudness keeps its relations from piece to piece, except that a piece too loud for the file is turned
    down as a whole. No samples are clipped.

    Args:
        score: what to play; drums play the drum kit.
        sample_rate_hz: samples a second of the result.
        soundfont: an .sf2 file, or None for the one described in the module's header.

    Returns:
        Samples, float32 (2, S), left and right, from -1 to 1.

    Raises:
        MissingExtraError: the synthesizer or the soundfont is not installed.
        EtudeError: the soundfont cannot be used, or the piece is longer than ``MAX_SEC``.
    """
    synthesize = _synthesizer()
    soundfont, bank = _soundfont(soundfont)
    end_sec = _end_sec(score)
    if end_sec > MAX_SEC:
        raise EtudeError(f"the piece lasts {end_sec:,.0f} s; at most {MAX_SEC:,.0f} s are rendered: cut it with edit.trim")
    score = _with_tail(score, end_sec + TAIL_SEC)
    for quieter in (1, 4, 16):
        try:
            sound = synthesize(bank, midi_bytes(_turned_down(score, quieter)))
        except RuntimeError as error:
            raise EtudeError(f"{soundfont}: cannot be played: {error}") from error
        samples = _samples(sound)
        if np.abs(samples).max(initial=0.0) < 1.0:
            break
    gain = _GAIN * quieter
    peak = float(np.abs(samples).max(initial=0.0)) * gain
    samples *= gain if peak <= _LARGEST_PEAK else gain * _LARGEST_PEAK / peak
    return np.clip(resample(samples, _SYNTHESIZER_HZ, sample_rate_hz), -1.0, 1.0)


def render_wav(
    score: Score, path: Path | str, *, sample_rate_hz: int = 44_100, soundfont: Path | str | None = None
) -> float:
    """Play a Score into a stereo WAV file of 16 bits, whole or not at all; return its length in seconds.

    Raises:
        EtudeError: as ``render`` does, or the file cannot be written.
    """
    samples = render(score, sample_rate_hz=sample_rate_hz, soundfont=soundfont)
    write_wav(path, samples, sample_rate_hz)
    return samples.shape[-1] / sample_rate_hz


def _synthesizer():
    try:
        from midirenderer import render_wave_from  # an extra
    except ImportError as error:
        raise MissingExtraError(
            "rendering needs the package midirenderer; run: pip install 'etude[audio]'"
        ) from error
    return render_wave_from


def _soundfont(path: Path | str | None) -> tuple[Path, bytes]:
    if path is None:
        # found, not imported: importing pretty_midi takes a second, and only its data is wanted
        spec = find_spec("pretty_midi")
        path = Path(spec.origin).parent / "TimGM6mb.sf2" if spec and spec.origin else None
        if path is None or not path.is_file():
            raise MissingExtraError(
                "rendering needs a soundfont; name one with --soundfont FILE.sf2, or run: pip install 'etude[audio]'"
            )
    path = Path(path)
    try:
        return path, path.read_bytes()
    except OSError as error:
        raise EtudeError(f"{path}: the soundfont cannot be read: {error.strerror or error}") from error


def _end_sec(score: Score) -> float:
    """Return when the last note, control or bend is over."""
    last_tick = max(int(score.controls.tick.max(initial=0)), int(score.pitch_bends.tick.max(initial=0)))
    return max(score.duration_sec, float(score.tempo_map.tick_to_sec(last_tick)))


def _with_tail(score: Score, end_sec: float) -> Score:
    """Return the score with an empty text at a time: the synthesizer stops at the last event."""
    texts, tick = score.texts, int(score.tempo_map.sec_to_tick(end_sec))
    columns = {"tick": [*texts.tick, tick], "track": [*texts.track, WHOLE_PIECE]}
    return replace(score, texts=texts.replace(kind=[*texts.kind, "text"], text=[*texts.text, ""], **columns))


def _turned_down(score: Score, times: int) -> Score:
    """Return the score played that many times quieter, by its expression controls; 1 changes nothing."""
    if times == 1:
        return score
    controls = score.controls
    # General MIDI: loudness goes with the square of a control's value
    share = times**-0.5
    value = np.where(controls.number == _EXPRESSION, np.rint(controls.value * share), controls.value).astype(np.int32)
    tracks = np.arange(len(score.tracks))
    zeros = np.zeros_like(tracks)
    return replace(
        score,
        controls=Controls.of(
            tick=np.concatenate([zeros, controls.tick]),
            track=np.concatenate([tracks, controls.track]),
            number=np.concatenate([zeros + _EXPRESSION, controls.number]),
            value=np.concatenate([zeros + round(127 * share), value]),
        ),
    )


def _samples(sound: bytes) -> np.ndarray:
    """Return the samples of a WAV file in memory as float32 (2, S)."""
    with wave.open(io.BytesIO(sound)) as file:
        data = file.readframes(file.getnframes())
    return (np.frombuffer(data, "<i2").reshape(-1, 2).T / np.float32(32768)).astype(np.float32)
