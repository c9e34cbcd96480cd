#!/usr/bin/env python3
"""Scores of lm-evaluation-harness and of `orthant sparsity` for whole tasks, request by request and metric by metric.

  harness_tasks.py --model=M.gguf --data=DATA --limits=piqa=100,wikitext=4,gsm8k=12 --out=benchmarks/results/harness_tasks

Python needs what harness.py needs. The tasks are the harness's own files with their data replaced by the ones in --data
(piqa/valid.jsonl and valid-labels.lst, gsm8k/{test,train}.jsonl, wikitext-2/test.txt); the model is loaded as harness.py
loads it. The dense model is measured on every task, and on PIQA also a pruning whose statistics run over what a batch holds,
padding included (`--statistics=call`): CLACT at --pattern in --layers, as forward-pre-hooks. Of that pruning in one block
scores are equal to rounding; over all blocks two magnitudes that tie but for a rounding swap their masks, which grows: beside
the differences stand those of the harness from itself with the epsilon of its norms changed by 1e-4 of itself."""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import harness

# Task of the harness -> metrics: (its name, ours).
METRICS = {
    "piqa": [("acc,none", "acc"), ("acc_norm,none", "acc_norm")],
    "wikitext": [("word_perplexity,none", "word_perplexity"), ("byte_perplexity,none", "byte_perplexity"),
                 ("bits_per_byte,none", "bits_per_byte")],
    "gsm8k": [("exact_match,strict-match", "exact_match_strict"), ("exact_match,flexible-extract", "exact_match_flexible")],
}


def parse_flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orthant", default="build/orthant")
    parser.add_argument("--model", required=True, help="GGUF of a Llama-family model with a byte-level tokenizer")
    parser.add_argument("--data", required=True, help="folder with piqa, gsm8k and wikitext-2")
    parser.add_argument("--limits", default="piqa=100,wikitext=4,gsm8k=12", help="tasks and their documents from the first")
    parser.add_argument("--batch", type=int, default=8, help="requests of a forward of the harness, and of pruned ones of orthant")
    parser.add_argument("--pattern", default="8:16", help="of the pruned runs")
    parser.add_argument("--layers", default="0,15,all", help="blocks pruned, one run each")
    parser.add_argument("--projections", default="q,k,v,o,gate,up,down", help="of these blocks that are pruned")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", default="", help="without ending: .json is written")
    return parser.parse_args()


def write_lines(path, records):
    with open(path, "w") as file:
        for record in records:
            file.write(json.dumps(record) + "\n")


def piqa_records(data):
    with open(f"{data}/piqa/valid.jsonl") as items, open(f"{data}/piqa/valid-labels.lst") as labels:
        for item, label in zip(items, labels):
            yield json.loads(item) | {"label": int(label)}


def wikitext_records(data):
    """Pages begin at a line " = Title = " with one equals sign a side."""
    with open(f"{data}/wikitext-2/test.txt", newline="") as file:
        text = file.read()
    starts = [match.start() for match in re.finditer(r"(?m)^ = (?!=)[^\n]*[^=\n] = ?$", text)]
    for begin, end in zip(starts, starts[1:] + [len(text)]):
        # The line break before the next page's heading belongs to neither.
        yield {"page": text[begin:end].removesuffix("\n") if end < len(text) else text[begin:end]}


def task_files(data, folder):
    """Writes the data, and for each task a file that includes the harness's own; returns its names."""
    import lm_eval
    own = os.path.join(os.path.dirname(lm_eval.__file__), "tasks")
    write_lines(f"{folder}/piqa.jsonl", piqa_records(data))
    write_lines(f"{folder}/wikitext.jsonl", wikitext_records(data))
    splits = {"piqa": {"train": f"{folder}/piqa.jsonl", "validation": f"{folder}/piqa.jsonl"},
              "wikitext": {split: f"{folder}/wikitext.jsonl" for split in ("train", "validation", "test")},
              "gsm8k": {split: os.path.abspath(f"{data}/gsm8k/{split}.jsonl") for split in ("train", "test")}}
    for task, files in splits.items():
        with open(f"{folder}/local_{task}.yaml", "w") as file:
            file.write(f"include: {own}/{task}/{task}.yaml\ntask: local_{task}\ndataset_path: json\ndataset_name: null\n"
                       f"dataset_kwargs: {json.dumps({'data_files': files})}\n")


