"""Which ids of ``tsd`` and ``midilike`` may come next.

What holds at one tick: a signature, then a tempo, then a key, each at most once, then pedals and notes in any order.
What holds of time: a run of shifts, or of rests and shifts, is a split that ``Ladder.split`` could have made, and
something follows it. What holds of a note: its ids in their order, its instrument before it where instruments are
told, drums by drum ids alone.
What holds of ends: a note ends only after it began, with one instrument never at the tick at which one of the
same kind, pitched or drum, began; with ``use_programs`` the notes of all instruments are counted together.
"""

import numpy as np

from etude.tokens.grammar import ANY, Grammar, Rule
from etude.tokens.id_facts import DRUMS
from etude.tokens.tsd_layout import NONE, Layout

_PHASE, _STAGE, _WAITS, _SHIFTS, _RESTS, _DRUMS, _DOWN, _PITCHED_ON, _DRUM_ON, _SOUNDING, _FIRST = range(11)
"""Cells: what of a group of ids was told; what was told at this tick; whether time moved last; how many of the
shortest shifts, and rests, may come; whether the instrument in force is drums (2), pitched (1) or none (0); pedals
that are down; whether a pitched note, a drum began at this tick; notes that sound; and then one cell for each
pedal and for each pitch."""

_FREE, _PROGRAM, _PITCH, _VELOCITY, _ENDED = range(5)
_NOTHING, _METRE, _TEMPO, _KEY, _REST_OF_TICK = range(5)
_NO_INSTRUMENT, _PITCHED, _DRUM = range(3)

_MOST = 1 << 14
"""More than any ladder is long."""


def grammar_of(layout: Layout) -> Grammar:
    """Return the rules of one vocabulary."""
    num_pedals = len(layout.ids("Pedal"))
    pedals = _FIRST + np.arange(num_pedals)
    pitches = _FIRST + num_pedals
    initial = np.zeros(pitches + (256 if layout.has_offs else 0), np.int32)
    initial[[_SHIFTS, _RESTS]] = _MOST
    rules = [*_time_rules(layout, pedals), *_rules_of_all_tracks(layout), *_pedal_rules(layout, pedals)]
    rules += [*_note_rules(layout, pitches), _end_rule(layout)]
    return Grammar.of(vocab_size=len(layout.vocab), initial=initial, rules=rules)


_IS_FREE = (_PHASE, _FREE, _FREE)
_TIME_STANDS = [_WAITS, _SHIFTS, _RESTS]


def _happens(stage: int = _REST_OF_TICK) -> dict:
    """Return what every id does that is not time: after it any wait may begin."""
    return {"clears": [*_TIME_STANDS, _STAGE], "adds": [(_SHIFTS, _MOST), (_RESTS, _MOST), (_STAGE, stage)]}


def _time_rules(layout: Layout, pedals: np.ndarray) -> list[Rule]:
    """Return the rules of shifts and rests: after each a shorter one may follow, as far as its gap leaves room."""
    cleared = [*_TIME_STANDS, _STAGE, _PITCHED_ON, _DRUM_ON]
    # a pedal is 1 when it went down at this tick, 2 once time has moved
    older = [(pedals, 2, 2)] if len(pedals) else []
    rules, shifts = [], layout.shifts
    for row, room in enumerate(shifts.followers().tolist()):
        room = _MOST if row == len(shifts.steps) - 1 else room
        needs = [_IS_FREE, (_SHIFTS, row + 1, ANY)]
        adds = [(_WAITS, 1), (_SHIFTS, room)]
        rules.append(Rule(ids=[shifts.first_id + row], needs=needs, clears=cleared, multiplies=older, adds=adds))
    if layout.rests is None:
        return rules
    rests = layout.rests
    shorter = int(np.searchsorted(shifts.steps, rests.steps[0]))
    silent = [(_SOUNDING, 0, 0)] if layout.has_offs else []
    for row, room in enumerate(rests.followers().tolist()):
        room = _MOST if row == len(rests.steps) - 1 else room
        needs = [_IS_FREE, (_RESTS, row + 1, ANY), *silent]
        adds = [(_WAITS, 1), (_SHIFTS, shorter), (_RESTS, room)]
        rules.append(Rule(ids=[rests.first_id + row], needs=needs, clears=cleared, multiplies=older, adds=adds))
    return rules


def _rules_of_all_tracks(layout: Layout) -> list[Rule]:
    stages = (("TimeSig", _METRE), ("Tempo", _TEMPO), ("KeySig", _KEY))
    return [
        Rule(ids=layout.ids(kind), needs=[_IS_FREE, (_STAGE, _NOTHING, stage - 1)], **_happens(stage))
        for kind, stage in stages
    ]


