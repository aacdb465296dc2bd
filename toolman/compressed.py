"""The plain bytes of a compressed file: gz, bz2, xz or zst, told by its first bytes.

Written for files that somebody may have made to do harm. Memory is bounded whatever the file says,
and it is one stream and nothing else: where programs differ on what follows the first one, two
readers see two contents.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, BinaryIO, Protocol

from toolman.archive import Frame
from toolman.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable

_BLOCK = 1 << 16  # bytes at a time to decompress
_MEMORY = 192 << 20  # bytes that xz may take; its greatest level, -9, takes 65 MiB
_GZIP = 31  # of zlib: with gzip's header, and no other


class Plain(Protocol):
    """Bytes to be read once, from their beginning to their end."""

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only at the end.

        Raises:
            IntegrityError: they are damaged or cut off, or take too much memory.
        """

    def end(self) -> None:
        """See that nothing follows.

        Raises:
            IntegrityError: something does.
        """


def plain(file: BinaryIO) -> Plain:
    """What `file` holds.

    Raises:
        IntegrityError: it is of no kind that is read here.
    """
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return Frame(file)
    for magic, decoder in _DECODERS.items():
        if head.startswith(magic):
            return _Stream(file, decoder())
    raise IntegrityError("it is no gz, bz2, xz or zst")


class _Decoder(Protocol):
    """What bz2 and lzma have in common."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class _Gzip:
    """zlib's decoder in the shape of the others."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(_GZIP)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._decoder.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data


class _Stream:
    """One stream of a decoder."""

    def __init__(self, file: BinaryIO, decoder: _Decoder) -> None:
        self._file = file
        self._decoder = decoder

    def read(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size and not self._decoder.eof:
            found += self._more(size - len(found))
        return bytes(found)

    def end(self) -> None:
        # A decoder learns that it is at the end only when it is asked for more.
        more = self.read(1) or self._decoder.unused_data or self._file.read(1)
        if more:
            raise IntegrityError("something follows its end")

    def _more(self, most: int) -> bytes:
        block = self._file.read(_BLOCK) if self._decoder.needs_input else b""
        cut_off = self._decoder.needs_input and not block
        try:
            found = self._decoder.decompress(block, most)
        except (OSError, lzma.LZMAError, zlib.error) as error:  # bz2's is an OSError
            raise IntegrityError(f"its compression is damaged: {error}") from error
        if cut_off and not found and not self._decoder.eof:
            raise IntegrityError("it ends too early")
        return found


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)


_DECODERS: dict[bytes, Callable[[], _Decoder]] = {
    b"\x1f\x8b": _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": _xz,
}
