"""The `remi` tokenizer: bars, positions and notes of any instruments, in the 1,253 ids of MuseCoco.

Vocabulary, in id order:
    <s> PAD END <unk> | b-0..1 | o-0..127 | i-0..128 | p-0..255 | d-0..127 | v-0..31 | s-0..253 | t-0..48 | e-0..1 | <sep> |
    268 names of attributes
Grammar:
    (s-METRE t-TEMPO (o-POSITION (i-INSTRUMENT (p-PITCH d-DURATION v-VELOCITY)+)+)* b-1)* END
    with a tempo after each position instead of each metre in the form ``remigen``; ``remi_grammar`` has the rest.
Conventions:
    A position is a twelfth of a quarter note, counted from its bar line. Bars go from the start of the piece to
    its last onset. Tracks of one instrument are merged, equal notes are all kept. Drums are instrument 128, their
    pitches 128 higher. Attributes and ``<sep>`` before the music belong to who writes prompts: ``encode`` never
    writes them, ``decode`` passes over them.
Lossy in these ways, each bounded:
    onset and end to half a position, a twenty-fourth of a quarter note; a duration then becomes the next shorter of
    95 lengths, less than a twelfth shorter than it was, at least 1 position and at most 2,932; velocity to 2, the
    lowest, 1, decoded as 2; tempo to a twenty-fourth of a doubling, within 16 to 256 quarter notes a minute, and
    only where it is written; a metre that changes inside a bar holds from the next bar line. Pedal, keys, texts
    and other controls are left out; the reduced form has no velocity, tempo and metre either, and its bars are 4/4.

Source:
    Lu et al. 2023, "MuseCoco". Different here: a note lasts at least a position, where it may have none there;
    bars of a metre such as 3/32 are as long as it says; the nearest C major or A minor is taken for
    ``normalise_key``.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from etude.errors import TokenError
from etude.music.score import Notes, Score, TimeSignatures, Track
from etude.music.sustain import sustained_end_tick
from etude.settings import Settings, setting
from etude.tokens.grammar import Grammar
from etude.tokens.id_facts import IdFacts
from etude.tokens.remi_grammar import grammar_of
from etude.tokens.remi_grid import Grid, even_places, grid_of, places, positions, uneven_places
from etude.tokens.remi_ids import FORMS, ids_of_notes, packed_notes, places_of
from etude.tokens.remi_key import shift_to_c
from etude.tokens.remi_notes import (
    LONGEST_PIECE,
    PPQ,
    TICKS_PER_UNIT,
    Told,
    kinds_of,
    layers_of,
    notes_of_ids,
)
from etude.tokens.remi_vocab import (
    BAR,
    DEFAULT_TEMPO,
    DRUMS,
    DURATION,
    DURATION_OF,
    DURATIONS,
    END,
    INSTRUMENT,
    METRE,
    METRES,
    NAMES,
    PAD,
    PITCH,
    POSITION,
    TEMPO,
    UNITS_PER_POSITION,
    check_replaced,
    read_replaced,
    tempo_id,
    vocab_of,
    write_dict,
)
from etude.tokens.vocab import describe
