"""The end of a process whose parent has died."""

from __future__ import annotations

import os
import signal
import threading
import time

LAST_SECONDS = 20.0  # that a run has to write down what there is


def end_with_parent(parent: int) -> None:
    """End this process when its parent has died: after a SIGTERM, and a while to write down what there is.

    Parameters
    ----------
    parent : int
        The number of the parent's process.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
