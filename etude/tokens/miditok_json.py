"""MidiTok's ``tokenizer.json``, read and written, for the tokenizers that both have: TSD and MIDI-Like.

A file tells options, from which the vocabulary follows. Options that change ids and that we do not have are refused
by name, never passed over. What is read has ``note_order="played"``, MidiTok's own; a file cannot tell another.
"""

import json
from pathlib import Path
from typing import Any

from etude import files
from etude.errors import TokenError
from etude.tokens.tsd_layout import special_name
from etude.tokens.tsd_settings import ShiftSettings

KINDS = {"TSD": "tsd", "MIDILike": "midilike"}
"""MidiTok's names to ours."""

VERSION = "3.1"
"""The release whose ids are ours; releases before it had other vocabularies for the same options."""

_SAME = (
    "num_velocities",
    "use_velocities",
    "use_pitchdrum_tokens",
    "use_programs",
    "program_changes",
    "use_rests",
    "use_tempos",
    "num_tempos",
    "log_tempos",
    "delete_equal_successive_tempo_changes",
    "use_time_signatures",
    "delete_equal_successive_time_sig_changes",
    "use_key_signatures",
    "use_sustain_pedals",
    "remove_duplicated_notes",
)
"""Options that both have under one name and in one form."""

_PAIRS = ("pitch_range", "drums_pitch_range", "tempo_range")

_NOT_HERE = (
    "use_chords",
    "use_pitch_bends",
    "use_control_changes",
    "use_pitch_intervals",
    "sustain_pedal_duration",
    "ac_polyphony_track",
    "ac_polyphony_bar",
    "ac_pitch_class_bar",
    "ac_note_density_track",
    "ac_note_density_bar",
    "ac_note_duration_bar",
    "ac_note_duration_track",
    "ac_repetition_track",
)
"""Options that we do not have: expected to be off."""

_WITHOUT_EFFECT: dict[str, Any] = {
    "encode_ids_split": "bar",
    "default_note_duration": 0.5,
    "chord_maps": {},
    "chord_tokens_with_root_note": False,
    "chord_unknown": None,
    "control_change_numbers": [],
    "control_change_n_bins": 32,
    "pitch_bend_range": [-8192, 8191, 32],
    "max_pitch_interval": 16,
    "pitch_intervals_max_time_dist": 1,
    "ac_polyphony_min": 1,
    "ac_polyphony_max": 6,
    "ac_note_density_track_min": 0,
    "ac_note_density_track_max": 18,
    "ac_note_density_bar_max": 18,
    "ac_repetition_track_num_bins": 10,
    "ac_repetition_track_num_consec_bars": 4,
    "additional_params": {},
}
"""Options that say nothing while those above are off, as they are written."""

_IN_OUR_FORM = (
    "beat_res",
    "beat_res_rest",
    "programs",
    "special_tokens",
    "time_signature_range",
    "use_note_duration_programs",
    "one_token_stream_for_programs",
)
"""Options that are converted."""


def is_miditok(described: Any) -> bool:
    """Tell whether JSON is a tokenizer of MidiTok's."""
    return isinstance(described, dict) and "tokenization" in described and "config" in described


def tokenizer_of_miditok(described: dict[str, Any]) -> Any:
    """Return the tokenizer that MidiTok described.

    Raises:
        TokenError: a tokenizer, a release or an option that is not known here, or learned merges.
        SettingsError: an option has a wrong value.
    """
    from etude.tokens import build_tokenizer

    kind = KINDS.get(described["tokenization"])
    if kind is None:
        known = ", ".join(KINDS)
        raise TokenError(f"tokenization {described['tokenization']!r}: not known here; expected one of {known}")
    version = str(described.get("miditok_version", ""))
    if version != VERSION and not version.startswith(f"{VERSION}."):
        raise TokenError(f"miditok_version {version!r}: its ids differ from those of {VERSION}, which are read here")
    if "_model" in described or "_vocab_base" in described:
        raise TokenError("_model: merges that MidiTok learned are not read; use its file from before they were learned")
    return build_tokenizer(kind, **_our_settings(described["config"]))


