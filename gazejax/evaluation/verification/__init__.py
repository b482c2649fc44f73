"""Stage 1: which user is it. Protocols, controls and intervals."""
