"""The absolute and the relative encoding once more, note by note in plain loops, to test the columns against."""

from etude.music.score import Score

FAMILIES = {0: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 7, 9: 8, 10: 9}
"""Of the families of eight programs that have ids: which of the ten instruments they are."""
DRUMS = 10


def plain_absolute(score: Score) -> list[int]:
    """Return what ``AbsoluteTokenizer().encode`` should: slow, short, from the definition."""
    events = plain_events(score)
    ids, segment = plain_prefix(events, first=6), 0
    for step, instrument, key, level, duration in events:
        while segment < step // 500:
            ids.append(5)
            segment += 1
        if instrument == DRUMS:
            ids += [16679 + key - 35, 17227 + step % 500]
        else:
            ids += [39 + 13 * (128 * instrument + key) + level, 17227 + step % 500, 16726 + duration]
    return ids


def plain_relative(score: Score) -> list[int]:
    """Return what ``RelativeTokenizer().encode`` should."""
    events = plain_events(score)
    ids, now = plain_prefix(events, first=5), 0
    for step, instrument, key, level, duration in events:
        while step - now > 500:
            ids.append(17226 + 500)
            now += 500
        ids += [17226 + step - now] if step > now else []
        now = step
        if instrument == DRUMS:
            ids.append(16678 + key - 35)
        else:
            ids += [38 + 13 * (128 * instrument + key) + level, 16725 + duration]
    return ids


def plain_prefix(events: list[tuple[int, ...]], *, first: int) -> list[int]:
    """Return the instruments that play and START."""
    return [*sorted({first + instrument for _, instrument, *_ in events}), 0] if events else []


def plain_events(score: Score) -> list[tuple[int, int, int, int, int]]:
    """Return (step, instrument, key, level, duration) in the order of ids."""
    rows = []
    for onset, duration, pitch, velocity, track in zip(*score.notes.columns().values(), strict=True):
        one = score.tracks[track]
        instrument = DRUMS if one.is_drum else FAMILIES.get(one.program // 8)
        if instrument is not None and (instrument != DRUMS or 35 <= pitch <= 81):
            rows.append((int(onset), int(onset) + int(duration), int(pitch), int(velocity), int(track), instrument))
    pedal = [
        (int(tick), int(track), value >= 64)
        for tick, track, number, value in zip(*score.controls.columns().values(), strict=True)
        if number == 64
    ]
    last = max([end for _, end, *_ in rows] + [tick for tick, *_ in pedal], default=0)
    begin = min((sec_at(score, onset) for onset, *_ in rows), default=0.0)
    struck: dict[tuple[int, int], dict[int, list[int]]] = {}
    for onset, end, pitch, velocity, track, instrument in rows:
        step = int((sec_at(score, onset) - begin) * 100 + 0.5)
        length = sec_at(score, held_until(end, track, pedal, last)) - sec_at(score, onset)
        duration = 1 if instrument == DRUMS else min(max(int(min(length, 9.0) * 100 + 0.5), 1), 500)
        level = 0 if instrument == DRUMS else min(max((velocity + 5) // 10, 1), 12)
        kept = struck.setdefault((instrument, pitch), {}).setdefault(step, [0, 0])
        kept[:] = max(kept[0], level), max(kept[1], duration)
    events = []
    for (instrument, pitch), strikes in struck.items():
        for step, (level, duration) in strikes.items():
            until_next = min([other - step for other in strikes if other > step], default=500)
            events.append((step, instrument, pitch, level, min(duration, until_next)))
    return sorted(events)


def sec_at(score: Score, tick: int) -> float:
    """Return the time of a tick."""
    return float(score.tempo_map.tick_to_sec(tick))


def held_until(end: int, track: int, pedal: list[tuple[int, int, bool]], last: int) -> int:
    """Return the tick at which a note that ends at ``end`` stops sounding."""
    own = [(tick, is_down) for tick, of_track, is_down in pedal if of_track == track]
    before = [is_down for tick, is_down in own if tick < end]
    if not before or not before[-1]:
        return end
    return max(end, min([tick for tick, is_down in own[len(before) :] if not is_down], default=last))
