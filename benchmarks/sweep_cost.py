#!/usr/bin/env python3
"""What packing saves: 24 trainings on one reading against the same trainings alone, in one run on one host.

    benchmarks/sweep_cost.py [--program build/orthant] [--model M.gguf --text T.txt] [--work DIR] [--tokens N]

The grid is over k, latents, weight of the penalty and seed. What the members compute by themselves is what
their solo runs on a store spend in their own calls (`own_seconds`: first rows, steps, calibration, measures; not the start
of the program), as reading costs next to nothing there. With --model the stream is
also a live language model, which the sweep runs once; two of the solo runs on it are timed, to say what 24 would take.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import time

GRID = """
axis { field: "sae.k" values: "16" values: "32" }
axis { field: "sae.latents" values: "2048" values: "4096" }
axis { field: "sae.orthogonality.coefficient" values: "0" values: "0.25" }
axis { field: "seed" values: "0" values: "1" values: "2" }
"""


def run(*command):
    begun = time.monotonic()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def result(folder):
    return json.loads((folder / "result.json").read_text())


def sweep_file(path, source, tokens, batch):
    path.write_text(
        f'base {{ train {{ source {{ {source} seed: 0 }} sae {{ preset: "ortsae" }} '
        f"train {{ batch_tokens: {batch} tokens: {tokens} holdout_rows: 2048 }} }} }}\n{GRID}"
    )
    return path


def solo(program, sweep, key, out, shares=("--log_level=warning",)):
    wall = run(program, "train", f"--config={sweep}/cells/{key}/config.textproto", f"--out={out}", "--progress=none", *shares)
    return wall, result(out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/orthant")
    parser.add_argument("--model")
    parser.add_argument("--text")
    parser.add_argument("--hook", default="blocks.15.hook_resid_post")
    parser.add_argument("--work", default="sweep-cost", type=pathlib.Path)
    parser.add_argument("--tokens", default=65536, type=int)
    parser.add_argument("--batch", default=2048, type=int)
    parser.add_argument("--harvested", default=40000, type=int)
    args = parser.parse_args()
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)

    if args.model:
        store = args.work / "store"
        run(args.program, "harvest", f"--model={args.model}", f"--text={args.text}", "--text_split=paragraph", f"--hook={args.hook}",
            "--context=256", f"--tokens={args.harvested}", f"--out={store}", "--progress=none", "--log_level=warning")
        source = f'store: "{store}"'
    else:
        source = "synthetic { features: 6400 d_model: 576 l0: 24 }"
    packed = args.work / "packed"
    wall = run(args.program, "sweep", f"--config={sweep_file(args.work / 'packed.textproto', source, args.tokens, args.batch)}",
               f"--out={packed}", "--progress=none", "--log_level=warning")
    cells = result(packed)["cells"]
    alone = [solo(args.program, packed, cell["key"], args.work / "solo" / cell["key"]) for cell in cells]
    equal = all(cell["weights_sha256"] == one["weights_sha256"] for cell, (_, one) in zip(cells, alone))
    own = sum(one["own_seconds"] for _, one in alone)
    solo_wall = sum(seconds for seconds, _ in alone)
    line = {
        "what": "sweep_cost", "cells": len(cells), "tokens": args.tokens, "batch": args.batch,
        "sweep_seconds": round(wall, 2), "solo_seconds": round(solo_wall, 2), "members_own_seconds": round(own, 2),
        "ratio_to_own": round(wall / own, 3), "equal_weights": equal,
    }
    if args.model:
        live = args.work / "live"
        stream = (f'model: "{args.model}" text: "{args.text}" text_split: "paragraph" hook: "{args.hook}" context: 256 '
                  f"tokens: {args.harvested}")
        line["live_sweep_seconds"] = round(
            run(args.program, "sweep", f"--config={sweep_file(args.work / 'live.textproto', stream, args.tokens, args.batch)}",
                f"--out={live}", "--progress=none", "--log_level=warning"), 2)
        keys = [cell["key"] for cell in result(live)["cells"]]
        timed = [solo(args.program, live, key, args.work / "live-solo" / key) for key in keys[:: len(keys) // 2]]
        line["live_solo_seconds_each"] = [round(seconds, 2) for seconds, _ in timed]
        line["live_equal_weights"] = all(
            one["weights_sha256"] == next(c for c in result(live)["cells"] if c["key"] == key)["weights_sha256"]
            for key, (_, one) in zip(keys[:: len(keys) // 2], timed))
    print(json.dumps(line))


if __name__ == "__main__":
    main()
