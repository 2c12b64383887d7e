"""The cases: what a user relies on between a plug and music on the player. Each runs in a guest of its own."""
