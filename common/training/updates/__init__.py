"""Updates of the weights, which do not wait for the device."""
