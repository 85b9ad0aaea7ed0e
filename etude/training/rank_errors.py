"""What a failing rank leaves for whoever started it: a JSON file, as torch's own launcher reads it too."""

import json
import os
import time
import traceback
from pathlib import Path

from etude.errors import EtudeError


def record_error(error: BaseException) -> None:
    """Write what went wrong into the file that ``TORCHELASTIC_ERROR_FILE`` names, if it does."""
    name = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not name or Path(name).exists():
        return
    by_user = isinstance(error, EtudeError)
    message = {
        "message": str(error) if by_user else f"{type(error).__name__}: {error}",
        "extraInfo": {
            "py_callstack": "".join(traceback.format_exception(error)),
            "timestamp": str(int(time.time())),
        },
    }
    Path(name).write_text(json.dumps({"message": message, "by_user": by_user}), encoding="utf-8")