class Peer:
    def __init__(self, flags, folder):
        import torch
        torch.set_num_threads(flags.threads)
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager
        task_files(flags.data, folder)
        self.tasks = TaskManager(include_path=folder)
        self.model, fields = harness.load_model(flags.model)
        tokenizer = harness.make_tokenizer(fields)
        wrapper = lambda batch: HFLM(pretrained=self.model, tokenizer=tokenizer, batch_size=batch, backend="causal")
        self.wrapper = wrapper(flags.batch)
        # A batch goes on until all its rows have said the same stop string, and keeps what they say until then.
        self.generator = wrapper(1)
        self.projections = tuple(f"{name}_proj" for name in flags.projections.split(","))
        self.kept, self.group = (int(part) for part in flags.pattern.split(":"))

    def evaluate(self, task, limit):
        import lm_eval
        found = lm_eval.simple_evaluate(model=self.generator if task == "gsm8k" else self.wrapper, tasks=[f"local_{task}"], limit=limit, task_manager=self.tasks,
                                        bootstrap_iters=0)
        # A document has one sample for each filter of its task.
        samples = {sample["doc_id"]: sample for sample in found["samples"][f"local_{task}"]}
        return found["results"][f"local_{task}"], [samples[document] for document in sorted(samples)]

    def clact(self, module, inputs):
        """The largest |x| times the norm of its column over all that the batch holds, of every group."""
        x = inputs[0]
        scores = x.abs() * x.flatten(0, -2).norm(dim=0)
        # The lowest index of equals, which topk does not promise.
        order = scores.unflatten(-1, (-1, self.group)).argsort(dim=-1, descending=True, stable=True)
        mask = x.new_zeros(x.shape).unflatten(-1, (-1, self.group)).scatter_(-1, order[..., :self.kept], 1.0)
        return (x * mask.flatten(-2),)

    def shift_epsilon(self, factor):
        for module in self.model.modules():
            if hasattr(module, "variance_epsilon"):
                module.variance_epsilon *= factor

    def evaluate_pruned(self, task, limit, layers):
        chosen = lambda name: layers == "all" or any(f".layers.{layer}." in name for layer in layers.split("+"))
        hooks = [module.register_forward_pre_hook(self.clact) for name, module in self.model.named_modules()
                 if name.endswith(self.projections) and chosen(name)]
        try:
            return self.evaluate(task, limit)
        finally:
            for hook in hooks:
                hook.remove()


def orthant(flags, out, *arguments):
    subprocess.run([flags.orthant, "sparsity", f"--model={flags.model}", f"--data={flags.data}", f"--threads={flags.threads}",
                    "--progress=none", f"--out={out}", *arguments], check=True, stdout=subprocess.DEVNULL)
    with open(f"{out}/requests.jsonl") as file:
        requests = [json.loads(line) for line in file]
    with open(f"{out}/result.json") as file:
        return json.load(file)["rows"], requests


def compare_metrics(task, theirs, rows):
    found = {}
    for name, own in METRICS[task]:
        ours = next(row["value"] for row in rows if row["task"] == task and row["metric"] == own)
        found[own] = {"harness": theirs[name], "orthant": ours}
    return found


def scores_of(samples):
    pair_of = lambda response: response[0] if isinstance(response[0], (list, tuple)) else response
    return [[float(pair_of(response)[0]) for response in sample["resps"]] for sample in samples]


