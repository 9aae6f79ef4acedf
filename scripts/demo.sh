#!/usr/bin/env bash
# Set everything up and run the whole cascade on synthetic CTs: about 20 minutes on two CPU cores.
#   DEMO_OUTPUT  where (default: demo_output beside setup.cfg); a broken run goes on where it stopped
# A 2-fold split: anchor and detection on both folds, mid-level and small & hard on one.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh

out="${DEMO_OUTPUT:-$PWD/demo_output}"
export nnUNet_raw="$out/nnUNet_raw" nnUNet_preprocessed="$out/nnUNet_preprocessed" nnUNet_results="$out/nnUNet_results"
export nnUNet_n_proc_DA=0 nnUNet_def_n_proc=1 # tiny volumes: worker processes cost more than they save
mkdir -p "$nnUNet_raw" "$nnUNet_preprocessed" "$nnUNet_results"
eval "$(soars-env)"
started=$SECONDS

step() { printf '\n[%2d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }
plan() {
    soars-plan -d 42 --regime demo --spacing 3 3 3 --small-hard-spacing 2 2 2 -np 2
}
train() { # dataset fold trainer
    local model="$nnUNet_results/$(basename "$nnUNet_raw"/Dataset"$1"_*)/$3__nnUNetPlans__3d_fullres" log="$out/train_$1_$2.log"
    step "nnUNetv2_train $1 3d_fullres $2 -tr $3 -device cpu   (log: $log)"
    if [ -f "$model/fold_$2/checkpoint_final.pth" ]; then echo "  finished already"; return; fi
    nnUNetv2_train "$1" 3d_fullres "$2" -tr "$3" -device cpu --c >"$log" 2>&1 &
    local pid=$!
    trap "kill $pid 2>/dev/null" EXIT
    tail -n +1 --pid=$pid -f "$log" | grep --line-buffered -E 'train_loss|Epoch time|Pseudo dice' \
        | sed -u -E 's/^[0-9: .-]+//; s/np\.float(32|64)\(([^)]*)\)/\2/g; s/^(.{140}).*/\1/; s/^/  /'
    wait $pid || { tail -20 "$log"; exit 1; }
    trap - EXIT
}

step "soars-phantom: 8 training and 3 test phantoms, 2 mm"
[ -f "$nnUNet_raw/Dataset042_Phantom/dataset.json" ] || soars-phantom -d 42 --train 8 --test 3 --shape 144 120 120 --spacing 2 2 2
step "soars-stratify"
[ -f "$nnUNet_preprocessed/Dataset042_Phantom/soars_cascade.json" ] || soars-stratify -d 42 -p hn42 --folds 2 --empty-means-absent
step "soars-plan (3 mm; small & hard 2 mm)"
plan
train 421 0 SOARSAnchorTrainer
train 421 1 SOARSAnchorTrainer
step "soars-channels: out-of-fold anchor probabilities"
soars-channels -d 42 --branches anchor --device cpu
plan
train 423 0 SOARSDetectionTrainer
train 423 1 SOARSDetectionTrainer
train 422 0 SOARSMidLevelTrainer
step "soars-channels: out-of-fold heat maps and VOI crops"
soars-channels -d 42 --device cpu
plan
train 424 0 SOARSSmallHardTrainer
step "soars-cascade-predict: phantoms that no model has seen"
soars-cascade-predict -i "$nnUNet_raw/Dataset042_Phantom/imagesTs" -o "$out/prediction" --device cpu
step "soars-evaluate"
soars-evaluate -p "$out/prediction" -r "$nnUNet_raw/Dataset042_Phantom/labelsTs" -o "$out" --profile hn42
python scripts/demo_report.py "$out"
step "soars-report"
soars-report -e "$out/evaluation.json"
soars-report -p "$out/prediction" -i "$nnUNet_raw/Dataset042_Phantom/imagesTs"
step "done; overlay: $out/overlay.png, tables: $out/evaluation.html, viewers: $out/prediction/*.html"
