"""Where the ids of the anticipation tokenizer lie.

A step is 10 ms. Events and controls have the same kinds of ids, those of controls ``CONTROL`` further on:

    TIME 0..9,999 | DURATION 0..999 | NOTE 0..16,511, instrument * 128 + pitch, instrument 128 for drums | REST
    ATIME 0..9,999 | ADURATION 0..999 | ANOTE 0..16,511 | END | AUTOREGRESS | ANTICIPATE | PAD
"""

STEPS_PER_SEC = 100
STEPS_IN_WINDOW = 10_000
"""Times count from the start of a window of 100 seconds."""
NUM_DURATIONS = 1_000
NUM_NOTES = 129 * 128
STEPS_AHEAD = 500
"""A control stands where the events are 5 seconds before it."""
STEPS_TO_REST = 100
"""After so long without an event comes a REST."""
MOST_WINDOWS = 864
"""Windows in 24 hours."""
LONGEST_PIECE = MOST_WINDOWS * STEPS_IN_WINDOW

TIME = 0
DURATION = TIME + STEPS_IN_WINDOW
NOTE = DURATION + NUM_DURATIONS
REST = NOTE + NUM_NOTES
CONTROL = REST + 1
ATIME, ADURATION, ANOTE = CONTROL + TIME, CONTROL + DURATION, CONTROL + NOTE
END = ANOTE + NUM_NOTES
AUTOREGRESS, ANTICIPATE, PAD = END + 1, END + 2, END + 3


def names() -> list[str]:
    """Return the names of all ids in id order."""
    result = []
    for prefix in ("", "A"):
        result += [f"{prefix}TIME_{step}" for step in range(STEPS_IN_WINDOW)]
        result += [f"{prefix}DURATION_{step}" for step in range(NUM_DURATIONS)]
        result += [f"{prefix}NOTE_{note >> 7}_{note & 127}" for note in range(NUM_NOTES)]
        result += [] if prefix else ["REST"]
    return [*result, "END", "AUTOREGRESS", "ANTICIPATE", "PAD"]
