"""Fingerprints of pieces: note n-grams that survive edits, sketches of them, and pairs of pieces that share them."""

from etude.fingerprints.line_ngrams import Ngrams
from etude.fingerprints.near import Pairs, near_pairs
from etude.fingerprints.note_ngrams import ngrams
from etude.fingerprints.settings import NearSettings
from etude.fingerprints.sketches import SKETCH_FIELDS, Sketch, sketch, sketches_to_arrow

__all__ = [
    "SKETCH_FIELDS",
    "NearSettings",
    "Ngrams",
    "Pairs",
    "Sketch",
    "near_pairs",
    "ngrams",
    "sketch",
    "sketches_to_arrow",
]
