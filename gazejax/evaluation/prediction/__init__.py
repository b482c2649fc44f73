"""Stage 2: where will the user look. Protocols, controls and intervals."""
