"""From parameters and inputs to embeddings and maps."""
