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
from typing import NamedTuple

import numpy as np

from etude.music.smf import ProgramChange
from etude.music.smf_events import Events


class Part(NamedTuple):
    """What becomes one track: a channel and program of a track of the file."""

    source: int
    channel: int
    program: int


def pair_notes(events: Events) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows at which notes begin and end, by voice and pitch, and of controls, then bends, in file order.

    The fourth array is the voice of each note: 16 * file track + channel.
    """
    status = events.status
    is_note = status < 0xA0
    channel = status & 0x0F
    # without branches: the channels of other events are lifted out of the way
    first, last = (channel | ~is_note * np.uint8(0x10)).min(initial=0x10), (channel * is_note).max(initial=0)
    has_one_voice = first == last and events.source[0] == events.source[-1]
    # one sort brings the events of each pitch together, and the others behind them
    if has_one_voice:
        key, above = events.data1, 128
    else:
        above = len(events.end_tick) * 2048
        # numpy sorts 16-bit numbers by radix, ten times faster than longer ones
        key = ((events.source * 16 + channel) * 128 + events.data1).astype(
            np.uint16 if above + 2 < 1 << 16 else np.int64
        )
    place = np.zeros(256, key.dtype)
    place[0xA0:0xB0], place[0xB0:0xE0], place[0xE0:] = above + 2, above, above + 1
    order = np.argsort(key * is_note + place.take(status), kind="stable")
    num_notes, num_others = int(np.count_nonzero(is_note)), int(np.count_nonzero(status >= 0xB0))
    rows, others = order[:num_notes], order[num_notes : num_notes + num_others]
    begins, ends = rows[0::2], rows[1::2]
    is_begin = ((status >= 0x90) & (events.data2 > 0)).take(rows)
    key = key.take(rows)
    alternate = len(begins) == len(ends) and is_begin[0::2].all() and not is_begin[1::2].any()
    if not (alternate and np.array_equal(key[0::2], key[1::2])):
        begins, ends = _pair_in_turn(rows, is_begin, key)
    if has_one_voice:
        voice = np.full(len(begins), events.source[:1].sum() * 16 + first, np.int32)
    else:
        voice = events.source.take(begins) * 16 + channel.take(begins)
    return begins, ends, others, voice


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
    events: Events, begins: np.ndarray, others: np.ndarray, note_voice: np.ndarray
) -> tuple[list[Part], np.ndarray, np.ndarray]:
    """Return the parts, and to which of them each note and each other event belongs, -1 for none.

    Args:
        events: all events.
        begins: rows at which notes begin, by voice.
        others: rows of controls and bends.
        note_voice: the voice of each note.
    """
    other_voice = events.source.take(others) * 16 + (events.status.take(others) & 0x0F)
    starts = np.flatnonzero(note_voice[1:] != note_voice[:-1]) + 1
    starts = np.concatenate([[0], starts]) if len(note_voice) else starts
    first_note = np.minimum.reduceat(begins, starts) if len(starts) else begins
    changes: dict[int, list[ProgramChange]] = {}
    for change in events.programs:
        changes.setdefault(change.source * 16 + change.channel, []).append(change)
    home: dict[int, int] = {}
    split = []
    for voice, first in zip(note_voice[starts].tolist(), first_note.tolist(), strict=True):
        own = changes.get(voice, [])
        program = next((change.program for change in reversed(own) if change.index <= first), 0)
        home[voice] = voice * 128 + program
        if any(change.index > first and change.program != program for change in own):
            split.append(voice)
    is_there = np.zeros(16 * len(events.end_tick), bool)
    is_there[other_voice] = True
    silent = (changes.keys() | np.flatnonzero(is_there).tolist()) - home.keys()
    home |= _homes_of_silent(sorted(silent), home, changes)

    table = np.full(len(is_there), -1, np.int64)
    table[list(home)] = list(home.values())
    note_key, other_key = table.take(note_voice), table.take(other_voice)
    keys = {key for voice, key in home.items() if key >= 0 and voice not in split}
    for voice in split:
        _split_by_program(voice, changes[voice], (begins, note_voice, note_key), (others, other_voice, other_key))
        keys.update(np.unique(note_key[note_voice == voice]).tolist())
    ordered = sorted(keys)
    parts = [Part(key // 2048, key // 128 % 16, key % 128) for key in ordered]
    note_track, other_track = (np.searchsorted(ordered, key).astype(np.int32) for key in (note_key, other_key))
    other_track[other_key < 0] = -1
    return parts, note_track, other_track


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

    Both are given as rows, voices, keys.
    """
    index = [change.index for change in changes]
    programs = np.array([0, *(change.program for change in changes)])
    keys = []
    for rows, of_row, key in (notes, others):
        own = np.flatnonzero(of_row == voice)
        key[own] = voice * 128 + programs[np.searchsorted(index, rows[own], side="right")]
        keys.append((own, rows[own], key[own]))
    (_, begins, note_key), (own, rows, other_key) = keys
    order = np.argsort(begins)
    lost = ~np.isin(other_key, note_key)
    next_note = np.minimum(np.searchsorted(begins[order], rows[lost]), len(order) - 1)
    others[2][own[lost]] = note_key[order[next_note]]
