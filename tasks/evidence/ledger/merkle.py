"""The Merkle tree hash of RFC 6962, section 2.1."""

import hashlib
from collections.abc import Iterable


class MerkleTree:
    """Takes leaves one by one, and keeps the roots of the full subtrees alone: one a bit of their number."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._subtrees: list[tuple[int, bytes]] = []  # leaves below it, hash; largest first
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf: bytes) -> None:
        size, digest = 1, hashlib.sha256(b"\x00" + leaf).digest()
        while self._subtrees and self._subtrees[-1][0] == size:
            _, left = self._subtrees.pop()
            size, digest = 2 * size, _node(left, digest)
        self._subtrees.append((size, digest))

    def root(self) -> str:
        """``sha256:`` and the tree hash of all leaves so far."""
        if not self._subtrees:
            return "sha256:" + hashlib.sha256(b"").hexdigest()
        digest = self._subtrees[-1][1]
        for _, left in reversed(self._subtrees[:-1]):
            digest = _node(left, digest)
        return "sha256:" + digest.hex()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
