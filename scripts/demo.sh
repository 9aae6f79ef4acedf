#!/usr/bin/env bash
# Set everything up and segment a real CT with the model that ships, a minute after the installation. Then train the whole
# cascade of 42 organs on synthetic CTs: 6 to 13 minutes on two CPU cores.
#   scripts/demo.sh [--real-only]
#   --real-only  stop after the real CT
#   DEMO_OUTPUT  where (default: demo_output beside setup.cfg); a broken run goes on where it stopped
#   DEMO_MODEL   another model for the real CT, and DEMO_FOLD, its fold that did not train on this patient
set -euo pipefail
cd "$(dirname "$0")/.."
real_only=
case "$*" in
    "") ;;
    --real-only) real_only=yes ;;
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" && exit ;;
    *) echo "error: expected no option or --real-only, got $*" >&2 && exit 2 ;;
esac
. scripts/setup.sh
. scripts/trainings.sh

out="${DEMO_OUTPUT:-$PWD/demo_output}"
device=cpu

step "soars-cascade-predict: segment a real CT by the network that did not train on this patient"
ct=demo/openkbp_233
soars-cascade-predict -i "$ct/images" -o "$out/real/prediction" --model "${DEMO_MODEL:-openkbp7}" --folds "${DEMO_FOLD:-0}" --tiling large --device "$device"
step "soars-evaluate: score it against its contours"
soars-evaluate -p "$out/real/prediction" -r "$ct/labels" -o "$out/real" --profile openkbp7
python -m scripts.demo_report real "$out"
soars-report -p "$out/real/prediction" -i "$ct/images"
step "the real CT is segmented, scored and drawn after $((SECONDS - started)) s; contours: $out/real/real_ct.png, page: $out/real/prediction/openkbp_233.html"
[ -z "$real_only" ] || exit 0

export nnUNet_raw="$out/nnUNet_raw" nnUNet_preprocessed="$out/nnUNet_preprocessed" nnUNet_results="$out/nnUNet_results"
export nnUNet_n_proc_DA=0 nnUNet_def_n_proc=1 # tiny volumes: worker processes cost more than they save
mkdir -p "$nnUNet_raw" "$nnUNet_preprocessed" "$nnUNet_results"
eval "$(soars-env)"

# A 2-fold split: anchor and detection on both folds, mid-level and small & hard on one.
plan() {
    soars-plan -d 42 --regime demo --spacing 3 3 3 --small-hard-spacing 2 2 2 -np 2
}
step "soars-phantom: draw 8 training and 3 test phantoms of 2 mm"
[ -f "$nnUNet_raw/Dataset042_Phantom/dataset.json" ] || soars-phantom -d 42 --train 8 --test 3 --shape 144 120 120 --spacing 2 2 2
step "soars-stratify: one dataset a branch, and the split into folds"
[ -f "$nnUNet_preprocessed/Dataset042_Phantom/soars_cascade.json" ] || soars-stratify -d 42 -p hn42 --folds 2 --empty-means-absent
step "soars-plan: networks of 3 mm voxels, small & hard of 2 mm"
plan
side_by_side "421 0 SOARSAnchorTrainer" "421 1 SOARSAnchorTrainer"
step "soars-channels: out-of-fold anchor probabilities"
soars-channels -d 42 --branches anchor --device "$device"
plan
side_by_side "423 0 SOARSDetectionTrainer" "423 1 SOARSDetectionTrainer"
step "soars-channels: out-of-fold heat maps and VOI crops"
soars-channels -d 42 --device "$device"
plan
side_by_side "422 0 SOARSMidLevelTrainer" "424 0 SOARSSmallHardTrainer"
step "soars-cascade-predict: segment the phantoms that no model has seen"
soars-cascade-predict -d 42 -i "$nnUNet_raw/Dataset042_Phantom/imagesTs" -o "$out/prediction" --device "$device"
step "soars-evaluate: score them"
soars-evaluate -p "$out/prediction" -r "$nnUNet_raw/Dataset042_Phantom/labelsTs" -o "$out" --profile hn42
python -m scripts.demo_report phantoms "$out"
step "soars-report: pages of scores and slices"
soars-report -e "$out/evaluation.json"
soars-report -p "$out/prediction" -i "$nnUNet_raw/Dataset042_Phantom/imagesTs"
step "done; overlay: $out/overlay.png, tables: $out/evaluation.html, viewers: $out/prediction/*.html"
