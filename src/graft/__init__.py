"""graft: reproducible transfer learning for image classification."""

import os

# Before TensorFlow is imported anywhere: Keras on TensorFlow, without its start-up chatter.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
