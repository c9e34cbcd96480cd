"""Runs the plain peer, the tuned peer with both of its selections and bench_train alternately and prints their ratios.

compare.py [--rounds=3] [--repetitions=5] [--architectures=topk,batchtopk] [--bench=build/benchmarks/bench_train]
           [--out=FOLDER] [shape flags]

Each round starts each program once, so that a change of the machine's speed meets all three. Times are medians over
all repetitions of all rounds; the ideal step is that of the program that measured the highest peak. Prints a Markdown
table, then the JSON object as the last line; --out also writes both as files. "tuned" selects by torch.topk, "prefiltered" is
the same trainer with a hand-written selection. Exit status 2 when the tuned peer is slower than 38 % of the ideal step, which voids its ratio.
"""

import argparse
import json
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VOID_BELOW = 0.38  # of the ideal step


def parse_flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--architectures", default="topk,batchtopk")
    parser.add_argument("--bench", default=str(ROOT / "build/benchmarks/bench_train"))
    parser.add_argument("--out", type=pathlib.Path)
    for name, default in (("d_model", 576), ("latents", 16384), ("batch", 4096), ("k", 64), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def commands(flags, architecture):
    shape = [f"--{name}={getattr(flags, name)}" for name in ("d_model", "latents", "batch", "k", "threads")]
    shape += [f"--architecture={architecture}", f"--repetitions={flags.repetitions}", "--json"]
    programs = {"plain": [str(HERE / "run.sh"), "plain", *shape],
                "tuned": [str(HERE / "run.sh"), "tuned", "--selection=torch", *shape],
                "prefiltered": [str(HERE / "run.sh"), "tuned", "--selection=prefilter", *shape]}
    if pathlib.Path(flags.bench).is_file():
        programs["orthant"] = [flags.bench, *shape, "--precision=f32"]
    return programs


def run(command):
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0:
        sys.exit(f"{shlex.join(command)} ended with {answer.returncode}\n{answer.stderr[-2000:]}")
    return json.loads(answer.stdout.strip().splitlines()[-1])


def summary(results):
    """The runs of one program as one: every repetition where the program lists them, else its medians."""
    times = [ms for result in results for ms in result.get("ms", [result["ms_p50"]])]
    ideal = statistics.median(result["ideal_ms"] for result in results)
    ms_p50 = statistics.median(times)
    last = {name: value for name, value in results[-1].items() if name not in ("ms", "losses")}
    return {"ms_p50": ms_p50, "ms_min": min(times), "ideal_ms": ideal, "repetitions": len(times), "last_run": last}


def compare(flags, architecture):
    programs = commands(flags, architecture)
    results = {name: [] for name in programs}
    for number in range(flags.rounds):
        for name, command in programs.items():
            results[name].append(run(command))
            print(f"round {number + 1} {architecture} {name}: {results[name][-1]['ms_p50']:.0f} ms", file=sys.stderr)
    rows = {name: summary(runs) for name, runs in results.items()}
    # One yardstick for all: the highest of the peaks, since a busy moment only ever lowers one.
    ideal = min(row["ideal_ms"] for row in rows.values())
    for row in rows.values():
        row["fraction_of_peak"] = ideal / row["ms_p50"]
        row["times_plain"] = rows["plain"]["ms_p50"] / row["ms_p50"]
        row["times_tuned"] = rows["tuned"]["ms_p50"] / row["ms_p50"]
        row["times_prefiltered"] = rows["prefiltered"]["ms_p50"] / row["ms_p50"]
    return {"architecture": architecture, "programs": rows, "commands": {n: shlex.join(c) for n, c in programs.items()},
            "tuned_counts": rows["tuned"]["fraction_of_peak"] >= VOID_BELOW}


def markdown(flags, comparisons):
    lines = [f"d_model {flags.d_model}, latents {flags.latents}, batch {flags.batch}, k {flags.k}, f32, "
             f"{flags.threads} threads, {flags.rounds} alternating rounds of {flags.repetitions} steps", "",
             "| architecture | trainer | ms a step (median) | tokens/s | share of the ideal step | times plain | times tuned | times prefiltered |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for comparison in comparisons:
        for name, row in comparison["programs"].items():
            lines.append(f"| {comparison['architecture']} | {name} | {row['ms_p50']:.0f} | {flags.batch / row['ms_p50'] * 1e3:.0f} "
                         f"| {100 * row['fraction_of_peak']:.0f} % | {row['times_plain']:.2f} | {row['times_tuned']:.2f} "
                         f"| {row['times_prefiltered']:.2f} |")
        if "orthant" not in comparison["programs"]:
            lines.append(f"| {comparison['architecture']} | orthant | not built: {flags.bench} | | | | | |")
        if not comparison["tuned_counts"]:
            lines += ["", f"The tuned {comparison['architecture']} peer is below {100 * VOID_BELOW:.0f} % of the ideal step: "
                          "its ratio does not count."]
    return "\n".join(lines)


def main():
    flags = parse_flags()
    comparisons = [compare(flags, architecture) for architecture in flags.architectures.split(",")]
    table = markdown(flags, comparisons)
    document = json.dumps({"what": "peers", "host": platform.processor() or platform.machine(), "comparisons": comparisons})
    if flags.out:
        flags.out.mkdir(parents=True, exist_ok=True)
        (flags.out / "peers.md").write_text(table + "\n")
        (flags.out / "peers.json").write_text(document + "\n")
    print(table + "\n")
    print(document)
    sys.exit(0 if all(comparison["tuned_counts"] for comparison in comparisons) else 2)


if __name__ == "__main__":
    main()
