"""Selects the files to read and their order: new files, rotated ones to their end, truncated ones from their copy.

Rotation changes the file at a path. A position therefore belongs to a file (device, inode, content): when the path has
another file, the rest of the former one is read from the file beside it that has the same content.
"""

from __future__ import annotations

import contextlib
import glob
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.agent.checkpoint import Position
from cli.agent.source import Source, holds, key_of, open_file
from cli.errors import CommandError, explain, one_line

#: Seconds without a new row after which a rotated file is finished: its writer then uses the new file.
GRACE_SECONDS = 2.0
#: The number of files that one agent follows; each is polled four times a second.
FILES_MAX = 500
#: The number of files that are searched for the rest of a file that disappeared.
SIBLINGS_MAX = 1000

Key = tuple[int, int]


@dataclass(slots=True)
class Watch:
    """The files of one agent.

    patterns:  paths, or patterns with * ? [ ].
    positions: the position of each file, from the checkpoint; finished files are added.
    tell:      called with each one-line message for the user.
    from_end:  start at the end of files that exist at the start and are in no checkpoint.
    """

    patterns: Sequence[str]
    dataset: str
    positions: dict[Key, Position]
    follow: bool
    tell: Callable[[str], None]
    from_end: bool = False
    clock: Callable[[], float] = time.monotonic
    _sources: dict[Path, list[Source]] = field(default_factory=dict)  # by path, the oldest first
    _opened: list[Source] = field(default_factory=list)
    _quiet_since: dict[Path, float] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def start(self) -> None:
        """Open all existing files; CommandError or OSError for the first one that cannot be continued."""
        for pattern in self.patterns:
            if not glob.has_magic(pattern) and not Path(pattern).exists():
                self._missing(Path(pattern).absolute())
        paths = self._paths()
        if not self.follow and not paths:
            raise CommandError(f"{', '.join(self.patterns)}: file not found")
        for path in paths:
            self._open(path, at_start=True)

    def sources(self) -> list[Source]:
        """The files to read now: for each path the oldest unfinished one."""
        return [sources[0] for sources in self._sources.values() if sources]

    def opened(self) -> list[Source]:
        """The files opened since the last call."""
        opened, self._opened = self._opened, []
        return opened

    def look(self) -> None:
        """Detect new, rotated, truncated and restored files."""
        for path in self._paths():
            if not self._sources.get(path):
                self._try(path)
        for path, sources in list(self._sources.items()):
            if sources:
                self._compare(path, sources[-1])

    def finished(self, source: Source, *, anything: bool) -> bool:
        """Whether a rotated file was read to its end. anything: rows were just read from it."""
        if anything or self._sources[source.path][-1] is source:
            self._quiet_since.pop(source.path, None)
            return False
        return self.clock() - self._quiet_since.setdefault(source.path, self.clock()) >= GRACE_SECONDS

    def leave(self, source: Source) -> None:
        """Finish a file that is fully read; the next one at its path inherits its header. The caller closes it."""
        sources = self._sources[source.path]
        sources.remove(source)
        self._quiet_since.pop(source.path, None)
        self.positions[source.key] = source.where()
        if sources and not sources[0].inherited:
            sources[0].inherited = source.header

    def close(self) -> None:
        """Close all files."""
        for source in self._all():
            source.close()
        self._sources.clear()

    def _all(self) -> Iterator[Source]:
        for sources in self._sources.values():
            yield from sources

    def _paths(self) -> list[Path]:
        """The files that match the patterns now, each once, the oldest first."""
        found: dict[Path, None] = {}
        for pattern in self.patterns:
            names = glob.glob(pattern) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207 - a pattern of any root
            found |= dict.fromkeys(Path(name).absolute() for name in names)
        there = []
        for path in found:
            with contextlib.suppress(FileNotFoundError):
                there.append((path.stat().st_mtime_ns, path.name, path))
        if len(there) > FILES_MAX:
            raise CommandError(
                f"{', '.join(self.patterns)}: {len(there):,} files, more than {FILES_MAX}: use a narrower pattern"
            )
        return [path for _, _, path in sorted(there)]

    def _missing(self, path: Path) -> None:
        if not self.follow:
            raise CommandError(f"{path}: file not found")
        self.tell(f"{path} does not exist yet: waiting for it")
        rests, _ = self._unfinished(path, None)
        if rests:
            self._add(path, rests)

    def _try(self, path: Path) -> None:
        """Open a file that appeared later: an error is reported and does not stop the other files."""
        try:
            self._open(path, at_start=False)
        except (CommandError, OSError) as error:
            self._once(explain(error) or one_line(str(error)))

    def _open(self, path: Path, *, at_start: bool) -> None:
        descriptor = open_file(path)
        try:
            status = os.fstat(descriptor)
            if any(one.key == (status.st_dev, status.st_ino) for one in self._all()):
                os.close(descriptor)  # known under another path: the pattern also matches rotated files
                return
            before, position = self._where(path, descriptor)
            source = Source(path, self.dataset, descriptor, position)
            if position is None and not before and self.from_end and at_start:
                source.skip_to_end()
        except CommandError:
            os.close(descriptor)
            raise
        self._add(path, [*before, source])

    def _add(self, path: Path, sources: Sequence[Source]) -> None:
        self._sources.setdefault(path, []).extend(sources)
        self._opened.extend(sources)

    def _where(self, path: Path, descriptor: int) -> tuple[list[Source], Position | None]:
        """The files to finish before this one, and its position (None: at its start)."""
        status = os.fstat(descriptor)
        key = (status.st_dev, status.st_ino)
        known = [position for position in self.positions.values() if position.path == str(path)]
        own = self.positions.get(key)
        if own is None or not holds(descriptor, own):
            own = self._copied(path, known, descriptor)
        before, found = self._unfinished(path, own)
        if own is not None:
            return before, own.moved(str(path))
        if known and not found:
            self._lost(path, max(known, key=lambda position: position.offset))
        return before, None

    def _copied(self, path: Path, known: Sequence[Position], descriptor: int) -> Position | None:
        """The position of a deleted file that this one is a copy of (restored, or moved from another device)."""
        beside = {key_of(sibling) for sibling in _siblings(path)}
        gone = (one for one in known if one.offset and (one.device, one.inode) not in beside)
        return next((one for one in gone if holds(descriptor, one)), None)

    def _lost(self, path: Path, position: Position) -> None:
        """Report that a path has other content and that no file beside it has the former content."""
        what = f"{path} was truncated or replaced after its first {position.offset:,} bytes were sent"
        if not self.follow:
            raise CommandError(f"{what}: send its present content with --from-start")
        self.tell(f"{what}, while no agent followed it: continuing at its start")

    def _unfinished(self, path: Path, but: Position | None) -> tuple[list[Source], bool]:
        """The unsent rest of files that had this path, the oldest first, and whether any was found."""
        rests, found = [], False
        for position in list(self.positions.values()):
            if position.path != str(path) or position == but:
                continue
            rest, is_beside = self._rest_of(path, position)
            found |= is_beside
            rests += [rest] if rest else []
        return sorted(rests, key=lambda source: source.modified), found

    def _compare(self, path: Path, source: Source) -> None:
        """Handle a path whose file was replaced or changed."""
        key = key_of(path)
        if key is None:
            return  # renamed, and the new file does not exist yet
        if key != source.key:
            self._behind(path, [], source.header)
        elif not source.intact():
            rest, is_copied = self._rest_of(path, source.seen())
            lost = "" if is_copied else ", and there is no copy beside it: rows that were not read yet are lost"
            self.tell(f"{path} was truncated after {source.offset:,} bytes{lost}; continuing at its start")
            self._sources[path].remove(source)
            source.close()
            self._behind(path, [rest] if rest else [], source.header)

    def _behind(self, path: Path, rest: Sequence[Source], header: str) -> None:
        """Open the file that is at a path now, to be read from its start after those before it."""
        try:
            descriptor = open_file(path)
        except (CommandError, OSError) as error:
            self._once(explain(error) or one_line(str(error)))
            return
        self._add(path, [*rest, Source(path, self.dataset, descriptor, None, inherited=header)])

    def _rest_of(self, path: Path, position: Position) -> tuple[Source | None, bool]:
        """The file beside `path` that continues at `position` (the same one renamed or a copy), and whether one exists.

        The file is None when none exists, or when all of it was read or is being read.
        """
        for sibling in _siblings(path):
            try:
                descriptor = open_file(sibling)
            except (CommandError, OSError):
                continue
            status = os.fstat(descriptor)
            key = (status.st_dev, status.st_ino)
            same = key == (position.device, position.inode)
            if not holds(descriptor, position) or not (same or position.offset):
                os.close(descriptor)
                continue
            own = self.positions.get(key)
            further = own is not None and own.offset > position.offset and holds(descriptor, own)
            source = Source(path, self.dataset, descriptor, own if further else position)
            if source.size > source.offset + source.unended and all(key != one.key for one in self._all()):
                return source, True
            source.close()
            return None, True
        return None, False

    def _once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self.tell(line)


def _siblings(path: Path) -> Iterable[Path]:
    """Files whose names begin like this one's: `ratings.csv.1`, `ratings-20260301.csv`; the newest first."""
    with os.scandir(path.parent) as entries:
        named = [Path(one.path) for one in entries if one.name.startswith(path.stem) and one.name != path.name]
    there = [(one.stat().st_mtime_ns, one) for one in named[:SIBLINGS_MAX] if one.is_file()]
    return [one for _, one in sorted(there, reverse=True)]
