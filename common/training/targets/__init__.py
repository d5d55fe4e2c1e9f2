"""What the texts of examples become for a network to learn: phones."""
