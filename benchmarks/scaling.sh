#!/usr/bin/env bash
# Harvest and training at 1 to N ranks, strong and weak, over meshes: efficiency and bytes on the wire.
#   benchmarks/scaling.sh [--out=FOLDER] [--ranks=1,2] [bench_train flags: --d_model=… --latents=… --batch=… --k=… --repetitions=…]
#   MODEL, TEXT, TOKENS  what is harvested (without MODEL and TEXT only training is measured)
#   THREADS              threads a rank (default: cores of this host over the most ranks), the same at every number of ranks
#   LAUNCHER             starts ranks, their number follows (default: srun within a SLURM job, mpirun elsewhere)
# Strong: the same work over more ranks. Weak: latents grow with the dictionary shards, rows with the replicas.
# Writes runs.jsonl, scaling.md and scaling.svg to FOLDER and prints the table.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${BUILD_DIR:-$here/../build}
out=scaling ranks=1,2 latents=16384 batch=4096
shape=()
for flag in "$@"; do
  case $flag in
    --out=*) out=${flag#*=} ;;
    --ranks=*) ranks=${flag#*=} ;;
    --latents=*) latents=${flag#*=} ;;
    --batch=*) batch=${flag#*=} ;;
    --*=*) shape+=("$flag") ;;
    *) echo "scaling.sh: '$flag' is no flag (flags are written --name=value); see its first lines" >&2; exit 64 ;;
  esac
done
IFS=, read -r -a worlds <<<"$ranks"
most=$(printf '%s\n' "${worlds[@]}" | sort -n | tail -n 1)
cores=$(($(nproc) * ${SLURM_JOB_NUM_NODES:-1}))
threads=${THREADS:-$((cores / most > 0 ? cores / most : 1))}

export OMP_NUM_THREADS=$threads OMP_WAIT_POLICY=passive
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
launcher=${LAUNCHER:-mpirun -n}
if [ -n "${SLURM_JOB_ID:-}" ] && [ -z "${LAUNCHER:-}" ]; then launcher="srun --mpi=pmix --ntasks"; fi

mkdir -p "$out"
runs=$out/runs.jsonl
: >"$runs"
record() { # scaling cores JSON
  python3 -c 'import json, sys
print(json.dumps({**json.loads(sys.argv[3]), "scaling": sys.argv[1], "cores": int(sys.argv[2])}))' "$@" >>"$runs"
}

train() { # scaling replicas shards latents rows
  local world=$(($2 * $3))
  echo "scaling.sh: train, $1, $2 replicas of $3 shards" >&2
  # shellcheck disable=SC2086  # the launcher is several words
  record "$1" "$cores" "$($launcher $world "$build/benchmarks/bench_train" --mesh.data="$2" --mesh.dictionary="$3" --latents="$4" --batch="$5" \
    --threads="$threads" --json "${shape[@]}" | tail -n 1)"
}

harvest() { # scaling world tokens
  echo "scaling.sh: harvest, $1, $2 ranks" >&2
  rm -rf "$out/store"
  local result
  # shellcheck disable=SC2086
  result=$($launcher $2 "$build/orthant" harvest --model="$MODEL" --text="$TEXT" --hook=blocks.15.hook_resid_post \
    --context=256 --tokens="$3" --threads="$threads" --out="$out/store" --fresh --json --progress=none --log_level=warning)
  rm -rf "$out/store"
  record "$1" "$cores" "$(python3 -c 'import json, sys
result = json.loads(sys.argv[1])
print(json.dumps({"what": "harvest", "world": int(sys.argv[2]), "threads": int(sys.argv[3]), "tokens": result["tokens"],
                  "tokens_per_second": result["tokens_per_second"], "bytes_on_the_wire": 0}))' "$result" "$2" "$threads")"
}

for world in "${worlds[@]}"; do
  for shards in $(seq 1 "$world"); do
    [ $((world % shards)) = 0 ] || continue
    replicas=$((world / shards))
    train strong "$replicas" "$shards" "$latents" "$batch"
    train weak "$replicas" "$shards" $((latents * shards)) $((batch * replicas))
  done
  [ -n "${MODEL:-}" ] && [ -n "${TEXT:-}" ] || continue
  harvest strong "$world" "${TOKENS:-20000}"
  harvest weak "$world" $((${TOKENS:-20000} * world))
done
python3 "$here/scaling_table.py" "$out"
