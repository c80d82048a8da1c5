"""One byte-limited store of read-only arrays, addressed by what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from latentlab.core.direction import Direction
from latentlab.core.directionfile import direction_header
from latentlab.core.document import DirectionRecord, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, Latents, content_hash, read_only

DEFAULT_LIMIT = 512 * 2**20


class ArrayStore:
    """Arrays by content hash. Equal arrays are kept once.

    The limit is soft: an array that something still needs is never dropped.

    Args:
        limit_bytes: above it, ``retain`` drops what nothing needs, the oldest first.
    """

    def __init__(self, limit_bytes: int = DEFAULT_LIMIT) -> None:
        self._arrays: dict[str, Array] = {}
        self._limit = limit_bytes
        self._bytes = 0

    @property
    def bytes_used(self) -> int:
        """Bytes of all arrays."""
        return self._bytes

    def __contains__(self, key: object) -> bool:
        return key in self._arrays

    def __len__(self) -> int:
        return len(self._arrays)

    def put(self, array: Array) -> str:
        """Keep an array, read-only, and return its content hash; it becomes the newest."""
        array = read_only(array)
        key = content_hash(array)
        known = self._arrays.pop(key, None)
        if known is None:
            self._bytes += array.nbytes
            known = array
        self._arrays[key] = known
        return key

    def get(self, key: str) -> Array:
        """Return the read-only array.

        Raises:
            LatentLabError: it is not here.
        """
        array = self._arrays.get(key)
        if array is None:
            raise LatentLabError(
                "The latents or the photograph of this picture are no longer here: "
                "open the file again."
            )
        return array

    def retain(self, hashes: Iterable[str]) -> int:
        """Drop arrays that are not in ``hashes``, the oldest first, until under the limit.

        Returns:
            The number of bytes that were freed.
        """
        needed = set(hashes)
        before = self._bytes
        for key in [key for key in self._arrays if key not in needed]:
            if self._bytes <= self._limit:
                break
            self._bytes -= self._arrays.pop(key).nbytes
        return before - self._bytes

    def subset(self, hashes: Iterable[str]) -> dict[str, Array]:
        """Return the named arrays, for a session file; ``LatentLabError`` when one is missing."""
        return {key: self.get(key) for key in sorted(set(hashes))}

    def put_latents(self, latents: Latents) -> dict[str, str]:
        """Keep all parts; return content hash by part name, as ``Picture.stored`` wants it."""
        return {name: self.put(array) for name, array in latents.items()}

    def latents(self, picture: Picture) -> Latents | None:
        """Return the latents that ``picture.stored`` names, or ``None`` for prior samples."""
        if not picture.stored:
            return None
        parts: Mapping[str, Array] = {n: self.get(key) for n, key in picture.stored.items()}
        return Latents(picture.space, parts)

    def put_direction(self, direction: Direction, model: str) -> DirectionRecord:
        """Keep a direction's vector; return what a document says of it for ``model``."""
        vector = {name: self.put(array) for name, array in direction.vector.items()}
        fields = direction_header(direction).model_dump()
        return DirectionRecord(model=model, vector=vector, **fields)

    def direction(self, record: DirectionRecord) -> Direction:
        """Return the direction of a record; ``LatentLabError`` when its vector is not here."""
        if not all(key in self for key in record.vector.values()):
            raise LatentLabError(
                f"The vector of direction '{record.name}' is no longer here: import its file again."
            )
        fields = record.model_dump(exclude={"model", "vector"})
        return Direction(vector={n: self.get(key) for n, key in record.vector.items()}, **fields)
