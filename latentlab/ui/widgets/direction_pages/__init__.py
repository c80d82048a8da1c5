"""The pages of the directions panel: each is one way to make a slider."""
