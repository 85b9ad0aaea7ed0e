"""What the tests of the absolute tokenizer share: its forms, scores in milliseconds, ids as words."""

import numpy as np
from token_scores import pedals

from etude.music.score import Score, Track

PIANO = {"instruments": ["piano"], "drums": "skip"}
NO_LABELS = {"composers": [], "forms": [], "genres": []}
DRUMS = Track(0, is_drum=True)
FORMS = [
    {},
    {"pedal": "ignore", "silence": "keep"},
    PIANO | {"pedal": "tokens"},
    {"instruments": ["piano"], "pedal": "both", "silence": "keep", "delimiter": True},
    PIANO | NO_LABELS | {"pedal": "both", "delimiter": True},
    {"instruments": ["organ", "piano", "bass"], "composers": ["haydn"]},
]


def in_ms(*notes, pedal=(), **more):
    """Return a score whose ticks are milliseconds: notes are (begin, end, pitch, velocity, track)."""
    rows = [(*note, *(64, 0)[len(note) - 3 :]) for note in notes]
    begin, end, pitch, velocity, track = map(list, zip(*rows, strict=True))
    duration = np.subtract(end, begin)
    return Score.of(begin, duration, pitch, velocity, track, ppq=500, controls=pedals(*pedal), **more)


def words(tokenizer, score, **more):
    return tokenizer.vocab.words(tokenizer.encode(score, **more))


def heard(tokenizer, score):
    """Return (begin, end, pitch) in ms of what comes back."""
    notes = tokenizer.decode(tokenizer.encode(score)).notes
    columns = notes.onset_tick, notes.onset_tick + notes.duration_tick, notes.pitch
    return list(zip(*(column.tolist() for column in columns), strict=True))
