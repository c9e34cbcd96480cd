#!/usr/bin/env python3
"""Writes the data of evaluation tasks as `orthant sparsity` reads them, from the public data sets.

    pip install datasets
    launch/fetch_tasks.py --out tasks piqa arc_easy       # these two
    launch/fetch_tasks.py --out tasks                     # all
    orthant sparsity --data=tasks ...

Each task gets a folder of its name with TASK.jsonl; gsm8k (read for gsm8k_answers too) test.jsonl and train.jsonl,
window_perplexity test.txt. The splits and their order are those of lm-evaluation-harness 0.4.9. A file appears under
its name when it is complete, and one that is there is left as it is unless --again is given.
"""
import argparse
import json
import os
import sys

# file: (data set, configuration, split, fields kept)
LABELLED_CHOICES = ("choices", "answerKey")
PROBLEM = ("question", "answer")
FILES = {
    "piqa/piqa.jsonl": ("baber/piqa", None, "validation", ("goal", "sol1", "sol2", "label")),
    "arc_easy/arc_easy.jsonl": ("allenai/ai2_arc", "ARC-Easy", "test", ("question", *LABELLED_CHOICES)),
    "arc_challenge/arc_challenge.jsonl": ("allenai/ai2_arc", "ARC-Challenge", "test", ("question", *LABELLED_CHOICES)),
    "boolq/boolq.jsonl": ("aps/super_glue", "boolq", "validation", ("passage", "question", "label")),
    "winogrande/winogrande.jsonl": ("allenai/winogrande", "winogrande_xl", "validation",
                                    ("sentence", "option1", "option2", "answer")),
    "hellaswag/hellaswag.jsonl": ("Rowan/hellaswag", None, "validation",
                                  ("activity_label", "ctx_a", "ctx_b", "endings", "label")),
    "openbookqa/openbookqa.jsonl": ("allenai/openbookqa", "main", "test", ("question_stem", *LABELLED_CHOICES)),
    "rte/rte.jsonl": ("nyu-mll/glue", "rte", "validation", ("sentence1", "sentence2", "label")),
    "mmlu/mmlu.jsonl": ("cais/mmlu", "all", "test", ("question", "subject", "choices", "answer")),
    "lambada_openai/lambada_openai.jsonl": ("EleutherAI/lambada_openai", "default", "test", ("text",)),
    "lambada_standard/lambada_standard.jsonl": ("cimec/lambada", None, "test", ("text",)),
    "ifeval/ifeval.jsonl": ("google/IFEval", None, "train", ("key", "prompt", "instruction_id_list", "kwargs")),
    "gsm8k/test.jsonl": ("openai/gsm8k", "main", "test", PROBLEM),
    "gsm8k/train.jsonl": ("openai/gsm8k", "main", "train", PROBLEM),
    "wikitext/wikitext.jsonl": ("EleutherAI/wikitext_document_level", "wikitext-2-raw-v1", "test", ("page",)),
    "window_perplexity/test.txt": ("Salesforce/wikitext", "wikitext-2-raw-v1", "test", ("text",)),
}
READ_FROM = {"gsm8k_answers": "gsm8k"}
TASKS = sorted({name.split("/")[0] for name in FILES} | READ_FROM.keys())


def line_of(row, fields):
    """A row as a line of JSON with the fields that the task needs."""
    missing = [field for field in fields if field not in row]
    if missing:
        raise KeyError(f"a row has no field {', '.join(missing)} but {', '.join(row)}")
    return json.dumps({field: row[field] for field in fields}, ensure_ascii=False) + "\n"


def text_of(name, rows, fields):
    """What a file holds: JSON lines, or the rows of a text with an empty line between each two."""
    if name.endswith(".txt"):
        return "\n\n".join(row[fields[0]] for row in rows)
    return "".join(line_of(row, fields) for row in rows)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.part", "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.replace(f"{path}.part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder that gets a folder for each task")
    parser.add_argument("--again", action="store_true", help="write files that are there anew")
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)} (all)")
    options = parser.parse_args()
    for task in options.tasks:
        if task not in TASKS:
            parser.error(f"unknown task {task} (choose from {', '.join(TASKS)})")
    try:
        from datasets import load_dataset
    except ImportError as error:
        sys.exit(f"the Python package 'datasets' cannot be imported ({error}). Install it: pip install datasets")
    folders = {READ_FROM.get(task, task) for task in options.tasks or TASKS}
    for name, (data_set, configuration, split, fields) in FILES.items():
        if name.split("/")[0] not in folders:
            continue
        path = os.path.join(options.out, name)
        if os.path.exists(path) and not options.again:
            print(f"{path} is there")
            continue
        rows = load_dataset(data_set, configuration, split=split)
        try:
            write(path, text_of(name, rows, fields))
        except KeyError as error:
            sys.exit(f"{data_set} is not as expected ({error.args[0]}); {path} was not written")
        print(f"{path}: {len(rows)} rows")


if __name__ == "__main__":
    main()
