"""Orders of rows: what sorting by several columns gives, however the columns are packed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.music.order import order_of, order_of_rows
from etude.music.score import Controls, Notes

INT32 = st.one_of(st.integers(-2, 3), st.integers(-(2**31), 2**31 - 1), st.sampled_from([-(2**31), 2**31 - 1]))
INT64 = st.one_of(st.integers(-2, 3), st.integers(-(2**63), 2**63 - 1))


@given(st.lists(INT64, max_size=40))
def test_equal_keys_keep_their_order(keys):
    expected = sorted(range(len(keys)), key=lambda row: keys[row])
    assert order_of(np.array(keys, np.int64)).tolist() == expected


@given(
    st.integers(1, 5).flatmap(
        lambda count: st.lists(st.tuples(*[INT32] * count), max_size=30).map(lambda r: (count, r))
    )
)
def test_the_first_column_counts_most(drawn):
    count, rows = drawn
    columns = list(np.array(rows, np.int32).reshape(-1, count).T)
    assert order_of_rows(columns).tolist() == sorted(range(len(rows)), key=lambda row: rows[row])


@given(st.lists(st.tuples(*[INT32] * 5), max_size=30))
def test_tables_sort_themselves_by_value_whatever_the_values(rows):
    columns = list(np.array(rows, np.int32).reshape(-1, 5).T)
    # a table of notes has its columns in another order than it is sorted by
    notes = Notes(columns[0], columns[3], columns[2], columns[4], columns[1])
    in_order = notes.in_order()
    found = zip(*(getattr(in_order, name).tolist() for name in Notes._order), strict=True)
    assert list(found) == sorted(rows)
    assert in_order.in_order() is in_order
    assert (notes.in_order() is notes) == (rows == sorted(rows))


def test_a_table_of_given_columns_is_the_one_that_is_built_with_care():
    columns = [np.array(values, np.int32) for values in ([0, 5], [0, 0], [64, 64], [127, 0])]
    quick = Controls.of_int32(*(column.copy() for column in columns))
    assert quick == Controls(*columns)
    with pytest.raises(ValueError, match="read-only"):
        quick.tick[0] = 1
