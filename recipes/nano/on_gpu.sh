#!/usr/bin/env bash
# A generation of nano within ten minutes of a machine with one GPU and 16 cores that reaches no network.
#
#   recipes/nano/on_gpu.sh pack           here: PACK with wheels and recordings, at most 45 MB
#   recipes/nano/on_gpu.sh train          there: corpus, tokenizers, vocoder, flow, lm, scorer; 15 MB
#                                         pieces of a bundle in fp16 and the logs under $OUT
#   cat bundle.tar.* | tar x              here again
#   DEVICE=cpu CORES=2 SCALE=0.02 SMALL=1 PACK=... OUT=... recipes/nano/on_gpu.sh train    rehearsal
#
# PEOPLE   corpus with the stages people and acted, for `pack` (recipes.nano.corpus.people)
# PACK     folder of what travels (runs/pack)        OUT      folder of what comes back (runs/out)
# WORK     everything else that is made (runs/gpu)   PYTHON   interpreter (python3)
# SCALE    factor of all time boxes                  SMALL    smallest corpus, a check that all runs
#
# A checkout with the shipped weights is too large to travel beside PACK: leave them out of what
# travels (untrack and ignore stepedit_core/assets/nano for that run).
set -euo pipefail
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-python3} DEVICE=${DEVICE:-cuda} CORES=${CORES:-16} SCALE=${SCALE:-1} SMALL=${SMALL:-}
PACK=${PACK:-runs/pack} OUT=${OUT:-runs/out} WORK=${WORK:-runs/gpu}
CORPUS=$WORK/corpus MODELS=$WORK/models TOKENS=$WORK/tokens
export OMP_NUM_THREADS=1
began=$SECONDS

say() { echo "$((SECONDS - began)) s: $*"; }

minutes() { "$PYTHON" -c "print(float($1) * float($SCALE))"; }

pack() {
  mkdir -p "$PACK/wheels"
  "$PYTHON" -m pip download -q --no-deps -d "$PACK/wheels" --python-version 3.12 \
    --only-binary=:all: hibari-tts==0.2.1 soundfile
  "$PYTHON" -m recipes.nano.corpus.packed --pack "$PEOPLE" --out "$PACK" --megabytes 28
  du -sh "$PACK"
}

# corpus STAGE SHARDS EVERY: shards of ten minutes, dealt over EVERY processes
corpus() {
  local stage=$1 shards=$2 every=$3 each k
  each=$(((shards + every - 1) / every))
  for ((k = 0; k < every; k++)); do
    "$PYTHON" -m recipes.nano.corpus.make_corpus --out "$CORPUS" --stage "$stage" \
      --first $((k * each)) --hours "$("$PYTHON" -c "print($each * $SECONDS_OF_SHARD / 3600)")" \
      --shard-seconds "$SECONDS_OF_SHARD" 2> "$WORK/logs/corpus-$stage-$k.log" &
  done
}

# learn PART AHEAD SETTINGS...: one training in the background
learn() {
  local part=$1 ahead=$2 inputs=()
  shift 2
  case $part in flow | lm) inputs=(--tokens "$TOKENS" --models "$MODELS") ;; esac
  "$PYTHON" -m "recipes.nano.train_$part" --corpus "${FROM:-$CORPUS}" ${inputs[@]+"${inputs[@]}"} \
    --device "$DEVICE" --ahead "$ahead" --out "$MODELS/$part" --set "$@" \
    > "$WORK/logs/$part.log" 2>&1 &
}

