"""Which pieces train, which choose, which judge: whole groups go to one split each.

A group is what must not be torn apart: a composition, a song, a session. Groups stand in an order drawn
from their names and the seed alone. Test is filled first, then valid, and the rest is train: a group
joins a split when that brings the number of pieces closer to its share, so one large group does not
make a split many times its size. A split that would stay empty gets one group.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from etude.errors import CorpusError
from etude.randomness import seed_of

SPLITS = ("train", "valid", "test")


def split_by_group(
    groups: Sequence[str],
    *,
    seed: int,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    given: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Give every group a split.

    Args:
        groups: the group of each piece.
        seed: another seed draws another order of groups.
        fractions: shares of pieces in train, valid and test; they add up to 1.
        given: groups whose split is already settled; their pieces count towards the shares.

    Returns:
        Split by group.

    Raises:
        CorpusError: the fractions are not three shares of 1.

    Example:
        >>> split = split_by_group([f"song {k}" for k in range(10)], seed=0)
        >>> sorted(split.values())
        ['test', 'train', 'train', 'train', 'train', 'train', 'train', 'train', 'train', 'valid']
    """
    check_fractions(fractions)
    sizes = Counter(groups)
    split = {group: name for group, name in (given or {}).items() if group in sizes}
    held = Counter()
    for group, name in split.items():
        held[name] += sizes[group]
    free = sorted(set(sizes) - set(split), key=lambda group: (seed_of(seed, "split", group), group))
    wanted = {name: share * len(groups) for name, share in zip(SPLITS, fractions, strict=True)}
    for group in free:
        split[group] = next(
            (name for name in ("test", "valid") if held[name] + sizes[group] / 2 <= wanted[name]), "train"
        )
        held[split[group]] += sizes[group]
    _fill_empty(split, free, sizes, wanted)
    return split


def check_fractions(fractions: Sequence[float]) -> None:
    """Refuse shares that are not three parts of 1, or that leave nothing to train on."""
    fits = len(fractions) == 3 and min(fractions) >= 0 and abs(sum(fractions) - 1) < 1e-6 and fractions[0] > 0
    if not fits:
        raise CorpusError(
            f"fractions = {tuple(fractions)}: expected shares of train, valid and test that add up to 1, "
            "such as (0.8, 0.1, 0.1)"
        )


def _fill_empty(split: dict[str, str], free: list[str], sizes: Counter, wanted: dict[str, float]) -> None:
    """Give a split that should have pieces and has none the smallest free group of one that can spare it."""
    for name in ("valid", "test"):
        if wanted[name] <= 0 or name in split.values():
            continue
        groups_in = Counter(split.values())
        spare = [group for group in free if groups_in[split[group]] > 1]
        if spare:
            # train gives before the other does
            split[min(spare, key=lambda group: (split[group] != "train", sizes[group]))] = name
