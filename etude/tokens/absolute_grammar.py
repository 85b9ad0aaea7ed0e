"""The rules of the absolute and the relative tokenizer: real encodings keep them, and what keeps them needs no repair.

A cell holds where within a group the next id stands:

    -2 in the prefix   -1 nothing written   0 free   1 free, time has moved   2 (relative) no more waits
     3 a duration must follow   5 an onset, then nothing   8 an onset, then a duration
"""

import numpy as np

from etude.tokens.absolute_layout import (
    END,
    FIRST_DRUM,
    LAST_DRUM,
    LEVELS,
    LONGEST,
    NEAR_END,
    SEGMENT,
    SEGMENT_STEPS,
    START,
    Layout,
)
from etude.tokens.grammar import ANY, Grammar, Rule

_PHASE, _FLOOR, _ANNOUNCED, _NEAR_END, _PEDAL, _LABEL = range(6)
_FIRST_INSTRUMENT = _LABEL + 3
_ENDED, _PREFIX, _NOTHING, _FREE, _MOVED, _WAITED, _DURATION, _ONSET, _ONSET_DURATION = -9, -2, -1, 0, 1, 2, 3, 5, 8


def absolute_grammar(layout: Layout) -> Grammar:
    """Return the rules for onsets in segments: within a segment they never go back."""
    steps = np.arange(SEGMENT_STEPS)
    rules = [
        Rule(
            ids=[SEGMENT],
            needs=[(_PHASE, _FREE, _MOVED)],
            clears=[_PHASE, _FLOOR],
            adds=[(_PHASE, _MOVED)],
        ),
        Rule(
            ids=layout.time + steps,
            needs=[(_PHASE, _ONSET, _ONSET_DURATION), (_FLOOR, 0, steps)],
            clears=[_FLOOR],
            adds=[(_PHASE, -_ONSET), (_FLOOR, steps)],
        ),
    ]
    return _grammar(layout, rules, after_note=_ONSET_DURATION, after_drum=_ONSET)


def relative_grammar(layout: Layout) -> Grammar:
    """Return the rules for waits: after one shorter than the longest a note must follow."""
    may_wait = [(_PHASE, _FREE, _MOVED)]
    rules = [
        Rule(
            ids=layout.time + np.arange(1, LONGEST),
            needs=may_wait,
            clears=[_PHASE],
            adds=[(_PHASE, _WAITED)],
        ),
        Rule(ids=[layout.time + LONGEST], needs=may_wait, clears=[_PHASE], adds=[(_PHASE, _MOVED)]),
    ]
    return _grammar(layout, rules, after_note=_DURATION, after_drum=_FREE)


def _grammar(layout: Layout, rules: list[Rule], *, after_note: int, after_drum: int) -> Grammar:
    """Return all rules, given those for time and what follows a note and a drum."""
    num_instruments = len(layout.instruments)
    free = (_PHASE, _FREE, _WAITED)
    codes = np.arange(layout.drum_code)
    codes = codes[codes % LEVELS > 0]
    rules += [
        *_prefix_rules(layout),
        Rule(
            ids=layout.note + codes,
            needs=[free, (_FIRST_INSTRUMENT + codes // (128 * LEVELS), 1, 1)],
            clears=[_PHASE],
            adds=[(_PHASE, after_note)],
        ),
        Rule(
            ids=layout.duration + np.arange(1, LONGEST + 1),
            needs=[(_PHASE, _DURATION, _DURATION)],
            clears=[_PHASE],
        ),
        Rule(ids=[NEAR_END], needs=[free, (_NEAR_END, 0, 0)], adds=[(_NEAR_END, 1)]),
        Rule(ids=[END], needs=[(_PHASE, _NOTHING, _FREE)], clears=[_PHASE], adds=[(_PHASE, _ENDED)]),
    ]
    if layout.has_drums:
        keys = layout.note + layout.drum_code + np.arange(LAST_DRUM - FIRST_DRUM + 1)
        is_announced = (_FIRST_INSTRUMENT + num_instruments, 1, 1)
        rules.append(Rule(ids=keys, needs=[free, is_announced], clears=[_PHASE], adds=[(_PHASE, after_drum)]))
    if layout.has_pedal:
        for is_down in (0, 1):
            rules.append(
                Rule(
                    ids=[layout.pedal + is_down],
                    needs=[free, (_PEDAL, is_down, is_down), (_FIRST_INSTRUMENT, 1, 1)],
                    clears=[_PHASE, _PEDAL],
                    adds=[(_PHASE, after_drum), (_PEDAL, 1 - is_down)],
                )
            )
    if layout.has_delimiter:
        rules.append(Rule(ids=[layout.delimiter], needs=[free]))
    initial = np.zeros(_FIRST_INSTRUMENT + num_instruments + layout.has_drums, np.int32)
    initial[_PHASE] = _NOTHING
    return Grammar.of(vocab_size=layout.size, initial=initial, rules=rules)


def _prefix_rules(layout: Layout) -> list[Rule]:
    """Return that each instrument and one of each label may be announced, in any order, then START."""
    in_prefix = (_PHASE, _PREFIX, _NOTHING)
    instruments = np.arange(len(layout.instruments) + layout.has_drums)
    cells = _FIRST_INSTRUMENT + instruments
    rules = [
        Rule(
            ids=layout.instrument + instruments,
            needs=[in_prefix, (cells, 0, 0)],
            clears=[_PHASE],
            adds=[(_PHASE, _PREFIX), (cells, 1), (_ANNOUNCED, 1)],
        ),
        Rule(ids=[START], needs=[(_PHASE, _PREFIX, _PREFIX), (_ANNOUNCED, 1, ANY)], clears=[_PHASE]),
    ]
    for place, (key, values) in enumerate(layout.labels):
        rules.append(
            Rule(
                ids=layout.label[key] + np.arange(len(values)),
                needs=[in_prefix, (_LABEL + place, 0, 0)],
                clears=[_PHASE],
                adds=[(_PHASE, _PREFIX), (_LABEL + place, 1)],
            )
        )
    return rules
