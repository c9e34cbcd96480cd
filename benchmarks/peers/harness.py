#!/usr/bin/env python3
"""lm-evaluation-harness and `orthant lm score` on the same requests, weights and threads, alternately in one run.

  harness.py --model=M.gguf --data=piqa/valid.jsonl --limit=100 --repetitions=5 --out=benchmarks/results/lm_eval

Python needs torch, transformers, tokenizers, gguf and lm-eval. The GGUF of a Llama-family model is dequantised to f32 and
loaded into LlamaForCausalLM, its vocabulary into a byte-level tokenizer; the ids of all requests are compared, then the
scores. Requests are PIQA's: `Question: {goal}\\nAnswer:` with each of the two solutions. A repetition is: the harness
with each batch size of --batches, `orthant lm score`, then the harness with N:M masks as forward-pre-hooks of all
projections, and `orthant lm score --sparsity`. Seconds are those of tokenising and scoring,
without starting programs and loading weights. Processor seconds are told too: they say more where others use the
machine; orthant's are those of the whole program, loading included. On such a machine set OMP_WAIT_POLICY=passive, so that
threads of both programs sleep while they wait."""
import argparse
import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
BLOCK_TENSORS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
                 "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
                 "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
OTHER_TENSORS = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
                 "output.weight": "lm_head.weight"}


def parse_flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orthant", default="build/orthant")
    parser.add_argument("--model", required=True, help="GGUF of a Llama-family model with a byte-level tokenizer")
    parser.add_argument("--data", required=True, help="PIQA's JSON lines: goal, sol1, sol2")
    parser.add_argument("--out", default="", help="without ending: .json is written")
    parser.add_argument("--limit", type=int, default=100, help="items, of two requests each")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", default="1,8,32", help="batch sizes of the harness; the fastest counts")
    parser.add_argument("--pattern", default="8:16", help="of the pruned runs")
    return parser.parse_args()


def gguf_fields(reader):
    return {name: field.contents() for name, field in reader.fields.items()}


def load_model(path):
    """LlamaForCausalLM in f32, and the GGUF's fields."""
    import gguf
    import numpy
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    reader = gguf.GGUFReader(path)
    fields = gguf_fields(reader)
    of = lambda name: fields[f"{fields['general.architecture']}.{name}"]
    heads, kv_heads = int(of("attention.head_count")), int(of("attention.head_count_kv"))
    tensors = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        name = OTHER_TENSORS.get(tensor.name)
        if name is None:
            _, layer, short, kind = tensor.name.split(".")
            name = f"model.layers.{layer}.{BLOCK_TENSORS[short]}.{kind}"
            if short in ("attn_q", "attn_k"):  # rows lie in the order of interleaved rotation
                count = heads if short == "attn_q" else kv_heads
                pairs = values.reshape(count, values.shape[0] // count // 2, 2, values.shape[1])
                values = pairs.swapaxes(1, 2).reshape(values.shape)
        tensors[name] = torch.from_numpy(numpy.ascontiguousarray(values))
    vocabulary, width = tensors["model.embed_tokens.weight"].shape
    is_tied = "lm_head.weight" not in tensors
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=int(of("feed_forward_length")),
        num_hidden_layers=int(of("block_count")), num_attention_heads=heads, num_key_value_heads=kv_heads,
        max_position_embeddings=int(of("context_length")), rms_norm_eps=float(of("attention.layer_norm_rms_epsilon")),
        rope_theta=float(of("rope.freq_base")), tie_word_embeddings=is_tied, dtype="float32",
        bos_token_id=int(fields["tokenizer.ggml.bos_token_id"]), eos_token_id=int(fields["tokenizer.ggml.eos_token_id"]))
    if is_tied:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    model = LlamaForCausalLM(config).eval().float()
    model.load_state_dict(tensors)
    return model, fields