def miditok_of(tokenizer: Any) -> dict[str, Any]:
    """Return what MidiTok reads a ``tsd`` or ``midilike`` tokenizer from; its order of notes cannot be told.

    Raises:
        TokenError: another tokenizer, or an order of ids that MidiTok cannot have.
    """
    names = {ours: theirs for theirs, ours in KINDS.items()}
    if tokenizer.kind not in names:
        raise TokenError(f"tokenizer {tokenizer.kind!r}: MidiTok has no such one; expected {' or '.join(names)}")
    return {
        "config": _their_options(tokenizer.settings),
        "tokenization": names[tokenizer.kind],
        "miditok_version": f"{VERSION}.0",
    }


def write_miditok(tokenizer: Any, path: Path) -> None:
    """Write a ``tsd`` or ``midilike`` tokenizer as MidiTok's ``tokenizer.json``.

    Raises:
        TokenError: another tokenizer, or an order of ids that MidiTok cannot have.
        EtudeError: the file cannot be written.
    """
    # as it is: the order of time signatures is the order of their ids
    files.write_bytes(path, (json.dumps(miditok_of(tokenizer), indent=1) + "\n").encode())


def _our_settings(config: dict[str, Any]) -> dict[str, Any]:
    known = {*_SAME, *_PAIRS, *_NOT_HERE, *_WITHOUT_EFFECT, *_IN_OUR_FORM}
    unknown = sorted(config.keys() - known)
    if unknown:
        raise TokenError(f"config.{unknown[0]}: not an option of MidiTok {VERSION}; nothing is known of its ids")
    for name in _NOT_HERE:
        if config.get(name):
            raise TokenError(f"config.{name} = {config[name]!r}: not known here; expected false")
    settings = {name: config[name] for name in (*_SAME, *_PAIRS) if name in config}
    settings |= {name: _rows(config[name]) for name in ("beat_res", "beat_res_rest") if name in config}
    if "special_tokens" in config:
        settings["special_tokens"] = [name.removesuffix("_None") for name in config["special_tokens"]]
    if "time_signature_range" in config:
        metres = config["time_signature_range"].items()
        settings["time_signature_range"] = [[upper, int(lower)] for lower, uppers in metres for upper in uppers]
    # MidiTok keeps programs in a set of Python's and numbers ids in its order
    programs = list(set(config["programs"])) if "programs" in config else [*range(128), -1]
    without = set(programs) - set(config.get("use_note_duration_programs", programs))
    if without:
        raise TokenError(f"config.use_note_duration_programs: {min(without)} is not in it; expected all programs")
    if config.get("use_programs") and not config.get("one_token_stream_for_programs", True):
        raise TokenError("config.one_token_stream_for_programs = False: not known here; expected true")
    return settings | {"programs": programs, "note_order": "played"}


def _rows(ranges: dict[str, int]) -> list[list[int]]:
    return [[*map(int, beats.split("_")), steps] for beats, steps in ranges.items()]


def _their_options(settings: ShiftSettings) -> dict[str, Any]:
    plain = settings.plain()
    metres: dict[str, list[int]] = {}
    for upper, lower in settings.time_signature_range:
        metres.setdefault(str(lower), []).append(upper)
    in_order = [(upper, int(lower)) for lower, uppers in metres.items() for upper in uppers]
    for name, order in (("time_signature_range", in_order), ("programs", list(set(settings.programs)))):
        if list(getattr(settings, name)) != order:
            raise TokenError(f"tokenizer.{name}: MidiTok cannot keep this order of ids; expected {order}")
    return {
        **{name: plain[name] for name in (*_SAME, *_PAIRS)},
        **dict.fromkeys(_NOT_HERE, False),
        **_WITHOUT_EFFECT,
        "beat_res": {f"{low}_{high}": steps for low, high, steps in settings.beat_res},
        "beat_res_rest": {f"{low}_{high}": steps for low, high, steps in settings.beat_res_rest},
        "programs": plain["programs"],
        "special_tokens": [special_name(word) for word in settings.special_tokens],
        "time_signature_range": metres,
        "use_note_duration_programs": [*range(128), -1],
        "one_token_stream_for_programs": settings.use_programs,
    }
