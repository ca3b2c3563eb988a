"""Ed25519ph (RFC 8032, section 5.1) in plain integers: slow, and made for public data only."""

import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(one, other):
    """Two points of the curve, each (x, y), by its complete addition law."""
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P)


def times(number, point):
    total = (0, 1)
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


def decode(data):
    """A point from its 32 bytes; None when they are none."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if len(data) != 32 or y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return (P - x if x & 1 != sign else x, y)


def encode(point):
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def challenge(*parts):
    """The hash with the prefix that Ed25519ph has: flag 1, and an empty context."""
    prefix = b"SigEd25519 no Ed25519 collisions" + bytes([1, 0])
    return int.from_bytes(hashlib.sha512(prefix + b"".join(parts)).digest(), "little") % ORDER


def verifies(public, message, signature):
    """Whether `signature` is that of the message, of which the digest is made here."""
    point, commitment = decode(public), decode(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or commitment is None or scalar >= ORDER or len(signature) != 64:
        return False
    hashed = hashlib.sha512(message).digest()
    right = add(commitment, times(challenge(signature[:32], public, hashed), point))
    return times(scalar, BASE) == right


def sign(seed, message):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    public, hashed = encode(times(scalar, BASE)), hashlib.sha512(message).digest()
    nonce = challenge(digest[32:], hashed)
    commitment = encode(times(nonce, BASE))
    answer = (nonce + challenge(commitment, public, hashed) * scalar) % ORDER
    return public, commitment + answer.to_bytes(32, "little")
