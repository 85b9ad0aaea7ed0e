"""The README of what was imported or exported: where it comes from, and how to use it."""

from typing import Any


def card_of_export(model: Any, *, layout: str, use: str) -> str:
    """Return the card of a model in somebody else's layout.

    Args:
        model: what ``etude.load`` returned.
        layout: the name of the layout.
        use: lines of code, indented as a block.
    """
    config, tokenizer = model.config, model.tokenizer
    licences = "\n".join(f"- {name}: {count} pieces" for name, count in sorted(config.get("licences", {}).items()))
    origin = config.get("imported")
    if origin:
        licences = f"- the weights were published by others: {origin.get('source')}, {origin.get('licence')}"
    number = sum(weight.numel() for weight in model.network.parameters())
    return f"""# A {config["model"]["kind"]} as {layout}

{number:,} parameters; {model.network.vocab_size:,} ids of the tokenizer {tokenizer.kind} ({tokenizer.hash}).
Run {config.get("run", "unknown")}, step {config.get("step", 0)}; weights {model.digest}.

## Data

Corpus digest {config.get("corpus", "unknown")}. Licences of the pieces it was trained on:

{licences or "- not recorded"}

## Use

Ids are those of the tokenizer beside this file, END is {tokenizer.end_id} and PAD {tokenizer.pad_id}.

{use}"""


def card_of_import(origin: dict[str, Any], network: Any, tokenizer: Any) -> str:
    """Return the card of a model folder with published weights.

    Args:
        origin: ``imported`` of the folder's ``config.json``.
        network: the model.
        tokenizer: its tokenizer.
    """
    number = sum(weight.numel() for weight in network.parameters())
    return f"""# {origin.get("name", origin["system"])}, published weights

{number:,} parameters, vocabulary of {tokenizer.vocab_size:,} ids (tokenizer {tokenizer.kind}, {tokenizer.hash}).
Imported from `{origin["file"]}` (SHA-256 {origin.get("sha256", "not recorded")}).
Left out: {", ".join(origin["left_out"]) or "nothing"}.

## Licence

Not trained here: {origin.get("source", "source not recorded")}, licence {origin.get("licence", "not recorded")}. Look
there what it was trained on and what may be done with it.

## Use

    etude generate PATH_TO_THIS_FOLDER --seconds 30 -n 4
"""
