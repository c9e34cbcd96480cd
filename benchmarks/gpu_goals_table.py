#!/usr/bin/env python3
"""The table of benchmarks/gpu_goals.sh: gpu_goals_table.py RUNS.jsonl"""
import json
import statistics
import sys


def thousands(tokens_per_second: float) -> str:
    return f"{tokens_per_second / 1e3:,.0f} k"


def measured(run: dict) -> tuple[str, str, str]:
    """Tokens/s, share of the measured peak of the product and memory of the trainer, medians over repeats."""
    if not run["measured"]:
        return "not run", "not run", "not run"
    middle = {key: statistics.median(each[key] for each in run["measured"])
              for key in ("tokens_per_second", "fraction_of_peak", "trainer_bytes")}
    return (thousands(middle["tokens_per_second"]), f"{100 * middle['fraction_of_peak']:.0f} %",
            f"{middle['trainer_bytes'] / 1e9:.1f} GB")


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as lines:
        runs = [json.loads(line) for line in lines]
    print("| step | goal, tokens/s | published | predicted (H100) | predicted memory | measured | of peak | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for run in runs:
        predicted = run["predicted"]["predicted"]
        goal = thousands(run["floor"]) if run["floor"] else "-"
        published = thousands(run["published"]) if run["published"] else "-"
        print(f"| {run['goal']} | {goal} | {published} | {thousands(predicted['tokens_per_second'])} | "
              f"{predicted['memory_bytes'] / 1e9:.1f} GB | {' | '.join(measured(run))} |")
    cards = sorted({run["card"] for run in runs})
    print(f"\nCard: {', '.join(cards)}. Commit {runs[0]['predicted']['git']}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
