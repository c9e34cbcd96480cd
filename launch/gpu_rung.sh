#!/usr/bin/env bash
# Runs the tests that need a GPU, from a bundle (launch/bundle.sh), and writes what came out.
#   run.sh [FOLDER]     default: results beside this file
# FOLDER: card.txt, version.txt, one log and one JSON of gtest a step, summary.json. Ends with 0 when nothing failed, 1 when
# something did, 69 without a GPU.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here/results}
export LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
mkdir -p "$out" || exit 74
"$here/bin/orthant" --version >"$out/version.txt" || { echo "run: the program does not start on this host" >&2; exit 70; }
if grep -q '(0 usable here)' "$out/version.txt"; then
  echo "run: no GPU is usable (no driver, or no device is visible) See nvidia-smi." >&2
  exit 69
fi
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader >"$out/card.txt" 2>/dev/null || echo unknown >"$out/card.txt"
export ORTHANT_TEST_STRICT=1

failed=0
lines=()
# step NAME SECONDS COMMAND...: a log, a line of the summary
step() {
  local name=$1 limit=$2 code=0 begun=$SECONDS
  shift 2
  timeout "$limit" "$@" >"$out/$name.log" 2>&1 || code=$?
  [ $code = 0 ] || failed=1
  lines+=("{\"step\":\"$name\",\"exit_code\":$code,\"seconds\":$((SECONDS - begun))}")
  echo "$name: exit code $code, $((SECONDS - begun)) s"
}

two_ranks() {
  local id=$out/nccl.id codes=0 rank
  rm -f "$id"
  export ORTHANT_NCCL_SHARE_GPU=1 NCCL_SOCKET_IFNAME=lo NCCL_IB_DISABLE=1 NCCL_CUMEM_ENABLE=0 NCCL_MAX_CTAS=2 NCCL_DEBUG=WARN
  for rank in 0 1; do
    ORTHANT_RANK=$rank ORTHANT_WORLD=2 ORTHANT_NCCL_ID=$id "$here/bin/nccl_rank" &
  done
  for rank in 0 1; do wait -n || codes=1; done
  return $codes
}
export -f two_ranks
export here out

step kernels 300 "$here/bin/test_cuda" "--gtest_output=json:$out/kernels.json"
step programs 600 "$here/bin/test_device_cuda" "--gtest_output=json:$out/programs.json"
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck synccheck; do
    step "$tool" 600 compute-sanitizer --tool "$tool" --error-exitcode 1 "$here/bin/test_cuda" --gtest_brief=1
  done
fi
step nccl_one_rank 120 env ORTHANT_RANK=0 ORTHANT_WORLD=1 "ORTHANT_NCCL_ID=$out/nccl_one.id" "$here/bin/nccl_rank"
step nccl_two_ranks_one_gpu 120 bash -c two_ranks
rm -f "$out/nccl.id" "$out/nccl_one.id"

printf '{"card":"%s","date":"%s","steps":[%s]}\n' "$(head -1 "$out/card.txt")" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
  "$(IFS=,; echo "${lines[*]}")" >"$out/summary.json"
exit $failed
