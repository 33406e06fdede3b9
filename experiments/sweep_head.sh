# Twelve heads on cached features, which are embedded once and serve every trial; then a table of them, best
# validation accuracy (mean of the seeds, of which it needs two) first. The test accuracy beside it is not to
# choose by.
#
#     sh experiments/sweep_head.sh [arguments of dvc exp run]
#
# Before another sweep of the same commit: dvc exp remove $(dvc exp list --name-only | grep sweep-)
set -- sweep "$@"
. "$(dirname "$0")/_recipe.sh"

trial=0
for dense in '[64]' '[256]' '[256, 128]'; do
    for dropout in 0.2 0.5; do
        for learning_rate in 0.001 0.0003; do
            trial=$((trial + 1))
            dvc exp run -n "sweep-$trial" \
                -S "two_stage.head.dense=$dense" \
                -S "two_stage.head.dropout=$dropout" \
                -S "two_stage.learning_rate=$learning_rate" \
                "$@" evaluate@two_stage
        done
    done
done
dvc exp show --md --hide-workspace --sort-by two_stage.val_mean --sort-order desc \
    --drop '.*' --keep 'Experiment|two_stage\.(test_mean|val_mean|head\.d|learning_rate)'
