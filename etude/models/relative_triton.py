"""Kernels of relative attention for GPUs, forward and backward: no logit ever leaves the chip.

Dimension key:  B batch   H heads   T tokens   K width of one head
In kernels:     r a query of a tile, c a key, x a distance; each 0 to BLOCK - 1

Queries and keys are cut into tiles of one size. A pair in the tile n below the diagonal has distance n * BLOCK + r - c.
Band n of the table holds distances n * BLOCK + x. So a key with c <= r needs band n at x = r - c, and one with c > r
band n - 1 at x = r - c + BLOCK. In both x = (r - c) mod BLOCK, and c <= r where x <= r: the skew takes one of two
products and turns each row. It is its own inverse, which is how gradients of logits come back to bands. Along a row
of tiles, a band of one is needed by the next as well, and multiplied once.

Logits, softmax and sums are float32. The table's gradient is added up by atomic additions, so its last bits depend
on the order in which the GPU runs.

Source:
    Dao et al. 2022, FlashAttention, for the softmax in tiles; Huang et al. 2018, Music Transformer, section 3.4.1,
    for the skew. The turn within a tile is ours.
"""

from typing import NamedTuple

from torch import Tensor

from etude.errors import MissingExtraError

try:
    import triton
    import triton.language as tl
except ImportError:
    raise MissingExtraError("fused relative attention needs triton; pip install 'etude[gpu]'") from None

_LOG2_E = tl.constexpr(1.4426950408889634)


class View(NamedTuple):
    """A tensor (B, H, T, K) and how far apart its batches, heads and tokens lie; features lie side by side."""

    data: Tensor
    batch: int
    head: int
    token: int


class Inputs(NamedTuple):
    """What a pass attends with; the table (H, T, K) has distance 0 first."""

    q: View
    k: View
    v: View
    table: View


class Reach(NamedTuple):
    """First key that each query sees, and one past the last query that sees each key; int32 (B or 1, T)."""

    first: Tensor
    end: Tensor
    batch: int


class Sizes(NamedTuple):
    """Sizes of the problem; those of its tiles are constants of a kernel."""

    heads: int
    tokens: int
    width: int


