#!/usr/bin/env python3
"""Reads an activation store by memory map, with nothing but Python 3; uses NumPy where it is installed.

    from read_store import Store
    store = Store("store")               # .rows, .d_model, .dtype, .provenance, .content_hash
    row = store.activations(17)          # list of floats, or an array with NumPy
    labels = store.labels(17)            # (token_id, position, document, norm)

As a program it prints rows as JSON lines: read_store.py STORE [FIRST [COUNT]]. Hashes are not checked here;
`orthant verify STORE` does.
"""
import json
import mmap
import struct
import sys

try:
    import numpy
except ImportError:
    numpy = None

HEADER, TAIL, PLACE = 4096, struct.Struct("<qq16s16sq8s"), struct.Struct("<qq16s")
BYTES = {"f32": 4, "bf16": 2, "f16": 2}


class Store:
    def __init__(self, path):
        with open(f"{path}/store.json", encoding="utf-8") as file:
            fields = json.load(file)
        if fields["kind"] != "activation_store" or fields["format"] != 1:
            raise ValueError(f"{path}: not an activation store of format 1")
        for name in ("rows", "d_model", "dtype", "provenance", "content_hash"):
            setattr(self, name, fields[name])
        self.label_rows = fields["label_block_rows"]
        self.shards = [(s["first_row"], s["rows"], self._map(f"{path}/{s['file']}")) for s in fields["shards"]]

    @staticmethod
    def _map(path):
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def _shard(self, row):
        for first, rows, data in self.shards:
            if first <= row < first + rows:
                return first, rows, data
        raise IndexError(f"row {row} is not in a store of {self.rows} rows")

    def activations(self, row):
        first, _, data = self._shard(row)
        size = self.d_model * BYTES[self.dtype]
        begin_byte = HEADER + (row - first) * size
        stored = data[begin_byte:begin_byte + size]
        if self.dtype == "bf16":  # the upper half of an f32
            words = struct.unpack(f"<{self.d_model}H", stored)
            stored = struct.pack(f"<{self.d_model}I", *(word << 16 for word in words))
        code = "e" if self.dtype == "f16" else "f"
        if numpy is not None:
            return numpy.frombuffer(stored, f"<{'f2' if code == 'e' else 'f4'}").astype("f4")
        return list(struct.unpack(f"<{self.d_model}{code}", stored))

    def labels(self, row):
        first, rows, data = self._shard(row)
        blocks, index, *_ = TAIL.unpack_from(data, len(data) - TAIL.size)
        label_blocks = (first + rows - 1) // self.label_rows - first // self.label_rows + 1
        block = blocks - 1 - label_blocks + row // self.label_rows - first // self.label_rows
        offset, size, _ = PLACE.unpack_from(data, index + block * PLACE.size)
        at, count = row - max(first, row // self.label_rows * self.label_rows), size // 20
        parts = (("<i", 4, 0), ("<i", 4, 4), ("<q", 8, 8), ("<f", 4, 16))  # one array after the other
        return tuple(struct.unpack_from(code, data, offset + start * count + at * width)[0] for code, width, start in parts)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: read_store.py STORE [FIRST [COUNT]]")
    opened = Store(sys.argv[1])
    begin = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    end = min(opened.rows, begin + (int(sys.argv[3]) if len(sys.argv) > 3 else 10))
    for number in range(begin, end):
        token, position, document, norm = opened.labels(number)
        print(json.dumps({"row": number, "token_id": token, "position": position, "document": document, "norm": norm,
                          "activations": [float(x) for x in opened.activations(number)]}))
