# Functions of demo.sh and reproduce_openkbp.sh; source it. They use $out (logs) and $device.
started=$SECONDS

step() { printf '\n[%3d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }

# Trainings at the same time, each an argument "DATASET FOLD TRAINER [PLANS]": on a CPU with half of the cores each, two get
# more done than one after the other with all of them. One that is finished already is left alone. Shows losses and times.
side_by_side() {
    local training dataset fold trainer plans model log pid pids=()
    for training in "$@"; do
        read -r dataset fold trainer plans <<<"$training nnUNetPlans"
        plans="${plans%% *}"
        model="$nnUNet_results/$(basename "$nnUNet_raw"/Dataset"$dataset"_*)/${trainer}__${plans}__3d_fullres"
        log="$out/train_${dataset}_${fold}_$plans.log"
        step "nnUNetv2_train $dataset 3d_fullres $fold -tr $trainer -p $plans -device $device   (log: $log)"
        if [ -f "$model/fold_$fold/checkpoint_final.pth" ]; then echo "  finished already"; continue; fi
        : >"$log" # tail may be earlier than the training
        OMP_NUM_THREADS=$((($(nproc) + $# - 1) / $#)) \
            nnUNetv2_train "$dataset" 3d_fullres "$fold" -tr "$trainer" -p "$plans" -device "$device" --c >"$log" 2>&1 &
        pid=$!
        pids+=("$pid:$log")
        trap 'kill $(jobs -p) 2>/dev/null' EXIT
        tail -n +1 --pid="$pid" -f "$log" | grep --line-buffered -E 'train_loss|Epoch time|Pseudo dice' \
            | sed -u -E 's/^[0-9: .-]+//; s/np\.float(32|64)\(([^)]*)\)/\2/g; s/^(.{130}).*/\1/; s/^/  '"$dataset fold $fold"'  /' &
    done
    for training in ${pids[@]+"${pids[@]}"}; do
        wait "${training%%:*}" || { tail -20 "${training#*:}"; exit 1; }
    done
    wait # for the lines that are still to be shown
    trap - EXIT
}
