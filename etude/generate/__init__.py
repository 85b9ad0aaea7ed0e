"""From a model to takes: drawing ids within the grammar, prompts, and recipes that replay."""
