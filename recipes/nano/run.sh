#!/usr/bin/env bash
# The best known run of nano, from an empty folder to an exported and judged bundle.
#
#   recipes/nano/run.sh                   all stages that are not finished
#   recipes/nano/run.sh flow-1 lm-1       these stages only
#   recipes/nano/run.sh --list            names of the stages, and which are finished
#   recipes/nano/run.sh --dry-run [...]   the commands, without running them
#   SMOKE=1 recipes/nano/run.sh           tiny corpus, a few steps a stage: does everything run?
#
# A finished stage leaves OUT/marks/STAGE.done and is skipped the next time. A stage that was killed
# resumes from its own checkpoint or shards. After BOX seconds (BOX_flow_1 for one stage, 0 for no
# limit) a stage is asked to stop, saves, and this script ends with 75: run it again to resume.
#
# OUT      folder of everything (runs/nano, runs/nano-smoke)   PYTHON   interpreter (python)
# VERSES, WORDS    texts of the corpus, optional      VOICES   voices of kokoro-js, for corpus-kokoro
# CLIPS    LibriSpeech clips (flac), for corpus-libri and corpus-real
# WHISPER_BASE     CTranslate2 Whisper-base, for the words of CLIPS and for judging
# REAL     recordings to judge on (recipes/nano/README.md)
# A stage whose material is not given is left out and says so. Where settings come from:
# recipes/nano/README.md and docs/experiments.md. The shipped weights had the groups of real
# recordings from step 2,600 of lm-2 on; here they are there from its first step.
set -euo pipefail
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-python}
THREADS=${THREADS:-2}
SMOKE=${SMOKE:-}
[[ $SMOKE ]] && FULL= || FULL=1  # a tiny corpus has too few held-out speakers for a calibration
OUT=${OUT:-runs/nano${SMOKE:+-smoke}}
CORPUS=$OUT/corpus MODELS=$OUT/models TOKENS=$OUT/tokens DATA=$OUT/data
COMMAND=run
case ${1:-} in
  --list) COMMAND=list; shift ;;
  --dry-run) COMMAND=show; shift ;;
  -*) echo "run.sh: '$1' is unknown; --list and --dry-run are known" >&2; exit 2 ;;
esac
ONLY=" $* "
KNOWN=" "

texts=()
[[ -n ${VERSES:-} ]] && texts+=(--verses "$VERSES")
[[ -n ${WORDS:-} ]] && texts+=(--words "$WORDS")

selected() { [[ $ONLY == "  " || $ONLY == *" $1 "* ]]; }

# stage NAME "FIGURE" "NEEDS" COMMAND...: NEEDS names variables that must be set.
stage() {
  local name=$1 figure=$2 needs=$3 mark=$OUT/marks/$1.done box_name=BOX_${1//-/_} variable status=0
  shift 3
  if [[ $COMMAND == names ]]; then
    KNOWN+="$name "
    return 0
  fi
  selected "$name" || return 0
  if [[ $COMMAND == list ]]; then
    echo "$name$([[ -e $mark ]] && echo "  finished: $(cat "$mark")")"
    return 0
  fi
  for variable in $needs; do
    if [[ -z ${!variable:-} ]]; then
      echo "$name: left out, $variable is not set"
      return 0
    fi
  done
  if [[ $COMMAND == show ]]; then
    echo "$name: $(printf '%q ' "$@")"
    return 0
  fi
  if [[ -e $mark ]]; then
    echo "$name: finished before: $(cat "$mark")"
    return 0
  fi
  local box=${!box_name:-${BOX:-0}}
  mkdir -p "$OUT/marks"
  echo "$name: begins"
  timeout --signal=TERM --kill-after=120 "$box" "$@" > >(tee "$OUT/marks/$name.out") || status=$?
  if [[ $status == 124 || $status == 137 || $status == 143 ]]; then
    echo "$name: stopped after its $box s; run again to resume" >&2
    exit 75
  elif [[ $status != 0 ]]; then
    echo "$name: failed with $status" >&2
    exit "$status"
  fi
  # shellcheck disable=SC2086 # a figure is a command and its arguments
  "$PYTHON" -m recipes.nano.figure $figure > "$mark.part"
  mv "$mark.part" "$mark"
  echo "$name: $(cat "$mark")"
}

# schedule NAME FOLDER: the first time NAME is run, begin a new schedule from FOLDER's final.pt.
schedule() {
  local begun=$OUT/marks/$1.begun
  selected "$1" && [[ $COMMAND == run && ! -e $begun && -e $MODELS/$2/final.pt ]] || return 0
  rm -f "$MODELS/$2/last.pt"
  touch "$begun"
}

# corpus STAGE HOURS SMOKE_HOURS "NEEDS" OPTION...
corpus() {
  local name=$1 hours=$2 small=$3 needs=$4
  shift 4
  [[ $SMOKE ]] && hours=$small && set -- "$@" --shard-seconds 40
  stage "corpus-$name" "corpus $CORPUS/$name" "$needs" "$PYTHON" -m recipes.nano.corpus.make_corpus \
    --out "$CORPUS" --stage "$name" --hours "$hours" ${texts[@]+"${texts[@]}"} "$@"
}

# learn STAGE PART FOLDER "SETTINGS" "SETTINGS OF SMOKE": one schedule of a training.
learn() {
  local name=$1 part=$2 folder=$3 settings=$4 inputs=()
  [[ $SMOKE ]] && settings=$5
  case $part in
    flow | lm) inputs=(--tokens "$TOKENS" --models "$MODELS") ;;
    letters) inputs=(--models "$MODELS") ;;
    scorer) inputs=(--tokens "$TOKENS") ;;
  esac
  [[ $settings ]] && inputs+=(--set $settings)
  schedule "$name" "$folder"
  stage "$name" "run $MODELS/$folder" "" "$PYTHON" -m "recipes.nano.train_$part" --corpus "$CORPUS" \
    ${inputs[@]+"${inputs[@]}"} --threads "$THREADS" --out "$MODELS/$folder"
}

