"""scripts/training_progress.py: what is shown of nnU-Net's log."""

from scripts.training_progress import Training, duration, logged_seconds, progress

STAMP = "2026-11-28 19:37:28.165258: "


def lines_of(epoch, seconds):
    losses = ["Current learning rate: 0.01", "train_loss -0.25", "Pseudo dice [np.float32(0.5), np.float64(0.25)]"]
    return [STAMP + text for text in (f"Epoch {epoch}", *losses, f"Epoch time: {seconds} s")]


def test_losses_steps_and_time_left():
    log = [f"{line}\n" for line in ["Using device: cpu", *lines_of(0, 60.0), *lines_of(1, 120.0)]]
    shown = list(progress(log, Training(epochs=4, steps=100)))
    assert shown == [
        "train_loss -0.25",
        "Pseudo dice [0.5, 0.25]",
        "epoch 1 of 4: 60.0 s, 0.60 s a step; 3 min left",
        "train_loss -0.25",
        "Pseudo dice [0.5, 0.25]",
        "epoch 2 of 4: 120.0 s, 1.20 s a step; 3 min left",
    ]


def test_a_training_that_goes_on_counts_from_its_epoch_and_the_last_has_none_left():
    shown = list(progress(lines_of(3, 8.0), Training(epochs=4, steps=10)))
    assert shown[-1] == "epoch 4 of 4: 8.0 s, 0.80 s a step"


def test_times_are_short():
    assert [duration(seconds) for seconds in (30 * 60, 3 * 3600)] == ["30 min", "3.0 h"]


def test_seconds_of_a_training_that_was_resumed_are_those_of_all_its_logs(tmp_path):
    for name, epochs in (("one", [0, 1]), ("two", [2])):
        lines = [line for epoch in epochs for line in lines_of(epoch, 1.5)]
        (tmp_path / name).write_text("\n".join(lines))
    assert logged_seconds(tmp_path.iterdir()) == 4.5
    assert logged_seconds([]) == 0
