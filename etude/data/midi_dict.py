"""MidiDict: a piece as one line of JSON, as Aria's tools read and write it.

    meta_msgs        {"type": "text" or "copyright", "data": str}
    tempo_msgs       {"type": "tempo", "data": microseconds per quarter note, "tick"}
    pedal_msgs       {"type": "pedal", "data": 0 or 1, "value": 0 to 127, "tick", "channel"}
    instrument_msgs  {"type": "instrument", "data": program, "tick", "channel"}
    note_msgs        {"type": "note", "data": {"pitch", "start", "end", "velocity"}, "tick": start, "channel"}
    ticks_per_beat   ticks per quarter note
    metadata         {"abs_load_path": the path of the piece, labels, …}

``abs_load_path`` must be there for Aria's tools; the path that it holds is relative.

Writing loses time and key signatures, all controls but the sustain pedal, pitch bends, lyrics and other texts,
names of tracks, and which of two tracks with one channel and program a note is in. Above fifteen instruments,
those of one program share a channel. Reading loses nothing that a line holds: a channel's notes are a track for
each program, those of channel 9 drums; a channel with a pedal and no notes is a track too.
"""

import json
from typing import Any

import numpy as np

from etude.errors import FormatError
from etude.music.check import check_score
from etude.music.columns import MAX_TICK
from etude.music.midi_in import DRUM_CHANNEL, notes_in_order
from etude.music.midi_out import channels_of
from etude.music.score import WHOLE_PIECE, Controls, Score, Tempos, Texts, Track
from etude.music.sustain import SUSTAIN
from etude.music.timing import DEFAULT_US_PER_QUARTER

KEYS = ("meta_msgs", "tempo_msgs", "pedal_msgs", "instrument_msgs", "note_msgs", "ticks_per_beat", "metadata")
"""Keys of a line, in their order."""

PATH = "abs_load_path"
_TEXTS = ("text", "copyright")


