"""What a container may write: a launcher that confines its program with Landlock, and a check where that is missing.

SageMaker gives a program its inputs and its model read-only. Permissions cannot stand in for that: root ignores
them. Landlock (Linux 5.13, https://docs.kernel.org/userspace-api/landlock.html) binds root and other users alike and
needs no privilege. On other systems `fingerprint` before and after shows what was changed.

The twin starts this file as a script, in place of the program: `write_protection.py WRITABLE … -- COMMAND …`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

#: Devices and shared memory are writable in every container.
ALWAYS_WRITABLE = ("/dev",)

#: File → size, time of the last change in nanoseconds.
Fingerprint = Mapping[str, tuple[int, int]]

# The numbers are the same on every architecture; the bits are those of include/uapi/linux/landlock.h.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38
_WRITE_FILE = 1 << 1
_REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))
_REFER = 1 << 13  # from version 2: without it no file can be moved to another folder
_TRUNCATE = 1 << 14  # from version 3
_OF_FILES = _WRITE_FILE | _TRUNCATE
_NOT_FOUND = 127


def launcher(command: Sequence[str], writable: Collection[Path]) -> list[str]:
    """The command line that runs `command` with write access to nothing but `writable`, which must exist."""
    return [sys.executable, "-I", "-S", __file__, *map(str, sorted(writable)), "--", *command]


def available() -> bool:
    """Whether this system can confine a program."""
    return _version() > 0


def fingerprint(folder: Path, writable: Collection[Path]) -> Fingerprint:
    """Every file and folder below `folder` that is not writable."""
    found = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(parent, name) not in writable]
        for name in (*folders, *files):
            state = Path(parent, name).lstat()
            found[str(Path(parent, name))] = (0 if name in folders else state.st_size, state.st_mtime_ns)
    return found


def changed(before: Fingerprint, after: Fingerprint) -> list[str]:
    """The paths that were made, changed or removed between two fingerprints, sorted."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def confine(writable: Collection[str]) -> bool:
    """Give up write access for this process and what it starts, but for `writable`; False where that is impossible."""
    version = _version()
    if version < 1:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    access = _WRITE_FILE | _REMOVE_AND_MAKE | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    ruleset = _checked(libc.syscall(_CREATE_RULESET, struct.pack("Q", access), 8, 0))
    for path in writable:
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        allowed = access if Path(path).is_dir() else access & _OF_FILES
        _checked(libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", allowed, handle), 0))
        os.close(handle)
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
    return True


def _version() -> int:
    if sys.platform != "linux":
        return 0
    return int(ctypes.CDLL(None, use_errno=True).syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result


def main(arguments: Sequence[str]) -> None:
    """Confine this process and become COMMAND; exit code 127 when it cannot be run, as a shell's."""
    end = list(arguments).index("--")
    command = list(arguments[end + 1 :])
    confine((*ALWAYS_WRITABLE, *arguments[:end]))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and a new program would inherit that
    try:
        os.execvp(command[0], command)  # noqa: S606 - the twin's own command line, and no shell
    except OSError as error:
        sys.stderr.write(f"exec: {command[0]!r}: {error.strerror}\n")
        sys.exit(_NOT_FOUND)


if __name__ == "__main__":
    main(sys.argv[1:])
