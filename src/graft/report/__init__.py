"""The report's parts: values -> charts and words, and the page they stand on."""
