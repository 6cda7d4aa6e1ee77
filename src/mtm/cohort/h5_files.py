"""HDF5 files that are written whole, or end in one error that tells why."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py


class _Forgiving:
    """A file that takes no more once something could not be written, and says nothing of it.

    HDF5 cannot leave a file that it cannot write: it tries again at every turn, and crashes in the
    end. So it is let believe that all went well, and the error is raised after it.
    """

    def __init__(self, path: str | Path):
        self.file = open(path, "w+b", buffering=0)  # noqa: SIM115
        self.error: OSError | None = None
        self.place = 0

    def write(self, data) -> int:
        """Write, or pretend to."""
        data = memoryview(data).cast("B")
        if self.error is None:
            try:
                self.file.seek(self.place)
                done = 0
                while done < len(data):
                    done += self.file.write(data[done:])
            except OSError as error:
                self.error = error
        self.place += len(data)
        return len(data)

    def readinto(self, data) -> int:
        """Read; zeros from where nothing was written."""
        view = memoryview(data).cast("B")
        self.file.seek(self.place)
        done = self.file.readinto(view)
        view[done:] = bytes(len(view) - done)
        self.place += len(view)
        return len(view)

    def read(self, size: int) -> bytes:
        """Read bytes."""
        data = bytearray(size)
        self.readinto(data)
        return bytes(data)

    def seek(self, place: int, whence: int = 0) -> int:
        """Go to a place, which may be one that could not be written."""
        ends = (0, self.place, self.file.seek(0, 2))
        self.place = ends[whence] + place
        return self.place

    def tell(self) -> int:
        """Return the place."""
        return self.place

    def truncate(self, size: int | None = None) -> int:
        """Cut or lengthen the file."""
        size = self.place if size is None else size
        if self.error is None:
            try:
                self.file.truncate(size)
            except OSError as error:
                self.error = error
        return size

    def flush(self) -> None:
        """Do nothing: every write has reached the file."""


@contextmanager
def new_h5_file(path: str | Path) -> Iterator[h5py.File]:
    """Yield a new HDF5 file at `path`, open for writing.

    Raises
    ------
    OSError
        Something could not be written; raised after the file is closed.
    """
    target = _Forgiving(path)
    try:
        with h5py.File(target, "w") as file:
            yield file
    finally:
        target.file.close()
        if target.error is not None:
            raise target.error
