#!/usr/bin/env python3
"""Checks one volume of a Holdfast store by Documentation/formats.md alone, with nothing of Holdfast's own code.

    Scripts/verify_volume.py /srv/holdfast/volume-1 [--json] [--no-blocks]

It reads the mirror of the event log, frame by frame and chained, and every replica that the log says is needed: footer,
block table, descriptor, SHA-256, and each block's CRC32C. It writes nothing, needs no lock and no key, and wants only
Python's standard library. A volume alone cannot tell which of the last events a quorum had: what follows the last good
frame of the active segment is reported as a note and is no finding.

Exit status: 0 clean, 4 findings, 8 the volume cannot be checked.
"""

import argparse
import hashlib
import json
import pathlib
import re
import struct
import sys

PAGE = 4096
BLOCK = 65536
SEGMENT_HEADER = 4096
FRAME_HEADER = 88
SEGMENT_FOOTER = 64
BLOB_FOOTER = 128
DROPPED = 1


class Unreadable(Exception):
    """Something that keeps the whole volume from being checked."""


def make_tables():
    """Eight tables, for eight bytes a step: in Python the step is what costs."""
    first = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x82F63B78 if crc & 1 else crc >> 1
        first.append(crc)
    tables = [first]
    for _ in range(7):
        last = tables[-1]
        tables.append([(value >> 8) ^ first[value & 0xFF] for value in last])
    return tables


TABLES = make_tables()


