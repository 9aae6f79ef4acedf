#!/usr/bin/env bash
# Make the model that ships, openkbp7, from OpenKBP's published training and validation patients.
#   scripts/reproduce_openkbp.sh SOURCE
#   SOURCE  the repository github.com/ababier/open-kbp as downloaded, or a raw dataset that soars-import made of it
#   REPRODUCTION_OUTPUT     where (default: reproduction_output beside setup.cfg); a broken run goes on where it stopped
#   DEVICE                  cpu or cuda (default: cuda where there is one, else cpu)
#   JOBS                    trainings side by side (default: 2)
#   OPENKBP_FOLDS           of the cross-validation (default: 4)
#   OPENKBP_REGIME          what the settings below change (default: demo)
#   OPENKBP_SETTINGS        regime values, for a quick try: "num_epochs=2 iterations_per_epoch=8"; add to the defaults
#   OPENKBP_GENOTYPE        genotype file of the network (default: four blocks of 3 x 3 x 3, scripts/experiments/openkbp7_genotype.json)
# One network segments all seven organs. Contours that nobody drew are left open in training and left out of all scores. Four
# folds by patient; every patient is scored by the network that did not train on them. The bundle holds all four networks.
# Patients 241 to 340, OpenKBP's test patients, are never read.
set -euo pipefail
case "${1:-}" in
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" && exit ;;
esac
[ $# -eq 1 ] && [ -d "$1" ] || { echo "usage: $0 SOURCE   (--help says more)" >&2; exit 2; }
source="$(cd "$1" && pwd)"
genotype="${OPENKBP_GENOTYPE:+$(realpath "$OPENKBP_GENOTYPE")}"
cd "$(dirname "$0")/.."
. scripts/setup.sh
. scripts/trainings.sh

# the settings of openkbp7
default_settings="p_mirror=0.5 max_patch_voxels=[64,48,48] num_epochs=40 iterations_per_epoch=100"
default_settings+=" p_noise_sharpness=0.3 p_rotation=0.2 rotation_deg=10"
default_settings+=" weight_decay=0.005 decoupled_weight_decay=true side_output_weights=[1.0,0.5,0.25,0.125]"
read -ra settings <<<"$default_settings ${OPENKBP_SETTINGS:-}"
plan_options=(--regime "${OPENKBP_REGIME:-demo}" --set "${settings[@]}")
plan_options+=(--genotype "${genotype:-scripts/experiments/openkbp7_genotype.json}")
folds="${OPENKBP_FOLDS:-4}"
jobs="${JOBS:-2}"
number=9 profile=openkbp7 name=openkbp7

out="${REPRODUCTION_OUTPUT:-$PWD/reproduction_output}"
export nnUNet_raw="$out/nnUNet_raw" nnUNet_preprocessed="$out/nnUNet_preprocessed" nnUNet_results="$out/nnUNet_results"
export nnUNet_n_proc_DA="${nnUNet_n_proc_DA:-0}" nnUNet_def_n_proc="${nnUNet_def_n_proc:-1}"
mkdir -p "$nnUNet_raw" "$nnUNet_preprocessed" "$nnUNet_results"
eval "$(soars-env)"
device="${DEVICE:-$(python -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")')}"

raw="$nnUNet_raw/Dataset009_OpenKBP"
step "soars-import: the published training and validation patients"
python -m scripts.experiments.openkbp_source "$source" "$out/open-kbp" "$raw"
if [ -d "$out/open-kbp" ] && [ ! -f "$raw/cases.json" ]; then
    # ends with 2 where it leaves patients out, of which import_report.txt says why
    soars-import openkbp "$out/open-kbp" -d "$number" --name OpenKBP || [ -f "$raw/cases.json" ]
fi
step "soars-stratify: one network of all seven organs, and the split by patient"
[ -f "$nnUNet_preprocessed/Dataset009_OpenKBP/soars_cascade.json" ] \
    || soars-stratify -d "$number" -p "$profile" --one-tier --folds "$folds" --not-annotated "$raw/cases.json"
step "soars-plan: grid, patch and network; preprocessing"
soars-plan -d "$number" -np "$(nproc)" "${plan_options[@]}"

step "$folds trainings, $jobs at a time, on $device"
waiting=()
for ((fold = 0; fold < folds; fold++)); do
    waiting+=("091 $fold SOARSAnchorTrainer")
    if [ "${#waiting[@]}" -eq "$jobs" ] || [ "$fold" -eq $((folds - 1)) ]; then
        side_by_side "${waiting[@]}"
        waiting=()
    fi
done

step "soars-cross-validate: every patient by the network that did not train on them"
soars-cross-validate -d "$number" --tiling large --device "$device"
scores="$nnUNet_results/Dataset009_OpenKBP/SOARS__nnUNetPlans/cross_validation"
soars-report -e "$scores/evaluation.json" -o "$out/evaluation.html"
step "soars-bundle: the model as one safe file, with its card"
soars-bundle make -d "$number" --name "$name" -o "$out/$name" --card scripts/experiments/openkbp7_card.json
soars-bundle verify "$out/$name"
step "results"
python -m scripts.experiments.openkbp_results "$out" -o "$out/real-ct.md"
step "done; bundle: $out/$name, scores: $out/evaluation.html, results page: $out/real-ct.md"
