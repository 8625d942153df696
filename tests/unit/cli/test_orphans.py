"""What a process has started ends with it, however deep it stands."""

import os
import subprocess
import sys

import pytest

PARENT = """
import subprocess, sys
from serve_apps.cli.orphans import none_left_behind

def start(code):
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

SLEEP = "import time; time.sleep(600)"
NEST = (
    "import subprocess, sys;"
    f"child = subprocess.Popen([sys.executable, '-c', '{SLEEP}'], start_new_session=True,"
    " stdout=subprocess.DEVNULL);"
    "print(child.pid, flush=True);"
)
with none_left_behind():
    orphan = start(NEST).communicate()[0].strip()
    child = start(NEST + SLEEP)
    print(orphan, child.pid, child.stdout.readline(), flush=True)
    {ending}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
@pytest.mark.parametrize("ending", ["pass", "raise KeyboardInterrupt"])
def test_children_and_orphans_end_with_their_elder(ending: str) -> None:
    # Given a process with a child, a grandchild, and an orphan in a session of its own
    code = PARENT.replace("{ending}", ending)
    # When it ends
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=60, check=False
    )
    # Then so have they
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 3
    assert [pid for pid in pids if not gone(pid)] == []


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
