"""The process of a twin in the background: `python -m twin <settings as JSON>`, started by `twin.lifecycle.up`.

It says on stdout, a JSON object a line, how the start goes; once it is ready, or has failed, nothing more.
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
    """Run the twin until it is told to end."""

    def say(**note: Any) -> None:
        try:
            print(json.dumps(note), flush=True)  # noqa: T201 - stdout is the pipe to the process that waits for the twin
        except OSError:  # nobody listens any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def ready(_: RunningTwin) -> None:
        say(ready=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    try:
        foreground(settings, lambda line: say(progress=line), ready)
    except TwinError as error:
        say(failed=str(error))
        return 1
    except Exception as error:  # a defect: the one who waits gets a line, the log the trace
        logging.getLogger(__name__).exception("the twin ended")
        say(failed=f"{type(error).__name__}: {' '.join(str(error).split())} (a defect; the log has the trace)")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Settings.from_json(sys.argv[1])))
