"""A Score to sound, with parts that pip installs: ``pip install 'etude[audio]'``.

The synthesizer is ``midirenderer`` (MIT licence); it plays SoundFont 2 files. Unless another is named, the
soundfont is TimGM6mb, which comes inside the package ``pretty_midi`` and is published under the GNU General
Public License, version 2: whoever passes the file itself on, for example inside an application, follows that
licence. With ``soundfont=`` any other .sf2 file is played.

Sample i is heard ``i / sample_rate_hz`` seconds after tick 0, so sound and Score run together. Drums,
programs, volume, expression, pan, bends and the sustain pedal (down from 64) are heard; sostenuto and soft
pedal are not. The loudest sample is at ``PEAK`` whatever the piece, so loudness says nothing between pieces.
Equal scores give equal samples on one machine.
"""

import contextlib
import io
import os
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from etude.audio.resample import resample
from etude.audio.wav import write_wav
from etude.errors import EtudeError, MissingExtraError
from etude.music.check import MAX_TICK
from etude.music.edit import extend_by_pedal, select_tracks, trim
from etude.music.midi import midi_bytes
from etude.music.score import WHOLE_PIECE, Score

PEAK = 0.89
"""The largest sample, 1 dB below full scale."""

TAIL_SEC = 6.0
"""The most that sound goes on after the last note; it ends when it can no longer be heard."""

MAX_SEC = 2 * 60 * 60.0
"""The longest piece that is rendered: the synthesizer holds all of it in memory, 700 MB an hour."""

_SYNTHESIZER_HZ = 48_000
_SILENCE_SEC = 0.1  # of sound without notes, and after the last that can be heard
_FADE_SEC = 0.25
_INAUDIBLE = 1e-3  # of the loudest sample: 60 dB below
_LARGEST_GAIN = 256.0  # more would only make the rounding of 16 bits audible
_CHANNELS = 15  # of a MIDI file, drums aside
# the synthesizer leaves out notes softer than about this, whatever else sounds
_SOFTEST = 16

_Play = Callable[[Score], np.ndarray]


def render(
    score: Score,
    *,
    sample_rate_hz: int = 44_100,
    soundfont: Path | str | None = None,
    stereo: bool = False,
) -> np.ndarray:
    """Play a Score.

    Args:
        score: what to play.
        sample_rate_hz: samples a second of the result; one with a simple ratio to 48,000.
        soundfont: an .sf2 file, or None for the one described in the module's header.
        stereo: two channels as the soundfont has them, or the mean of both.

    Returns:
        Samples from -1 to 1, float32, (S,), or (2, S) of left and right. At least as long as the notes; a
        piece without notes is a moment of silence.

    Raises:
        MissingExtraError: the synthesizer or the soundfont is not installed.
        EtudeError: the soundfont cannot be used, the sample rate is odd, or the piece lasts over ``MAX_SEC``.
        MidiError: the Score cannot be written as MIDI.
    """
    synthesize = _synthesizer()
    path, bank = _soundfont(soundfont)
    if not len(score.notes):
        silence = np.zeros(round(_SILENCE_SEC * sample_rate_hz), np.float32)
        return np.stack([silence, silence]) if stereo else silence
    end_sec = extend_by_pedal(score).duration_sec
    if end_sec > MAX_SEC:
        raise EtudeError(f"the piece lasts {end_sec:,.0f} s, expected at most {MAX_SEC:,.0f}; cut it with edit.trim")

    def play(part: Score) -> np.ndarray:
        with _panics_as_errors(path, is_quiet=soundfont is not None):
            return _samples(synthesize(bank, midi_bytes(part)))

    samples = _mixed(_prepared(score, end_sec), play)
    samples = _ended(samples if stereo else samples.mean(axis=0), end_sec)
    samples = resample(samples, _SYNTHESIZER_HZ, sample_rate_hz)
    peak = float(np.abs(samples).max(initial=0.0))
    return samples * np.float32(min(PEAK / max(peak, 1e-9), _LARGEST_GAIN))


def render_wav(
    score: Score,
    path: Path | str,
    *,
    sample_rate_hz: int = 44_100,
    soundfont: Path | str | None = None,
    stereo: bool = False,
) -> float:
    """Play a Score into a WAV file of 16 bits, whole or not at all.

    Returns:
        The length of the sound in seconds.

    Raises:
        EtudeError: as ``render`` does, or the file cannot be written.
    """
    samples = render(score, sample_rate_hz=sample_rate_hz, soundfont=soundfont, stereo=stereo)
    write_wav(path, samples, sample_rate_hz)
    return samples.shape[-1] / sample_rate_hz


def _synthesizer() -> Callable[[bytes, bytes], bytes]:
    try:
        from midirenderer import render_wave_from  # an extra
    except ImportError as error:
        raise MissingExtraError("rendering needs the package midirenderer; run: pip install 'etude[audio]'") from error
    return render_wave_from


