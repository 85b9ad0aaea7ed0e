"""Which ids of the octuple tokenizer may come next, over rows laid end to end, one codebook after the other.

What may come depends on the row before: in the same bar the metre stays and positions go on, at the same position
the tempo stays and programs go on, in the same program pitches rise. So each row builds up a key in a cell,

    ((bar * positions + position) * programs + program) * pitches + pitch + 1

and the ids of the next row take it apart: each is taken off with its weight, which leaves the part that is lower than
its own where it is the same, and less than 1 where it has grown. An id then has to be at least what is left. Metre
and tempo end smaller keys, once as metre + 1 and once as metres - metre: two bounds hold them to what they were.
"""

import numpy as np

from etude.tokens.grammar import ANY, Grammar, Rule
from etude.tokens.grammar_copying import CopyingGrammar, CopyingRule
from etude.tokens.octuple_layout import (
    BAR,
    BAR_LENGTHS,
    BARS_IN_SECTION,
    DURATION,
    END,
    LONGEST_BAR,
    MASK,
    METRE,
    METRES,
    MOST_SECTIONS,
    PITCH,
    POSITION,
    PROGRAM,
    SECTION,
    TEMPO,
    TEMPOS_QPM,
    VELOCITY,
)

_PROGRAM_WEIGHT = 129
_POSITION_WEIGHT = 129 * _PROGRAM_WEIGHT
_BAR_WEIGHT = LONGEST_BAR * _POSITION_WEIGHT
_LAST_IN_PROGRAM = 127
_LAST_AT_POSITION = 128 * _PROGRAM_WEIGHT + _LAST_IN_PROGRAM
_LAST_IN_BAR = (LONGEST_BAR - 1) * _POSITION_WEIGHT + _LAST_AT_POSITION
"""What may be left of a key where a program, a position and a bar still have room for a note."""
_METRE_WEIGHT, _TEMPO_WEIGHT = 256, 64
_MOMENT_WEIGHT = LONGEST_BAR * _TEMPO_WEIGHT

_RING = range(8)
"""One of these cells is 1: how far a row of SECTION has come."""
(
    _PLACE,
    _ENDED,
    _SECTIONS,
    _LAST_NOTE,
    _LAST_FROM_BAR_END,
    _NOTE,
    _METRE_UP,
    _METRE_DOWN,
    _SHORTNESS,
    _BAR,
    _TEMPO_UP,
    _TEMPO_DOWN,
    _MOMENT,
    _POSITION,
    _IS_DRUM,
) = range(8, 23)
_NUM_CELLS = 23
_METRE_CELLS = (_METRE_UP, _METRE_DOWN, _SHORTNESS)
_TEMPO_CELLS = (_TEMPO_UP, _TEMPO_DOWN)


def octuple_grammar() -> Grammar:
    """Return the rules: real encodings keep them, and whatever keeps them and ends is a valid piece."""
    initial = np.zeros(_NUM_CELLS, np.int32)
    initial[_RING[0]] = 1
    rules = [*_specials(), _bars(), _positions(), _programs(), *_pitches()]
    rules += [
        Rule(ids=np.arange(DURATION, VELOCITY), needs=[_at(4)], adds=[(_PLACE, 1)]),
        Rule(ids=np.arange(VELOCITY, METRE), needs=[_at(5)], adds=[(_PLACE, 1)]),
        _metres(),
        _tempos(),
    ]
    return CopyingGrammar.of(vocab_size=MASK + 1, initial=initial, rules=rules)


def _at(place: int) -> tuple[int, int, int]:
    return _PLACE, place, place


def _specials() -> list[Rule]:
    last_section = 8 * (MOST_SECTIONS - 1)
    return [
        CopyingRule(
            ids=[SECTION],
            needs=[_at(0), (_ENDED, 0, 0), (_SECTIONS, 0, last_section - 1)],
            copies=[(place, (place - 1) % 8) for place in _RING],
            clears=[_LAST_NOTE, _LAST_FROM_BAR_END, *_METRE_CELLS, *_TEMPO_CELLS],
            adds=[(_SECTIONS, 1)],
        ),
        Rule(ids=[END], needs=[_at(0), (_RING[0], 1, 1), (_ENDED, 0, 7)], adds=[(_ENDED, 1)]),
    ]


