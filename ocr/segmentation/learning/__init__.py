"""How the network that finds lines is trained."""
