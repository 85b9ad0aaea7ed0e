"""Keys that have sounded too long must end before anything else happens.

A model that forgets to end a note never hears such a note in its data and does not know how to go on; the note then
sounds to the end of the take. Time is whole microseconds, so that it does not matter in how many steps it passes.

Dimension key:  B batch   K keys   V ids   P keys that an id touches   U moments inside ids   N conditions
"""

import numpy as np
import torch

from etude.tokens.note_timing import NoteTiming

_SILENT = -(1 << 60)


class LongestNote:
    """The ages of the keys that sound, and which ids they leave.

    The state is the age of each key in microseconds, int64 (B, K + 1), far below 0 for a silent one; the last column
    takes what concerns no key and stays silent. An id that stands for several is left where each of them would be,
    one after the other.

    Args:
        timing: what ids do to keys and clock.
        longest_sec: age from which on a key must end; it ends at the next moment that the grammar lets it.
        device: where the states are.
    """

    def __init__(self, timing: NoteTiming, longest_sec: float, device: torch.device | str = "cpu") -> None:
        """Copy the tables to a device."""
        self._longest, self._num_keys = round(longest_sec * 1e6), timing.num_keys
        ids = _Ids(timing, self._longest)

        def lifted(table: np.ndarray | list) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(table)).to(device)

        ends = timing.ends[timing.first[:-1]]
        self._first_ends_V = lifted(np.where(ends < 0, timing.num_keys, ends))
        self._advance_V = lifted(ids.advance)
        self._keys_VP, self._ages_VP = lifted(ids.keys), lifted(ids.ages)
        self._num_conditions = len(ids.conditions)
        if not self._num_conditions:
            return
        moments = sorted({moment for moment, *_ in ids.conditions})
        row = {moment: at * (timing.num_keys + 1) for at, moment in enumerate(moments)}
        touched = [[row[moment] + key for key in keys] for moment, keys, _, _ in ids.conditions]
        self._at_least_U11 = lifted(self._longest - np.array(moments))[:, None, None]
        self._moment_N = lifted([row[moment] // (timing.num_keys + 1) for moment, *_ in ids.conditions])
        self._touched_PN = lifted(_table(touched, fill=timing.num_keys).T)
        self._ends_N = lifted([row[moment] + key for moment, _, key, _ in ids.conditions])
        self._always_N1 = lifted([always for *_, always in ids.conditions])[:, None]
        self._of_id = lifted(_table(ids.condition_of, fill=self._num_conditions).T)

    def start(self, batch_size: int) -> torch.Tensor:
        """Return the ages (B, K + 1) before the first id."""
        return self._advance_V.new_full((batch_size, self._num_keys + 1), _SILENT)

    def after(self, ids: np.ndarray) -> torch.Tensor:
        """Return the ages (1, K + 1) after a prompt."""
        age_BK = self.start(1)
        for id_ in torch.from_numpy(np.asarray(ids, np.int64)).to(age_BK.device):
            age_BK = self.advance(age_BK, id_[None])
        return age_BK

    def narrow(self, mask_BV: torch.Tensor, age_BK: torch.Tensor) -> torch.Tensor:
        """Return the mask with only the ends of overdue keys left, in rows where one may end now."""
        overdue_BK = age_BK > self._longest
        must_BV = overdue_BK.t().contiguous().index_select(0, self._first_ends_V).t() & mask_BV
        mask_BV = torch.where(must_BV.any(1, keepdim=True), must_BV, mask_BV)
        return mask_BV & ~self._broken(age_BK) if self._num_conditions else mask_BV

    def _broken(self, age_BK: torch.Tensor) -> torch.Tensor:
        """Return the ids, bool (B, V), that let a key sound on inside of what they stand for."""
        overdue_UKB = age_BK.t().contiguous() > self._at_least_U11
        num_UB = overdue_UKB.view(torch.uint8).sum(1, dtype=torch.int32)
        overdue = overdue_UKB.flatten(0, 1)
        touched_NB = overdue.index_select(0, self._touched_PN.flatten()).view(*self._touched_PN.shape, -1)
        others_NB = num_UB.index_select(0, self._moment_N) - touched_NB.view(torch.uint8).sum(0, dtype=torch.int32)
        broken_NB = ((others_NB > 0) | self._always_N1) & ~overdue.index_select(0, self._ends_N)
        broken_NB = torch.cat([broken_NB, broken_NB.new_zeros(1, broken_NB.shape[1])])
        broken = broken_NB.index_select(0, self._of_id.flatten()).view(*self._of_id.shape, -1)
        return broken.view(torch.uint8).amax(0).view(torch.bool).t()

    def advance(self, age_BK: torch.Tensor, ids_B: torch.Tensor) -> torch.Tensor:
        """Return the ages after one more id for each piece; the given ages stay as they are."""
        age_BK = age_BK + self._advance_V[ids_B][:, None]
        return age_BK.scatter_(1, self._keys_VP[ids_B], self._ages_VP[ids_B])


class _Ids:
    """What ids do as a whole, and what must hold inside those that stand for several.

    Attributes:
        advance: microseconds, int64 (V,).
        keys, ages: the keys that begin or end, K for none, and how old each is afterwards; int64 (V, P).
        conditions: (moment, keys, key, always): at this moment inside of an id some key other than ``keys`` is
            overdue, or one always is, and what comes next does not end the overdue ``key``, K for none. An id of which
            this is true is broken.
        condition_of: the conditions of each id, by number.
    """

    def __init__(self, timing: NoteTiming, longest: int) -> None:
        self._none, self._longest = timing.num_keys, longest
        self.conditions: dict[tuple[int, tuple[int, ...], int, bool], int] = {}
        micro = np.round(timing.advance_sec.astype(np.float64) * 1e6).astype(np.int64)
        steps = list(
            zip(timing.starts.tolist(), timing.ends.tolist(), micro.tolist(), timing.lets_end.tolist(), strict=True)
        )
        first = timing.first.tolist()
        told = [self._told(steps[begin:end]) for begin, end in zip(first[:-1], first[1:], strict=True)]
        self.condition_of = [conditions for _, _, conditions in told]
        self.advance = np.array([moment for moment, _, _ in told], np.int64)
        self.keys = _table([list(began) for _, began, _ in told], fill=self._none)
        ages = [[_SILENT if at is None else moment - at for at in began.values()] for moment, began, _ in told]
        self.ages = _table(ages, fill=_SILENT)

    def _told(self, steps: list[tuple[int, int, int, bool]]) -> tuple[int, dict[int, int | None], list[int]]:
        """Return how long one id lasts, the keys that it touches with when they began, and its conditions."""
        moment, began, conditions = 0, {}, []
        # whether the first step may come is for the mask to say
        may_end, settled = False, False
        for starts, ends, advance, lets_end in steps:
            if may_end and not settled:
                conditions += self._condition(moment, began, ends)
                # after something else than an end, no more can be overdue at this moment
                settled = ends < 0
            if ends >= 0:
                began[ends] = None
            if starts >= 0:
                began[starts] = moment
            if advance:
                moment, settled = moment + advance, False
            may_end = lets_end
        return moment, began, conditions

    def _condition(self, moment: int, began: dict[int, int | None], ends: int) -> list[int]:
        overdue = {key for key, at in began.items() if at is not None and moment - at > self._longest}
        if ends in overdue:
            return []
        ends = self._none if ends < 0 or ends in began else ends
        condition = (moment, tuple(sorted(began)), ends, bool(overdue))
        return [self.conditions.setdefault(condition, len(self.conditions))]


def _table(rows: list[list[int]], *, fill: int) -> np.ndarray:
    """Return rows of different lengths as a table, int64, at least one column."""
    table = np.full((len(rows), max(1, max(map(len, rows), default=0))), fill, np.int64)
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table
