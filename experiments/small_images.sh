# Fashion-MNIST and CIFAR-10 from scratch, each with its own test set.
#
#     sh experiments/small_images.sh NAME [arguments of dvc exp run]
. "$(dirname "$0")/_recipe.sh"

case $recipe in
fashion-mnist-cnn)
    dvc exp run -n fashion-mnist-cnn \
        -S dataset=fashion_mnist -S split.strategy=given \
        -S augmentation.flip=none -S augmentation.rotation=0 -S augmentation.zoom=0 \
        -S scratch.image_size=28 -S scratch.color_mode=grayscale \
        -S "scratch.layers=[ \
            {Rescaling: {scale: 0.00392156862745098}}, \
            {Conv2D: {filters: 32, kernel_size: 3, activation: relu}}, \
            {Conv2D: {filters: 64, kernel_size: 3, activation: relu}}, \
            {MaxPooling2D: {}}, \
            {Flatten: {}}, \
            {Dense: {units: 128, activation: relu}}, \
            {Dense: {units: 64, activation: relu}}]" \
        -S scratch.optimizer=adam -S scratch.learning_rate=0.001 \
        -S scratch.epochs=10 -S scratch.batch_size=32 \
        "$@" evaluate@scratch
    ;;
cifar10-cnn)
    dvc exp run -n cifar10-cnn \
        -S dataset=cifar10 -S split.strategy=given \
        -S augmentation.flip=none -S augmentation.rotation=0 -S augmentation.zoom=0 \
        -S scratch.image_size=32 \
        -S "scratch.layers=[ \
            {Rescaling: {scale: 0.00392156862745098}}, \
            {Conv2D: {filters: 32, kernel_size: 3, activation: relu}}, \
            {Conv2D: {filters: 64, kernel_size: 3, activation: relu}}, \
            {MaxPooling2D: {}}, \
            {Flatten: {}}, \
            {Dense: {units: 128, activation: relu}}, \
            {Dense: {units: 64, activation: relu}}]" \
        -S scratch.optimizer=adam -S scratch.learning_rate=0.001 \
        -S scratch.epochs=10 -S scratch.batch_size=32 \
        "$@" evaluate@scratch
    ;;
cifar10-dense)
    dvc exp run -n cifar10-dense \
        -S dataset=cifar10 -S split.strategy=given \
        -S augmentation.flip=none -S augmentation.rotation=0 -S augmentation.zoom=0 \
        -S scratch.image_size=32 \
        -S "scratch.layers=[ \
            {Rescaling: {scale: 0.00392156862745098}}, \
            {Flatten: {}}, \
            {Dense: {units: 128, activation: relu}}, \
            {Dense: {units: 128, activation: relu}}]" \
        -S scratch.optimizer=adam -S scratch.learning_rate=0.001 \
        -S scratch.epochs=10 -S scratch.batch_size=32 \
        "$@" evaluate@scratch
    ;;
*) unknown ;;
esac
