"""Parquet files that are written piecemeal, and given up cleanly when the disk is full."""

import contextlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def open_writer(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a writer of row groups, compressed with zstd at its fastest common level."""
    return pq.ParquetWriter(file, schema, compression="zstd", compression_level=1)


def abandon(writer: pq.ParquetWriter) -> None:
    """Close a writer whose file is going to be removed, whatever is wrong with it."""
    with contextlib.suppress(OSError, pa.ArrowException):
        writer.close()
    # or it would try once more, and complain, when it is collected
    writer.is_open = False
