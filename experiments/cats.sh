# Cats and dogs, 4,000 photos by their numbers: per class 0-999 train, 1000-1499 validation, 1500-1999 test.
#
#     sh experiments/cats.sh NAME [arguments of dvc exp run]
. "$(dirname "$0")/_recipe.sh"

case $recipe in
cats-two-stage)
    dvc exp run -n cats-two-stage \
        -S dataset=cats_and_dogs -S split.strategy=index_ranges \
        -S backbone=vgg19 -S weights=imagenet -S backbones.vgg19.image_size=180 \
        -S features.views=0 \
        -S 'two_stage.head.dense=[256, 128]' -S two_stage.head.dropout=0.5 \
        -S two_stage.head.pooling=flatten -S two_stage.head.normalise=none \
        -S two_stage.feature_augmentation.flip=horizontal \
        -S two_stage.feature_augmentation.rotation=0.1 \
        -S two_stage.feature_augmentation.zoom=0.1 \
        -S two_stage.optimizer=rmsprop -S two_stage.learning_rate=0.001 \
        -S two_stage.epochs=20 -S two_stage.batch_size=32 -S two_stage.patience=null \
        "$@" evaluate@two_stage
    ;;
cats-inline)
    dvc exp run -n cats-inline \
        -S dataset=cats_and_dogs -S split.strategy=index_ranges \
        -S backbone=vgg19 -S weights=imagenet -S backbones.vgg19.image_size=180 \
        -S augmentation.flip=horizontal -S augmentation.rotation=0.2 -S augmentation.zoom=0.4 \
        -S 'inline.head.dense=[256, 128, 64]' -S inline.head.dropout=0 \
        -S inline.head.pooling=flatten -S inline.head.normalise=none \
        -S inline.optimizer=rmsprop -S inline.learning_rate=0.001 \
        -S inline.epochs=10 -S inline.batch_size=16 -S inline.patience=null \
        "$@" evaluate@inline
    ;;
cats-finetune)
    dvc exp run -n cats-finetune \
        -S dataset=cats_and_dogs -S split.strategy=index_ranges \
        -S backbone=vgg19 -S weights=imagenet -S backbones.vgg19.image_size=180 \
        -S augmentation.flip=horizontal -S augmentation.rotation=0.2 -S augmentation.zoom=0.4 \
        -S 'inline.head.dense=[256, 128, 64]' -S inline.head.dropout=0 \
        -S inline.head.pooling=flatten -S inline.head.normalise=none \
        -S inline.optimizer=rmsprop -S inline.learning_rate=0.001 \
        -S inline.epochs=10 -S inline.batch_size=16 -S inline.patience=null \
        -S 'inline.fine_tune.blocks=[block4, block5]' -S inline.fine_tune.epochs=10 \
        -S inline.fine_tune.optimizer=adam -S inline.fine_tune.learning_rate=1e-05 \
        "$@" evaluate@inline
    ;;
cats-vgg16-small)
    dvc exp run -n cats-vgg16-small \
        -S dataset=cats_and_dogs -S split.strategy=index_ranges \
        -S backbone=vgg16 -S weights=imagenet -S backbones.vgg16.image_size=150 \
        -S backbones.vgg16.preprocessing=rescale \
        -S features.views=0 \
        -S 'two_stage.head.dense=[256]' -S two_stage.head.dropout=0.5 \
        -S two_stage.head.pooling=flatten -S two_stage.head.normalise=none \
        -S two_stage.optimizer=rmsprop -S two_stage.learning_rate=2e-05 \
        -S two_stage.epochs=30 -S two_stage.batch_size=20 -S two_stage.patience=null \
        "$@" evaluate@two_stage
    ;;
cats-scratch)
    dvc exp run -n cats-scratch \
        -S dataset=cats_and_dogs -S split.strategy=index_ranges \
        "$@" evaluate@scratch
    ;;
*) unknown ;;
esac
