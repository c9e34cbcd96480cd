"""The tables of benchmarks/results/sparsity.md from run directories of `orthant sparsity`: a row a method, a column a pattern.

    python3 benchmarks/studies/sparsity_table.py RUN...
"""

import json
import sys

HEADLINES = {
    "window_perplexity": "WikiText-2, perplexity of windows",
    "piqa": "PIQA, accuracy in %",
    "gsm8k_answers": "GSM8K, perplexity of the worked answers",
}


def cell(row):
    if row["value"] is None:
        return "–"
    scale = 100 if row["metric"].startswith("acc") else 1
    digits = 1 if scale == 100 else 2
    error = "" if row["stderr"] is None else f" ± {row['stderr'] * scale:.{digits}f}"
    return f"{row['value'] * scale:.{digits}f}{error}"


def method_of(row):
    return row["criterion"] if row["transform"] == "none" else f"{row['criterion']} {row['transform']}"


def main():
    found = []
    for run in sys.argv[1:]:
        with open(f"{run}/result.json", encoding="utf-8") as file:
            found += json.load(file)["rows"]
    rows = {}
    for row in found:
        rows.setdefault((row["task"], method_of(row), row["pattern"]), row)  # the headline comes first
    tasks = dict.fromkeys(row["task"] for row in found)
    methods = [m for m in dict.fromkeys(method_of(row) for row in found) if m != "none"]
    patterns = [p for p in dict.fromkeys(row["pattern"] for row in found) if p != "dense"]
    for task in tasks:
        dense = rows[task, "none", "dense"]
        print(f"\n{HEADLINES.get(task, task)} ({dense['documents']} documents; dense {cell(dense)})\n")
        print("| method | " + " | ".join(patterns) + " |")
        print("| --- |" + " ---: |" * len(patterns))
        for method in methods:
            cells = [cell(rows[task, method, p]) if (task, method, p) in rows else "–" for p in patterns]
            print(f"| {method} | " + " | ".join(cells) + " |")


main()
