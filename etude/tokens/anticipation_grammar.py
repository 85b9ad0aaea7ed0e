"""Which ids of the anticipation tokenizer may come next.

The cells hold how far the present triplet has come, the time of the last event, counted from the start of the window,
and two keys, time * notes + note + 1 of the last event and of the last control. The id of a time is taken off the key,
which leaves note + 1 at the same time, and less than 1 at a later one; the note then has to be at least that.
"""

import numpy as np

from etude.tokens.anticipation_layout import (
    ADURATION,
    ANOTE,
    ANTICIPATE,
    ATIME,
    AUTOREGRESS,
    DURATION,
    END,
    MOST_WINDOWS,
    NOTE,
    NUM_DURATIONS,
    NUM_NOTES,
    PAD,
    REST,
    STEPS_AHEAD,
    STEPS_IN_WINDOW,
    STEPS_TO_REST,
    TIME,
)
from etude.tokens.grammar import ANY, Grammar, Rule
from etude.tokens.grammar_copying import CopyingGrammar, CopyingRule

_WEIGHT = NUM_NOTES + 2
"""Keys have room for all notes and, after them, a REST."""
_LATEST_WITH_ROOM = NUM_NOTES - 1

_PLACE, _NOW, _FLAG, _WINDOWS, _STEP_BACK, _DURATION, _EVENT_KEY, _EVENT_TIME, _CONTROL_KEY, _CONTROL_TIME = range(10)
_BETWEEN, _EVENT_TIMED, _EVENT_LASTS, _CONTROL_TIMED, _CONTROL_LASTS, _ENDED = range(6)


def anticipation_grammar() -> Grammar:
    """Return the rules: real encodings keep them, and whatever keeps them and ends is a valid piece."""
    initial = np.zeros(10, np.int32)
    # the first flag turns this into 0
    initial[_NOW] = STEPS_IN_WINDOW
    rules = [
        *_times(),
        *_durations(),
        *_notes(),
        _flag(AUTOREGRESS, (-1, 0), -1),
        _flag(ANTICIPATE, (0, 1), 1),
        Rule(ids=[END], needs=[_at(_BETWEEN)], adds=[(_PLACE, _ENDED)]),
    ]
    return CopyingGrammar.of(vocab_size=PAD + 1, initial=initial, rules=rules)


def _at(place: int) -> tuple[int, int, int]:
    return _PLACE, place, place


def _times() -> list[Rule]:
    step = np.arange(STEPS_IN_WINDOW)
    key = step * _WEIGHT
    return [
        CopyingRule(
            ids=TIME + step,
            needs=[_at(_BETWEEN), (_NOW, step - STEPS_TO_REST, step), (_EVENT_KEY, -ANY, key + _LATEST_WITH_ROOM)],
            copies=[(_STEP_BACK, _NOW)],
            clears=[_NOW, _EVENT_TIME],
            adds=[(_PLACE, _EVENT_TIMED), (_STEP_BACK, -step), (_NOW, step), (_EVENT_KEY, -key), (_EVENT_TIME, key)],
        ),
        Rule(
            ids=ATIME + step,
            needs=[
                _at(_BETWEEN),
                (_FLAG, 1, 1),
                (_NOW, step - STEPS_AHEAD, step),
                (_CONTROL_KEY, -ANY, key + _LATEST_WITH_ROOM),
            ],
            clears=[_CONTROL_TIME],
            adds=[(_PLACE, _CONTROL_TIMED), (_CONTROL_KEY, -key), (_CONTROL_TIME, key)],
        ),
    ]


def _durations() -> list[Rule]:
    steps = np.arange(NUM_DURATIONS)
    return [
        Rule(
            ids=DURATION + steps,
            needs=[_at(_EVENT_TIMED)],
            clears=[_DURATION],
            adds=[(_PLACE, 1), (_DURATION, steps)],
        ),
        Rule(ids=ADURATION + steps, needs=[_at(_CONTROL_TIMED)], adds=[(_PLACE, 1)]),
    ]


def _notes() -> list[Rule]:
    note = np.arange(NUM_NOTES)
    return [
        CopyingRule(
            ids=NOTE + note,
            needs=[_at(_EVENT_LASTS), (_EVENT_KEY, -ANY, note)],
            copies=[(_EVENT_KEY, _EVENT_TIME)],
            clears=[_PLACE],
            adds=[(_EVENT_KEY, note + 1)],
        ),
        CopyingRule(
            ids=[REST],
            needs=[_at(_EVENT_LASTS), (_STEP_BACK, -STEPS_TO_REST, -STEPS_TO_REST), (_DURATION, 0, 0)],
            copies=[(_EVENT_KEY, _EVENT_TIME)],
            clears=[_PLACE],
            adds=[(_EVENT_KEY, NUM_NOTES + 1)],
        ),
        CopyingRule(
            ids=ANOTE + note,
            needs=[_at(_CONTROL_LASTS), (_CONTROL_KEY, -ANY, note)],
            copies=[(_CONTROL_KEY, _CONTROL_TIME)],
            clears=[_PLACE],
            adds=[(_CONTROL_KEY, note + 1)],
        ),
    ]


def _flag(flag: int, flags_before: tuple[int, int], becomes: int) -> Rule:
    return Rule(
        ids=[flag],
        needs=[
            _at(_BETWEEN),
            (_FLAG, *flags_before),
            (_NOW, STEPS_IN_WINDOW - STEPS_TO_REST, ANY),
            (_WINDOWS, 0, MOST_WINDOWS - 1),
        ],
        clears=[_FLAG, _EVENT_KEY, _CONTROL_KEY],
        adds=[(_FLAG, becomes), (_WINDOWS, 1), (_NOW, -STEPS_IN_WINDOW)],
    )
