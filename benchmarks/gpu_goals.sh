#!/usr/bin/env bash
# The training step on one GPU at the shapes of the project's goals, three repeats each, beside what the plan's model
# predicts of an H100 and what others published.
#   benchmarks/gpu_goals.sh [--out=FOLDER] [--store=STORE]
# --store: a store of width 4096 for the store-fed rows (without: those rows are not run). On a host without a GPU only the
# predictions are made and every measurement says "not run". Writes runs.jsonl and gpu_goals.md to FOLDER.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${BUILD_DIR:-$here/../build}
out=gpu_goals store=
for flag in "$@"; do
  case $flag in
    --out=*) out=${flag#*=} ;;
    --store=*) store=${flag#*=} ;;
    *) echo "gpu_goals.sh: '$flag' is no flag; see its first lines" >&2; exit 64 ;;
  esac
done
mkdir -p "$out"
runs=$out/runs.jsonl
: >"$runs"
card=none
if "$build/orthant" --version | grep -qE '^CUDA .*\([1-9][0-9]* usable here\)'; then
  card=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)
fi

# goal NAME FLOOR(tokens/s, 0: none) PUBLISHED(tokens/s) flags...
goal() {
  local name=$1 floor=$2 published=$3
  shift 3
  echo "gpu_goals.sh: $name" >&2
  local predicted measured='[]' line
  predicted=$("$build/benchmarks/bench_train" --predict "$@" | tail -n 1)
  if [ "$card" != none ] && [[ "$*" != *--source=missing* ]]; then
    measured=$(for _ in 1 2 3; do "$build/benchmarks/bench_train" --device=cuda --json "$@" | tail -n 1; done | python3 -c 'import json, sys
print(json.dumps([json.loads(line) for line in sys.stdin]))')
  fi
  line=$(python3 -c 'import json, sys
name, floor, published, predicted, measured, card = sys.argv[1:]
print(json.dumps({"goal": name, "floor": float(floor), "published": float(published), "predicted": json.loads(predicted),
                  "measured": json.loads(measured), "card": card}))' "$name" "$floor" "$published" "$predicted" "$measured" "$card")
  echo "$line" >>"$runs"
}

main=(--architecture=topk --d_model=4096 --latents=65536 --k=64 --batch=16384)
goal "65k, synthetic" 300000 0 "${main[@]}"
goal "65k, store-fed" 300000 0 "${main[@]}" "--source=${store:-missing}"
goal "65k, synthetic, no optimiser" 0 0 "${main[@]}" --optimizer=false
# d = 2688, k = 32, batch 4096, forward and backward, no optimiser: the published Triton rows, tf32 there.
for row in 21504:142000 86016:80000 344064:31000 688128:15500; do
  latents=${row%%:*} published=${row##*:}
  for precision in tf32 bf16; do
    goal "$latents latents of width 2688, no optimiser, $precision" $((3 * published)) "$published" --architecture=topk --d_model=2688 \
      --latents="$latents" --k=32 --batch=4096 --optimizer=false --precision=$precision
  done
done
goal "1,048,576 latents of width 2688, no optimiser" 0 0 --architecture=topk --d_model=2688 --latents=1048576 --k=32 --batch=4096 \
  --optimizer=false
goal "65k, OrtSAE" 0 0 --architecture=ortsae --d_model=4096 --latents=65536 --k=64 --batch=16384
python3 "$here/gpu_goals_table.py" "$runs" >"$out/gpu_goals.md"
cat "$out/gpu_goals.md"