def _soundfont(path: Path | str | None) -> tuple[Path, bytes]:
    """Return the path and the bytes of a soundfont."""
    if path is None:
        # found, not imported: only a file of the package is wanted, and importing it is slow
        spec = find_spec("pretty_midi")
        path = Path(spec.origin).parent / "TimGM6mb.sf2" if spec and spec.origin else None
        if path is None or not path.is_file():
            raise MissingExtraError("rendering needs a soundfont; name one, or run: pip install 'etude[audio]'")
    path = Path(path)
    try:
        bank = path.read_bytes()
    except OSError as error:
        raise EtudeError(f"{path}: the soundfont cannot be read: {error.strerror or error}") from error
    if bank[:4] != b"RIFF" or bank[8:12] != b"sfbk":
        raise EtudeError(f"{path}: not a SoundFont 2 file; give an .sf2 file")
    return path, bank


@contextlib.contextmanager
def _panics_as_errors(soundfont: Path, *, is_quiet: bool) -> Iterator[None]:
    """Turn what the synthesizer says of a damaged soundfont into one line.

    It checks some of a soundfont and runs into the rest, which is no ``Exception`` and writes to the standard
    error of the process; that is shut meanwhile when ``is_quiet``.
    """
    with contextlib.ExitStack() as stack:
        if is_quiet:
            kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, 2)
        try:
            yield
        except BaseException as error:
            if not isinstance(error, RuntimeError) and type(error).__name__ != "PanicException":
                raise
            reason = str(error).partition("\n")[0]
            raise EtudeError(f"{soundfont}: a damaged soundfont, it cannot be played: {reason}") from None


def _prepared(score: Score, end_sec: float) -> Score:
    """Return what is played: no note too soft, and nothing after the tail, which an empty text makes last."""
    stop_sec = end_sec + TAIL_SEC
    score = trim(score, 0.0, stop_sec)
    notes, texts = score.notes, score.texts
    tick = min(int(score.tempo_map.sec_to_tick(stop_sec)), MAX_TICK)
    texts = texts.replace(
        tick=np.append(texts.tick, tick),
        kind=(*texts.kind, "text"),
        text=(*texts.text, ""),
        track=np.append(texts.track, WHOLE_PIECE),
    )
    return replace(score, notes=notes.replace(velocity=np.maximum(notes.velocity, _SOFTEST)), texts=texts)


def _mixed(score: Score, play: _Play) -> np.ndarray:
    """Return the sum of the tracks, float32 (2, samples), each on a channel of its own.

    A MIDI file has 15 channels besides that of drums, which holds one kit: with more, tracks would share
    pedals and programs, so they are played in groups.
    """
    melodic, kits, group = 0, [], []
    for track in score.tracks:
        if track.is_drum:
            if track.program not in kits:
                kits.append(track.program)
            group.append(kits.index(track.program))
        else:
            group.append(melodic // _CHANNELS)
            melodic += 1
    if max(group) == 0:
        return _unclipped(score, play)
    members = [[track for track, of in enumerate(group) if of == one] for one in range(max(group) + 1)]
    parts = [_unclipped(select_tracks(score, tracks), play) for tracks in members]
    mixed = parts[0]
    for part in parts[1:]:
        mixed = mixed + part
    return mixed


def _unclipped(score: Score, play: _Play) -> np.ndarray:
    """Play a piece; when that is too loud for 16 bits, every other note and the rest, and add them."""
    samples = play(score)
    if len(score.notes) < 2 or np.abs(samples).max(initial=0.0) < 32767 / 32768:
        return samples
    return _unclipped(replace(score, notes=score.notes.take(slice(0, None, 2))), play) + _unclipped(
        replace(score, notes=score.notes.take(slice(1, None, 2))), play
    )


def _samples(sound: bytes) -> np.ndarray:
    """Return the samples of a stereo WAV file in memory as float32 (2, samples)."""
    with wave.open(io.BytesIO(sound)) as file:
        data = file.readframes(file.getnframes())
    return np.frombuffer(data, "<i2").reshape(-1, 2).T * np.float32(1 / 32768)


def _ended(samples: np.ndarray, end_sec: float) -> np.ndarray:
    """Cut what can no longer be heard after the last note, and fade the rest of it out."""
    loudness = np.abs(samples) if samples.ndim == 1 else np.abs(samples).max(axis=0)
    audible = np.flatnonzero(loudness > _INAUDIBLE * loudness.max(initial=0.0))
    end = round(end_sec * _SYNTHESIZER_HZ)
    last = max(int(audible[-1]) + 1 if len(audible) else 0, end) + round(_SILENCE_SEC * _SYNTHESIZER_HZ)
    samples = samples[..., :last].copy()
    fade = min(round(_FADE_SEC * _SYNTHESIZER_HZ), samples.shape[-1] - end)
    if fade > 0:
        samples[..., -fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return samples
