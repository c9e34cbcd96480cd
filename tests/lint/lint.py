#!/usr/bin/env python3
"""Checks of the source tree that no compiler makes: lint.py SOURCE_DIR.

Rooms include only what is below them; mpi.h and CUDA headers stay where they belong; a source includes its own header
first, which shows that the header compiles alone; kernels use only what their emulation has; no file grows too long.
"""
import pathlib
import re
import sys

BELOW = {
    "runtime": {"runtime"},
    "kernels": {"kernels", "runtime"},
    "models": {"models", "kernels", "runtime"},
    "sae": {"sae", "kernels", "runtime"},
    "launch": {"launch", "models", "sae", "kernels", "runtime"},
    "benchmarks": {"benchmarks", "launch", "models", "sae", "kernels", "runtime"},
    "tests": {"tests", "launch", "models", "sae", "kernels", "runtime"},
}
# What kernels may use of runtime: no files, no jobs, no communication.
KERNELS_RUNTIME = {"core", "device"}
SOURCES = {".h", ".cpp", ".cu", ".cuh"}
LONGEST_FILE = 600
# What a kernel file leaves to kernels/cuda/launch.cuh, or does without: sums in no fixed order, code that no host can run.
LAUNCH_HEADER = pathlib.PurePath("kernels/cuda/launch.cuh")
NOT_IN_KERNELS = re.compile(r"<<<|\b__shared__\b|\b__shfl|\b__ballot|\b__syncwarp|\batomic\w*|\basm\b|\bprintf\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def problems_of(path: pathlib.PurePath, text: str, has_own_header: bool = False) -> list[str]:
    room = path.parts[0]
    found = []
    lines = text.splitlines()
    if len(lines) > LONGEST_FILE:
        found.append(f"{path}: {len(lines)} lines, at most {LONGEST_FILE} (split it by idea)")
    if path.suffix == ".h" and "#pragma once" not in lines:
        found.append(f"{path}: no #pragma once")
    includes = [match.group(1) for match in map(INCLUDE.match, lines) if match]
    own_header = str(path.with_suffix(".h"))
    if has_own_header and includes[:1] != [own_header]:
        found.append(f"{path}: does not include {own_header} first")
    for number, line in enumerate(lines, 1):
        is_kernel = path.suffix in {".cu", ".cuh"} and path.parts[0] == "kernels" and path != LAUNCH_HEADER
        if is_kernel and (forbidden := NOT_IN_KERNELS.search(line.split("//")[0])):
            found.append(f"{path}:{number}: uses {forbidden.group(0)}, which only kernels/cuda/launch.cuh may (or nobody)")
        match = INCLUDE.match(line)
        if match is None:
            continue
        header = match.group(1)
        parts = header.split("/")
        at = f"{path}:{number}: includes {header}"
        if parts[0] in BELOW and parts[0] not in BELOW[room]:
            found.append(f"{at}, but {room} is not above {parts[0]}")
        if room == "kernels" and parts[0] == "runtime" and parts[1] not in KERNELS_RUNTIME:
            found.append(f"{at}, but kernels use only runtime/core and runtime/device")
        if header == "mpi.h" and not (path.parts[:2] == ("runtime", "comm") and "mpi" in path.name):
            found.append(f"{at}, which only runtime/comm/*mpi* may")
        is_cuda = re.match(r"(cuda|cublas|nccl)", parts[-1]) and len(parts) == 1
        if is_cuda and path.suffix not in {".cu", ".cuh"} and not re.search(r"cuda|nccl", path.name):
            found.append(f"{at}, which only CUDA sources may")
    return found


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    found = []
    if "Apache License" not in (root / "LICENSE").read_text(encoding="utf-8"):
        found.append("LICENSE is not the Apache License")
    files = sorted(p for room in BELOW for p in (root / room).rglob("*") if p.suffix in SOURCES)
    for file in files:
        has_own_header = file.suffix == ".cpp" and file.with_suffix(".h").exists()
        found += problems_of(file.relative_to(root), file.read_text(encoding="utf-8"), has_own_header)
    print("\n".join(found) if found else f"{len(files)} files are clean")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
