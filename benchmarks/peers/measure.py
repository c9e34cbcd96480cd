"""Flags, data, clock and result line that the peer trainers share.

A repetition is one training step. The ideal step is the 2 * d_model * latents * batch floating-point operations
of the encoder at the multiply-add peak that is measured in the same process before and after the repetitions;
`fraction_of_peak` is ideal time over median time.
"""

import argparse
import ctypes
import json
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time

import torch

HERE = pathlib.Path(__file__).resolve().parent
SETTINGS = ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "GLIBC_TUNABLES")


SETTLE_SECONDS = 0.3  # until the waiting threads of the last step no longer spin beside the peak's


def parse_flags(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--d_model", type=int, default=576)
    parser.add_argument("--latents", type=int, default=16384)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--k", type=int, default=64)
    parser.add_argument("--architecture", choices=("topk", "batchtopk"), default="topk")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--selection", choices=("torch", "prefilter"), default="prefilter", help="of the tuned trainer")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print the result line alone")
    parser.add_argument("--profile", action="store_true", help="also time the parts of a step, where the trainer has them")
    flags = parser.parse_args()
    if flags.k > flags.latents:
        parser.error(f"--k={flags.k} is larger than --latents={flags.latents}")
    torch.set_num_threads(flags.threads)
    return flags


def initial_weights(d_model, latents, seed=0):
    """Unit decoder rows [latents, d_model]; the encoder starts as the same rows."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(latents, d_model, generator=generator)
    return rows / rows.norm(dim=1, keepdim=True)


def synthetic_batches(count, batch, d_model, seed=1):
    """Sums of 16 of 2,048 unit directions with positive magnitudes plus noise, scaled to unit mean square."""
    generator = torch.Generator().manual_seed(seed)
    directions = initial_weights(d_model, 2048, seed=seed)
    batches = []
    for _ in range(count):
        chosen = torch.randint(0, 2048, (batch, 16), generator=generator)
        magnitudes = torch.rand(batch, 16, generator=generator) + 0.2
        rows = torch.nn.functional.embedding_bag(chosen, directions, per_sample_weights=magnitudes, mode="sum")
        rows += 0.02 * torch.randn(batch, d_model, generator=generator)
        batches.append(rows / rows.square().mean().sqrt())
    return batches


def load_peak_meter():
    """Compiles fma_peak.cpp and returns a function of the number of threads giving FLOP a second."""
    folder = tempfile.mkdtemp(prefix="orthant-peak-")
    library = os.path.join(folder, "fma_peak.so")
    subprocess.run(["g++", "-O3", "-shared", "-fPIC", "-pthread", str(HERE / "fma_peak.cpp"), "-o", library], check=True)
    meter = ctypes.CDLL(library).fma_peak
    meter.restype = ctypes.c_double
    return meter


def git_hash():
    answer = subprocess.run(["git", "-C", str(HERE), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


def percentile(times, share):
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(what, trainer, flags, kernel):
    """Runs warm-up and repetitions; prints a sentence (unless --json) and the result object as the last line."""
    peak_of = load_peak_meter()
    batches = synthetic_batches(3, flags.batch, flags.d_model)
    losses = [trainer.step(batches[i % 3]) for i in range(2)]
    peaks, times, cpu_times = [], [], []
    for repetition in range(flags.repetitions):
        time.sleep(SETTLE_SECONDS)
        peaks.append(peak_of(flags.threads))
        start, cpu_start = time.perf_counter(), time.process_time()
        losses.append(trainer.step(batches[repetition % 3]))
        times.append(1e3 * (time.perf_counter() - start))
        cpu_times.append(1e3 * (time.process_time() - cpu_start) / flags.threads)
    time.sleep(SETTLE_SECONDS)
    peaks.append(peak_of(flags.threads))
    peak = statistics.median(peaks)
    flop = 2.0 * flags.d_model * flags.latents * flags.batch
    ms_p50 = statistics.median(times)
    result = {
        "what": what,
        "architecture": flags.architecture,
        "d_model": flags.d_model,
        "latents": flags.latents,
        "batch": flags.batch,
        "k": flags.k,
        "threads": flags.threads,
        "precision": "f32",
        "ms_p50": ms_p50,
        "ms_p95": percentile(times, 0.95),
        "ms_min": min(times),
        "cpu_ms_min": min(cpu_times),
        "ms": times,
        "ideal_ms": 1e3 * flop / peak,
        "peak_gflops": peak / 1e9,
        "fraction_of_peak": 1e3 * flop / peak / ms_p50,
        "tokens_per_second": flags.batch / ms_p50 * 1e3,
        "losses": losses,
        "peak_resident_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "kernel": kernel,
        "torch": torch.__version__,
        "environment": {name: os.environ[name] for name in SETTINGS if name in os.environ},
        "git": git_hash(),
    }
    if flags.profile and hasattr(trainer, "profile"):
        result["parts_ms"] = trainer.profile(batches[0])
    if not flags.json:
        print(f"{what} {flags.architecture}: {ms_p50:.0f} ms a step, {result['tokens_per_second']:.0f} tokens/s, "
              f"{100 * result['fraction_of_peak']:.0f} % of the ideal step ({result['ideal_ms']:.0f} ms)")
    print(json.dumps(result))
