"""The card of a model folder: data and licences, measured numbers, how to use it."""

from typing import Any


def model_card(config: dict[str, Any], num_parameters: int) -> str:
    """Return the text of a card.

    Args:
        config: what ``config.json`` says.
        num_parameters: weights of the model.
    """
    valid = config.get("valid", {})
    numbers = "\n".join(f"| {name} | {value:.4f} |" for name, value in valid.items() if isinstance(value, float))
    licences = "\n".join(f"- {name}: {count} pieces" for name, count in sorted(config.get("licences", {}).items()))
    return f"""# A {config["model"]["kind"]} trained with Etude {config["etude"]}

{num_parameters:,} parameters, vocabulary of {config["vocab_size"]} ids (tokenizer {config["tokenizer_hash"]}).
Run {config.get("run", "unknown")}, step {config.get("step", 0)}.

## Data

Corpus digest {config.get("corpus", "unknown")}. Licences of the pieces it was trained on:

{licences or "- not recorded"}

## Measured on the validation split

| number | value |
|---|---|
{numbers}

## Use

    etude generate PATH_TO_THIS_FOLDER --seconds 30 -n 4
"""