def summary_of(differences):
    return {"requests": len(differences), "largest_difference": max(differences),
            "mean_difference": sum(differences) / len(differences)}


def compare_shifted(samples, shifted):
    return summary_of([abs(a - b) for one, other in zip(scores_of(samples), scores_of(shifted)) for a, b in zip(one, other)])


def compare_scores(samples, requests):
    """Differences of log-likelihoods."""
    theirs, ours = scores_of(samples), {}
    for request in requests:
        choices = ours.setdefault(request["doc"], {})
        choices[request["choice"]] = request["log_prob"]
    differences = []
    for sample, scores in zip(samples, theirs):
        own = ours[sample["doc_id"]]
        if len(scores) == 1:  # windows of a page
            own = {0: sum(own.values())}
        differences += [abs(score - own[choice]) for choice, score in enumerate(scores)]
    return summary_of(differences)


def compare_texts(samples, requests):
    text_of = lambda sample: sample["resps"][0][0] if isinstance(sample["resps"][0], list) else sample["resps"][0]
    ours = {request["doc"]: request["text"] for request in requests}
    other = [sample["doc_id"] for sample in samples if text_of(sample) != ours[sample["doc_id"]]]
    return {"requests": len(samples), "other_texts": other}


def measure(flags, folder):
    peer = Peer(flags, folder)
    found = {}
    for task, limit in ((name, int(count)) for name, count in (pair.split("=") for pair in flags.limits.split(","))):
        results, samples = peer.evaluate(task, limit)
        rows, requests = orthant(flags, f"{folder}/{task}", f"--tasks={task}", f"--limit={limit}")
        compare = compare_texts if task == "gsm8k" else compare_scores
        found[task] = compare(samples, requests) | {"metrics": compare_metrics(task, results, rows)}
        print(f"{task}: {json.dumps(found[task])}", file=sys.stderr)
        if task != "piqa":
            continue
        for layers in flags.layers.split(","):
            results, samples = peer.evaluate_pruned(task, limit, layers)
            rows, requests = orthant(flags, f"{folder}/clact{layers}", f"--tasks={task}", f"--limit={limit}",
                                     f"--patterns={flags.pattern}", "--criteria=clact", "--statistics=call",
                                     f"--batch={flags.batch}", f"--projections={flags.projections}", f"--layers={layers.replace('+', ',')}")
            pruned = lambda lines: [line for line in lines if line["pattern"] != "dense"]
            name = f"{task}, CLACT {flags.pattern}, blocks {layers}"
            peer.shift_epsilon(1.0001)
            _, shifted = peer.evaluate_pruned(task, limit, layers)
            peer.shift_epsilon(1 / 1.0001)
            found[name] = compare_scores(samples, pruned(requests)) | {"metrics": compare_metrics(task, results, pruned(rows)),
                                                                       "harness_shifted": compare_shifted(samples, shifted)}
            print(f"{name}: {json.dumps(found[name])}", file=sys.stderr)
    return found


def table_of(found):
    lines = ["| | requests | differences | metrics: harness, orthant |", "| --- | ---: | --- | --- |"]
    for name, of in found.items():
        metrics = "; ".join(f"{metric} {both['harness']:.6g}, {both['orthant']:.6g}" for metric, both in of["metrics"].items())
        told = (f"{len(of['other_texts'])} other texts" if "other_texts" in of else
                f"{of['largest_difference']:.1e} at most, {of['mean_difference']:.1e} on average")
        if "harness_shifted" in of:
            told += f" (of the harness shifted: {of['harness_shifted']['mean_difference']:.1e})"
        lines.append(f"| {name} | {of['requests']} | {told} | {metrics} |")
    return "\n".join(lines)


def main():
    flags = parse_flags()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(flags, folder)
    print(table_of(found))
    if flags.out:
        with open(flags.out + ".json", "w") as file:
            json.dump({"what": "harness_tasks", "host": harness.host(), "batch": flags.batch, "found": found}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
