"""An exception that ended a history, as one more violation."""

import traceback
from pathlib import Path


def failure(error: Exception) -> str:
    """What broke, and where; without the message, which is for the trace."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"ended by an error: {type(error).__name__}{where}"
