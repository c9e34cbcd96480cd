"""The runs of scaling.sh as a table and a plot: scaling_table.py FOLDER reads FOLDER/runs.jsonl, writes scaling.md and
scaling.svg there and prints the table.

Efficiency is the rate a rank of a run over the rate of the one-rank run of the same kind: of tokens for harvest and for
strong training, of tokens times latents for weak training, whose dictionary grows with its shards.
"""

import json
import pathlib
import sys

COLOURS = ("#3b6fb6", "#c8553d", "#4f9d69", "#8b5fbf", "#b08d2e", "#5a5a5a")


def work_rate(run):
    return run["tokens_per_second"] * run.get("latents", 1)


def kind_of(run):
    if run["what"] == "harvest":
        return f"harvest, {run['scaling']}"
    mesh = run["mesh"]
    if mesh["data"] == 1:
        return f"train, {run['scaling']}, shards"
    if mesh["dictionary"] == 1:
        return f"train, {run['scaling']}, replicas"
    return f"train, {run['scaling']}, {mesh['data']} replicas of shards"


def with_efficiency(runs):
    base = {(run["what"], run["scaling"]): work_rate(run) for run in runs if run["world"] == 1}
    rows = []
    for run in runs:
        alone = base.get((run["what"], run["scaling"]))
        rows.append({**run, "efficiency": work_rate(run) / run["world"] / alone if alone else None})
    return rows


def mesh_text(run):
    return f"{run['mesh']['data']} x {run['mesh']['dictionary']}" if "mesh" in run else "-"


def bytes_text(count):
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000


def table(rows):
    lines = ["| what | scaling | ranks | data x dictionary | latents | rows | ms a step | tokens/s | efficiency | bytes on the wire a step |",
             "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for run in rows:
        trains = run["what"] != "harvest"
        shared = " (ranks share cores)" if run["world"] * run["threads"] > run["cores"] else ""
        efficiency = f"{100 * run['efficiency']:.0f} %" if run["efficiency"] else "-"
        lines.append(f"| {'train' if trains else 'harvest'} | {run['scaling']} | {run['world']}{shared} | {mesh_text(run)} "
                     f"| {run['latents'] if trains else '-'} | {run['batch'] if trains else run['tokens']} "
                     f"| {'%.0f' % run['ms_p50'] if trains else '-'} | {run['tokens_per_second']:.0f} | {efficiency} "
                     f"| {bytes_text(run['bytes_on_the_wire'])} |")
    return "\n".join(lines)


def series_of(rows):
    """Efficiency by ranks for every kind; each starts at the one-rank run."""
    series = {}
    for run in rows:
        if run["world"] > 1 and run["efficiency"]:
            series.setdefault(kind_of(run), [(1, 1.0)]).append((run["world"], run["efficiency"]))
    return series


def svg(series):
    width, height, left, bottom, right = 720, 360, 60, 50, 250
    most = max((ranks for points in series.values() for ranks, _ in points), default=1)
    top = max([1.0] + [value for points in series.values() for _, value in points]) * 1.05

    def x(ranks):
        return left + (width - left - right) * (ranks - 1) / max(1, most - 1)

    def y(value):
        return 20 + (height - 20 - bottom) * (1 - value / top)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>']
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<line x1="{left}" y1="{y(value):.1f}" x2="{width - right}" y2="{y(value):.1f}" stroke="#ddd"/>'
                     f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{100 * value:.0f} %</text>')
    for ranks in range(1, most + 1):
        parts.append(f'<text x="{x(ranks):.1f}" y="{height - bottom + 18}" text-anchor="middle">{ranks}</text>')
    parts.append(f'<text x="{(left + width - right) / 2:.0f}" y="{height - 10}" text-anchor="middle">ranks</text>')
    for number, (name, points) in enumerate(series.items()):
        colour, dash = COLOURS[number % len(COLOURS)], ' stroke-dasharray="5 3"' if number >= len(COLOURS) else ""
        path = " ".join(f"{x(ranks):.1f},{y(value):.1f}" for ranks, value in sorted(points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        parts += [f'<circle cx="{x(ranks):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>' for ranks, value in points]
        parts.append(f'<line x1="{width - right + 15}" y1="{30 + 20 * number}" x2="{width - right + 40}" y2="{30 + 20 * number}" '
                     f'stroke="{colour}" stroke-width="2"{dash}/>'
                     f'<text x="{width - right + 46}" y="{34 + 20 * number}">{name}</text>')
    return "\n".join(parts + ["</svg>"]) + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    rows = with_efficiency([json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()])
    text = table(rows)
    (folder / "scaling.md").write_text(text + "\n")
    (folder / "scaling.svg").write_text(svg(series_of(rows)))
    print(text)


if __name__ == "__main__":
    main()
