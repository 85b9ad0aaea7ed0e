"""Token shards are read where they lie: a gigabyte of them is opened and drawn from in little memory."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etude.data.batches import TrainBatches
from etude.data.shards import Shards
from etude.data.token_files import INDEX_SCHEMA, SCHEMA, VERSION
from etude.errors import TokenError

NUM_PIECES, LENGTH = 1000, 600_000
TOKENIZER = SimpleNamespace(kind="toy", hash="0" * 16, end_id=0, pad_id=1)


@pytest.fixture
def gigabyte(tmp_path):
    """Shards of 1.2 GB that take no place on the disk: all ids are 0, as a hole in a file is."""
    total = NUM_PIECES * LENGTH
    with (tmp_path / "tokens-00000.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<u2", "fortran_order": False, "shape": (total,)})
        file.truncate(file.tell() + 2 * total)
    index = {
        "id": [f"piece-{number}" for number in range(NUM_PIECES)],
        "file": np.zeros(NUM_PIECES, np.int32),
        "offset": np.arange(NUM_PIECES) * LENGTH,
        "length": np.full(NUM_PIECES, LENGTH),
        "notes": np.ones(NUM_PIECES, np.int64),
        "seconds": np.ones(NUM_PIECES),
    }
    pq.write_table(pa.table(index, schema=INDEX_SCHEMA), tmp_path / "index.parquet")
    seal = {"schema": SCHEMA, "version": VERSION, "hash": TOKENIZER.hash, "tokenizer": {"kind": "toy"}}
    (tmp_path / "tokens.json").write_text(json.dumps(seal | {"num_tokens": total, "num_pieces": NUM_PIECES}))
    return tmp_path


def own_megabytes() -> float:
    """Memory of this process that is no file's."""
    status = Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("only Linux tells how much memory is a process's own")
    return int(re.search(r"RssAnon:\s+(\d+) kB", status.read_text())[1]) / 1024


def test_a_gigabyte_of_shards_is_opened_and_drawn_from_without_being_read_into_memory(gigabyte):
    """covers: AP-13"""
    before = own_megabytes()
    splits = pa.table({"id": [f"piece-{number}" for number in range(NUM_PIECES)], "split": ["train"] * NUM_PIECES})
    shards = Shards.open(gigabyte, TOKENIZER, splits=splits)
    batches = TrainBatches(shards, ctx_len=512, batch_size=8, seed=0)
    drawn = [batches.at(step) for step in range(5)]
    assert shards.num_tokens == NUM_PIECES * LENGTH
    assert not any(batch.any() for batch in drawn)
    assert own_megabytes() - before < 100
    other = SimpleNamespace(**(vars(TOKENIZER) | {"hash": "f" * 16}))
    with pytest.raises(TokenError) as refused:
        Shards.open(gigabyte, other)
    assert "made by tokenizer toy 0000000000000000, not by toy ffffffffffffffff" in str(refused.value)
    assert "\n" not in str(refused.value)
