"""Reads another process's memory, as root may, and looks for byte strings."""

import base64

PAGE = 4096
# A prefix this long of random bytes stands nowhere by chance, and is looked up at every offset.
PREFIX = 8


def scan(pid: int, needles: list[bytes]) -> set[bytes]:
    """Those of `needles` (of 24 bytes or more) that stand in the process's writable memory."""
    by_prefix = {}
    for needle in needles:
        by_prefix.setdefault(needle[:PREFIX], []).append(needle)
    longest = max(map(len, needles))
    found = set()
    for region in writable(pid):
        # Where pages that hold only zeros stand, nothing can begin.
        at, end = 0, len(region)
        while at < end:
            page = region[at : at + PAGE]
            if page.count(0) != len(page):
                window = region[at : at + PAGE + longest]
                for offset in range(len(page)):
                    candidates = by_prefix.get(window[offset : offset + PREFIX])
                    if candidates:
                        found.update(one for one in candidates if window.startswith(one, offset))
            at += PAGE
    return found


def writable(pid: int):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            addresses, permissions = line.split()[:2]
            if not permissions.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in addresses.split("-"))
            region = bytearray()
            while start + len(region) < end:
                try:
                    memory.seek(start + len(region))
                    data = memory.read(end - start - len(region))
                except OSError:
                    # Secret memory: not even root reads it from outside.
                    break
                if not data:
                    break
                region += data
            yield bytes(region)


def places(pid: int, needle: bytes) -> dict[bool, int]:
    """How often a byte string stands in the process's writable memory: in what is locked, and in what isn't."""
    found = {True: 0, False: 0}
    with open(f"/proc/{pid}/smaps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        region = b""
        for line in maps:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                start, end = (int(part, 16) for part in words[0].split("-"))
                region = b""
                if words[1].startswith("rw"):
                    try:
                        memory.seek(start)
                        region = memory.read(end - start)
                    except OSError:
                        # Secret memory: not even root reads it from outside.
                        pass
            elif words[0] == "VmFlags:":
                found["lo" in words[1:]] += region.count(needle)
    return found


def forms(secret: bytes) -> list[bytes]:
    """A secret as it could stand in memory: raw, hex, base64 (whichever way its neighbours shift it)."""
    shifted = []
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + secret)
        # Without the characters that share bits with the neighbours.
        shifted.append(text[(0, 2, 3)[lead] : len(text) - 4])
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), *shifted]
