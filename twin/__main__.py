"""The process of a twin in the background: `python -m twin <settings as JSON>`, started by `twin.lifecycle.up`.

It reports its start on stdout, one JSON object per line, until it is ready or has failed.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

from twin.lifecycle import RunningTwin, Settings, foreground
from twin.server import TwinError


def main(settings: Settings) -> int:
    """Run the twin until a signal ends it."""

    def report(**note: Any) -> None:
        try:
            print(json.dumps(note), flush=True)  # noqa: T201 - stdout is the pipe to the process that waits for the twin
        except OSError:  # the parent has closed the pipe
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def ready(_: RunningTwin) -> None:
        report(ready=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    try:
        foreground(settings, lambda line: report(progress=line), ready)
    except TwinError as error:
        report(failed=str(error))
        return 1
    except Exception as error:  # a defect: the parent gets a line, the log the trace
        logging.getLogger(__name__).exception("the twin ended")
        report(failed=f"{type(error).__name__}: {' '.join(str(error).split())} (a defect; the log has the trace)")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Settings.from_json(sys.argv[1])))
