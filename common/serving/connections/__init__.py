"""What stays open after a request: websockets, and what is said over them."""