def midi_dict_of(score: Score, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a Score as a MidiDict; the header says what is lost.

    Args:
        score: the piece.
        metadata: what is known of it.

    Raises:
        FormatError: a value of the Score does not fit into MIDI.

    Example:
        >>> midi_dict_of(Score.of([0], [480], [60]))["note_msgs"]
        [{'type': 'note', 'data': {'pitch': 60, 'start': 0, 'end': 480, 'velocity': 64}, 'tick': 0, 'channel': 0}]
    """
    problems = check_score(score)
    if problems:
        raise FormatError(f"{problems[0].where}: {problems[0].message}")
    channels = channels_of(score)
    notes = score.notes
    controls = score.controls.take(score.controls.number == SUSTAIN)
    tempos = list(zip(score.tempos.us_per_quarter.tolist(), score.tempos.tick.tolist(), strict=True))
    if not tempos or tempos[0][1] > 0:
        tempos.insert(0, (DEFAULT_US_PER_QUARTER, 0))
    programs = dict.fromkeys(
        (track.program, int(channel)) for track, channel in zip(score.tracks, channels, strict=True)
    )
    rows = (
        notes.pitch,
        notes.onset_tick,
        notes.onset_tick + notes.duration_tick,
        notes.velocity,
        channels[notes.track],
    )
    pedal = (controls.value, controls.tick, channels[controls.track])
    return {
        "meta_msgs": [
            {"type": kind, "data": text}
            for kind, text in zip(score.texts.kind, score.texts.text, strict=True)
            if kind in _TEXTS
        ],
        "tempo_msgs": [{"type": "tempo", "data": data, "tick": tick} for data, tick in tempos],
        "pedal_msgs": [
            {"type": "pedal", "data": int(value >= SUSTAIN), "value": value, "tick": tick, "channel": channel}
            for value, tick, channel in zip(*(column.tolist() for column in pedal), strict=True)
        ],
        "instrument_msgs": [
            {"type": "instrument", "data": program, "tick": 0, "channel": channel}
            for program, channel in programs or {(0, 0): None}
        ],
        "note_msgs": [
            {
                "type": "note",
                "data": {"pitch": pitch, "start": start, "end": end, "velocity": velocity},
                "tick": start,
                "channel": channel,
            }
            for pitch, start, end, velocity, channel in zip(*(column.tolist() for column in rows), strict=True)
        ],
        "ticks_per_beat": score.ppq,
        "metadata": dict(metadata or {}),
    }


def midi_dict_line(score: Score, metadata: dict[str, Any] | None = None) -> str:
    """Return a Score as one line of JSON, without its end."""
    return json.dumps(midi_dict_of(score, metadata), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def read_midi_dict(line: bytes | str) -> Score:
    """Read one line.

    Raises:
        FormatError: it is no JSON, lacks a key, or holds a value that is out of range; one line that says where.
    """
    return score_of_midi_dict(_object_of(line))


def metadata_of_line(line: bytes | str) -> dict[str, Any]:
    """Return the metadata of a line.

    Raises:
        FormatError: it is no MidiDict.
    """
    metadata = _object_of(line)["metadata"]
    if not isinstance(metadata, dict):
        raise FormatError(f"metadata: {type(metadata).__name__}, expected an object")
    return metadata


def score_of_midi_dict(values: dict[str, Any]) -> Score:
    """Return the Score of a MidiDict.

    Raises:
        FormatError: it lacks a key, or holds a value that is out of range.
    """
    pitch, start, end, velocity = _columns(values, "note_msgs", ("pitch", "start", "end", "velocity"), of="data")
    (channel,) = _columns(values, "note_msgs", ("channel",))
    tempo, tempo_tick = _columns(values, "tempo_msgs", ("data", "tick"))
    ppq = values["ticks_per_beat"]
    if type(ppq) is not int or not 1 <= ppq <= MAX_TICK:
        raise FormatError(f"ticks_per_beat = {ppq!r:.40}: expected a whole number from 1")
    _check("note_msgs", "start", start, 0, MAX_TICK)
    _check("note_msgs", "end - start", end - start, 0, MAX_TICK)
    _check("note_msgs", "channel", channel, 0, 15)
    changes = _programs(values)
    keys = channel * 128 + _in_force(changes, channel, start)
    pedal = _columns(values, "pedal_msgs", ("data", "tick", "channel"))
    silent = np.setdiff1d(pedal[2], channel)
    parts = np.union1d(keys, silent * 128 + _in_force(changes, silent, np.zeros(len(silent))))
    tracks = tuple(Track(int(key) % 128, int(key) // 128 == DRUM_CHANNEL) for key in parts)
    score = Score(
        ppq,
        notes_in_order(
            *(c.astype(np.int32) for c in (start, end - start, pitch, velocity, np.searchsorted(parts, keys)))
        ),
        tracks,
        tempos=Tempos.of(tick=tempo_tick, us_per_quarter=tempo),
        controls=_pedal(values["pedal_msgs"], pedal, changes, parts),
        texts=_texts(values),
    )
    problems = check_score(score)
    if problems:
        raise FormatError(f"{problems[0].where}: {problems[0].message}")
    return score


def _object_of(line: bytes | str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"no JSON: {error}" if line.strip() else "empty") from None
    missing = [key for key in KEYS if not isinstance(values, dict) or key not in values]
    if missing:
        raise FormatError(f"no MidiDict: it has no '{missing[0]}'")
    return values


def _columns(values: dict[str, Any], name: str, fields: tuple[str, ...], *, of: str | None = None) -> list[np.ndarray]:
    """Return fields of all messages of a list as int64 columns."""
    messages = values[name]
    if not isinstance(messages, list):
        raise FormatError(f"{name}: {type(messages).__name__}, expected a list")
    columns = []
    for field in fields:
        where, row = f"{of}.{field}" if of else field, -1
        column = np.empty(len(messages), np.int64)
        try:
            for row, message in enumerate(messages):
                value = (message[of] if of else message)[field]
                if type(value) is not int:
                    raise FormatError(f"{name}[{row}].{where} = {value!r:.40}: expected a whole number")
                column[row] = value
        except (KeyError, TypeError, IndexError):
            raise FormatError(f"{name}[{row}]: no '{where}'") from None
        except OverflowError:
            raise FormatError(f"{name}[{row}].{where}: too large a number") from None
        columns.append(column)
    return columns


def _check(name: str, field: str, column: np.ndarray, low: int, high: int) -> None:
    wrong = (column < low) | (column > high)
    if wrong.any():
        row = int(wrong.argmax())
        raise FormatError(f"{name}[{row}]: {field} = {column[row]}, expected {low} to {high}")


def _programs(values: dict[str, Any]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return ticks and programs of the changes on each channel, by time."""
    program, tick, channel = _columns(values, "instrument_msgs", ("data", "tick", "channel"))
    _check("instrument_msgs", "data", program, 0, 127)
    changes = {}
    for one in np.unique(channel).tolist():
        rows = np.flatnonzero(channel == one)
        rows = rows[np.argsort(tick[rows], kind="stable")]
        changes[one] = (tick[rows], program[rows])
    return changes


def _in_force(changes: dict[int, tuple[np.ndarray, np.ndarray]], channel: np.ndarray, tick: np.ndarray) -> np.ndarray:
    """Return the program that holds on a channel at a tick; before the first change it is that one's."""
    programs = np.zeros(len(channel), np.int64)
    for one, (ticks, of_channel) in changes.items():
        rows = np.flatnonzero(channel == one)
        place = np.maximum(np.searchsorted(ticks, tick[rows], side="right") - 1, 0)
        programs[rows] = of_channel[place]
    return programs


def _pedal(
    messages: list[Any], columns: list[np.ndarray], changes: dict[int, tuple[np.ndarray, np.ndarray]], parts: np.ndarray
) -> Controls:
    """Return the movements of the pedal: of the track of the program in force, else of the channel's first."""
    down, tick, channel = columns
    _check("pedal_msgs", "channel", channel, 0, 15)
    value = np.where(down > 0, 127, 0)
    given = [(row, message["value"]) for row, message in enumerate(messages) if type(message.get("value")) is int]
    if given:
        rows, values = zip(*given, strict=True)
        value[list(rows)] = np.clip(values, -1, 128)
    keys = channel * 128 + _in_force(changes, channel, tick)
    own = np.searchsorted(parts, keys)
    is_there = np.append(parts, -1)[own] == keys
    track = np.where(is_there, own, np.searchsorted(parts, channel * 128))
    return Controls.of(tick=tick, track=track, number=np.full(len(tick), SUSTAIN), value=value)


def _texts(values: dict[str, Any]) -> Texts:
    messages = values["meta_msgs"]
    if not isinstance(messages, list):
        raise FormatError(f"meta_msgs: {type(messages).__name__}, expected a list")
    for row, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("data"), str):
            raise FormatError(f"meta_msgs[{row}]: no text in 'data'")
        if message.get("type") not in _TEXTS:
            raise FormatError(f"meta_msgs[{row}].type = {message.get('type')!r:.40}: expected text or copyright")
    count = len(messages)
    kinds, texts = ([message[key] for message in messages] for key in ("type", "data"))
    return Texts.of(tick=np.zeros(count), kind=kinds, text=texts, track=np.full(count, WHOLE_PIECE))
