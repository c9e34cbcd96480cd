"""Writes the texts of the worked study: WikiText paragraphs, solutions of GSM8K for training and for scoring, and the
latter again in folds by document. Calculator marks (<<48/2=24>>) are taken out of the solutions.

    reasoning_texts.py DATA OUT FOLDS
"""
import json
import pathlib
import re
import sys

SCORED = 660  # solutions, about 62 thousand tokens


def solutions(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        yield re.sub(r"<<[^>]*>>", "", json.loads(line)["answer"])


def write_jsonl(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")


def main():
    data, out, folds = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    paragraphs = []
    for name in ("valid.txt", "test.txt"):
        lines = (data / "wikitext-2" / name).read_text(encoding="utf-8").splitlines()
        paragraphs += [line.strip() for line in lines if line.strip() and not line.strip().startswith("=")]
    (out / "wikitext.txt").write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
    write_jsonl(out / "gsm8k.jsonl", solutions(data / "gsm8k" / "train.jsonl"))
    scored = list(solutions(data / "gsm8k" / "test.jsonl"))[:SCORED]
    write_jsonl(out / "solutions.jsonl", scored)
    for fold in range(folds):
        write_jsonl(out / f"fold-{fold}.jsonl", scored[fold::folds])


if __name__ == "__main__":
    main()