def _pedal_rules(layout: Layout, pedals: np.ndarray) -> list[Rule]:
    if not len(pedals):
        return []
    down, up = _happens(), _happens()
    down["adds"] += [(pedals, 1), (_DOWN, 1)]
    up["adds"] += [(pedals, -2), (_DOWN, -1)]
    return [
        Rule(ids=layout.ids("Pedal"), needs=[_IS_FREE, (pedals, 0, 0)], **down),
        Rule(ids=layout.ids("PedalOff"), needs=[_IS_FREE, (pedals, 2, 2)], **up),
    ]


def _note_rules(layout: Layout, pitches: int) -> list[Rule]:
    rules = _program_rules(layout) + _drum_or_pitch_rules(layout, pitches, is_drum=False)
    rules += _drum_or_pitch_rules(layout, pitches, is_drum=True)
    before_length, velocities, lengths = _PITCH, layout.ids("Velocity"), layout.ids("Duration")
    if len(velocities):
        before_length = _VELOCITY
        after = _FREE if layout.has_offs else _VELOCITY
        rules.append(Rule(ids=velocities, needs=[(_PHASE, _PITCH, _PITCH)], clears=[_PHASE], adds=[(_PHASE, after)]))
    if len(lengths):
        rules.append(Rule(ids=lengths, needs=[(_PHASE, before_length, before_length)], clears=[_PHASE]))
    return rules


def _drum_or_pitch_rules(layout: Layout, pitches: int, *, is_drum: bool) -> list[Rule]:
    """Return the rules of the beginnings and ends of drum notes, or of all others.

    Args:
        layout: the vocabulary.
        pitches: the first of the cells that count how often each pitch sounds, 128 pitched and 128 drums.
        is_drum: which of the two.
    """
    on, off = layout.on_and_off(is_drum)
    if not len(on):
        return []
    needs, begins = _instrument_needs(layout, is_drum), _happens()
    begins["clears"].append(_PHASE)
    # without a velocity or a length to come, the note is whole
    begins["adds"].append((_PHASE, _FREE if layout.ids_of_a_note == 1 else _PITCH))
    if not layout.has_offs:
        return [Rule(ids=on, needs=needs, **begins)]
    own = pitches + 128 * is_drum + np.flatnonzero(layout.pitch_ids[0, int(is_drum)] != NONE)
    began = _DRUM_ON if is_drum else _PITCHED_ON
    begins["clears"].append(began)
    begins["adds"] += [(own, 1), (_SOUNDING, 1), (began, 1)]
    ends = _happens()
    ends["clears"].append(_PHASE)
    ends["adds"] += [(own, -1), (_SOUNDING, -1)]
    not_at_once = [] if layout.settings.use_programs else [(began, 0, 0)]
    return [
        Rule(ids=on, needs=needs, **begins),
        Rule(ids=off, needs=[*needs, (own, 1, ANY), *not_at_once], **ends),
    ]


def _program_rules(layout: Layout) -> list[Rule]:
    """Return the rules of instruments; drums and others differ in which pitches may follow."""
    rules, programs = [], layout.ids("Program")
    is_drum = layout.instrument_of_row[: len(programs)] == DRUMS
    for kind, ids in ((_PITCHED, programs[~is_drum]), (_DRUM, programs[is_drum])):
        effects = _happens()
        effects["clears"] += [_PHASE, _DRUMS]
        effects["adds"] += [(_PHASE, _PROGRAM), (_DRUMS, kind)]
        rules.append(Rule(ids=ids, needs=[_IS_FREE], **effects))
    return rules


def _instrument_needs(layout: Layout, is_drum: bool) -> list[tuple]:
    """Return what must have been told before a pitch."""
    told = layout.settings
    if not told.use_programs:
        return [_IS_FREE]
    phase = (_PHASE, _FREE if told.program_changes else _PROGRAM, _PROGRAM)
    if not told.use_pitchdrum_tokens:
        return [phase, (_DRUMS, _PITCHED, _DRUM)]
    kind = _DRUM if is_drum else _PITCHED
    return [phase, (_DRUMS, kind, kind)]


def _end_rule(layout: Layout) -> Rule:
    needs = [_IS_FREE, (_WAITS, 0, 0), (_DOWN, 0, 0)]
    if layout.has_offs:
        needs.append((_SOUNDING, 0, 0))
    return Rule(ids=[layout.vocab.id_of("END")], needs=needs, adds=[(_PHASE, _ENDED)])
