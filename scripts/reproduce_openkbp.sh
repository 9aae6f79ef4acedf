#!/usr/bin/env bash
# Train and test the cascade on real CT (OpenKBP, 7 organs) with plain nnU-Net commands; about an hour on two CPU cores.
#   scripts/reproduce_openkbp.sh PATH/TO/Dataset007_OpenKBP [PATH/TO/Dataset008_OpenKBPPartial]
#   REPRODUCTION_OUTPUT    where (default: reproduction_output beside setup.cfg); a broken run goes on where it stopped
#   REPRODUCTION_SETTINGS  regime values for soars-plan --set, for example "num_epochs=8 iterations_per_epoch=50 p_mirror=0.5"
# Every fifth case of the first dataset is kept out of everything as test; the rest is a 2-fold split with both folds trained.
# Cases of the second lack contours, which its cases.json lists: they train too, what nobody drew is left open.
# The anchors' genotype is one that a search on fold 0's training cases found (scripts/experiments/results/does-the-search-help.md), the other's the published one.
# Mid-level is trained twice with equal budgets: with out-of-fold anchor channels, and from CT only.
# Sides are swapped in half of the patches, which doubles what paired organs can learn from.
# "final" also averages mirrored predictions (--tta) and keeps the largest part of the organs for which that helped in the
# cross-validation of the training cases; "as predicted" and "CT only" do neither, and run on all of the patient's box, as no anchors bound the latter.
# "large" and "fast" are "as predicted" with --tiling large and --fast; their scores are in large.txt and fast.txt, times on the screen.
set -euo pipefail
[ $# -ge 1 ] && [ -d "$1/imagesTr" ] && { [ $# -eq 1 ] || [ -f "$2/cases.json" ]; } \
    || { echo "usage: $0 PATH/TO/Dataset007_OpenKBP [PATH/TO/Dataset008_OpenKBPPartial]" >&2; exit 2; }
data="$(cd "$1" && pwd)"
partial="${2:+$(cd "$2" && pwd)}"
cd "$(dirname "$0")/.."
out="${REPRODUCTION_OUTPUT:-$PWD/reproduction_output}"
. scripts/setup.sh

export nnUNet_raw="$out/nnUNet_raw" nnUNet_preprocessed="$out/nnUNet_preprocessed" nnUNet_results="$out/nnUNet_results"
export nnUNet_n_proc_DA="${nnUNet_n_proc_DA:-0}" nnUNet_def_n_proc="${nnUNet_def_n_proc:-1}"
device="${DEVICE:-cpu}"
eval "$(soars-env)"
. scripts/trainings.sh

read -ra settings <<<"${REPRODUCTION_SETTINGS:-num_epochs=24 mid_level.num_epochs=22 iterations_per_epoch=70 p_mirror=0.5}"
regime=(--regime demo -np 2 --set 'max_patch_voxels=[56,40,40]' "${settings[@]}")

raw="$nnUNet_raw/Dataset007_OpenKBP"
mkdir -p "$raw"/{imagesTr,labelsTr,imagesTs,labelsTs} "$nnUNet_preprocessed" "$nnUNet_results"
python -m scripts.experiments.openkbp_dataset "$raw" "$data" ${partial:+"$partial"}

step "soars-stratify, soars-plan"
[ -f "$nnUNet_preprocessed/Dataset007_OpenKBP/soars_cascade.json" ] \
    || soars-stratify -d 7 -p openkbp7 --folds 2 ${partial:+--not-annotated "$partial/cases.json"}
soars-plan -d 7 "${regime[@]}" --genotype scripts/experiments/openkbp_genotype.json
side_by_side "071 0 SOARSAnchorTrainer" "071 1 SOARSAnchorTrainer"
step "soars-channels"
soars-channels -d 7 --device "$device"
soars-plan -d 7 "${regime[@]}"
soars-plan -d 7 --branches mid_level --guidance none --plans-name CTOnly "${regime[@]}"
for fold in 0 1; do
    side_by_side "072 $fold SOARSMidLevelTrainer" "072 $fold SOARSMidLevelTrainer CTOnly"
done
step "soars-cross-validate: every training case by its own fold's models"
soars-cross-validate -d 7 --device "$device"
step "prediction and evaluation of the test cases"
predict() { # output, options
    time soars-cascade-predict -d 7 -i "$raw/imagesTs" -o "$out/$1" --device "$device" "${@:2}"
    soars-evaluate -p "$out/$1" -r "$raw/labelsTs" --profile openkbp7 --reference-labels "$raw/dataset.json" >"$out/$1.txt"
}
predict final --tta
predict cascade --no-postprocessing --tiling everywhere
predict large --no-postprocessing --tiling large
predict fast --no-postprocessing --fast
predict ct_only --no-postprocessing --tiling everywhere --plans-name CTOnly
python -m scripts.experiments.openkbp_table "$out"
step "done"
