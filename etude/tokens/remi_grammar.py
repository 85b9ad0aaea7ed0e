"""The grammar of the `remi` tokenizer's ids, in each of its forms.

    piece   bar* END
    bar     metre tempo place* b-1                     tempo with remigen2 alone
    place   position tempo (instrument note+)+         tempo with remigen alone
    note    pitch duration velocity

Positions, and instruments at one position, only go up; pitches of one instrument at one position never do. A position
lies within its bar, and drums alone have the pitches from 128 on. The reduced form is

    bar     (position? instrument pitch duration)* b-1

in bars of 48 positions, with a position first, where instruments at one position never go down.
"""

import numpy as np

from etude.tokens.grammar import ANY, Grammar, Rule
from etude.tokens.remi_ids import Form
from etude.tokens.remi_vocab import (
    BAR,
    COMMON_METRE,
    DRUMS,
    DURATION,
    DURATIONS,
    END,
    INSTRUMENT,
    METRE,
    METRE_UNITS,
    NAMES,
    PITCH,
    POSITION,
    TEMPO,
    UNITS_PER_POSITION,
    UNUSED,
    VELOCITY,
)

# what may come: 1 or 0 each
_OPENS, _TEMPO, _MOVES, _INSTRUMENT, _PITCH, _DURATION, _VELOCITY = range(7)
# one more than the last position in the bar and the last instrument at the position, so that 0 is none
_POSITION_FROM, _INSTRUMENT_FROM = 7, 8
_BAR_LENGTH, _HIGHEST = 9, 10
_NUM_CELLS = 11
_EXPECTED = tuple(range(7))
_MAY = 1, 1
_TOP_PITCH = 255


def grammar_of(form: Form) -> Grammar:
    """Return the rules: real encodings keep them, and what keeps them and ends is decoded without a repair."""
    rules = [
        _position(form),
        _instrument(form),
        *_pitches(),
        _duration(form),
        *([_metre(form)] if form.metre else []),
        *([_tempo(form)] if form.bar_tempo or form.position_tempo else []),
        *([_velocity()] if form.velocity else []),
        Rule(
            ids=[BAR],
            needs=[(_MOVES, *_MAY)],
            clears=[*_EXPECTED, _POSITION_FROM, _INSTRUMENT_FROM],
            adds=[(_OPENS, 1), *([] if form.metre else [(_MOVES, 1)])],
        ),
        Rule(ids=[END], needs=[(_OPENS, *_MAY)], clears=_EXPECTED),
    ]
    initial = np.zeros(_NUM_CELLS, np.int32)
    initial[_OPENS] = 1
    if not form.metre:
        initial[_MOVES], initial[_BAR_LENGTH] = 1, _bar_lengths()[COMMON_METRE]
    return Grammar.of(vocab_size=len(NAMES), initial=initial, rules=rules)


def _bar_lengths() -> np.ndarray:
    """Return how many positions begin within a bar of each metre."""
    return -(-METRE_UNITS // UNITS_PER_POSITION)


def _metre(form: Form) -> Rule:
    numbers = np.arange(len(METRE_UNITS))
    return Rule(
        ids=METRE + numbers,
        needs=[(_OPENS, *_MAY)],
        clears=[*_EXPECTED, _BAR_LENGTH],
        adds=[(_TEMPO if form.bar_tempo else _MOVES, 1), (_BAR_LENGTH, _bar_lengths())],
    )


def _tempo(form: Form) -> Rule:
    return Rule(
        ids=np.arange(TEMPO, UNUSED),
        needs=[(_TEMPO, *_MAY)],
        clears=_EXPECTED,
        adds=[(_MOVES if form.bar_tempo else _INSTRUMENT, 1)],
    )


def _position(form: Form) -> Rule:
    numbers = np.arange(int(_bar_lengths().max()))
    return Rule(
        ids=POSITION + numbers,
        needs=[(_MOVES, *_MAY), (_POSITION_FROM, 0, numbers), (_BAR_LENGTH, numbers + 1, ANY)],
        clears=[*_EXPECTED, _POSITION_FROM, _INSTRUMENT_FROM],
        adds=[(_TEMPO if form.position_tempo else _INSTRUMENT, 1), (_POSITION_FROM, numbers + 1)],
    )


def _instrument(form: Form) -> Rule:
    numbers = np.arange(DRUMS + 1)
    # an instrument is named once at a position, or else before each of its notes
    highest_last = numbers + 1 if form.instrument else numbers
    return Rule(
        ids=INSTRUMENT + numbers,
        needs=[(_INSTRUMENT, *_MAY), (_INSTRUMENT_FROM, 0, highest_last)],
        clears=[*_EXPECTED, _INSTRUMENT_FROM, _HIGHEST],
        adds=[(_PITCH, 1), (_INSTRUMENT_FROM, numbers + 1), (_HIGHEST, _TOP_PITCH)],
    )


def _pitches() -> list[Rule]:
    """Return the rules of pitches and of the keys of drums."""
    numbers, rules = np.arange(128), []
    for first, lowest, highest in ((0, 1, DRUMS), (DRUMS, DRUMS + 1, DRUMS + 1)):
        pitch = first + numbers
        needs = [(_PITCH, *_MAY), (_INSTRUMENT_FROM, lowest, highest), (_HIGHEST, pitch, ANY)]
        adds = [(_DURATION, 1), (_HIGHEST, pitch)]
        rules.append(Rule(ids=PITCH + pitch, needs=needs, clears=[*_EXPECTED, _HIGHEST], adds=adds))
    return rules


def _duration(form: Form) -> Rule:
    adds = [(_VELOCITY, 1)] if form.velocity else [(_MOVES, 1), (_INSTRUMENT, 1)]
    return Rule(
        ids=np.arange(DURATION + 1, DURATION + len(DURATIONS)),
        needs=[(_DURATION, *_MAY)],
        clears=_EXPECTED,
        adds=adds,
    )


def _velocity() -> Rule:
    return Rule(
        ids=np.arange(VELOCITY, METRE),
        needs=[(_VELOCITY, *_MAY)],
        clears=_EXPECTED,
        adds=[(_MOVES, 1), (_INSTRUMENT, 1), (_PITCH, 1)],
    )
