"""Tokenizers: Score to ids and back.

A tokenizer has ``kind, settings, settings_class, vocab, vocab_size, hash, pad_id, end_id, grammar, id_facts`` and
``encode, decode, measure, transpose_ids, to_json``; ``performance.py`` is the example to follow. It says of itself

    loses               words for what its ids do not tell: tempo, metre, key, velocity, pedal, tracks, drums,
                        programs, controls, texts
    num_codebooks       ids a step; 1, or Q for compound ids (T, Q)
    transposes_exactly  whether ``transpose_ids`` equals the encoding of the transposed piece
    measures_spans      whether the measures of parts add up to that of the whole

Compound ids share one vocabulary, in which each codebook has a range of its own. Their grammar reads the steps laid
end to end, one codebook after the other, END once for each codebook: a mask is for the next codebook of a step, and
what has been drawn of the step narrows the rest of it.

To add one, write a file here and a line in ``TOKENIZERS``; outside the package ``their.module:Class`` works
wherever a name does.
"""

from typing import Any

from etude.errors import TokenError
from etude.registry import class_of_kind, parse_kind
from etude.settings import Settings
from etude.tokens.vocab import SCHEMA, VERSION

TOKENIZERS = {
    "absolute": "etude.tokens.absolute:AbsoluteTokenizer",
    "anticipation": "etude.tokens.anticipation:AnticipationTokenizer",
    "bpe": "etude.tokens.bpe:BpeTokenizer",
    "control": "etude.tokens.control:ControlTokenizer",
    "midilike": "etude.tokens.midilike:MidiLikeTokenizer",
    "octuple": "etude.tokens.octuple:OctupleTokenizer",
    "performance": "etude.tokens.performance:PerformanceTokenizer",
    "relative": "etude.tokens.relative:RelativeTokenizer",
    "remi": "etude.tokens.remi:RemiTokenizer",
    "tsd": "etude.tokens.tsd:TsdTokenizer",
}
"""Names to ``module:Class``; imported when they are used."""


def tokenizer_of(settings: Settings) -> Any:
    """Return the tokenizer of checked settings; ``settings.kind`` tells which.

    Raises:
        SettingsError: there is no such tokenizer.
    """
    return class_of_kind(settings.kind, TOKENIZERS, where="tokenizer")(settings)


def build_tokenizer(kind: str, **settings: Any) -> Any:
    """Return a tokenizer by its name, or ``module:Class``, with checked settings.

    Raises:
        SettingsError: there is no such tokenizer, or a setting is unknown or has a wrong value.

    Example:
        >>> build_tokenizer("performance", pedal="ignore").vocab_size
        390
    """
    return tokenizer_of(parse_kind({"kind": kind} | settings, TOKENIZERS, where="tokenizer"))


def tokenizer_from_json(described: dict[str, Any]) -> Any:
    """Return the tokenizer that ``to_json``, or MidiTok, described, made sure that its ids still mean the same.

    Raises:
        TokenError: not a description of a tokenizer, or its ids mean something else now.
        SettingsError: a setting is unknown or has a wrong value.
    """
    given = described if isinstance(described, dict) else {}
    if "tokenization" in given:
        # the name that MidiTok's files have; the module needs build_tokenizer
        from etude.tokens.miditok_json import tokenizer_of_miditok

        return tokenizer_of_miditok(given)
    if (given.get("schema"), given.get("version")) != (SCHEMA, VERSION):
        raise TokenError(
            f"tokenizer: schema {given.get('schema')!r}, version {given.get('version')!r}: expected "
            f"{SCHEMA!r}, version {VERSION}; encode again with this version"
        )
    missing = {"kind", "settings", "hash"} - given.keys()
    if missing:
        raise TokenError(f"tokenizer: no {' or '.join(sorted(missing))} in its description; encode again")
    settings = {name: value for name, value in given["settings"].items() if name != "kind"}
    tokenizer = build_tokenizer(given["kind"], **settings)
    if tokenizer.hash != given["hash"]:
        raise TokenError(
            f"tokenizer {given['kind']!r}: hash {given['hash']}, this version has {tokenizer.hash}; "
            f"its ids mean something else now: encode again"
        )
    return tokenizer
