# Functions of demo.sh and reproduce_openkbp.sh; source it. They use $out (logs) and $device.
started=$SECONDS

step() { printf '\n[%3d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }

# Trainings at the same time, each an argument "DATASET FOLD TRAINER [PLANS]": on a CPU each with its share of the cores, as two
# get more done so than one after the other with all of them. One that is finished already is left alone. Shows losses, seconds
# a step and time left; if one fails the others go on to their end.
side_by_side() {
    local training dataset fold trainer plans model log pid failed=0 todo=() pids=()
    for training in "$@"; do
        read -r dataset fold trainer plans <<<"$training nnUNetPlans"
        plans="${plans%% *}"
        model="$nnUNet_results/$(basename "$nnUNet_raw"/Dataset"$dataset"_*)/${trainer}__${plans}__3d_fullres"
        if [ -f "$model/fold_$fold/checkpoint_final.pth" ]; then
            step "$trainer, fold $fold, $plans: finished already"
        else
            todo+=("$dataset $fold $trainer $plans")
        fi
    done
    for training in ${todo[@]+"${todo[@]}"}; do
        read -r dataset fold trainer plans <<<"$training"
        log="$out/train_${dataset}_${fold}_$plans.log"
        step "nnUNetv2_train $dataset 3d_fullres $fold -tr $trainer -p $plans -device $device   (log: $log)"
        : >"$log" # tail may be earlier than the training
        OMP_NUM_THREADS=$((($(nproc) + ${#todo[@]} - 1) / ${#todo[@]})) \
            nnUNetv2_train "$dataset" 3d_fullres "$fold" -tr "$trainer" -p "$plans" -device "$device" --c >"$log" 2>&1 &
        pid=$!
        pids+=("$pid:$log")
        trap 'kill $(jobs -p) 2>/dev/null' EXIT
        tail -n +1 --pid="$pid" -f "$log" \
            | python -m scripts.training_progress "$nnUNet_preprocessed/$(basename "$nnUNet_raw"/Dataset"$dataset"_*)/$plans.json" \
                --name "$dataset fold $fold $plans" &
    done
    for training in ${pids[@]+"${pids[@]}"}; do
        wait "${training%%:*}" || { failed=1; tail -20 "${training#*:}"; }
    done
    wait # for the lines that are still to be shown
    trap - EXIT
    return $failed
}