def make_tokenizer(fields):
    """Of the byte-level vocabulary: every numeral by itself, then GPT-2's pieces; no BOS."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = list(fields["tokenizer.ggml.tokens"])
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    control = [name for name, kind in zip(names, fields["tokenizer.ggml.token_type"]) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in control])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=names[fields["tokenizer.ggml.bos_token_id"]],
                                   eos_token=names[fields["tokenizer.ggml.eos_token_id"]])


def read_requests(path, limit):
    requests = []
    with open(path) as file:
        for line, _ in zip(file, range(limit)):
            item = json.loads(line)
            for choice in ("sol1", "sol2"):
                requests.append((f"Question: {item['goal']}\nAnswer:", f" {item[choice]}"))
    return requests


class Run:
    def __init__(self, seconds, cpu_seconds, scores):
        self.seconds, self.cpu_seconds, self.scores = seconds, cpu_seconds, scores  # scores: (log_prob, is greedy)


class Harness:
    def __init__(self, flags, requests):
        import torch
        torch.set_num_threads(flags.threads)
        from lm_eval.api.instance import Instance
        self.model, fields = load_model(flags.model)
        self.tokenizer = make_tokenizer(fields)
        self.instances = [Instance("loglikelihood", {}, request, i) for i, request in enumerate(requests)]
        self.kept, self.group = (int(part) for part in flags.pattern.split(":"))

    def ids(self, texts):
        return self.tokenizer(texts, add_special_tokens=False)["input_ids"]

    def score(self, batch):
        from lm_eval.models.huggingface import HFLM
        wrapper = HFLM(pretrained=self.model, tokenizer=self.tokenizer, batch_size=batch, backend="causal")
        start, start_cpu = time.perf_counter(), time.process_time()
        scores = wrapper.loglikelihood(self.instances, disable_tqdm=True)
        return Run(time.perf_counter() - start, time.process_time() - start_cpu, scores)

    def prune(self, module, inputs):
        """Keeps the largest of each group, the lowest index of equals as far as torch.topk does."""
        groups = inputs[0].unflatten(-1, (-1, self.group))
        chosen = groups.abs().topk(self.kept, dim=-1).indices
        mask = groups.new_zeros(groups.shape).scatter_(-1, chosen, 1.0)
        return ((groups * mask).flatten(-2),)

    def score_pruned(self, batch):
        hooks = [module.register_forward_pre_hook(self.prune) for name, module in self.model.named_modules()
                 if name.endswith(PROJECTIONS)]
        try:
            return self.score(batch)
        finally:
            for hook in hooks:
                hook.remove()


def children_cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Orthant:
    def __init__(self, flags, requests, folder):
        self.flags = flags
        self.pairs = os.path.join(folder, "pairs.jsonl")
        with open(self.pairs, "w") as file:
            for context, continuation in requests:
                file.write(json.dumps({"context": context, "continuation": continuation}) + "\n")

    def run(self, *arguments):
        command = [self.flags.orthant, "lm", *arguments, f"--model={self.flags.model}", "--json", "--progress=none",
                   f"--threads={self.flags.threads}"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def ids(self, texts, folder):
        path = os.path.join(folder, "texts.jsonl")
        with open(path, "w") as file:
            for text in texts:
                file.write(json.dumps(text) + "\n")
        return self.run("tokenize", f"--jsonl={path}")

    def score(self, *more):
        start = children_cpu_seconds()
        found = self.run("score", f"--pairs={self.pairs}", *more)
        scores = [(score["log_prob"], score["greedy"]) for score in found["scores"]]
        return Run(found["seconds"], children_cpu_seconds() - start, scores)


def compare_ids(harness, orthant, requests, folder):
    texts = sorted({context for context, _ in requests} | {context + rest for context, rest in requests})
    ours, theirs = orthant.ids(texts, folder), harness.ids(texts)
    wrong = [text for text, a, b in zip(texts, ours, theirs) if a != b]
    if wrong:
        sys.exit(f"{len(wrong)} of {len(texts)} texts have other ids, the first: {wrong[0]!r}")


def host():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def measure(flags, requests, folder):
    orthant = Orthant(flags, requests, folder)
    harness = Harness(flags, requests)
    compare_ids(harness, orthant, requests, folder)
    batches = [int(batch) for batch in flags.batches.split(",")]
    runs = {f"harness, batch {batch}": (lambda batch=batch: harness.score(batch)) for batch in batches}
    runs["orthant"] = orthant.score
    runs |= {f"harness {flags.pattern}, batch {batch}": (lambda batch=batch: harness.score_pruned(batch))
             for batch in batches}
    runs[f"orthant {flags.pattern}"] = lambda: orthant.score(f"--sparsity={flags.pattern}")
    done = {name: [] for name in runs}
    for repetition in range(flags.repetitions + 1):  # the first warms up and does not count
        for name, run in runs.items():
            found = run()
            print(f"{repetition}/{flags.repetitions} {name}: {len(requests) / found.seconds:.1f} requests/s", file=sys.stderr)
            if repetition > 0:
                done[name].append(found)
    return done


def report(flags, requests, done):
    seconds = {name: [run.seconds for run in runs] for name, runs in done.items()}
    cpu = {name: statistics.median(run.cpu_seconds for run in runs) for name, runs in done.items()}
    rate = {name: len(requests) / statistics.median(runs) for name, runs in seconds.items()}
    fastest = lambda start: max((name for name in rate if name.startswith(start)), key=rate.get)
    dense, masked, pruned = fastest("harness, "), fastest(f"harness {flags.pattern}, "), f"orthant {flags.pattern}"
    # Of runs of the same repetition: what slows the host for a while slows both.
    ratio = lambda ours, theirs: statistics.median(b / a for a, b in zip(seconds[ours], seconds[theirs]))
    differences = [abs(a - b) for (a, _), (b, _) in zip(done["orthant"][0].scores, done[dense][0].scores)]
    found = {"what": "harness", "host": host(), "threads": flags.threads, "requests": len(requests),
             "repetitions": flags.repetitions, "seconds": seconds, "requests_per_second": rate, "cpu_seconds": cpu,
             "ratio_dense": ratio("orthant", dense), "cpu_ratio_dense": cpu[dense] / cpu["orthant"],
             "harness_masking_overhead": ratio(dense, masked) - 1.0,
             "harness_masking_cpu_overhead": cpu[masked] / cpu[dense] - 1.0,
             "largest_difference_of_log_probs": max(differences),
             "equal_greedy_flags": all(a[1] == b[1] for a, b in zip(done["orthant"][0].scores, done[dense][0].scores))}
    told = [f"Dense: **{found['ratio_dense']:.2f} times** the requests per second of the harness at its fastest ({dense}), "
            f"{found['cpu_ratio_dense']:.2f} times by processor seconds. Log-probabilities differ by "
            f"{max(differences):.1e} at most, greedy flags are {'' if found['equal_greedy_flags'] else 'not '}the same.",
            f"{flags.pattern} masks as Python hooks cost the harness {100 * found['harness_masking_overhead']:.0f} % of its "
            f"dense time ({masked}), {100 * found['harness_masking_cpu_overhead']:.0f} % by processor seconds."]
    found |= {"ratio_pruned": ratio(pruned, masked), "cpu_ratio_pruned": cpu[masked] / cpu[pruned],
              "masking_overhead": ratio("orthant", pruned) - 1.0,
              "masking_cpu_overhead": cpu[pruned] / cpu["orthant"] - 1.0}
    told.append(f"{flags.pattern}: **{found['ratio_pruned']:.2f} times** the harness ({masked}), "
                f"{found['cpu_ratio_pruned']:.2f} times by processor seconds; masking costs orthant "
                f"{100 * found['masking_overhead']:.0f} % of its dense time, "
                f"{100 * found['masking_cpu_overhead']:.0f} % by processor seconds.")
    lines = [f"| {name} | {rate[name]:.1f} | {min(runs):.2f} to {max(runs):.2f} | {cpu[name]:.2f} |"
             for name, runs in seconds.items()]
    table = "\n".join(["| | requests/s | seconds | processor seconds |", "| --- | ---: | ---: | ---: |", *lines, "", *told,
                       f"{len(requests)} requests of {len(requests) // 2} PIQA items, f32, {flags.threads} threads, medians of "
                       f"{flags.repetitions} repetitions in turn, {found['host']}.", ""])
    return found, table


def main():
    flags = parse_flags()
    requests = read_requests(flags.data, flags.limit)
    with tempfile.TemporaryDirectory() as folder:
        done = measure(flags, requests, folder)
    found, table = report(flags, requests, done)
    with open(flags.model, "rb") as file:
        found["model_sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    print(table)
    if flags.out:
        with open(flags.out + ".json", "w") as file:
            json.dump(found, file, indent=1)
            file.write("\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
