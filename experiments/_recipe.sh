# Sourced by the recipes. Each starts from the committed params.yaml and puts it back at its end, also when
# it is interrupted: what a recipe sets is in its experiment, and `dvc exp apply NAME` brings it back.
set -eu
cd "$(dirname "$0")/.."
if ! git diff --quiet HEAD -- params.yaml; then
    echo "params.yaml differs from the last commit, which a recipe starts from:" >&2
    echo "commit it, or drop the change with \`graft back\`" >&2
    exit 1
fi
# `touch`: after an experiment that was refused, DVC leaves Git blind to the change.
trap 'touch params.yaml && git restore --staged --worktree params.yaml' EXIT
trap 'exit 130' INT
trap 'exit 129' HUP
trap 'exit 143' TERM

unknown() {
    echo "usage: sh $0 NAME [arguments of dvc exp run]" >&2
    echo "NAME is one of $(sed -n 's/^\([a-z0-9-]*\))$/\1/p' "experiments/$(basename "$0")" | xargs)" >&2
    exit 2
}
[ $# -gt 0 ] || unknown
recipe=$1
shift
