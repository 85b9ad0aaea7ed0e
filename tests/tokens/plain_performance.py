"""The performance encoding once more, note by note in plain loops, to test the column arithmetic against."""

from etude.music.score import Score


def plain_encode(score: Score) -> list[int]:
    """Return what ``PerformanceTokenizer().encode`` should: slow, short, from the definition."""
    notes = [row for row in zip(*score.notes.columns().values(), strict=True) if not score.tracks[row[4]].is_drum]
    piece_end = max([int(onset) + int(duration) for onset, duration, *_ in notes], default=0)
    pedal = [
        (int(tick), int(track), value >= 64)
        for tick, track, number, value in zip(*score.controls.columns().values(), strict=True)
        if number == 64
    ]
    piece_end = max([piece_end, *(tick for tick, _, _ in pedal)])

    struck: dict[tuple[int, int], list[int]] = {}
    for onset, duration, pitch, velocity, track in notes:
        start, end = (step_at(score, tick) for tick in (onset, held_until(onset + duration, track, pedal, piece_end)))
        level, latest = struck.get((int(pitch), start), (0, 0))
        struck[int(pitch), start] = [max(level, int(velocity) // 4), max(latest, end, start + 1)]

    events = []
    for (pitch, start), (level, end) in struck.items():
        later = [other for same, other in struck if same == pitch and other > start]
        events += [(start, 1, pitch, level), (min([end, *later]), 0, pitch, 0)]

    ids, now, current = [], 0, None
    for step, is_on, pitch, level in sorted(events):
        full, rest = divmod(step - now, 100)
        ids += [355] * full + ([255 + rest] if rest else [])
        if is_on and level != current:
            ids.append(356 + level)
            current = level
        ids.append(pitch if is_on else 128 + pitch)
        now = step
    return ids


def step_at(score: Score, tick: int) -> int:
    """Return the nearest multiple of 10 ms; from 5 ms on, the next one."""
    return int(float(score.tempo_map.tick_to_sec(tick)) * 100 + 0.5)


def held_until(end: int, track: int, pedal: list[tuple[int, int, bool]], piece_end: int) -> int:
    """Return the tick at which a note that ends at ``end`` stops sounding."""
    own = [(tick, is_down) for tick, of_track, is_down in pedal if of_track == track]
    state = [is_down for tick, is_down in own if tick <= end]
    if not state or not state[-1]:
        return int(end)
    return min([tick for tick, is_down in own[len(state) :] if not is_down], default=piece_end)
