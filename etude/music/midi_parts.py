"""Which notes a MIDI file holds and which tracks they make: note ends to beginnings, channels to tracks.

A *voice* is a channel of a track of the file. Notes of one voice and pitch that overlap end in the order in
which they began. A note end without a note is passed over, and so is a note without an end: how long it was
meant to sound is not known.

A *part* becomes a track of the Score: the notes of one voice and program. A control or pitch bend goes to
the part of the program in force; if that has no notes, to the part of the voice's next note, else of its
last. If its voice has no notes, it goes to the first part on its channel, or is left out, because it cannot
be heard, where there is none. A track of the file with no notes, all on one channel, that chooses a program
or has the channel to itself becomes a part without notes.
"""

from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from etude.music.smf import ProgramChange
from etude.music.smf_events import Events

_FEW_VOICES = 128


class Part(NamedTuple):
    """What becomes one track: a channel and program of a track of the file."""

    source: int
    channel: int
    program: int


class Voices(NamedTuple):
    """The voices that plain events belong to, in order."""

    ids: list[int]
    """Of each voice: 16 * file track + channel."""
    place: np.ndarray | None
    """Of each plain event: the place of its voice in ``ids``; None where there is one voice."""

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return the places of some events' voices, int32."""
        return np.zeros(len(rows), np.int32) if self.place is None else self.place.take(rows).astype(np.int32)


def voices_of(events: Events) -> Voices:
    """Return the voices of all plain events."""
    if not len(events.status):
        return Voices([], None)
    channel = events.status & 0x0F
    runs = [(source, begin, end) for source, (begin, end) in enumerate(pairwise(events.first_event)) if begin < end]
    starts = [begin for _, begin, _ in runs]
    lowest, highest = np.minimum.reduceat(channel, starts).tolist(), np.maximum.reduceat(channel, starts).tolist()
    if lowest == highest:
        ids = [source * 16 + own for (source, _, _), own in zip(runs, lowest, strict=True)]
        if len(ids) == 1:
            return Voices(ids, None)
        place = np.empty(len(channel), _kind_of_place(len(ids)))
        for number, (_, begin, end) in enumerate(runs):
            place[begin:end] = number
        return Voices(ids, place)
    voice = np.empty(len(channel), np.int64)
    for source, begin, end in runs:
        np.add(channel[begin:end], 16 * source, out=voice[begin:end], dtype=np.int64)
    is_there = np.zeros(16 * len(events.first_event), bool)
    is_there[voice] = True
    ids = is_there.nonzero()[0]
    table = np.zeros(len(is_there), _kind_of_place(len(ids)))
    table[ids] = np.arange(len(ids))
    return Voices(ids.tolist(), table.take(voice))


def _kind_of_place(num_voices: int) -> type:
    """Return the smallest kind of number that a place, a pitch and what an event is fit into."""
    return np.uint16 if num_voices <= _FEW_VOICES else np.int64


def pair_notes(events: Events, voices: Voices) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return the rows at which notes begin and end, by voice and pitch, and of controls, then bends, in file order.

    The number is how many controls there are.
    """
    status = events.status
    # this bit is set in all plain events but those of notes
    other = status & 0x20
    num_notes = len(status) - int(np.count_nonzero(other))
    is_end = (events.data2 == 0) | (status < 0x90)
    # one sort brings beginnings to the front and ends behind them, both by voice and pitch, and last what is no note;
    # numpy sorts numbers of 8 and 16 bits by radix, ten times faster than longer ones
    voice_pitch, first_end = events.data1, 0x80
    if voices.place is None:
        key = np.maximum(voice_pitch | is_end * np.uint8(0x80), (other >> 5) * np.uint8(0xFF))
    if voices.place is not None or np.count_nonzero(key == 0xFF) > len(status) - num_notes:
        place = np.uint16(0) if voices.place is None else voices.place
        first_end = max(len(voices.ids), _FEW_VOICES) * 128
        voice_pitch = place * place.dtype.type(128) + voice_pitch
        kind = voice_pitch.dtype.type
        key = np.maximum(voice_pitch | is_end * kind(first_end), other * kind(first_end >> 4))
    order = key.argsort(kind="stable")
    num_begins = int(np.count_nonzero(key < first_end))
    begins, ends, others = order[:num_begins], order[num_begins:num_notes], order[num_notes:]
    # where all notes end, and no end comes before its beginning, the k-th of a voice and pitch belong together
    if not (
        len(begins) == len(ends)
        and (voice_pitch.take(begins) == voice_pitch.take(ends)).all()
        and (begins < ends).all()
    ):
        rows = np.sort(order[:num_notes])
        rows = rows.take(voice_pitch.take(rows).argsort(kind="stable"))
        begins, ends = _pair_in_turn(rows, ~is_end.take(rows), voice_pitch.take(rows))
    num_controls = len(others)
    if ((status & 0x30) == 0x20).any():
        kind = status.take(others) & 0xF0
        controls, bends = others[kind == 0xB0], others[kind == 0xE0]
        others, num_controls = np.concatenate([controls, bends]), len(controls)
    return begins, ends, others, num_controls


def _pair_in_turn(rows: np.ndarray, is_begin: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair the k-th beginning of each key with its k-th end, passing over ends while nothing sounds."""
    group = np.zeros(len(key), np.int64)
    group[1:] = np.cumsum(key[1:] != key[:-1])
    step = np.where(is_begin, 1, -1)
    height = np.cumsum(step)
    first = np.searchsorted(group, group)
    # how many sound before an event: the height above the lowest point so far in the group
    before = height - step - (height - step)[first]
    drop = 2 * len(key) + 1
    lowest = np.minimum.accumulate(np.minimum(before, 0) - group * drop) + group * drop
    is_end = ~is_begin & (before > lowest)
    begin_rank = np.cumsum(is_begin) - is_begin
    num_ends = np.bincount(group[is_end], minlength=int(group[-1]) + 1 if len(group) else 0)
    has_end = is_begin & (begin_rank - begin_rank[first] < num_ends[group])
    return rows[has_end], rows[is_end]


