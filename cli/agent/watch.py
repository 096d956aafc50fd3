"""Which files to read, and in which order: new ones, rotated ones to their end, truncated ones from their copy.

A path is a name, and files come and go under it. What was delivered belongs to a file (device, inode, and what it
holds), so that a name that stands for another file now is noticed, and the rest of the old one is looked for beside it.
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

#: A rotated file counts as finished when nothing was added to it for so long: its writer has reopened the new one.
GRACE_SECONDS = 2.0
#: More files than this are not followed at a time: each is looked at four times a second.
FILES_MAX = 500
#: So many files beside one that vanished are looked at.
SIBLINGS_MAX = 1000

Key = tuple[int, int]


@dataclass(slots=True)
class Watch:
    """The files of one agent.

    patterns:  paths, or patterns with * ? [ ].
    positions: where each file stands, from the checkpoint; what is read to its end since is added.
    tell:      is told, once, what the user should know: one line.
    from_end:  begin files that are there at the start, and in no checkpoint, at their end.
    """

    patterns: Sequence[str]
    dataset: str
    positions: dict[Key, Position]
    follow: bool
    tell: Callable[[str], None]
    from_end: bool = False
    clock: Callable[[], float] = time.monotonic
    _sources: dict[Path, list[Source]] = field(default_factory=dict)  # by name, the older files first
    _opened: list[Source] = field(default_factory=list)
    _quiet_since: dict[Path, float] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def start(self) -> None:
        """Open all files there are; CommandError or OSError for the first one that cannot be gone on with."""
        for pattern in self.patterns:
            if not glob.has_magic(pattern) and not Path(pattern).exists():
                self._missing(Path(pattern).absolute())
        paths = self._paths()
        if not self.follow and not paths:
            raise CommandError(f"{', '.join(self.patterns)}: file not found")
        for path in paths:
            self._open(path, at_start=True)

    def sources(self) -> list[Source]:
        """The files that may be read now: under each name the oldest that is not finished."""
        return [sources[0] for sources in self._sources.values() if sources]

    def opened(self) -> list[Source]:
        """The files opened since the last call."""
        opened, self._opened = self._opened, []
        return opened

    def look(self) -> None:
        """Notice what happened to the files: new, rotated, truncated, back again."""
        for path in self._paths():
            if not self._sources.get(path):
                self._try(path)
        for path, sources in list(self._sources.items()):
            if sources:
                self._compare(path, sources[-1])

    def finished(self, source: Source, *, anything: bool) -> bool:
        """Whether a rotated file is read to its end. anything: something was just read of it."""
        if anything or self._sources[source.path][-1] is source:
            self._quiet_since.pop(source.path, None)
            return False
        return self.clock() - self._quiet_since.setdefault(source.path, self.clock()) >= GRACE_SECONDS

    def leave(self, source: Source) -> None:
        """A file is read to its end; the next one under its name inherits its header. The caller closes it."""
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
        """What the patterns stand for now, each file once, the oldest first."""
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
        """Open a file that appeared while others are followed: trouble with it is said, and does not end them."""
        try:
            self._open(path, at_start=False)
        except (CommandError, OSError) as error:
            self._once(explain(error) or one_line(str(error)))

    def _open(self, path: Path, *, at_start: bool) -> None:
        descriptor = open_file(path)
        try:
            status = os.fstat(descriptor)
            if any(one.key == (status.st_dev, status.st_ino) for one in self._all()):
                os.close(descriptor)  # known under another name: a pattern that takes rotated files in
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
        """The files to finish before this one, and where to go on in this one (None: at its start)."""
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
        """The position of a file that this one is a copy of, restored or on another device; that one is gone."""
        beside = {key_of(sibling) for sibling in _siblings(path)}
        gone = (one for one in known if one.offset and (one.device, one.inode) not in beside)
        return next((one for one in gone if holds(descriptor, one)), None)

    def _lost(self, path: Path, position: Position) -> None:
        """A name stands for other content, and what it stood for is not beside it."""
        what = f"{path} was truncated or replaced after its first {position.offset:,} bytes were sent"
        if not self.follow:
            raise CommandError(f"{what}: send its present content with --from-start")
        self.tell(f"{what}, while no agent followed it: continuing at its start")

    def _unfinished(self, path: Path, but: Position | None) -> tuple[list[Source], bool]:
        """What files that had this name still hold that was not sent, the oldest first; whether any was found."""
        rests, found = [], False
        for position in list(self.positions.values()):
            if position.path != str(path) or position == but:
                continue
            rest, is_beside = self._rest_of(path, position)
            found |= is_beside
            rests += [rest] if rest else []
        return sorted(rests, key=lambda source: source.modified), found

    def _compare(self, path: Path, source: Source) -> None:
        """Whether the name still stands for the file, and the file still holds what was read."""
        key = key_of(path)
        if key is None:
            return  # renamed, and the new one is not there yet
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
        """Open the file that stands under a name now, to be read from its start after those before it."""
        try:
            descriptor = open_file(path)
        except (CommandError, OSError) as error:
            self._once(explain(error) or one_line(str(error)))
            return
        self._add(path, [*rest, Source(path, self.dataset, descriptor, None, inherited=header)])

    def _rest_of(self, path: Path, position: Position) -> tuple[Source | None, bool]:
        """The file beside `path` that goes on where `position` stands: the same one renamed, or a copy of it.

        None when there is none, or nothing in it that is not read, or being read; and whether there is one.
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
    """Files whose names begin as this one's: `ratings.csv.1`, `ratings-20260301.csv`; the newest first."""
    with os.scandir(path.parent) as entries:
        named = [Path(one.path) for one in entries if one.name.startswith(path.stem) and one.name != path.name]
    there = [(one.stat().st_mtime_ns, one) for one in named[:SIBLINGS_MAX] if one.is_file()]
    return [one for _, one in sorted(there, reverse=True)]
