"""Pages over HTTP: after the shape of Mistral's interface, and as a form with a choice of formats."""