# all must have ended well
wait_for() {
  local pid
  for pid in "$@"; do wait "$pid" || { say "a stage failed"; tail -n 3 "$WORK"/logs/*.log; exit 1; }; done
}

tokens() {
  local what=$1 k pids=()
  for ((k = 0; k < CORES; k++)); do
    "$PYTHON" -m recipes.nano.tokens --what "$what" --corpus "$CORPUS" --models "$MODELS" \
      --out "$TOKENS" --part "$k/$CORES" 2> "$WORK/logs/tokens-$what-$k.log" &
    pids+=($!)
  done
  wait_for "${pids[@]}"
}

train() {
  mkdir -p "$WORK/logs" "$OUT"
  export PYTHONPATH="$PWD/$WORK/site:$PWD"
  [[ -d $WORK/site ]] || "$PYTHON" -m pip install -q --no-index --no-deps --target "$WORK/site" "$PACK"/wheels/*.whl
  local pids=() few=$((CORES > 4 ? CORES / 4 : 1)) vocoder scorer
  SECONDS_OF_SHARD=600

  # 1. the vocoder hears people from the first minute on; it needs nothing of what follows
  "$PYTHON" -m recipes.nano.corpus.packed --unpack "$PACK" --out "$WORK/people"
  local sizes=("model.blocks=4") lm=("batch_ids=16000" "copy_first=400" "longest=140")
  local flow=("batch_groups=1280" "prior_steps=300") clusters=()
  if [[ $SMALL ]]; then
    SECONDS_OF_SHARD=40
    sizes=("model.channels=32" "model.hidden=64" "model.blocks=1" "batch=2" "pitch_steps=2")
    lm=("batch_ids=300" "copy_first=1" "pieces=400" "model.num_hidden_layers=1")
    flow=("batch_groups=20" "longest=24" "prior_steps=1" "model.dit_depth=1")
    clusters=("kmeans_frames=1200" "kmeans_rounds=1" "statistics_clips=4" "checked_clips=4")
  fi
  FROM=$WORK/people learn vocoder "$few" "minutes=$(minutes 7.0)" "true_pitch=true" "repulsion=1.0" \
    "average=0.995" "batch=64" "judge_from=1000" "judge_alone=200" "judge_channels=32" \
    "judge_weight=0.25" "loudness=0.3" "${sizes[@]}"
  vocoder=$!
  say "vocoder begins"

  # 2. speech with labels, from its seeds
  local procs=$((CORES > 8 ? CORES / 2 - 1 : 1)) corpus_pids
  corpus plain "$([[ $SMALL ]] && echo 1 || echo 28)" "$procs"
  corpus edits "$([[ $SMALL ]] && echo 2 || echo 56)" "$procs"
  corpus_pids=$(jobs -p | grep -vx "$vocoder")
  # shellcheck disable=SC2086 # one word a process
  wait_for $corpus_pids
  say "corpus: $("$PYTHON" -m recipes.nano.figure corpus "$CORPUS/edits")"

  # 3. tokenizers side by side
  pids=()
  learn linguistic "$few" "minutes=$(minutes 1.2)" "batch_seconds=160.0" ${clusters[@]+"${clusters[@]}"}
  pids+=($!)
  learn semantic "$few" "minutes=$(minutes 1.2)" "quantize_from=$([[ $SMALL ]] && echo 4 || echo 300)"
  pids+=($!)
  learn speaker "$few" "minutes=$(minutes 1.2)"
  pids+=($!)
  wait_for "${pids[@]}"
  say "tokenizers end"
  tokens codes
  tokens speakers
  say "tokens: $("$PYTHON" -m recipes.nano.figure tokens "$TOKENS")"

  # 4. decoder, language model, scorer
  pids=()
  learn flow "$few" "minutes=$(minutes 2.2)" "${flow[@]}"
  pids+=($!)
  learn lm "$few" "minutes=$(minutes 2.2)" "${lm[@]}"
  pids+=($!)
  "$PYTHON" -m recipes.nano.train_scorer --corpus "$CORPUS" --tokens "$TOKENS" --out "$MODELS/scorer" \
    --threads "$few" --set "steps=$([[ $SMALL ]] && echo 2 || echo 700)" > "$WORK/logs/scorer.log" 2>&1 &
  scorer=$!
  wait_for "${pids[@]}" "$scorer" "$vocoder"
  say "networks end"

  # 5. what comes back
  "$PYTHON" -m recipes.nano.export --models "$MODELS" --out "$WORK/bundle" 2> "$WORK/logs/export.log"
  tar -cf - -C "$WORK" bundle | split -b 15M - "$OUT/bundle.tar."
  tail -n 2 "$WORK"/logs/*.log > "$OUT/logs.txt"
  du -sh "$OUT"
  say "end"
}

case ${1:-} in
  pack) pack ;;
  train) train ;;
  *) echo "on_gpu.sh: '${1:-}' is unknown; pack and train are known" >&2; exit 2 ;;
esac
