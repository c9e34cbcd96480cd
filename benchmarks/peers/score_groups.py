#!/usr/bin/env python3
"""ReasonScore of all latents in one pass beside the published way, which runs the language model once for every 48
latents (arXiv 2503.18878, extraction/scripts/compute_score.sh). Both with the same program on the same host, alternately:
the group's way is `orthant score` of a dictionary of the group's latents. Needs nothing but Python.

  score_groups.py --orthant=build/orthant --model=M.gguf --hook=blocks.15.hook_resid_post --text=T.jsonl --latents=16384
                  --groups=5 (measured, evenly over all; 0: all) --out=benchmarks/results/score_groups

The dictionary is a random ReLU one, written as SAELens writes it. Tokens of the model are counted by the program."""
import argparse
import array
import json
import math
import os
import platform
import random
import statistics
import struct
import subprocess
import sys
import tempfile

GROUP = 48  # latents, of the published script


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, (shape, values) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + 4 * len(values)]}
        offset += 4 * len(values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, values in tensors.values():
            values.tofile(file)


def write_dictionary(folder, encoder, bias, width):
    """`encoder`: a row of `width` numbers a latent; the decoder is the same rows."""
    latents = len(encoder)
    os.makedirs(folder, exist_ok=True)
    columns = array.array("f", bytes(4 * width * latents))
    for i, row in enumerate(encoder):
        columns[i::latents] = row
    rows = array.array("f")
    for row in encoder:
        rows.extend(row)
    write_safetensors(os.path.join(folder, "sae_weights.safetensors"), {
        "W_enc": ([width, latents], columns), "b_enc": ([latents], array.array("f", [bias] * latents)),
        "W_dec": ([latents, width], rows), "b_dec": ([width], array.array("f", [0.0] * width))})
    with open(os.path.join(folder, "cfg.json"), "w") as file:
        json.dump({"architecture": "standard", "d_in": width, "d_sae": latents, "dtype": "float32",
                   "apply_b_dec_to_input": False, "normalize_activations": "none",
                   "metadata": {"sae_lens_version": "6.18.0"}}, file)


def unit_rows(latents, width, seed):
    draw = random.Random(seed)
    rows = []
    for _ in range(latents):
        row = [draw.gauss(0.0, 1.0) for _ in range(width)]
        norm = math.sqrt(sum(value * value for value in row))
        rows.append(array.array("f", [value / norm for value in row]))
    return rows


def score(flags, folder, out):
    command = [flags.orthant, "score", f"--model={flags.model}", f"--sae={folder}", f"--hook={flags.hook}",
               f"--text={flags.text}", f"--text_field={flags.text_field}", f"--vocabulary={flags.vocabulary}",
               f"--tokens={flags.tokens}", f"--context={flags.context}", f"--threads={flags.threads}", "--top=10",
               "--contexts.latents=0", "--progress=none", f"--out={out}", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def read_f64(path, name):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        entry = json.loads(file.read(size))[name]
        begin, end = entry["data_offsets"]
        file.seek(8 + size + begin)
        values = array.array("d")
        values.frombytes(file.read(end - begin))
    return values, entry["shape"]


def largest_difference(whole, part, first):
    """Of the sums of a group's latents, relative to the largest of them."""
    values, (rows, latents) = read_f64(whole, "sums")
    own, (_, group) = read_f64(part, "sums")
    scale = max(own) or 1.0
    return max(abs(values[r * latents + first + i] - own[r * group + i]) for r in range(rows) for i in range(group)) / scale


def host():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("orthant", "build/orthant"), ("model", None), ("hook", "blocks.15.hook_resid_post"),
                          ("text", None), ("text_field", "text"), ("out", ""),
                          ("vocabulary", "launch/vocabularies/reasoning.textproto")):
        parser.add_argument(f"--{name}", default=default, required=default is None)
    for name, default in (("width", 576), ("latents", 16384), ("groups", 5), ("tokens", 8192), ("context", 1024),
                          ("threads", os.cpu_count()), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--bias", type=float, default=-18.0, help="of the encoder: the lower, the sparser")
    flags = parser.parse_args()

    rows = unit_rows(flags.latents, flags.width, flags.seed)
    all_groups = math.ceil(flags.latents / GROUP)
    measured = all_groups if flags.groups == 0 else min(flags.groups, all_groups)
    with tempfile.TemporaryDirectory() as folder:
        place = lambda name: os.path.join(folder, name)
        write_dictionary(place("all"), rows, flags.bias, flags.width)
        ours, groups, difference = [], [], 0.0
        score(flags, place("all"), place("warm"))
        for n in range(measured):
            if n < 5 or n % 100 == 0:
                ours.append(score(flags, place("all"), place(f"ours{n}")))
            first = n * all_groups // measured * GROUP
            write_dictionary(place(f"group{n}"), rows[first:first + GROUP], flags.bias, flags.width)
            groups.append(score(flags, place(f"group{n}"), place(f"theirs{n}")))
            difference = max(difference, largest_difference(place("warm/scores.safetensors"),
                                                            place(f"theirs{n}/scores.safetensors"), first))
            print(f"group {n + 1}/{measured}: {groups[-1]['seconds']:.2f} s, all at once {ours[-1]['seconds']:.2f} s",
                  file=sys.stderr)
    one, each = ours[0]["model_tokens"], statistics.mean(group["model_tokens"] for group in groups)
    found = {"what": "score_groups", "host": host(), "threads": flags.threads, "latents": flags.latents,
             "text_tokens": ours[0]["tokens"], "l0": ours[0]["l0"], "groups": all_groups, "groups_measured": measured,
             "model_tokens": one, "model_tokens_of_a_group": each, "model_tokens_of_all_groups": each * all_groups,
             "tokens_ratio": each * all_groups / one,
             "seconds": statistics.median(run["seconds"] for run in ours),
             "seconds_of_a_group": statistics.median(group["seconds"] for group in groups),
             "seconds_of_measured_groups": sum(group["seconds"] for group in groups),
             "largest_difference_of_sums": difference}
    if measured == all_groups:
        found["seconds_of_all_groups"] = found["seconds_of_measured_groups"]
    else:
        found["seconds_of_all_groups"] = found["seconds_of_a_group"] * all_groups
    found["seconds_ratio"] = found["seconds_of_all_groups"] / found["seconds"]
    told = "measured" if measured == all_groups else f"the median of {measured} groups times {all_groups}: extrapolated"
    table = f"""| | all latents in one pass | {GROUP} latents a pass |
| --- | ---: | ---: |
| passes of the model | 1 | {all_groups} |
| tokens of the model | {one} | {each * all_groups:.0f} ({measured} passes counted) |
| seconds | {found['seconds']:.2f} | {found['seconds_of_all_groups']:.1f} ({told}) |
| seconds of a pass | {found['seconds']:.2f} | {found['seconds_of_a_group']:.2f} |

{found['tokens_ratio']:.0f} times fewer tokens of the model, {found['seconds_ratio']:.1f} times less time. {flags.latents} latents of a random
ReLU dictionary (L0 {found['l0']:.1f}), {found['text_tokens']} tokens of text, {flags.threads} threads, {found['host']}. The sums of both ways
differ by {difference:.1e} of the largest at most.
"""
    print(table)
    if flags.out:
        with open(flags.out + ".json", "w") as file:
            json.dump(found, file, indent=1)
            file.write("\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
