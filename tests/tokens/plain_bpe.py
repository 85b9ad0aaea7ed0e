"""Byte pair encoding by its definition: slow, and too short to be wrong."""

from collections import Counter


def plain_merges(words, *, vocab_size, num_merges, min_count=2, longest=32):
    """Return what ``etude.tokens.bpe_learn.learn_merges`` returns, for words as (ids, count)."""
    words = [(list(ids), count) for ids, count in words]
    spelt = [(token_id,) for token_id in range(vocab_size)]
    merges, never = [], set()
    while len(merges) < num_merges:
        counts = Counter()
        for ids, count in words:
            for pair in zip(ids, ids[1:], strict=False):
                if pair not in never and len(spelt[pair[0]]) + len(spelt[pair[1]]) <= longest:
                    counts[pair] += count
        most = max(counts.values(), default=0)
        if most < min_count:
            break
        pair = min(pair for pair, count in counts.items() if count == most)
        if spelt[pair[0]] + spelt[pair[1]] in spelt:
            never.add(pair)
            continue
        spelt.append(spelt[pair[0]] + spelt[pair[1]])
        words = [(merged_pair(ids, pair, vocab_size + len(merges)), count) for ids, count in words]
        merges.append(pair)
    return merges


def plain_merged(ids, merges, *, vocab_size):
    """Return the ids of one word with all merges done, in their order."""
    for number, pair in enumerate(merges):
        ids = merged_pair(ids, pair, vocab_size + number)
    return ids


def merged_pair(ids, pair, new):
    """Return ids with ``new`` wherever the pair stands, from the left."""
    result, place = [], 0
    while place < len(ids):
        if tuple(ids[place : place + 2]) == pair:
            result.append(new)
            place += 2
        else:
            result.append(ids[place])
            place += 1
    return result