def crc32c(data):
    t0, t1, t2, t3, t4, t5, t6, t7 = TABLES
    crc = 0xFFFFFFFF
    whole = len(data) & ~7
    for low, high in struct.iter_unpack("<II", memoryview(data)[:whole]):
        low ^= crc
        crc = (t7[low & 0xFF] ^ t6[low >> 8 & 0xFF] ^ t5[low >> 16 & 0xFF] ^ t4[low >> 24]
               ^ t3[high & 0xFF] ^ t2[high >> 8 & 0xFF] ^ t1[high >> 16 & 0xFF] ^ t0[high >> 24])
    for byte in memoryview(data)[whole:]:
        crc = (crc >> 8) ^ t0[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


# Protobuf: just what is needed of event.proto, by field number.

def fields(message):
    """Number and value of each field: an int, or bytes."""
    position = 0

    def varint():
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while position < len(message):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            yield tag >> 3, varint()
        elif kind == 2:
            count = varint()
            if position + count > len(message):
                raise ValueError("a field ends behind its message")
            yield tag >> 3, message[position:position + count]
            position += count
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")


def first(message, number, default):
    return next((value for found, value in fields(message) if found == number), default)


def every(message, number):
    return [value for found, value in fields(message) if found == number]


VERSION_PUBLISHED, PART_PUBLISHED, RECLAIM_PLANNED, EPOCH_OPENED = 20, 31, 60, 10
CHANGES = {10, 11, 12, 13, 20, 21, 22, *range(30, 35), *range(40, 49), 50, 51, 52, 60, 61, 70, 71, 80}


class Checker:
    def __init__(self, directory, checks_blocks=True):
        self.directory = pathlib.Path(directory)
        self.checks_blocks = checks_blocks
        self.findings = []
        self.notes = []
        # Blobs that the log publishes and no plan to reclaim names: id → (length, SHA-256, event, bucket, key).
        self.needed = {}
        self.reclaimed = set()
        self.sequence = 0
        self.chain = bytes(32)
        self.epoch = 0
        self.time = 0
        self.bytes = 0

    def find(self, code, path, evidence, **more):
        self.findings.append({"class": code, "path": str(path), "evidence": evidence, **more})

    def run(self):
        self.read_identity()
        self.check_log()
        self.check_blobs()
        return self

    def read_identity(self):
        try:
            identity = json.loads((self.directory / "volume.json").read_text())
        except (OSError, ValueError) as error:
            raise Unreadable(f"volume.json cannot be read: {error}") from error
        if identity.get("format") != 1:
            raise Unreadable(f"volume.json has format {identity.get('format')}; this reader knows format 1")
        self.store = bytes.fromhex(identity["storeID"])
        self.index = identity["index"]

    # The log

    def check_log(self):
        names = sorted(p.name for p in (self.directory / "log").iterdir() if p.name not in ("next", "copy"))
        segments = [name for name in names if re.fullmatch(r"\d{20}\.log", name)]
        for name in sorted(set(names) - set(segments)):
            self.find("file.foreign", f"log/{name}", "it is not named as a segment is")
        for position, name in enumerate(segments):
            self.check_segment(name, is_last=position == len(segments) - 1)

    def check_segment(self, name, is_last):
        path = f"log/{name}"
        data = (self.directory / path).read_bytes()
        head = data[:SEGMENT_HEADER]
        if len(head) < SEGMENT_HEADER or head[:8] != b"HFSEG\0\0\1":
            return self.lose(path, "its header does not begin with HFSEG")
        if struct.unpack_from("<I", head, 72)[0] != crc32c(head[:72]):
            return self.lose(path, "the checksum of its header is wrong")
        version, = struct.unpack_from("<I", head, 8)
        if version != 1:
            raise Unreadable(f"{path} has format {version}; this reader knows format 1")
        if head[16:32] != self.store:
            return self.lose(path, f"it belongs to store {head[16:32].hex()}")
        begins, = struct.unpack_from("<Q", head, 32)
        if begins != int(name[:20]):
            self.find("log.damaged-frame", path, f"its header says that it begins with event {begins}")
        if begins != self.sequence + 1:
            self.find("log.damaged-frame", path, f"it begins with event {begins} behind event {self.sequence}",
                      sequence=self.sequence + 1)
            self.sequence, self.chain = begins - 1, head[40:72]
        elif head[40:72] != self.chain:
            self.find("log.damaged-frame", path, "the chain hash in its header is not that of the event before it",
                      sequence=begins)
            self.chain = head[40:72]
        table = self.read_footer(path, data, begins)
        if table is None and not is_last:
            self.find("log.damaged-frame", path, "a segment that is not the last has no footer")
        self.check_frames(path, data, table)

    def lose(self, path, reason):
        self.find("log.damaged-frame", path, reason)

    def read_footer(self, path, data, begins):
        """Offsets of a sealed segment's frames and where they end; nothing if the segment is not sealed."""
        foot = data[-SEGMENT_FOOTER:]
        if foot[:8] != b"HFSEGEND":
            return None
        if struct.unpack_from("<I", foot, 60)[0] != crc32c(foot[:60]):
            self.find("log.damaged-frame", path, "the checksum of its footer is wrong")
            return None
        offset, starts, count, checksum = struct.unpack_from("<QQQI", foot, 8)
        raw = data[offset:offset + 4 * count]
        if starts != begins or offset + 4 * count + SEGMENT_FOOTER != len(data):
            self.find("log.damaged-frame", path, "its footer contradicts the file")
            return None
        if crc32c(raw) != checksum:
            self.find("log.damaged-frame", path, "the checksum of its table is wrong")
            return None
        return [8 * place for place, in struct.iter_unpack("<I", raw)], offset

    def check_frames(self, path, data, table):
        position = SEGMENT_HEADER
        end = table[1] if table else len(data)
        number = 0
        while position + FRAME_HEADER <= end:
            if table and (number >= len(table[0]) or table[0][number] != position):
                self.find("log.damaged-frame", path, f"the table does not have the frame at {position}")
            flaw, length, event = self.frame(data, position, end)
            if flaw:
                following = self.next_frame(data, position, end)
                if not following:
                    if table:
                        self.find("log.damaged-frame", path, f"event {self.sequence + 1}: {flaw}", sequence=self.sequence + 1)
                    elif any(data[position:position + PAGE]):
                        self.notes.append(f"{path}: after event {self.sequence} stands no good frame ({flaw})")
                    return
                self.find("log.damaged-frame", path, f"event {self.sequence + 1}: {flaw}", sequence=self.sequence + 1)
                position, sequence = following
                number += sequence - 1 - self.sequence
                # The chain is taken up again behind the gap.
                self.sequence, self.chain = sequence - 1, None
                continue
            self.apply(*event, path)
            position += length
            number += 1

    def next_frame(self, data, position, end):
        """Place and sequence of the next frame behind a damaged one: one whose header is whole, and that goes on."""
        place = data.find(b"HFEV", position + 8, end)
        while 0 <= place <= end - FRAME_HEADER:
            head = data[place:place + FRAME_HEADER]
            sequence, = struct.unpack_from("<Q", head, 8)
            if place % 8 == 0 and sequence > self.sequence and struct.unpack_from("<I", head, 84)[0] == crc32c(head[:84]):
                return place, sequence
            place = data.find(b"HFEV", place + 4, end)
        return None

    def frame(self, data, position, end):
        """What is wrong, or else the frame's length, and its sequence, epoch, time, chain and body."""
        head = data[position:position + FRAME_HEADER]
        if head[:4] != b"HFEV":
            return "it does not begin with HFEV", 0, None
        if struct.unpack_from("<I", head, 84)[0] != crc32c(head[:84]):
            return "the checksum of its header is wrong", 0, None
        version, flags, sequence, epoch, time, body_length, payload_length, payload_crc, body_crc = struct.unpack_from(
            "<HHQQQIIII", head, 4)
        if version != 1 or flags & ~DROPPED:
            raise Unreadable(f"event {sequence} has format {version} and flags {flags}; this reader knows format 1")
        stored = 0 if flags & DROPPED else payload_length
        length = (FRAME_HEADER + body_length + stored + 7) & ~7
        if position + length > end:
            return "it ends behind its segment", 0, None
        start = position + FRAME_HEADER
        body = data[start:start + body_length]
        payload = data[start + body_length:start + body_length + stored]
        if crc32c(body) != body_crc:
            return "the checksum of its body is wrong", 0, None
        if not flags & DROPPED and crc32c(payload) != payload_crc:
            return "the checksum of its payload is wrong", 0, None
        if sequence != self.sequence + 1:
            return f"it is event {sequence}", 0, None
        if self.chain is not None:
            hashed = hashlib.sha256(self.chain + head[:6] + head[8:48] + body).digest()
            if hashed != head[48:80]:
                return "its chain hash does not follow from the event before it", 0, None
        if epoch < self.epoch or time < self.time:
            return f"epoch {epoch} and time {time} go back", 0, None
        return None, length, (sequence, epoch, time, head[48:80], body, payload if stored else None)

    def apply(self, sequence, epoch, time, chain, body, payload, path):
        self.sequence, self.epoch, self.time, self.chain = sequence, epoch, time, chain
        for number, message in fields(body):
            if number < 10:
                continue
            if number not in CHANGES:
                raise Unreadable(f"event {sequence} is of kind {number}, which this reader does not know")
            if number == EPOCH_OPENED and first(message, 2, self.store) != self.store:
                self.find("log.damaged-frame", path, f"event {sequence} opens an epoch of another store")
            if number == VERSION_PUBLISHED:
                pieces = every(message, 11)
            elif number == PART_PUBLISHED:
                pieces = [first(message, 6, b"")]
            else:
                pieces = []
            for piece in pieces:
                self.publish(piece, sequence, message, payload, path)
            if number == RECLAIM_PLANNED:
                for blob in every(message, 1):
                    self.needed.pop(blob, None)
                    self.reclaimed.add(blob)

    def publish(self, piece, sequence, message, payload, path):
        blob, length, digest = first(piece, 1, b""), first(piece, 3, 0), first(piece, 4, b"")
        if blob:
            place = (first(message, 1, b"").decode(), first(message, 2, b"").decode())
            self.needed.setdefault(blob, (length, digest, sequence, *place))
        elif first(piece, 2, 0) in (0, sequence) and payload is not None:
            if len(payload) != length or hashlib.sha256(payload).digest() != digest:
                self.find("log.damaged-frame", path, f"event {sequence}: its payload is not what its body says",
                          sequence=sequence)

    # Replicas

    def check_blobs(self):
        present = set()
        root = self.directory / "blobs"
        for path in sorted(p for p in root.rglob("*")):
            name = path.relative_to(self.directory).as_posix()
            if path.is_dir():
                if not re.fullmatch(r"blobs/[0-9a-f]{2}(/[0-9a-f]{2})?", name):
                    self.find("file.foreign", name, "it is not named as a directory of blobs is")
                continue
            match = re.fullmatch(r"blobs/([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{28})", name)
            if not match:
                self.find(self.strange_name(path), name, "it is not named as a blob is")
                continue
            blob = bytes.fromhex(match[3])
            present.add(blob)
            if blob in self.needed:
                self.check_replica(path, name, blob)
            elif blob not in self.reclaimed:
                code = "file.orphan" if holder(path) in (None, blob) else "file.duplicate"
                self.find(code, name, "no event of the log publishes it", blob=blob.hex())
        for blob, (_, _, sequence, bucket, key) in self.needed.items():
            if blob not in present:
                name = f"blobs/{blob.hex()[:2]}/{blob.hex()[2:4]}/{blob.hex()}"
                self.find("replica.missing", name, f"event {sequence} publishes it", blob=blob.hex(), bucket=bucket, key=key)
        for path in sorted((self.directory / "incoming").iterdir()):
            name = f"incoming/{path.name}"
            if not re.fullmatch(r"[0-9a-f]{32}", path.name):
                self.find("file.foreign", name, "it is not named as a blob is")
            elif bytes.fromhex(path.name) not in self.needed:
                self.find("incoming.leftover", name, "no event of the log publishes it", blob=path.name)

    @staticmethod
    def strange_name(path):
        if re.fullmatch("[0-9a-fA-F]{32}", path.name) and path.name != path.name.lower():
            return "file.name-variant"
        return "file.duplicate" if holder(path) else "file.foreign"

    def check_replica(self, path, name, blob):
        length, digest, _, bucket, key = self.needed[blob]
        more = {"blob": blob.hex(), "bucket": bucket, "key": key}
        try:
            flaws = self.flaws(path, blob, length, digest)
        except OSError as error:
            flaws = [("replica.unreadable", str(error))]
        for code, evidence in flaws:
            self.find(code, name, evidence, **more)

    def flaws(self, path, blob, length, digest):
        """All that is wrong with a replica that can be told one from the other."""
        data = path.read_bytes()
        self.bytes += len(data)
        least = (((length + 3) & ~3) + 4 * blocks(length) + BLOB_FOOTER + PAGE - 1) // PAGE * PAGE
        end, reason = len(data), footer_flaw(data, len(data))
        if reason:
            if len(data) < least:
                return [("replica.truncated", f"{len(data)} bytes, where at least {least} are needed")]
            ends = range(least, min(len(data), least + 16 * PAGE) + 1, PAGE)
            end = next((e for e in ends if footer_flaw(data, e) is None), None)
            if end is None:
                return [("replica.damaged-trailer", reason)]
        foot = data[end - BLOB_FOOTER:end]
        holder = foot[16:32]
        size, table_offset, count, descriptor_length, descriptor_offset, table_crc, descriptor_crc = struct.unpack_from(
            "<QQIIQII", foot, 32)
        if holder != blob:
            return [("replica.wrong-identity", f"it is a replica of blob {holder.hex()}")]
        if len(data) > end:
            return [("replica.extended", f"{len(data)} bytes, where its trailer ends at {end}")]
        table = data[table_offset:table_offset + 4 * count]
        descriptor = data[descriptor_offset:descriptor_offset + descriptor_length]
        if crc32c(table) != table_crc:
            return [("replica.damaged-trailer", "the checksum of its block table is wrong")]
        if crc32c(descriptor) != descriptor_crc:
            return [("replica.damaged-trailer", "the checksum of its descriptor is wrong")]
        if (first(descriptor, 2, b""), first(descriptor, 9, 0), first(descriptor, 10, b"")) != (holder, size, foot[72:104]):
            return [("replica.damaged-trailer", "its descriptor contradicts its footer")]
        if first(descriptor, 1, b"") != self.store:
            return [("replica.foreign-store", f"it belongs to store {first(descriptor, 1, b'').hex()}")]
        if size != length or foot[72:104] != digest:
            return [("replica.wrong-content", "its length or SHA-256 is not what the log says")]
        found = []
        if first(descriptor, 13, 0) != self.index:
            found.append(("replica.other-volume", f"it was written to volume {first(descriptor, 13, 0)}"))
        if hashlib.sha256(data[:size]).digest() == digest and not self.checks_blocks:
            return found
        expected = [crc for crc, in struct.iter_unpack("<I", table)]
        bad = [n for n in range(count) if crc32c(data[n * BLOCK:min((n + 1) * BLOCK, size)]) != expected[n]]
        if not bad and hashlib.sha256(data[:size]).digest() != digest:
            return found + [("replica.wrong-content", "the SHA-256 of its bytes is not the trailer's")]
        for number in bad:
            is_hole = not any(data[number * BLOCK:min((number + 1) * BLOCK, size)])
            found.append(("replica.hole" if is_hole else "replica.corrupt-block", f"block {number} does not match the table"))
        return found


def blocks(length):
    return (length + BLOCK - 1) // BLOCK


def holder(path):
    """The blob that a file is a replica of, by its footer; none if it has no footer."""
    data = path.read_bytes()
    return None if footer_flaw(data, len(data)) else data[len(data) - BLOB_FOOTER + 16:len(data) - BLOB_FOOTER + 32]


def footer_flaw(data, end):
    """What is wrong with a footer that ends there, or nothing."""
    foot = data[max(end - BLOB_FOOTER, 0):end]
    if len(foot) < BLOB_FOOTER or foot[:8] != b"HFBLOB\0\1":
        return "the footer does not begin with HFBLOB"
    if struct.unpack_from("<I", foot, 124)[0] != crc32c(foot[:124]):
        return "the checksum of the footer is wrong"
    version, block = struct.unpack_from("<II", foot, 8)
    if version != 1 or block != BLOCK:
        raise Unreadable(f"a blob has format {version} and blocks of {block}; this reader knows format 1")
    length, table, count, descriptor_length, descriptor = struct.unpack_from("<QQIIQ", foot, 32)
    size, = struct.unpack_from("<Q", foot, 104)
    whole = (descriptor + descriptor_length + BLOB_FOOTER + PAGE - 1) // PAGE * PAGE
    if (table, count, descriptor, size) != ((length + 3) & ~3, blocks(length), table + 4 * count, whole) or size != end:
        return "the offsets in the footer contradict each other"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volume", help="the volume's directory")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each finding, and a summary last")
    parser.add_argument("--no-blocks", action="store_true",
                        help="where SHA-256 is right, do not compute each block's CRC32C: much faster")
    options = parser.parse_args()
    checker = Checker(options.volume, checks_blocks=not options.no_blocks)
    try:
        checker.run()
    except (Unreadable, OSError) as error:
        print(f"verify_volume: {options.volume}: {error}", file=sys.stderr)
        return 8
    for note in checker.notes:
        print(f"note: {note}", file=sys.stderr)
    for finding in checker.findings:
        print(json.dumps(finding) if options.json else f"{finding['class']}  {finding['path']}  {finding['evidence']}")
    summary = {"volume": checker.index, "sequence": checker.sequence, "head": checker.chain.hex() if checker.chain else "",
               "blobs": len(checker.needed), "bytes": checker.bytes, "findings": len(checker.findings)}
    if options.json:
        print(json.dumps(summary))
    else:
        print(f"volume {checker.index}: {checker.sequence} events, {summary['blobs']} blobs, {summary['findings']} findings; "
              f"head {summary['head']}")
    return 4 if checker.findings else 0


if __name__ == "__main__":
    sys.exit(main())
