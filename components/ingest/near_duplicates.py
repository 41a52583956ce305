"""Groups of near duplicates: the same picture re-encoded, resized, or slightly retouched.

Perceptual hash (pHash: the signs of the low frequencies of a discrete cosine transform) to find
candidates, correlation of the grey thumbnails to confirm them. Time grows as n log n: instead of
all pairs, hashes are sorted and only neighbours compared, in one order for each rotation of the
bits; two hashes that differ in few bits are neighbours in an order that begins with equal ones.
Cropped and mirrored copies are not found.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

NEIGHBOURS = 24  # compared in each order
ROTATION = 4  # bits between two orders
CORRELATION = 0.9  # of thumbnails; unrelated photos with near hashes stay below 0.8
BLOCK = 8192  # thumbnails at a time, to bound memory


def perceptual_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """64-bit hashes [n] (uint64) of grey thumbnails [n, side, side] (uint8)."""
    side = thumbnails.shape[-1]
    places = np.arange(side)
    cosines = np.cos(np.pi * np.outer(np.arange(8), 2 * places + 1) / (2 * side))
    hashes = np.zeros(len(thumbnails), np.uint64)
    for start in range(0, len(thumbnails), BLOCK):
        block = thumbnails[start : start + BLOCK].astype(np.float64)
        waves = (cosines @ block @ cosines.T).reshape(len(block), 64)
        waves[:, 0] = 0  # the mean brightness says nothing
        bits = waves > np.median(waves[:, 1:], axis=1, keepdims=True)
        bits[:, 0] = False
        hashes[start : start + BLOCK] = np.packbits(bits, axis=1).view(">u8")[:, 0]
    return hashes


def near_pairs(hashes: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    """Pairs [m, 2] of indices whose hashes differ in at most `distance` bits; some come twice."""
    for turn in range(0, 64, ROTATION):
        left, right = np.uint64(turn), np.uint64(64 - turn)
        turned = (hashes << left) | (hashes >> right) if turn else hashes
        order = np.argsort(turned, kind="stable")
        ordered = turned[order]
        for step in range(1, min(NEIGHBOURS, len(order) - 1) + 1):
            near = np.bitwise_count(ordered[step:] ^ ordered[:-step]) <= distance
            places = np.flatnonzero(near)
            if len(places):
                yield np.stack([order[places], order[places + step]], axis=1)


def group_near_duplicates(pixels: bytes | bytearray, side: int, distance: int) -> list[int]:
    """For each of n grey thumbnails, `pixels` [n, side, side], its group's first member, [n].

    `distance` is the most bits of 64 by which the hashes of a pair may differ. An image without
    near duplicates is its own first member.
    """
    thumbnails = np.frombuffer(pixels, np.uint8).reshape(-1, side, side)
    first = np.arange(len(thumbnails))

    def find(index: int) -> int:
        while first[index] != index:
            first[index] = first[first[index]]
            index = first[index]
        return index

    for pairs in near_pairs(perceptual_hashes(thumbnails), distance):
        pairs = pairs[first[pairs[:, 0]] != first[pairs[:, 1]]]
        for a, b in pairs[_alike(thumbnails, pairs)]:
            one, other = sorted((find(int(a)), find(int(b))))
            first[other] = one
    return [int(find(index)) for index in range(len(first))]


def _alike(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Whether the thumbnails of each pair correlate, [m]."""
    alike = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), BLOCK):
        block = thumbnails[pairs[start : start + BLOCK]].astype(np.float32)
        block = block.reshape(len(block), 2, -1)
        block -= block.mean(axis=2, keepdims=True)
        norms = np.linalg.norm(block, axis=2).prod(axis=1)
        product = (block[:, 0] * block[:, 1]).sum(axis=1)
        alike[start : start + BLOCK] = product >= CORRELATION * np.maximum(norms, 1e-6)
    return alike
