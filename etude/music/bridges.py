"""Scores to and from ``symusic.Score``, and through it to and from MidiTok's tokenizers.

Ticks stay as they are. Lost on the way there: texts other than lyrics and markers, and the track of those of the whole
piece. Everything else comes back as it was.
"""

from typing import Any

import numpy as np

from etude.music.columns import WHOLE_PIECE
from etude.music.midi_in import notes_in_order
from etude.music.score import (
    Controls,
    KeySignatures,
    Notes,
    PitchBends,
    Score,
    Tempos,
    Texts,
    TimeSignatures,
    Track,
)

_ALL_FIELDS = ("time", "duration", "pitch", "velocity", "number", "value", "track")


def to_symusic(score: Score) -> Any:
    """Return a ``symusic.Score`` in ticks; what MidiTok's tokenizers take.

    Example:
        >>> to_symusic(Score.of([0], [480], [60])).tracks[0].notes[0].pitch
        60
    """
    import symusic

    result = symusic.Score(score.ppq)
    result.tempos = symusic.core.TempoTickList(
        [symusic.Tempo(int(tick), mspq=int(value)) for tick, value in _rows(score.tempos)]
    )
    result.time_signatures = symusic.core.TimeSignatureTickList(
        [symusic.TimeSignature(*row) for row in _rows(score.time_signatures)]
    )
    result.key_signatures = symusic.core.KeySignatureTickList(
        [symusic.KeySignature(*row) for row in _rows(score.key_signatures)]
    )
    for index, track in enumerate(score.tracks):
        result.tracks.append(_symusic_track(symusic, score, index, track))
    for tick, kind, text, track in _rows(score.texts):
        if kind == "lyric":
            result.tracks[max(track, 0)].lyrics.append(symusic.TextMeta(tick, text))
        elif kind == "marker":
            result.markers.append(symusic.TextMeta(tick, text))
    return result


def _symusic_track(symusic: Any, score: Score, index: int, track: Track) -> Any:
    notes, controls, bends = (
        table.take(table.track == index) for table in (score.notes, score.controls, score.pitch_bends)
    )
    result = symusic.Track(name=track.name, program=track.program, is_drum=track.is_drum)
    # copied: symusic takes no array that cannot be written to
    result.notes = symusic.Note.from_numpy(
        time=notes.onset_tick.copy(),
        duration=notes.duration_tick.copy(),
        pitch=notes.pitch.astype(np.int8),
        velocity=notes.velocity.astype(np.int8),
    )
    result.controls = symusic.ControlChange.from_numpy(
        time=controls.tick.copy(), number=controls.number.astype(np.uint8), value=controls.value.astype(np.uint8)
    )
    result.pitch_bends = symusic.PitchBend.from_numpy(time=bends.tick.copy(), value=bends.value.copy())
    return result


def from_symusic(source: Any) -> Score:
    """Return the Score of a ``symusic.Score`` in ticks, quarters or seconds.

    Quarters and seconds are brought to ticks by symusic first.
    """
    import symusic

    if source.ttype != symusic.TimeUnit.tick:
        source = source.to("tick")
    tables = [
        [getattr(track, name).numpy() for track in source.tracks] for name in ("notes", "controls", "pitch_bends")
    ]
    notes, controls, bends = (_laid_end_to_end(table) for table in tables)
    texts = [(text.time, "marker", text.text, WHOLE_PIECE) for text in source.markers]
    for index, track in enumerate(source.tracks):
        texts += [(text.time, "lyric", text.text, index) for text in track.lyrics]
    return Score(
        source.ticks_per_quarter,
        _notes(notes),
        tuple(Track(track.program, track.is_drum, track.name) for track in source.tracks),
        tempos=Tempos.of(**_fields(source.tempos, tick="time", us_per_quarter="mspq")),
        time_signatures=TimeSignatures.of(
            **_fields(source.time_signatures, tick="time", numerator="numerator", denominator="denominator")
        ),
        key_signatures=KeySignatures.of(
            **_fields(source.key_signatures, tick="time", sharps="key", is_minor="tonality")
        ),
        controls=Controls.of(tick=controls["time"], **_named(controls, "track", "number", "value")),
        pitch_bends=PitchBends.of(tick=bends["time"], **_named(bends, "track", "value")),
        texts=Texts.of(**dict(zip(("tick", "kind", "text", "track"), zip(*texts, strict=True), strict=True)))
        if texts
        else Texts((), (), (), ()),
    )


def _notes(table: dict[str, np.ndarray]) -> Notes:
    return notes_in_order(
        *(table[name].astype(np.int32) for name in ("time", "duration", "pitch", "velocity", "track"))
    )


def _named(table: dict[str, np.ndarray], *names: str) -> dict[str, np.ndarray]:
    return {name: table[name] for name in names}


def _fields(rows: Any, **names: str) -> dict[str, list[int]]:
    return {name: [int(getattr(row, field)) for row in rows] for name, field in names.items()}


def _rows(table: Any) -> list[tuple]:
    columns = (column.tolist() if isinstance(column, np.ndarray) else column for column in table.columns().values())
    return list(zip(*columns, strict=True))


def _laid_end_to_end(tables: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Lay the tables of all tracks end to end as int32, and add the track of each row."""
    if not tables:
        return {name: np.empty(0, np.int32) for name in _ALL_FIELDS}
    sizes = [len(table["time"]) for table in tables]
    columns = {name: np.concatenate([table[name] for table in tables], dtype=np.int32) for name in tables[0]}
    return columns | {"track": np.repeat(np.arange(len(tables), dtype=np.int32), sizes)}
