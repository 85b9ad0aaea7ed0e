"""Scores to and from ``pretty_midi.PrettyMIDI``.

pretty_midi keeps seconds, and the ticks of its tempos, so that ticks come back as they were. Lost on the way there:
texts other than lyrics, and the tracks of lyrics. Everything else comes back as it was.
"""

from typing import Any

import numpy as np

from etude.errors import MissingExtraError
from etude.music.columns import WHOLE_PIECE
from etude.music.midi_in import notes_in_order
from etude.music.score import Controls, KeySignatures, PitchBends, Score, Tempos, Texts, TimeSignatures, Track

_HAVE_TICKS = ("tempos", "time_signatures", "key_signatures", "controls", "pitch_bends", "texts")


def to_pretty_midi(score: Score) -> Any:
    """Return a ``pretty_midi.PrettyMIDI`` with the same resolution and tempos.

    Raises:
        MissingExtraError: pretty_midi is not installed.
    """
    pretty_midi = _pretty_midi()
    result = pretty_midi.PrettyMIDI(resolution=score.ppq)
    tempo_map = score.tempo_map
    ends = score.notes.onset_tick.astype(np.int64) + score.notes.duration_tick
    last = max([int(ends.max(initial=0)), *(int(getattr(score, name).tick.max(initial=0)) for name in _HAVE_TICKS)])
    # its own way to set tempos is to read a file
    scales = np.diff(np.append(tempo_map.sec, tempo_map.tick_to_sec(tempo_map.tick[-1] + 1.0)))
    steps = np.diff(np.append(tempo_map.tick, tempo_map.tick[-1] + 1))
    result._tick_scales = list(zip(tempo_map.tick.tolist(), (scales / steps).tolist(), strict=True))
    result._update_tick_to_time(last + 1)
    result.time_signature_changes = [
        pretty_midi.TimeSignature(upper, lower, _sec(score, tick))
        for tick, upper, lower in _rows(score.time_signatures)
    ]
    result.key_signature_changes = [
        pretty_midi.KeySignature(_key_number(sharps, is_minor), _sec(score, tick))
        for tick, sharps, is_minor in _rows(score.key_signatures)
    ]
    result.lyrics = [
        pretty_midi.Lyric(text, _sec(score, tick)) for tick, kind, text, _ in _rows(score.texts) if kind == "lyric"
    ]
    result.instruments = [_instrument(pretty_midi, score, index) for index in range(len(score.tracks))]
    return result


def _instrument(pretty_midi: Any, score: Score, index: int) -> Any:
    track = score.tracks[index]
    result = pretty_midi.Instrument(track.program, track.is_drum, track.name)
    own = score.notes.track == index
    notes = score.notes.take(own)
    columns = (notes.velocity, notes.pitch, score.onset_sec[own], score.offset_sec[own])
    result.notes = [pretty_midi.Note(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    result.control_changes = [
        pretty_midi.ControlChange(number, value, _sec(score, tick))
        for tick, of, number, value in _rows(score.controls)
        if of == index
    ]
    result.pitch_bends = [
        pretty_midi.PitchBend(value, _sec(score, tick)) for tick, of, value in _rows(score.pitch_bends) if of == index
    ]
    return result


def from_pretty_midi(source: Any) -> Score:
    """Return the Score of a ``pretty_midi.PrettyMIDI``; its seconds go to the nearest tick of its resolution.

    Raises:
        MissingExtraError: pretty_midi is not installed.
    """
    _pretty_midi()
    ppq = source.resolution
    ticks, scales = zip(*source._tick_scales, strict=True)
    # [s / tick] * [ticks / quarter] = [s / quarter]
    tempos = Tempos.of(tick=ticks, us_per_quarter=np.maximum(np.rint(np.array(scales) * ppq * 1e6), 1).astype(np.int64))
    tempo_map = Score(ppq, tempos=tempos).tempo_map
    rows = [
        (note.start, note.end, note.pitch, note.velocity, index)
        for index, instrument in enumerate(source.instruments)
        for note in instrument.notes
    ]
    start, end, pitch, velocity, track = np.array(rows, np.float64).reshape(-1, 5).T
    onset = tempo_map.sec_to_tick(start)
    duration = np.maximum(tempo_map.sec_to_tick(end) - onset, 0)
    notes = notes_in_order(*(column.astype(np.int32) for column in (onset, duration, pitch, velocity, track)))

    def at(values: list[Any]) -> np.ndarray:
        return tempo_map.sec_to_tick(np.array([value.time for value in values], np.float64))

    instruments = list(enumerate(source.instruments))
    controls = [(index, value) for index, instrument in instruments for value in instrument.control_changes]
    bends = [(index, value) for index, instrument in instruments for value in instrument.pitch_bends]
    metres, keys, lyrics = source.time_signature_changes, source.key_signature_changes, source.lyrics
    sharps = [_sharps(key.key_number) for key in keys]
    return Score(
        ppq,
        notes,
        tuple(Track(instrument.program, instrument.is_drum, instrument.name) for instrument in source.instruments),
        tempos=tempos,
        time_signatures=TimeSignatures.of(
            tick=at(metres),
            numerator=[one.numerator for one in metres],
            denominator=[one.denominator for one in metres],
        ),
        key_signatures=KeySignatures.of(
            tick=at(keys), sharps=[one for one, _ in sharps], is_minor=[one for _, one in sharps]
        ),
        controls=Controls.of(
            tick=at([value for _, value in controls]),
            track=[index for index, _ in controls],
            number=[value.number for _, value in controls],
            value=[value.value for _, value in controls],
        ),
        pitch_bends=PitchBends.of(
            tick=at([value for _, value in bends]),
            track=[index for index, _ in bends],
            value=[value.pitch for _, value in bends],
        ),
        texts=Texts.of(
            tick=at(lyrics),
            kind=["lyric"] * len(lyrics),
            text=[lyric.text for lyric in lyrics],
            track=[WHOLE_PIECE] * len(lyrics),
        ),
    )


def _sec(score: Score, tick: int) -> float:
    return float(score.tempo_map.tick_to_sec(tick))


def _key_number(sharps: int, is_minor: int) -> int:
    """Return pretty_midi's number of a key: its tonic, from C, and 12 more if it is minor."""
    return (7 * sharps + 9 * is_minor) % 12 + 12 * is_minor


def _sharps(key_number: int) -> tuple[int, int]:
    is_minor, tonic = divmod(key_number, 12)
    sharps = 7 * (tonic - 9 * is_minor) % 12
    return (sharps if sharps <= 6 else sharps - 12), is_minor


def _pretty_midi() -> Any:
    try:
        import pretty_midi
    except ImportError:
        raise MissingExtraError("pretty_midi is not installed; pip install 'etude[audio]'") from None
    return pretty_midi


def _rows(table: Any) -> list[tuple]:
    columns = (column.tolist() if isinstance(column, np.ndarray) else column for column in table.columns().values())
    return list(zip(*columns, strict=True))