def _bars() -> Rule:
    bar = np.arange(BARS_IN_SECTION)
    key = bar * _BAR_WEIGHT
    return Rule(
        ids=BAR + bar,
        needs=[_at(0), (_RING[0], 1, 1), (_ENDED, 0, 0), (_LAST_FROM_BAR_END, -ANY, key + _LAST_IN_BAR)],
        clears=[_NOTE, _BAR, _MOMENT],
        adds=[
            (_PLACE, 1),
            (_LAST_NOTE, -key),
            (_NOTE, key),
            *((cell, -bar * _METRE_WEIGHT) for cell in _METRE_CELLS),
            (_BAR, bar * _METRE_WEIGHT),
            *((cell, -bar * _MOMENT_WEIGHT) for cell in _TEMPO_CELLS),
            (_MOMENT, bar * _MOMENT_WEIGHT),
        ],
    )


def _positions() -> Rule:
    position = np.arange(LONGEST_BAR)
    key = position * _POSITION_WEIGHT
    return Rule(
        ids=POSITION + position,
        needs=[
            _at(1),
            (_LAST_NOTE, -ANY, key + _LAST_AT_POSITION),
            # in a bar that has begun, its length is known
            (_SHORTNESS, -ANY, LONGEST_BAR - position),
        ],
        clears=[_POSITION],
        adds=[
            (_PLACE, 1),
            (_LAST_NOTE, -key),
            (_NOTE, key),
            (_POSITION, position),
            *((cell, -position * _TEMPO_WEIGHT) for cell in _TEMPO_CELLS),
            (_MOMENT, position * _TEMPO_WEIGHT),
        ],
    )


def _programs() -> Rule:
    program = np.arange(129)
    key = program * _PROGRAM_WEIGHT
    return Rule(
        ids=PROGRAM + program,
        needs=[_at(2), (_LAST_NOTE, -ANY, key + _LAST_IN_PROGRAM)],
        clears=[_IS_DRUM],
        adds=[(_PLACE, 1), (_LAST_NOTE, -key), (_NOTE, key), (_IS_DRUM, program == 128)],
    )


def _pitches() -> list[Rule]:
    pitch = np.arange(128)
    return [
        CopyingRule(
            ids=PITCH + 128 * is_drum + pitch,
            needs=[_at(3), (_IS_DRUM, is_drum, is_drum), (_LAST_NOTE, -ANY, pitch)],
            copies=[(_LAST_NOTE, _NOTE)],
            adds=[(_PLACE, 1), (_LAST_NOTE, pitch + 1), (_NOTE, pitch + 1)],
        )
        for is_drum in (0, 1)
    ]


def _metres() -> Rule:
    metre = np.arange(len(METRES))
    up, down, shortness = metre + 1, len(METRES) - metre, LONGEST_BAR + 1 - BAR_LENGTHS
    return CopyingRule(
        ids=METRE + metre,
        needs=[_at(6), (_POSITION, 0, BAR_LENGTHS - 1), (_METRE_UP, -ANY, up), (_METRE_DOWN, -ANY, down)],
        copies=[(_LAST_FROM_BAR_END, _NOTE), *((cell, _BAR) for cell in _METRE_CELLS)],
        adds=[
            (_PLACE, 1),
            # as if every bar were as long as the longest
            (_LAST_FROM_BAR_END, (LONGEST_BAR - BAR_LENGTHS) * _POSITION_WEIGHT),
            (_METRE_UP, up),
            (_METRE_DOWN, down),
            (_SHORTNESS, shortness),
        ],
    )


def _tempos() -> Rule:
    tempo = np.arange(len(TEMPOS_QPM))
    up, down = tempo + 1, len(TEMPOS_QPM) - tempo
    return CopyingRule(
        ids=TEMPO + tempo,
        needs=[_at(7), (_TEMPO_UP, -ANY, up), (_TEMPO_DOWN, -ANY, down)],
        copies=[(cell, _MOMENT) for cell in _TEMPO_CELLS],
        clears=[_PLACE],
        adds=[(_TEMPO_UP, up), (_TEMPO_DOWN, down)],
    )
