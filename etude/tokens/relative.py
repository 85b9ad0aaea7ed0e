"""The relative tokenizer: notes with their durations and the waits between them, in 17,727 ids.

Vocabulary: see ``absolute_layout``, without SEGMENT, and with waits in place of onsets.
Grammar:
    prefix START event* END, an event being WAIT_5000* WAIT? (note DURATION | drum)
Conventions and losses are those of ``absolute``. Onsets are rounded and waits lie between rounded onsets, so
errors do not add up. The ids of genres carry the names of genres.

Source:
    aria-utils, ``RelTokenizer``. There waits are rounded one by one, so that errors add up, and the ids of
    genres have the names of forms, which makes 17,733.
"""

from functools import cached_property

import numpy as np

from etude.tokens.absolute import AbsoluteTokenizer
from etude.tokens.absolute_events import Told, told_events, unpacked, until_end
from etude.tokens.absolute_grammar import relative_grammar
from etude.tokens.absolute_layout import IS_DRUM, IS_DURATION, IS_NOTE, IS_TIME, LONGEST, Layout
from etude.tokens.absolute_notes import LONGEST_PIECE
from etude.tokens.absolute_settings import RelativeSettings
from etude.tokens.grammar import Grammar
from etude.tokens.id_facts import IdFacts


class RelativeTokenizer(AbsoluteTokenizer):
    """Scores to ids and back; see the module's header.

    Example:
        >>> from etude.music.score import Score
        >>> tokenizer = RelativeTokenizer()
        >>> ids = tokenizer.encode(Score.of([0, 5760], [480, 480], [60, 62], [80, 80], ppq=480))
        >>> tokenizer.vocab.words(ids)[:5]
        ['WITH_PIANO', 'START', 'PIANO_60_80', 'DURATION_500', 'WAIT_5000']
        >>> tokenizer.vocab.words(ids)[5:]
        ['WAIT_1000', 'PIANO_62_80', 'DURATION_500']
        >>> tokenizer.decode(ids).onset_sec
        array([0., 6.])
    """

    kind = "relative"
    settings_class = RelativeSettings

    @cached_property
    def grammar(self) -> Grammar:
        """Which ids may come next; every encoding with END after it is legal."""
        return relative_grammar(self.layout)

    @cached_property
    def id_facts(self) -> IdFacts:
        """What ids mean; an instrument stands for its family, and waits move the clock."""
        facts = super().id_facts
        facts.moves_time[self.layout.time + 1 :] = True
        return facts

    def _ids_of_events(self, events: np.ndarray, prefix: list[int]) -> np.ndarray:
        return ids_of_events(events, prefix, self.layout)

    def _told(self, ids: np.ndarray) -> Told:
        return events_of_ids(ids, self.layout)


def ids_of_events(events: np.ndarray, prefix: list[int], layout: Layout) -> np.ndarray:
    """Write sorted events as ids: waits, the note, its duration; int32 (T,)."""
    wait, first, duration = unpacked(events, layout)
    wait[1:] -= wait[:-1].copy()
    num_waits = (wait + np.int32(LONGEST - 1)) // np.int32(LONGEST)
    wait -= (num_waits - 1) * np.int32(LONGEST)
    is_long = first < layout.note + layout.drum_code
    widths = num_waits + 1 + is_long
    end = np.cumsum(widths) + len(prefix)
    # what is not written further down are the longest waits
    ids = np.full(int(end[-1]), layout.time + LONGEST, np.int32)
    ids[: len(prefix)] = prefix
    begin = end - 1 - is_long
    waits = num_waits.nonzero()[0]
    ids[begin[waits] - 1] = wait[waits] + layout.time
    ids[begin] = first
    ids[begin[is_long] + 1] = duration[is_long]
    return ids


def events_of_ids(ids: np.ndarray, layout: Layout) -> Told:
    """Read any ids of the vocabulary, int64 (T,)."""
    ids = until_end(ids, layout)
    kind = np.append(layout.kinds[ids], np.zeros(1, np.uint8))
    first, second = kind[:-1], kind[1:]
    is_note = (first == IS_NOTE) & (second == IS_DURATION)
    at = np.flatnonzero(is_note | (first == IS_DRUM))
    clock = np.cumsum(np.where(first == IS_TIME, ids - layout.time, 0))[at]
    at, clock = at[clock < LONGEST_PIECE], clock[clock < LONGEST_PIECE]
    duration = ids[np.minimum(at + 1, len(ids) - 1)] - layout.duration
    groups = np.count_nonzero((first == IS_NOTE) | (first == IS_DURATION))
    stray = int(groups) - 2 * int(np.count_nonzero(is_note))
    return told_events(ids[at], clock, duration, layout, {"stray": stray})
