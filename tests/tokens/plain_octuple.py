"""Octuples and arrival-time triplets once more, note by note in plain loops, to test the column arithmetic against."""

from math import log2

from etude.music.score import Score


def struck(score: Score, place: dict[int, tuple[int, int]]) -> list[tuple[int, int, int, int, int]]:
    """Return (onset, end, instrument, pitch, velocity) of notes whose key is struck once at a time.

    Args:
        score: the piece.
        place: onset and end of each note, by its row.
    """
    merged: dict[tuple[int, int, int], list[int]] = {}
    for row, (pitch, velocity, track) in enumerate(
        zip(score.notes.pitch.tolist(), score.notes.velocity.tolist(), score.notes.track.tolist(), strict=True)
    ):
        instrument = 128 if score.tracks[track].is_drum else score.tracks[track].program
        onset, end = place[row]
        latest, loudest = merged.get((instrument, pitch, onset), (end, velocity))
        merged[instrument, pitch, onset] = [max(latest, end), max(loudest, velocity)]
    notes = []
    for (instrument, pitch, onset), (end, velocity) in merged.items():
        later = [other for i, p, other in merged if (i, p) == (instrument, pitch) and other > onset]
        notes.append((onset, min([end, *later]), instrument, pitch, velocity))
    return sorted(notes, key=lambda note: (note[0], note[2], note[3]))


def plain_octuples(score: Score) -> list[list[int]]:
    """Return the rows of a piece whose metres change at bar lines and whose bars are at most two whole notes."""
    durations = [first + step * (1 << octave) for octave, first in enumerate(firsts()) for step in range(16)]
    place = {row: (position(score, on), position(score, end)) for row, (on, end) in enumerate(ticks(score))}
    rows = []
    for onset, end, instrument, pitch, velocity in struck(score, place):
        bar, in_bar, metre = bar_at(score, onset)
        duration = max(number for number, least in enumerate(durations) if least <= end - onset)
        values = [bar, in_bar, instrument, pitch + 128 * (instrument == 128), duration, velocity // 4, metre]
        firsts_of_books = [4, 260, 388, 517, 773, 901, 933, 1187]
        rows.append([a + b for a, b in zip([*values, tempo_at(score, onset)], firsts_of_books, strict=True)])
    return rows


def firsts() -> list[int]:
    """Return where the steps between durations double: 0, 16, 48, …"""
    return [16 * ((1 << octave) - 1) for octave in range(8)]


def ticks(score: Score) -> list[tuple[int, int]]:
    """Return onset and end of each note."""
    columns = zip(score.notes.onset_tick.tolist(), score.notes.duration_tick.tolist(), strict=True)
    return [(onset, onset + duration) for onset, duration in columns]


def position(score: Score, tick: int) -> int:
    """Return the nearest 16th of a quarter; of two equally near ones the even one."""
    return round(tick * 16 / score.ppq)


def bar_at(score: Score, onset: int) -> tuple[int, int, int]:
    """Return bar, position in it and number of its metre."""
    metres = [(upper, 1 << power) for power in range(7) for upper in range(1, 2 * (1 << power) + 1)]
    changes = {0: (4, 4)}
    for tick, upper, lower in zip(*(c.tolist() for c in score.time_signatures.columns().values()), strict=True):
        changes[position(score, tick)] = (upper, lower)
    now, bar = 0, 0
    metre = changes[0]
    while True:
        metre = changes.get(now, metre)
        length = 64 * metre[0] // metre[1]
        if now <= onset < now + length:
            return bar, onset - now, metres.index(metre)
        now, bar = now + length, bar + 1


def tempo_at(score: Score, onset: int) -> int:
    """Return the number of the tempo at a position."""
    qpm = 120.0
    for tick, us in zip(score.tempos.tick.tolist(), score.tempos.us_per_quarter.tolist(), strict=True):
        if position(score, tick) <= onset:
            qpm = 60e6 / us
    return round(log2(min(max(qpm, 16), 256) / 16) * 12)


def plain_triplets(score: Score, is_control: list[bool]) -> list[int]:
    """Return the ids of the anticipation tokenizer for a piece under 100 s."""
    place = {}
    for row, (onset, end) in enumerate(zip(score.onset_sec.tolist(), score.offset_sec.tolist(), strict=True)):
        place[row] = (round(100 * onset), round(100 * onset) + round(100 * (end - onset)))
    ahead = set()
    for row, pitch in enumerate(score.notes.pitch.tolist()):
        track = score.tracks[score.notes.track[row]]
        if is_control[row]:
            ahead.add((place[row][0], 128 if track.is_drum else track.program, pitch))
    events, controls = [], []
    for onset, end, instrument, pitch, _ in struck(score, place):
        triplet = (onset, min(end - onset, 999), instrument * 128 + pitch)
        (controls if (onset, instrument, pitch) in ahead else events).append(triplet)
    last = max([onset for onset, *_ in [*events, *controls]], default=0)
    ids, now = [], 0
    for onset, duration, note in [*rested(events, last), (None, 0, 0)]:
        while controls and (onset is None or now >= controls[0][0] - 500):
            ids += [controls[0][0] + 27_513, controls[0][1] + 37_513, controls.pop(0)[2] + 38_513]
        if onset is not None:
            ids += [onset, duration + 10_000, note + 11_000]
            now = onset
    return [55_027 if any(is_control) else 55_026, *ids] if ids else []


def rested(events: list[tuple[int, int, int]], last: int) -> list[tuple[int, int, int]]:
    """Return events with a rest after every second without one."""
    result, now = [], 0
    for event in [*events, None]:
        while (last if event is None else event[0]) > now + 100:
            now += 100
            result.append((now, 0, 16_512))
        if event is not None:
            result.append(event)
            now = event[0]
    return result
