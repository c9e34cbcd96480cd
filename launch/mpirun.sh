#!/usr/bin/env bash
# Runs a verb on several hosts and starts it again while it makes progress.
#   HOSTS=node1:8,node2:8 launch/mpirun.sh train --config=run.textproto --out=/shared/run
#   HOSTS      hosts with their ranks, as mpirun's --host takes them (default: this host, one rank a core)
#   RANKS      ranks in all (default: what HOSTS offers)
#   ATTEMPTS   starts without a newer checkpoint before giving up (default: 3)
# The program, the model and OUT must be at the same paths on every host. SIGUSR1 to this script saves and ends with 75.
set -uo pipefail
program=${ORTHANT:-$(cd "$(dirname "$0")/.." && pwd)/${BUILD_DIR:-build}/orthant}
attempts=${ATTEMPTS:-3}
hosts=${HOSTS:-localhost:$(nproc)}
ranks=(); [ -z "${RANKS:-}" ] || ranks=(-n "$RANKS")
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

out=
for argument in "$@"; do case "$argument" in --out=*) out=${argument#*=} ;; esac; done
# The newest checkpoint: what tells a start that got further from one that did not.
progress() { [ -z "$out" ] || ls -1 "$out/checkpoint" 2>/dev/null | grep -E '^step-[0-9]+$' | sort | tail -n 1; }

stop=0
trap 'stop=1; kill -USR1 "$pid" 2>/dev/null' USR1 TERM INT
tries=0
while :; do
  before=$(progress)
  mpirun --host "$hosts" "${ranks[@]}" -x OMPI_MCA_btl_vader_single_copy_mechanism "$program" "$@" & pid=$!
  while :; do wait "$pid"; code=$?; kill -0 "$pid" 2>/dev/null || break; done  # a trapped signal interrupts wait
  [ $code -le 128 ] || { wait "$pid" 2>/dev/null; again=$?; [ $again = 127 ] || code=$again; }
  # Done, stopped on request, and failures that another start cannot mend.
  case $code in 0|64|65|69|70|74|75|76|78) exit $code ;; esac
  [ $stop = 0 ] || exit $code
  if [ "$(progress)" = "$before" ]; then tries=$((tries + 1)); else tries=1; fi
  if [ "$tries" -ge "$attempts" ]; then echo "mpirun.sh: no progress in $tries starts; the last ended with $code" >&2; exit $code; fi
  echo "mpirun.sh: ended with $code; starting again (newest checkpoint: $(progress))" >&2
  sleep $((2 ** tries))
done