def parts_of(
    events: Events, voices: Voices, begins: np.ndarray, others: np.ndarray
) -> tuple[list[Part], np.ndarray, np.ndarray]:
    """Return the parts, and to which of them each note and each other event belongs, int32, -1 for none.

    Args:
        events: all events.
        voices: theirs.
        begins: rows at which notes begin, by voice.
        others: rows of controls and bends.
    """
    note_voice, other_voice = voices.of(begins), voices.of(others)
    starts = note_voice.searchsorted(np.arange(len(voices.ids) + 1)).tolist()
    with_notes = [place for place, (start, end) in enumerate(pairwise(starts)) if start < end]
    first_note = np.minimum.reduceat(begins, [starts[place] for place in with_notes]).tolist() if with_notes else []
    changes: dict[int, list[ProgramChange]] = {}
    for change in events.programs:
        changes.setdefault(change.source * 16 + change.channel, []).append(change)
    home: dict[int, int] = {}
    split = []
    for place, first in zip(with_notes, first_note, strict=True):
        voice = voices.ids[place]
        own = changes.get(voice, ())
        program = next((change.program for change in reversed(own) if change.index <= first), 0)
        home[voice] = voice * 128 + program
        if any(change.index > first and change.program != program for change in own):
            split.append(place)
    if len(home) < len(voices.ids) or changes.keys() - home.keys():
        has_others = np.zeros(len(voices.ids), bool)
        has_others[other_voice] = True
        silent = changes.keys() | {voices.ids[place] for place in has_others.nonzero()[0].tolist()}
        home |= _homes_of_silent(sorted(silent - home.keys()), home, changes)
    elif not split:
        parts = [Part(key // 2048, key // 128 % 16, key % 128) for key in home.values()]
        return parts, note_voice, other_voice
    if split:
        keys = np.array([home.get(voice, -1) for voice in voices.ids])
        note_key, other_key = keys.take(note_voice), keys.take(other_voice)
        for place in split:
            voice = voices.ids[place]
            del home[voice]
            own = (note_voice == place).nonzero()[0], (other_voice == place).nonzero()[0]
            _split_by_program(voice, changes[voice], (begins, own[0], note_key), (others, own[1], other_key))
        ordered = sorted({key for key in home.values() if key >= 0} | set(np.unique(note_key).tolist()))
        note_track, other_track = (np.searchsorted(ordered, key).astype(np.int32) for key in (note_key, other_key))
        other_track[other_key < 0] = -1
    else:
        ordered = sorted({key for key in home.values() if key >= 0})
        track = {key: track for track, key in enumerate(ordered)}
        tracks = np.array([track.get(home.get(voice), -1) for voice in voices.ids], np.int32)
        note_track, other_track = tracks.take(note_voice), tracks.take(other_voice)
    return [Part(key // 2048, key // 128 % 16, key % 128) for key in ordered], note_track, other_track


def _homes_of_silent(
    silent: list[int], home: dict[int, int], changes: dict[int, list[ProgramChange]]
) -> dict[int, int]:
    """Return the keys of voices without notes, -1 for those that cannot be heard."""
    of_channel: dict[int, int] = {}
    for voice, key in home.items():
        of_channel.setdefault(voice % 16, key)
    crowded = Counter(voice // 16 for voice in [*home, *silent])
    homes = {}
    for voice in silent:
        is_alone = crowded[voice // 16] == 1
        if is_alone and (voice in changes or voice % 16 not in of_channel):
            homes[voice] = voice * 128 + (changes[voice][-1].program if voice in changes else 0)
        else:
            homes[voice] = of_channel.get(voice % 16, -1)
    return homes


def _split_by_program(
    voice: int,
    changes: list[ProgramChange],
    notes: tuple[np.ndarray, np.ndarray, np.ndarray],
    others: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Change in place the keys of one voice's notes and other events to those of the programs in force.

    Both are given as rows, which of them are the voice's, and keys.
    """
    index = [change.index for change in changes]
    programs = np.array([0, *(change.program for change in changes)])
    for rows, own, key in (notes, others):
        key[own] = voice * 128 + programs[np.searchsorted(index, rows[own], side="right")]
    begins, note_key = notes[0][notes[1]], notes[2][notes[1]]
    order = np.argsort(begins)
    own = others[1][~np.isin(others[2][others[1]], note_key)]
    next_note = np.minimum(np.searchsorted(begins[order], others[0][own]), len(order) - 1)
    others[2][own] = note_key[order[next_note]]
