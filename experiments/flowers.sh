# Flowers: the published 2,746 photos by class counts, 50/25/25; and two of the classes from scratch.
#
#     sh experiments/flowers.sh NAME [arguments of dvc exp run]
. "$(dirname "$0")/_recipe.sh"

case $recipe in
flowers-inline)
    dvc exp run -n flowers-inline \
        -S dataset=flowers -S split.strategy=fractions \
        -S 'split.max_per_class={daisy: 501, dandelion: 646, roses: 497, sunflowers: 495, tulips: 607}' \
        -S backbone=vgg19 -S weights=imagenet -S backbones.vgg19.image_size=180 \
        -S augmentation.flip=horizontal -S augmentation.rotation=0.2 -S augmentation.zoom=0.4 \
        -S 'inline.head.dense=[256, 128, 64]' -S inline.head.dropout=0 \
        -S inline.head.pooling=flatten -S inline.head.normalise=none \
        -S inline.optimizer=adam -S inline.learning_rate=0.001 \
        -S inline.epochs=10 -S inline.batch_size=16 -S inline.patience=null \
        "$@" evaluate@inline
    ;;
flowers-two-stage)
    dvc exp run -n flowers-two-stage \
        -S dataset=flowers -S split.strategy=fractions \
        -S 'split.max_per_class={daisy: 501, dandelion: 646, roses: 497, sunflowers: 495, tulips: 607}' \
        -S backbone=vgg19 -S weights=imagenet -S backbones.vgg19.image_size=180 \
        -S features.views=0 \
        -S 'two_stage.head.dense=[256, 128]' -S two_stage.head.dropout=0.5 \
        -S two_stage.head.pooling=flatten -S two_stage.head.normalise=none \
        -S two_stage.optimizer=rmsprop -S two_stage.learning_rate=0.001 \
        -S two_stage.epochs=20 -S two_stage.batch_size=32 -S two_stage.patience=null \
        "$@" evaluate@two_stage
    ;;
flowers-views)
    dvc exp run -n flowers-views \
        -S dataset=flowers -S split.strategy=fractions \
        -S 'split.max_per_class={daisy: 501, dandelion: 646, roses: 497, sunflowers: 495, tulips: 607}' \
        -S backbone=vgg19 -S weights=imagenet -S backbones.vgg19.image_size=180 \
        -S augmentation.flip=horizontal -S augmentation.rotation=0.2 -S augmentation.zoom=0.4 \
        -S features.views=8 \
        -S 'two_stage_views.head.dense=[256, 128]' -S two_stage_views.head.dropout=0.5 \
        -S two_stage_views.head.pooling=flatten -S two_stage_views.head.normalise=none \
        -S two_stage_views.optimizer=rmsprop -S two_stage_views.learning_rate=0.001 \
        -S two_stage_views.epochs=20 -S two_stage_views.batch_size=32 -S two_stage_views.patience=null \
        "$@" evaluate@two_stage_views
    ;;
flowers-finetune)
    dvc exp run -n flowers-finetune \
        -S dataset=flowers -S split.strategy=fractions \
        -S 'split.max_per_class={daisy: 501, dandelion: 646, roses: 497, sunflowers: 495, tulips: 607}' \
        -S backbone=vgg19 -S weights=imagenet -S backbones.vgg19.image_size=180 \
        -S augmentation.flip=horizontal -S augmentation.rotation=0.2 -S augmentation.zoom=0.4 \
        -S 'inline.head.dense=[256, 128, 64]' -S inline.head.dropout=0 \
        -S inline.head.pooling=flatten -S inline.head.normalise=none \
        -S inline.optimizer=adam -S inline.learning_rate=0.001 \
        -S inline.epochs=10 -S inline.batch_size=16 -S inline.patience=null \
        -S 'inline.fine_tune.blocks=[block4, block5]' -S inline.fine_tune.epochs=10 \
        -S inline.fine_tune.optimizer=adam -S inline.fine_tune.learning_rate=1e-05 \
        "$@" evaluate@inline
    ;;
daisy-dandelion-cnn)
    dvc exp run -n daisy-dandelion-cnn \
        -S dataset=flowers -S 'split.classes=[daisy, dandelion]' \
        -S 'split.max_per_class={daisy: 606, dandelion: 851}' \
        -S split.strategy=fractions \
        -S split.fractions.train=0.75 -S split.fractions.validation=0.125 -S split.fractions.test=0.125 \
        -S augmentation.flip=none -S augmentation.rotation=0 -S augmentation.zoom=0 \
        -S scratch.image_size=80 \
        -S "scratch.layers=[ \
            {Rescaling: {scale: 0.00392156862745098}}, \
            {Conv2D: {filters: 64, kernel_size: 3, padding: same, activation: relu}}, \
            {MaxPooling2D: {}}, \
            {Conv2D: {filters: 32, kernel_size: 3, padding: same, activation: relu}}, \
            {MaxPooling2D: {}}, \
            {Flatten: {}}, \
            {Dense: {units: 128, activation: relu}}, \
            {Dropout: {rate: 0.3}}, \
            {Dense: {units: 32, activation: relu}}, \
            {Dropout: {rate: 0.2}}]" \
        -S scratch.optimizer=adam -S scratch.learning_rate=0.001 \
        -S scratch.schedule.name=reduce_on_plateau \
        -S scratch.schedule.factor=0.5 -S scratch.schedule.patience=3 \
        -S scratch.patience=5 -S scratch.epochs=10 -S scratch.batch_size=32 \
        "$@" evaluate@scratch
    ;;
*) unknown ;;
esac