@triton.jit
def _place(sizes, BLOCK: tl.constexpr):
    """Number of this program's tile, and its batch and head; tiles of one head run side by side."""
    tiles = tl.cdiv(sizes.tokens, BLOCK)
    head = tl.program_id(0) // tiles
    return tl.program_id(0) % tiles, (head // sizes.heads).to(tl.int64), (head % sizes.heads).to(tl.int64)


@triton.jit
def _at(view, batch, head, token, sizes, WIDTH: tl.constexpr):
    """Addresses of a tile (BLOCK, WIDTH), and which of them exist."""
    feature = tl.arange(0, WIDTH)[None, :]
    addresses = view.data + batch * view.batch + head * view.head + token[:, None] * view.token + feature
    return addresses, (token[:, None] >= 0) & (token[:, None] < sizes.tokens) & (feature < sizes.width)


@triton.jit
def _load(view, batch, head, token, sizes, WIDTH: tl.constexpr):
    addresses, exist = _at(view, batch, head, token, sizes, WIDTH)
    return tl.load(addresses, mask=exist, other=0.0)


@triton.jit
def _store(view, batch, head, token, sizes, values, WIDTH: tl.constexpr):
    addresses, exist = _at(view, batch, head, token, sizes, WIDTH)
    tl.store(addresses, values.to(view.data.dtype.element_ty), mask=exist)


@triton.jit
def _skewed(low, high, BLOCK: tl.constexpr):
    """Entry (r, (r - c) mod BLOCK) of ``low`` where c <= r and of ``high`` where c > r; and back again."""
    row, column = tl.arange(0, BLOCK)[:, None], tl.arange(0, BLOCK)[None, :]
    return tl.gather(tl.where(column <= row, low, high), (row - column) & (BLOCK - 1), 1)


@triton.jit
def _seen(query, key, first):
    """Which pairs of a tile there are."""
    return (key[None, :] <= query[:, None]) & (key[None, :] >= first[:, None])


@triton.jit
def forward(given, reach, out, log_sum, sizes, BLOCK: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr):
    """Output and log2 of the sum of exponentials of one tile of queries."""
    tile, batch, head = _place(sizes, BLOCK)
    # the last tiles, which see most, first
    tile = tl.cdiv(sizes.tokens, BLOCK) - 1 - tile
    inside = tl.arange(0, BLOCK)
    query = tile * BLOCK + inside
    q = _load(given.q, batch, head, query, sizes, WIDTH)
    first = tl.load(reach.first + batch * reach.batch + query, mask=query < sizes.tokens, other=0)
    # keys that any query of the tile sees begin where those of its first one do
    start = tl.load(reach.first + batch * reach.batch + tile * BLOCK) // BLOCK
    band = _load(given.table, batch, head, (tile - start) * BLOCK + inside, sizes, WIDTH)
    products = tl.dot(q, tl.trans(band), input_precision=PRECISION)
    # not -inf: a query may see none of a tile's keys
    largest = tl.full((BLOCK,), -1e30, tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    found = tl.zeros((BLOCK, WIDTH), tl.float32)
    for below in range(start, tile + 1):
        key = below * BLOCK + inside
        k = _load(given.k, batch, head, key, sizes, WIDTH)
        band = _load(given.table, batch, head, (tile - below - 1) * BLOCK + inside, sizes, WIDTH)
        nearer = tl.dot(q, tl.trans(band), input_precision=PRECISION)
        logits = tl.dot(q, tl.trans(k), input_precision=PRECISION) + _skewed(products, nearer, BLOCK)
        products = nearer
        seen = _seen(query, key, first)
        logits = tl.where(seen, logits * _LOG2_E, -1e30)
        so_far = tl.maximum(largest, tl.max(logits, 1))
        weights = tl.where(seen, tl.exp2(logits - so_far[:, None]), 0.0)
        rescale = tl.exp2(largest - so_far)
        total = total * rescale + tl.sum(weights, 1)
        v = _load(given.v, batch, head, key, sizes, WIDTH)
        found = found * rescale[:, None] + tl.dot(weights.to(v.dtype), v, input_precision=PRECISION)
        largest = so_far
    _store(out, batch, head, query, sizes, found / total[:, None], WIDTH)
    row = (batch * sizes.heads + head) * sizes.tokens + query
    tl.store(log_sum + row, largest + tl.log2(total), mask=query < sizes.tokens)


@triton.jit
def backward_queries(
    given, reach, outs, rows, dq, dtable, sizes, BLOCK: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr
):
    """Gradients of one tile of queries, and what they add to those of the table."""
    tile, batch, head = _place(sizes, BLOCK)
    tile = tl.cdiv(sizes.tokens, BLOCK) - 1 - tile
    inside = tl.arange(0, BLOCK)
    query = tile * BLOCK + inside
    q = _load(given.q, batch, head, query, sizes, WIDTH)
    grad = _load(outs[1], batch, head, query, sizes, WIDTH)
    out = _load(outs[0], batch, head, query, sizes, WIDTH)
    dot = tl.sum(out.to(tl.float32) * grad.to(tl.float32), 1)
    row = (batch * sizes.heads + head) * sizes.tokens + query
    tl.store(rows[1] + row, dot, mask=query < sizes.tokens)
    log_sum = tl.load(rows[0] + row, mask=query < sizes.tokens, other=float("inf"))
    first = tl.load(reach.first + batch * reach.batch + query, mask=query < sizes.tokens, other=0)
    start = tl.load(reach.first + batch * reach.batch + tile * BLOCK) // BLOCK
    band = _load(given.table, batch, head, (tile - start) * BLOCK + inside, sizes, WIDTH)
    products = tl.dot(q, tl.trans(band), input_precision=PRECISION)
    dlogits_before = tl.zeros((BLOCK, BLOCK), q.dtype)
    found = tl.zeros((BLOCK, WIDTH), tl.float32)
    for below in range(start, tile + 1):
        key = below * BLOCK + inside
        distance = (tile - below) * BLOCK + inside
        k = _load(given.k, batch, head, key, sizes, WIDTH)
        v = _load(given.v, batch, head, key, sizes, WIDTH)
        nearer_band = _load(given.table, batch, head, distance - BLOCK, sizes, WIDTH)
        nearer = tl.dot(q, tl.trans(nearer_band), input_precision=PRECISION)
        logits = tl.dot(q, tl.trans(k), input_precision=PRECISION) + _skewed(products, nearer, BLOCK)
        products = nearer
        exponents = tl.where(_seen(query, key, first), logits * _LOG2_E - log_sum[:, None], float("-inf"))
        dweights = tl.dot(grad, tl.trans(v), input_precision=PRECISION)
        dlogits = (tl.exp2(exponents) * (dweights - dot[:, None])).to(q.dtype)
        dproducts = _skewed(dlogits, dlogits_before, BLOCK)
        dlogits_before = dlogits
        found = tl.dot(dlogits, k, found, input_precision=PRECISION)
        band = _load(given.table, batch, head, distance, sizes, WIDTH)
        found = tl.dot(dproducts, band, found, input_precision=PRECISION)
        feature = tl.arange(0, WIDTH)[None, :]
        exist = (distance[:, None] < sizes.tokens) & (feature < sizes.width)
        addresses = dtable + (head * sizes.tokens + distance[:, None]) * sizes.width + feature
        dband = tl.dot(tl.trans(dproducts), q, input_precision=PRECISION)
        tl.atomic_add(addresses, dband, mask=exist, sem="relaxed")
    _store(dq, batch, head, query, sizes, found, WIDTH)


@triton.jit
def backward_keys(
    given, reach, grads, rows, dkv, sizes, BLOCK: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr
):
    """Gradients of one tile of keys and values."""
    tile, batch, head = _place(sizes, BLOCK)
    inside = tl.arange(0, BLOCK)
    key = tile * BLOCK + inside
    k = _load(given.k, batch, head, key, sizes, WIDTH)
    v = _load(given.v, batch, head, key, sizes, WIDTH)
    dk = tl.zeros((BLOCK, WIDTH), tl.float32)
    dv = tl.zeros((BLOCK, WIDTH), tl.float32)
    last_key = tl.minimum(tile * BLOCK + BLOCK, sizes.tokens) - 1
    end = tl.load(reach.end + batch * reach.batch + last_key)
    for above in range(tile, tl.cdiv(end, BLOCK)):
        query = above * BLOCK + inside
        distance = (above - tile) * BLOCK + inside
        q = _load(given.q, batch, head, query, sizes, WIDTH)
        far_band = _load(given.table, batch, head, distance, sizes, WIDTH)
        near_band = _load(given.table, batch, head, distance - BLOCK, sizes, WIDTH)
        far = tl.dot(q, tl.trans(far_band), input_precision=PRECISION)
        near = tl.dot(q, tl.trans(near_band), input_precision=PRECISION)
        logits = tl.dot(q, tl.trans(k), input_precision=PRECISION) + _skewed(far, near, BLOCK)
        row = (batch * sizes.heads + head) * sizes.tokens + query
        log_sum = tl.load(rows[0] + row, mask=query < sizes.tokens, other=float("inf"))
        dot = tl.load(rows[1] + row, mask=query < sizes.tokens, other=0.0)
        first = tl.load(reach.first + batch * reach.batch + query, mask=query < sizes.tokens, other=0)
        exponents = tl.where(_seen(query, key, first), logits * _LOG2_E - log_sum[:, None], float("-inf"))
        weights = tl.exp2(exponents)
        grad = _load(grads, batch, head, query, sizes, WIDTH)
        dv = tl.dot(tl.trans(weights.to(q.dtype)), grad, dv, input_precision=PRECISION)
        dweights = tl.dot(grad, tl.trans(v), input_precision=PRECISION)
        dlogits = (weights * (dweights - dot[:, None])).to(q.dtype)
        dk = tl.dot(tl.trans(dlogits), q, dk, input_precision=PRECISION)
    _store(dkv[0], batch, head, key, sizes, dk, WIDTH)
    _store(dkv[1], batch, head, key, sizes, dv, WIDTH)
