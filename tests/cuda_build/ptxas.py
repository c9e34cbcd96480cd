#!/usr/bin/env python3
"""What ptxas says of every kernel: ptxas.py NVCC KERNELS_DIR [nvcc options].

Compiles each *_cuda.cu of the directory for one architecture and fails where a kernel spills registers to memory, or
needs more registers than let a block of its threads start. NVCC empty: skipped (exit code 77).
"""
import pathlib
import re
import subprocess
import sys
import tempfile

SKIPPED = 77
ENTRY = re.compile(r"Compiling entry function '(\S+)'")
SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")
# 65,536 registers of a multiprocessor for the largest block, of 1,024 threads.
MOST_REGISTERS = 64


def kernels_of(report: str) -> dict[str, dict[str, int]]:
    """Mangled name -> spilled bytes and registers."""
    kernels: dict[str, dict[str, int]] = {}
    name = ""
    for line in report.splitlines():
        if match := ENTRY.search(line):
            name = match.group(1)
            kernels[name] = {"spills": 0, "registers": 0}
        elif name and (match := SPILLS.search(line)):
            kernels[name]["spills"] += int(match.group(1)) + int(match.group(2))
        elif name and (match := REGISTERS.search(line)):
            kernels[name]["registers"] = int(match.group(1))
    return kernels


def problems_of(file: str, kernels: dict[str, dict[str, int]]) -> list[str]:
    found = [] if kernels else [f"{file}: no kernel found"]
    for name, use in kernels.items():
        if use["spills"]:
            found.append(f"{file}: {name} spills {use['spills']} bytes")
        if use["registers"] == 0 or use["registers"] > MOST_REGISTERS:
            found.append(f"{file}: {name} uses {use['registers']} registers, at most {MOST_REGISTERS}")
    return found


def main() -> int:
    nvcc, folder, options = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    if not nvcc:
        print("skipped: no nvcc was found")
        return SKIPPED
    found, count = [], 0
    for file in sorted(folder.rglob("*_cuda.cu")):
        with tempfile.TemporaryDirectory() as scratch:
            command = [nvcc, "-cubin", "-Xptxas=-v", *options, "-o", f"{scratch}/kernel.cubin", str(file)]
            run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            found.append(f"{file.name}: does not compile\n{run.stderr}")
            continue
        kernels = kernels_of(run.stderr)
        count += len(kernels)
        found += problems_of(file.name, kernels)
        widest = max((use["registers"] for use in kernels.values()), default=0)
        print(f"{file.name}: {len(kernels)} kernels, at most {widest} registers")
    print("\n".join(found) if found else f"{count} kernels, none spills")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
