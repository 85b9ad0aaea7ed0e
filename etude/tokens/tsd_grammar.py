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
from etude.tokens.tsd_layout import DRUMS, Layout

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
    told, has_offs = layout.settings, layout.has_offs
    rules = [*_program_rules(layout)]
    for is_drum, on, off in ((0, "NoteOn" if has_offs else "Pitch", "NoteOff"), (1, "DrumOn" if has_offs else "PitchDrum", "DrumOff")):
        ids = layout.ids(on)
        if not len(ids):
            continue
        needs = _instrument_needs(layout, is_drum)
        effects = _happens()
        effects["clears"].append(_PHASE)
        phase = _PITCH if told.use_velocities or not has_offs else _FREE
        effects["adds"].append((_PHASE, phase))
        if not has_offs:
            rules.append(Rule(ids=ids, needs=needs, **effects))
            continue
        own = pitches + 128 * is_drum + np.flatnonzero(layout.pitch_ids[0, is_drum] >= 0)
        began = _DRUM_ON if is_drum else _PITCHED_ON
        # one key may not sound more often than a cell can count
        effects["clears"].append(began)
        effects["adds"] += [(own, 1), (_SOUNDING, 1), (began, 1)]
        rules.append(Rule(ids=ids, needs=needs, **effects))
        ends = _happens()
        ends["clears"].append(_PHASE)
        ends["adds"] += [(own, -1), (_SOUNDING, -1)]
        not_at_once = [] if told.use_programs else [(began, 0, 0)]
        rules.append(Rule(ids=layout.ids(off), needs=[*needs, (own, 1, ANY), *not_at_once], **ends))
    after_velocity = _FREE if has_offs else _VELOCITY
    velocity_needs = [(_PHASE, _PITCH, _PITCH)]
    rules.append(Rule(ids=layout.ids("Velocity"), needs=velocity_needs, clears=[_PHASE], adds=[(_PHASE, after_velocity)]))
    length_after = _VELOCITY if told.use_velocities else _PITCH
    rules.append(Rule(ids=layout.ids("Duration"), needs=[(_PHASE, length_after, length_after)], clears=[_PHASE]))
    return [rule for rule in rules if len(rule.ids)]


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


def _instrument_needs(layout: Layout, is_drum: int) -> list[tuple]:
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
