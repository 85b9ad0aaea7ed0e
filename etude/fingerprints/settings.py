"""Settings of the search for near duplicates."""

from etude.settings import Settings, setting


class NearSettings(Settings):
    """When two pieces count as the same music.

    What they share is counted at places: n-grams that begin with one note count once. Pieces are joined for a large
    share of few places or for a small share of many: ``places * similarity`` decides, with a floor for each.
    """

    min_places: int = setting(7, ge=2, le=128, unit="places", text="places that two samples must share, in one order")
    min_places_complete: int = setting(
        10,
        ge=2,
        le=128,
        unit="places",
        text="the same where nothing was left out of the samples, because both pieces are short",
    )
    min_similarity: float = setting(
        0.08, gt=0, le=1, unit="share of n-grams", text="share of the smaller sample that the other must hold"
    )
    min_evidence: float = setting(1.0, ge=0, unit="places", text="the least product of places and similarity")
    num_neighbours: int = setting(
        12, ge=1, text="a piece is compared with so many next ones that have an n-gram, so that time stays linear"
    )