# tokens NAME WHAT "NEEDS": codes or speaker vectors of every shard that has none yet.
tokens() {
  stage "$1" "tokens $TOKENS" "$3" "$PYTHON" -m recipes.nano.tokens --what "$2" \
    --corpus "$CORPUS" --models "$MODELS" --threads "$THREADS" --out "$TOKENS"
}

stepedit() {
  local name=$1 figure=$2 needs=$3
  shift 3
  stage "$name" "$figure" "$needs" "$PYTHON" -m stepedit_core "$@"
}

export_to() {
  local name=$1 folder=$2
  shift 2
  stage "$name" "size $folder" "" "$PYTHON" -m recipes.nano.export --models "$MODELS" \
    --out "$folder" "$@"
}

full() { [[ $SMOKE ]] && echo "$2" || echo "$1"; }

every_stage() {
  # 1. Speech with labels
  corpus plain 2.4 0.01 ""
  corpus edits 12.3 0.02 ""
  corpus kokoro 0.37 0.01 VOICES --voices "${VOICES:-}"
  corpus said 8 0.02 ""
  corpus read 3 0.02 "REAL WHISPER_BASE" --real "${REAL:-}" --whisper "${WHISPER_BASE:-}"
  corpus libri 0.8 0.01 "CLIPS WHISPER_BASE" --clips "${CLIPS:-}" --whisper "${WHISPER_BASE:-}"

  # 2. Codec: its parts learn from the corpus alone
  learn linguistic linguistic linguistic "" \
    "steps=3 batch_seconds=6.0 kmeans_frames=1200 kmeans_rounds=1 model.layers=1 statistics_clips=4 checked_clips=4"
  learn semantic semantic semantic "" "steps=5 batch_seconds=60.0 quantize_from=4 model.layers=1"
  learn speaker speaker speaker "" "steps=2 batch=2 pseudo_speakers=4"
  learn vocoder vocoder vocoder "" \
    "steps=3 batch=2 pitch_steps=2 judge_from=1 model.channels=32 model.hidden=64 model.blocks=1"
  corpus copied 1 0.01 "" --vocoder "$MODELS/vocoder/final.pt"
  learn letters letters letters "" "steps=3 batch_seconds=20.0 model.layers=2 check_every=100"
  tokens codes codes ""
  tokens speakers speakers ""

  # 3. Decoder and language model before the groups of real recordings
  small_flow="steps=2 batch_groups=20 longest=24 prior_steps=1 model.dit_depth=1"
  small_lm="steps=2 batch_ids=300 copy_first=1 pieces=400 model.num_hidden_layers=1"
  learn flow-1 flow flow "steps=2950 guided=0.0" "$small_flow guided=0.0"
  learn flow-2 flow flow "steps=3000" "$small_flow"
  learn lm-1 lm lm "steps=3500 longest=100" "$small_lm"

  # 4. Edits of real recordings
  corpus real 14 0.01 "CLIPS WHISPER_BASE"
  tokens codes-real codes CLIPS
  tokens speakers-real speakers CLIPS
  learn flow-3 flow flow "steps=5000" "$small_flow"
  learn lm-2 lm lm "steps=5600" "$small_lm"

  # 5. The scorer, its calibration, and the bundle that reinforcement begins with
  learn scorer scorer scorer "steps=3000 peak_lr=1.0e-3" "steps=2 batch=4 model.layers=1"
  export_to export-scorer "$OUT/uncalibrated"
  stage held-out "data $DATA/held_out" "" "$PYTHON" -m recipes.nano.examples --corpus "$CORPUS" \
    --tokens "$TOKENS" --out "$DATA/held_out" --scorer "$(full 1500 300)"
  stepedit calibration "file $MODELS/scorer/table.txt" FULL evaluate scorer "$DATA/held_out" \
    --bundle "$OUT/uncalibrated" --out "$MODELS/scorer"
  export_to export-sft "$OUT/sft"

  # 6. Reinforcement
  stages=$(full "real kokoro" edits)
  stage examples "data $DATA/examples" "" "$PYTHON" -m recipes.nano.examples --corpus "$CORPUS" \
    --tokens "$TOKENS" --out "$DATA/examples" --stages $stages --longest 110
  # in SMOKE every prompt: an untrained model loses all words, so only `sounds` answers differ in score
  stepedit drawn "data $DATA/drawn" "" data sample "$DATA/examples" --bundle "$OUT/sft" \
    --answers "$(full 6 3)" --prompts "$(full 320 1000)" --out "$DATA/drawn"
  stepedit drawn-dev "data $DATA/drawn" "" data sample "$DATA/examples" --bundle "$OUT/sft" \
    --answers "$(full 6 2)" --prompts "$(full 60 4)" --split dev --out "$DATA/drawn"
  stepedit pairs "data $DATA/pairs" "" data pairs "$DATA/drawn" --margin "$(full 1.5 0.001)" \
    --out "$DATA/pairs"
  reward=(--set "model.bundle=$OUT/sft" "data=[$DATA/pairs]" "epochs=$(full 3 1)" "longest=$(full 480 2000)")
  stepedit reward "run $OUT/reward" "" train reward --config nano "${reward[@]}" --out "$OUT/reward"
  stepedit hardest "data $DATA/hard" "" data hardest "$DATA/pairs" --reward "$OUT/reward" \
    --count "$(full 160 2)" --by-class --out "$DATA/hard"
  ppo=(--set "model.bundle=$OUT/sft" "data=[$DATA/hard]" "reward_run=$OUT/reward" "model.precision=bf16")
  [[ $SMOKE ]] && ppo+=(steps=2 critic_warmup=1 batch=2 rollout.max_ids=20 longest=2000)
  stepedit ppo "run $OUT/ppo" "" train ppo --config nano "${ppo[@]}" --out "$OUT/ppo"
  export_to export "$OUT/bundle" --llm "$OUT/ppo/llm.safetensors"

  # 7. The limits of the recogniser: rounds of held-out people, Whisper and nano beside each other
  stage rounds "lines $OUT/guard" "FULL REAL WHISPER_BASE" "$PYTHON" -m recipes.nano.judge_letters rounds \
    --clips "${REAL:-}/held_out_people" --bundle "$OUT/bundle" --out "$OUT/guard"
  stage limits "file $MODELS/letters/limits.json" "FULL REAL WHISPER_BASE" "$PYTHON" -m \
    recipes.nano.judge_letters figures --letters "$MODELS/letters" --corpus "$CORPUS" --guard "$OUT/guard" \
    --out "$MODELS/letters/limits.json"
  stage limited "size $OUT/bundle" "FULL REAL WHISPER_BASE" "$PYTHON" -m recipes.nano.add_recogniser \
    --letters "$MODELS/letters" --bundle "$OUT/bundle"

  # 8. Judges that nothing else was trained on, and the report's protocol
  exam=() rounds=() few=()
  [[ $SMOKE ]] && exam=(--speakers 6 3 --cases 2) && rounds=(--rounds 1 --voice original) && few=(--limit 2)
  stage exam "lines $OUT/exam" REAL "$PYTHON" -m recipes.nano.exam --corpus "$CORPUS" \
    --clips "${REAL:-}" --out "$OUT/exam" ${exam[@]+"${exam[@]}"}
  stepedit judge-emotion "file $OUT/exam/emotion.safetensors" REAL evaluate judge \
    "$OUT/exam/judge-emotion.jsonl" --also "ravdess=$OUT/exam/ravdess.jsonl" --out "$OUT/exam/emotion.safetensors"
  stepedit judge-style "file $OUT/exam/style.safetensors" REAL evaluate judge \
    "$OUT/exam/judge-style.jsonl" --out "$OUT/exam/style.safetensors"
  stepedit judge-sounds "file $OUT/exam/sounds.safetensors" REAL evaluate judge \
    "$OUT/exam/judge-sounds.jsonl" --sounds --out "$OUT/exam/sounds.safetensors"
  for who in teacher people; do
    stepedit "evaluate-$who" "file $OUT/$who/table.txt" "REAL WHISPER_BASE" evaluate run \
      "$OUT/exam/$who-emotion.jsonl" "$OUT/exam/$who-style.jsonl" "$OUT/exam/$who-sounds.jsonl" \
      --bundle "$OUT/bundle" --start recording --judge "emotion=$OUT/exam/emotion.safetensors" \
      --judge "style=$OUT/exam/style.safetensors" --judge "sounds=$OUT/exam/sounds.safetensors" \
      --figures wer,similarity,mos ${rounds[@]+"${rounds[@]}"} --out "$OUT/$who"
  done
  stage judged "file $OUT/judged.json" "REAL WHISPER_BASE" "$PYTHON" -m recipes.nano.judge \
    --bundle "$OUT/bundle" --clips "${REAL:-}" ${few[@]+"${few[@]}"} --out "$OUT/judged.json"
}

# a wrong name is found before anything runs
wanted=$COMMAND
COMMAND=names
every_stage
for name in $ONLY; do
  if [[ $KNOWN != *" $name "* ]]; then
    echo "run.sh: there is no stage '$name'; known are$KNOWN" >&2
    exit 2
  fi
done
COMMAND=$wanted
every_stage
