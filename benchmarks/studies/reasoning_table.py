"""The tables of the worked study, from its run directories, as Markdown on standard output.

    reasoning_table.py OUT S0 S1 FOLDS

Errors are standard errors: of a mean over folds, s / sqrt(folds); of a share p of n latents, sqrt(p (1 - p) / n).
"""
import array
import json
import math
import pathlib
import random
import struct
import sys

TOP = 50
DRAWS = 2000


def result(folder):
    return json.loads((folder / "result.json").read_text())


def tensors(path, names):
    """Those tensors of a safetensors file, F64 or I64, as lists."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    found = []
    for name in names:
        begin, end = header[name]["data_offsets"]
        values = array.array({"F64": "d", "I64": "q"}[header[name]["dtype"]])
        values.frombytes(data[8 + length + begin : 8 + length + end])
        found.append(list(values))
    return found


def mean_and_error(values):
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return mean, spread / math.sqrt(len(values))


def share_text(share, count):
    return f"{100 * share:.1f} ± {100 * math.sqrt(share * (1 - share) / count):.1f} %"


def top_of(scores):
    return sorted(range(len(scores)), key=lambda latent: (-scores[latent], latent))[:TOP]


def stage_table(out, s0, s1):
    print("| dictionary | text measured | explained variance | L0 | dead |\n| --- | --- | ---: | ---: | ---: |")
    for name, folder in (("S (WikiText)", "s"), ("F (S, then GSM8K)", "f")):
        for text in ("wikitext", "gsm8k"):
            r = result(out / "evaluate" / f"{folder}-{text}")
            print(f"| {name} | {text}, {r['measured_rows']} held-out rows | {r['explained_variance']:.3f} | {r['l0']:.1f} | {100 * r['dead_fraction']:.1f} % |")
    print()
    for name, folder in (("S, seed 0", s0), ("S, seed 1", s1), ("F", out / "stage_f")):
        r = result(folder)
        print(f"* {name}: {r['tokens']} tokens, {r['passes']:.1f} passes, weights {r['weights_sha256'][:16]}")
    print()


def overlap(out, stage, folds):
    """Mean overlap of the top latents of each pair of folds, and what random rankings give."""
    tops, size = [], 0
    for fold in range(folds):
        (scores,) = tensors(out / "score" / f"{stage}-fold-{fold}" / "scores.safetensors", ["scores"])
        size = len(scores)
        tops.append(set(top_of(scores)))
    pairs = [len(a & b) / TOP for i, a in enumerate(tops) for b in tops[:i]]
    return sum(pairs) / len(pairs), TOP / size


def score_table(out, folds):
    print(f"| dictionary | mean overlap of the top {TOP} of two folds | of random rankings |\n| --- | ---: | ---: |")
    for name, stage in (("S", "s"), ("F", "f")):
        found, chance = overlap(out, stage, folds)
        print(f"| {name} | {100 * found:.0f} % | {100 * chance:.1f} % |")
    print()
    whole = result(out / "score" / "f-arithmetic")
    print("Tokens in windows of each word, in the solutions scored: "
          + ", ".join(f"{word} {count}" for word, count in whole["word_tokens"].items())
          + f"; near {whole['near_tokens']}, far {whole['far_tokens']}.\n")
    reasoning = result(out / "score" / "f-reasoning")["word_tokens"]
    print("Of the words of ReasonScore: " + ", ".join(f"{word} {count}" for word, count in reasoning.items()) + ".\n")
    (scores,) = tensors(out / "score" / "f-arithmetic" / "scores.safetensors", ["scores"])
    by_fold = [tensors(out / "score" / f"f-fold-{fold}" / "scores.safetensors", ["scores"])[0] for fold in range(folds)]
    features = {json.loads(line)["latent"]: json.loads(line)
                for line in (out / "score" / "f-arithmetic" / "features.jsonl").read_text().splitlines()}
    print("| latent of F | score, 10⁻³ | mean of folds ± error, 10⁻³ | entropy | fires on |\n| ---: | ---: | ---: | ---: | ---: |")
    for latent in top_of(scores)[:10]:
        mean, error = mean_and_error([1e3 * fold[latent] for fold in by_fold])
        feature = features[latent]
        print(f"| {latent} | {1e3 * scores[latent]:.2f} | {mean:.2f} ± {error:.2f} | {feature['entropy']:.2f} | {100 * feature['density']:.2f} % |")
    print()


def presence_table(out):
    presence = result(out / "diff" / "presence")
    names = ("S, seed 0 (F was trained on from it)", "S, seed 1 (another seed)")
    print(f"| where | chosen {TOP}: cosine >= 0.7 | mean | 200 random latents of F: >= 0.7 | mean | random direction: mean |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, stage in zip(names, presence["stages"]):
        other = stage["random"]
        print(f"| {name} | {share_text(stage['share_at_threshold'], stage['latents'])} | {stage['mean']:.3f} | "
              f"{share_text(other['share_at_threshold'], other['latents'])} | {other['mean']:.3f} | {stage['chance_largest_cosine']:.3f} |")
    print()


def rotation_table(out):
    cosines = result(out / "diff" / "rotation")["transitions"][0]["cosine"]
    (scores,) = tensors(out / "score" / "f-arithmetic" / "scores.safetensors", ["scores"])
    chosen = [cosines[latent] for latent in top_of(scores)]
    draw = random.Random(0)
    means = sorted(sum(draw.sample(cosines, TOP)) / TOP for _ in range(DRAWS))
    mean, error = mean_and_error(chosen)
    print(f"Same-number cosine from S to F: all latents {sum(cosines) / len(cosines):.3f}; the {TOP} chosen {mean:.3f} ± {error:.3f}; "
          f"{DRAWS} draws of {TOP} random latents: 95 % of their means between {means[DRAWS // 40]:.3f} and {means[-DRAWS // 40]:.3f}.\n")


def match_table(out):
    print("| matched one to one | mean cosine | >= 0.7 | mutually nearest | best possible mean is higher by at most |\n| --- | ---: | ---: | ---: | ---: |")
    for name, folder in (("S seed 0 with S seed 1", "match-seeds"), ("S with F", "match-stages")):
        r = result(out / "diff" / folder)
        gap = r["gap_of_all_pairs"] / r["pairs"]
        print(f"| {name} | {r['mean_cosine']:.3f} | {share_text(r['share_at_threshold'], r['latents'])} | "
              f"{share_text(r['mutually_nearest_share'], r['latents'])} | {gap:.4f} |")
    print()


def main():
    out, s0, s1, folds = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), int(sys.argv[4])
    print("## Stages\n")
    stage_table(out, s0, s1)
    print("## Latents by words\n")
    score_table(out, folds)
    print("## Presence of the chosen latents of F\n")
    presence_table(out)
    print("## How far latents turned\n")
    rotation_table(out)
    print("## Two seeds and two stages\n")
    match_table(out)
    print("## Time\n")
    for line in (out / "times.txt").read_text().splitlines():
        print(f"* {line}")


if __name__ == "__main__":
    main()
